// The image with its places drawn on it: one SVG polygon each, over the picture and of its size.

const SVG = "http://www.w3.org/2000/svg";
const UNSURE = [255, 159, 28];
const SURE = [46, 232, 134];
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];

const byId = (id) => document.getElementById(id);
const frame = byId("frame"), stage = byId("stage"), places = byId("places"), tip = byId("tip"), drop = byId("drop");

let drawn = [], chosen = -1, clicked = -1, zoom = 0;

/** The same colours as in the service's own pictures: orange where unsure, green where sure. */
export function colourOf(confidence) {
  return `rgb(${UNSURE.map((from, i) => Math.round(from + confidence * (SURE[i] - from))).join(" ")})`;
}

export function describe(spot) {
  return `Confidence ${Math.round(spot.confidence * 100)} %, area ${spot.area_m2.toFixed(1)} m²`;
}

/** Shows an image, unless it is given up meanwhile; resolves to false where the browser cannot read it. */
export async function show(blob, signal) {
  const image = byId("image");
  const before = image.src;
  const url = URL.createObjectURL(blob);
  const probe = new Image();
  probe.src = url;
  try {
    await probe.decode();
  } catch {
    URL.revokeObjectURL(url);
    signal.throwIfAborted();
    return false;
  }
  if (signal.aborted) URL.revokeObjectURL(url);
  signal.throwIfAborted();
  image.src = url;
  if (before) URL.revokeObjectURL(before);
  clear();
  frame.hidden = false;
  byId("welcome").hidden = true;
  drop.classList.add("shown");
  setZoom(0);
  return true;
}

/** Takes all places away; then the numbers can't be taken for another image's. */
export function clear() {
  drawn = [];
  choose(-1);
  places.replaceChildren();
  byId("vehicles").replaceChildren();
}

/** Draws these vehicles and no others, below the places. */
export function drawVehicles(vehicles, width, height) {
  const layer = byId("vehicles");
  layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
  layer.replaceChildren(
    ...vehicles.map((vehicle) => {
      const polygon = document.createElementNS(SVG, "polygon");
      polygon.setAttribute("points", vehicle.polygon.map((point) => point.join(",")).join(" "));
      return polygon;
    }),
  );
}

/** Draws these places and no others. */
export function draw(spots, width, height) {
  choose(-1);
  clicked = -1;
  drawn = spots;
  places.setAttribute("viewBox", `0 0 ${width} ${height}`);
  places.replaceChildren(
    ...spots.map((spot, index) => {
      const polygon = document.createElementNS(SVG, "polygon");
      const colour = colourOf(spot.confidence);
      polygon.setAttribute("points", spot.polygon.map((point) => point.join(",")).join(" "));
      polygon.setAttribute("fill", colour);
      polygon.setAttribute("stroke", colour);
      polygon.dataset.index = index;
      return polygon;
    }),
  );
}

/** Marks places as wrong, and draws outlines that a person added; both go when the places are drawn anew. */
export function mark(wrong, added) {
  drawn.forEach((spot, index) => places.children[index].classList.toggle("wrong", wrong.includes(spot)));
  places.querySelectorAll(".added").forEach((element) => element.remove());
  for (const ring of added) {
    const outline = document.createElementNS(SVG, ring.length > 2 ? "polygon" : "polyline");
    outline.setAttribute("points", ring.map((point) => point.join(",")).join(" "));
    outline.classList.add("added");
    places.append(outline);
  }
}

/** Draws the keyboard's cross at a point of the image, or takes it away. */
export function cross(at, image) {
  places.querySelector(".cross")?.remove();
  if (!at) return;
  const arm = Math.max(image.width, image.height) / 30;
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${at[0] - arm} ${at[1]}h${2 * arm}M${at[0]} ${at[1] - arm}v${2 * arm}`);
  path.classList.add("cross");
  places.append(path);
  path.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** The place that is pointed at or was clicked last. */
export const chosenSpot = () => drawn[clicked];

function choose(index) {
  places.children[chosen]?.classList.remove("chosen");
  chosen = index;
  const polygon = places.children[index];
  tip.hidden = !polygon;
  byId("chosen").textContent = polygon ? `Place ${index + 1} of ${drawn.length}: ${describe(drawn[index])}` : "";
  if (!polygon) return;
  polygon.classList.add("chosen");
  tip.textContent = describe(drawn[index]);
  const box = polygon.getBoundingClientRect(), ground = drop.getBoundingClientRect();
  const left = box.left + box.width / 2 - tip.offsetWidth / 2 - ground.left;
  const above = box.top - ground.top - tip.offsetHeight - 6;
  tip.style.left = `${Math.max(4, Math.min(left, ground.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${above < 4 ? box.bottom - ground.top + 6 : above}px`;
}

function setZoom(step) {
  zoom = Math.max(0, Math.min(ZOOMS.length - 1, step));
  const { scrollLeft, scrollTop, scrollWidth, scrollHeight, clientWidth, clientHeight } = frame;
  const across = (scrollLeft + clientWidth / 2) / (scrollWidth || 1);
  const down = (scrollTop + clientHeight / 2) / (scrollHeight || 1);
  stage.style.width = `${ZOOMS[zoom] * 100}%`;
  frame.scrollTo(across * frame.scrollWidth - clientWidth / 2, down * frame.scrollHeight - clientHeight / 2);
  choose(-1);
}

export function zoomBy(how) {
  setZoom({ in: zoom + 1, out: zoom - 1, fit: 0 }[how]);
}

const indexOf = (event) => Number(event.target.dataset?.index ?? -1);
places.addEventListener("pointerover", (event) => choose(indexOf(event)));
places.addEventListener("pointerleave", () => choose(-1));
places.addEventListener("click", (event) => choose((clicked = indexOf(event))));
frame.addEventListener("scroll", () => (tip.hidden = true));
places.addEventListener("blur", () => choose(-1));
places.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const how = { "+": "in", "=": "in", "-": "out", 0: "fit" }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (step && drawn.length) {
    const from = chosen < 0 && step < 0 ? 0 : chosen;
    choose((clicked = (from + step + drawn.length) % drawn.length));
    places.children[chosen].scrollIntoView({ block: "nearest", inline: "nearest" });
  } else if (how) zoomBy(how);
  else if (event.key === "Escape") choose(-1);
  else return;
  event.preventDefault();
});
