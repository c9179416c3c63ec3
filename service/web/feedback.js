// Corrections: the person says that the answer is right, which places are wrong, and outlines those that are missing.

import * as api from "./api.js";
import * as view from "./view.js";

const CORNERS = 4;
const byId = (id) => document.getElementById(id);

const STEP = 1 / 40;

/** The answer that is corrected, what is said of it so far, and the corners of the place that is being outlined. */
let answer = null, removed = new Set(), added = [], corners = null;
/** Where the keyboard's cross stands while a place is outlined, in pixels of the image. */
let cross = null;

/** Begins anew with an answer; `null` where there is none. */
export function about(next) {
  [answer, removed, added, corners, cross] = [next, new Set(), [], null, null];
  byId("feedback-said").textContent = "";
  show();
}

/** Draws what was said over the places, after they were drawn anew. */
export function redraw() {
  view.mark(answer ? answer.spots.filter((_, index) => removed.has(index)) : [], corners ? [...added, corners] : added);
  view.cross(corners && cross, answer);
}

function show() {
  redraw();
  byId("missing").setAttribute("aria-pressed", String(Boolean(corners)));
  byId("corners").hidden = !corners;
  byId("corners").textContent = corners
    ? `Click the ${CORNERS} corners of the place; or move the cross with the arrow keys (Shift: one pixel) and press ` +
      `Enter at each, Escape to stop. ${corners.length} so far.`
    : "";
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
function addCorner(x, y) {
  corners.push([x, y].map((value) => Math.round(value * 10) / 10));
  if (corners.length === CORNERS) {
    added.push(corners);
    corners = null;
  }
  show();
}

byId("missing").addEventListener("click", (event) => {
  corners = corners ? null : [];
  // A click by the keyboard has no place on the screen.
  cross = corners && !event.detail ? [answer.width / 2, answer.height / 2] : null;
  show();
  if (cross) byId("places").focus();
});
/** Before the view's own keys, which choose places. */
byId("places").addEventListener("keydown", (event) => {
  const [x, y] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
  if (!corners || event.ctrlKey || event.metaKey || event.altKey) return;
  if (x || y) {
    const { width, height } = answer;
    cross ??= [width / 2, height / 2];
    const step = event.shiftKey ? 1 : Math.max(width, height) * STEP;
    cross = [Math.min(width, Math.max(0, cross[0] + x * step)), Math.min(height, Math.max(0, cross[1] + y * step))];
    show();
  } else if (event.key === "Enter" && cross) addCorner(...cross);
  else if (event.key === "Escape") {
    corners = null;
    show();
    byId("missing").focus();
  } else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
byId("send").addEventListener("click", () => send({ removed: [...removed], added }));
byId("places").addEventListener("click", (event) => {
  if (!corners) return;
  const { left, top, width, height } = byId("places").getBoundingClientRect();
  const x = ((event.clientX - left) / width) * answer.width, y = ((event.clientY - top) / height) * answer.height;
  addCorner(x, y);
});
