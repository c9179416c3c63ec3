// Corrections: the person says that the answer is right, which places are wrong, and outlines those that are missing.

import * as api from "./api.js";
import * as view from "./view.js";

const CORNERS = 4;
const byId = (id) => document.getElementById(id);

/** The answer that is corrected, what is said of it so far, and the corners of the place that is being outlined. */
let answer = null, removed = new Set(), added = [], corners = null;

/** Begins anew with an answer; `null` where there is none. */
export function about(next) {
  [answer, removed, added, corners] = [next, new Set(), [], null];
  byId("feedback-said").textContent = "";
  show();
}

/** Draws what was said over the places, after they were drawn anew. */
export function redraw() {
  view.mark(answer ? answer.spots.filter((_, index) => removed.has(index)) : [], corners ? [...added, corners] : added);
}

function show() {
  redraw();
  byId("missing").setAttribute("aria-pressed", String(Boolean(corners)));
  byId("corners").hidden = !corners;
  byId("corners").textContent = corners ? `Click the ${CORNERS} corners of the place: ${corners.length} so far.` : "";
  const parts = [removed.size && `${removed.size} wrong`, added.length && `${added.length} missing`].filter(Boolean);
  byId("send").disabled = !parts.length;
  byId("send").textContent = parts.length ? `Send: ${parts.join(", ")}` : "Send";
}

async function send(correction) {
  const { answer_id } = answer;
  try {
    const scored = await api.feedback({ answer_id, ...correction });
    about(answer);
    const teaches = scored.teaches ? " The next training learns from it." : "";
    byId("feedback-said").textContent = `Thank you. F1 of the answer: ${Math.round(scored.f1 * 100)} %.${teaches}`;
  } catch (error) {
    byId("feedback-said").textContent = error.message;
  }
}

byId("right").addEventListener("click", () => send({ right: true }));
byId("wrong").addEventListener("click", () => {
  const index = answer.spots.indexOf(view.chosenSpot());
  if (index < 0) {
    byId("feedback-said").textContent = "Click the wrong place in the image first.";
    return;
  }
  if (!removed.delete(index)) removed.add(index);
  byId("feedback-said").textContent = "";
  show();
});
byId("missing").addEventListener("click", () => {
  corners = corners ? null : [];
  show();
});
byId("send").addEventListener("click", () => send({ removed: [...removed], added }));
byId("places").addEventListener("click", (event) => {
  if (!corners) return;
  const { left, top, width, height } = byId("places").getBoundingClientRect();
  const x = ((event.clientX - left) / width) * answer.width, y = ((event.clientY - top) / height) * answer.height;
  corners.push([Math.round(x * 10) / 10, Math.round(y * 10) / 10]);
  if (corners.length === CORNERS) {
    added.push(corners);
    corners = null;
  }
  show();
});
