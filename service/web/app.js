// The page: an image goes in, its free places come out. What is asked and drawn lives in the other modules.

import * as api from "./api.js";
import { download } from "./download.js";
import * as feedback from "./feedback.js";
import * as view from "./view.js";

const LOOK_EVERY = 10_000;
const byId = (id) => document.getElementById(id);

/** The image last given, the one on the screen, what was answered to it, and the request under way. */
let given = null, file = null, answer = null, running = null, limits = null;
/** Metres a pixel of the image last given, where the person said so. */
let said = null;
const GSD_SOURCES = {
  file: "as the file says",
  caller: "as you said",
  vehicles: "estimated from the vehicles",
  texture: "estimated from the texture",
  assumed: "assumed: the file does not say it",
};

async function look(at, gsd = null) {
  if (!at) return;
  [given, said] = [at, gsd];
  running?.abort();
  const { signal } = (running = new AbortController());
  quiet();
  byId("busy").hidden = false;
  try {
    check(at);
    if (!(await view.show(at, signal))) await view.show(await api.preview(at, signal), signal);
    file = at;
    forget();
    answer = await api.predict(at, signal, gsd);
    present();
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
  } finally {
    if (running?.signal === signal) byId("busy").hidden = true;
  }
}

/** Before anything is sent: a server that refuses early breaks the connection, and a browser can't say why. */
function check(file) {
  const megabytes = file.size / 2 ** 20;
  if (limits && megabytes > limits.upload_mb) {
    const detail = `${file.name} has ${megabytes.toFixed(1)} MiB; the service takes ${limits.upload_mb}. ` +
      "Give a smaller image.";
    throw new api.Problem("The file is too large.", detail);
  }
}

function forget() {
  answer = null;
  view.clear();
  feedback.about(null);
  byId("result").hidden = true;
}

function present() {
  const slider = byId("threshold");
  slider.min = 0;
  slider.value = slider.min;
  byId("result").hidden = false;
  byId("facts").replaceChildren(
    ...Object.entries({
      Model: `version ${answer.model_version}`,
      Imagery: answer.imagery_date,
      Resolution: `${answer.gsd.value.toPrecision(2)} m a pixel (${answer.gsd.source})`,
      Image: `${answer.width} × ${answer.height} pixels`,
      Time: `${Math.round(answer.elapsed_ms)} ms`,
    }).flatMap(([name, value]) => [textIn("dt", name), textIn("dd", value)]),
  );
  byId("gsd").value = Number(answer.gsd.value.toPrecision(3));
  byId("gsd-source").textContent = GSD_SOURCES[answer.gsd.source] ?? answer.gsd.source;
  const vehicles = answer.vehicles ?? [];
  byId("vehicles-choice").hidden = !vehicles.length;
  byId("taken").textContent = answer.share_taken === null
    ? ""
    : `${vehicles.length} ${vehicles.length === 1 ? "vehicle" : "vehicles"}, ${Math.round(answer.share_taken * 100)} % taken`;
  view.drawVehicles(vehicles, answer.width, answer.height);
  byId("age").textContent = answer.imagery_date === "unknown"
    ? "The file does not say when it was taken: these places may long be taken."
    : `Taken on ${answer.imagery_date}: these places were free then, and may be taken now.`;
  redraw();
  feedback.about(answer);
  notice();
}

const shown = () => answer.spots.filter((spot) => spot.confidence >= Number(byId("threshold").value));

function redraw() {
  const spots = shown();
  const level = Number(byId("threshold").value);
  byId("level").textContent = `${Math.round(level * 100)} %`;
  byId("count").textContent = `${spots.length} free ${spots.length === 1 ? "place" : "places"}`;
  const [low, high] = answer.count_interval;
  const all = spots.length < answer.count ? `of ${answer.count} found; ` : "";
  byId("interval").textContent = `${all}there are probably ${low} to ${high} (80 % sure)`;
  view.draw(spots, answer.width, answer.height);
  feedback.redraw();
}

byId("show-vehicles").addEventListener("change", (event) => {
  byId("vehicles").toggleAttribute("hidden", !event.target.checked);
});

function textIn(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function complain(error) {
  const box = byId("problem");
  box.hidden = false;
  box.querySelector("strong").textContent = error.title ?? "The page failed.";
  box.querySelector("span").textContent = error.message;
  box.querySelector("small").textContent = error.id ? `Request ${error.id}` : "";
  byId("token-form").hidden = error.status !== 401;
  byId("retry").hidden = error.status === 401 || !given;
}

function quiet() {
  byId("problem").hidden = true;
}

/** Another version may take over at any time: what is on the screen then is another model's. */
let serving = null;

function notice() {
  const isOld = Boolean(answer && serving && answer.model_version !== serving);
  byId("news").hidden = !isOld;
  if (isOld) {
    byId("news").querySelector("span").textContent =
      `Model version ${serving} answers now; what you see is from version ${answer.model_version}.`;
  }
}

async function follow() {
  const chip = byId("model");
  try {
    const model = await api.model();
    serving = model.version;
    limits = model.limits;
    const remembered = serving && !model.confirmed ? ", as remembered" : "";
    chip.textContent = serving ? `Model version ${serving}${remembered}` : "No model yet";
    chip.title = serving ? `serves since ${model.loaded_at}` : (model.last_error ?? "");
    if (remembered) chip.title += "; the registry has not confirmed yet that it should";
    chip.classList.toggle("ready", Boolean(serving));
    notice();
  } catch (error) {
    chip.textContent = error.status === 401 ? "A token is needed" : "The service does not answer";
    chip.classList.remove("ready");
    if (error.status === 401 && byId("problem").hidden) complain(error);
  }
}

byId("file").addEventListener("change", (event) => {
  look(event.target.files[0]);
  // So that the same file can be chosen again.
  event.target.value = "";
});
byId("threshold").addEventListener("input", redraw);
byId("retry").addEventListener("click", () => look(given, said));
byId("again").addEventListener("click", () => look(file, said));
byId("resolution").addEventListener("submit", (event) => {
  event.preventDefault();
  look(file, Number(byId("gsd").value));
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useToken(byId("token").value);
  quiet();
  follow();
  look(given, said);
});
for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", () => api.sample(button.dataset.sample).then(look, complain));
}
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => view.zoomBy(button.dataset.zoom));
}
for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", () => {
    const threshold = Number(byId("threshold").value);
    const image = byId("image");
    download(button.dataset.download, { answer, spots: shown(), threshold, name: file.name, image }).catch(complain);
  });
}

const drop = byId("drop");
// On the whole window: a file dropped beside the frame must not replace the page.
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  look(event.dataTransfer.files[0]);
});
drop.addEventListener("dragenter", () => drop.classList.add("over"));
drop.addEventListener("dragleave", (event) => {
  if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
});
window.addEventListener("paste", (event) => look(event.clipboardData.files[0]));

follow();
setInterval(() => document.hidden || follow(), LOOK_EVERY);
document.addEventListener("visibilitychange", () => document.hidden || follow());
