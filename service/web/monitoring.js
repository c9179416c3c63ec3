// The last thirty days: a strip of verdicts, the columns that moved, and the scores of corrected answers.

import * as api from "./api.js";

const SVG = "http://www.w3.org/2000/svg";
const DAYS = 30, MOST_COLUMNS = 6, WIDTH = 300, HEIGHT = 80;
const WORST_LAST = ["insufficient_data", "ok", "warning", "drift"];
/** Beside the colour, for those who do not see it. */
const SIGNS = { ok: "✓", warning: "!", drift: "✗", insufficient_data: "?" };
const byId = (id) => document.getElementById(id);

function element(tag, text = "", attributes = {}, space = null) {
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

const dayBefore = (number) => new Date(Date.now() - number * 86_400_000).toISOString().slice(0, 10);
const told = (summary) => summary.verdict.replace("_", " ");
const excess = ({ score, limit }) => score / limit;

/** A value with three digits and no exponent; 0 for what only rounding left, beside the range of the training. */
function shown(value, [low, high]) {
  if (Math.abs(value) < 1e-6 * (high - low)) return "0";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false }).format(value);
}

/** A day has one verdict a version: the worst of them is the day's. */
function worst(summaries) {
  return summaries.toSorted((a, b) => WORST_LAST.indexOf(a.verdict) - WORST_LAST.indexOf(b.verdict)).at(-1);
}

function strip(summaries) {
  const days = Array.from({ length: DAYS }, (_, number) => dayBefore(DAYS - 1 - number));
  byId("first-day").textContent = days[0];
  byId("strip").replaceChildren(
    ...days.map((day) => {
      const summary = worst(summaries.filter((one) => one.day === day));
      const label = summary ? `${day}: ${told(summary)}, ${summary.rows} requests` : `${day}: no report`;
      const attributes = { class: summary?.verdict ?? "none", title: label, "aria-label": label };
      const item = element("li");
      item.append(
        summary
          ? element("a", SIGNS[summary.verdict], { ...attributes, href: summary.report })
          : element("span", "·", { ...attributes, role: "img" }),
      );
      return item;
    }),
  );
}

function latest(summary) {
  if (!summary) return [element("p", "There is no drift report yet: the monitoring runs once a day.")];
  const line = element("p");
  line.append(
    element("strong", `${SIGNS[summary.verdict]} ${told(summary)} on ${summary.day}`),
    ` (version ${summary.version || "none"}): ${summary.reason} `,
    element("a", "Full report", { href: summary.report }),
  );
  return [line];
}

/** Days of one version: compared with another version's training the numbers mean something else. */
function sparkline(name, summaries) {
  const points = summaries.filter((summary) => summary.columns[name]).map((summary) => ({ day: summary.day, ...summary.columns[name] }));
  const last = points.at(-1);
  const values = points.flatMap(({ mean, trained }) => [mean, ...trained]);
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const across = (index) => (points.length > 1 ? (index / (points.length - 1)) * WIDTH : WIDTH / 2);
  const up = (value) => HEIGHT - ((value - low) / span) * HEIGHT;
  const drawing = element("svg", "", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, SVG);
  const [from, to] = last.trained;
  const mean = shown(last.mean, last.trained);
  const range = last.trained.map((end) => shown(end, last.trained)).join(" to ");
  const label = `${name}: ${mean} on ${last.day}, nine tenths of the training from ${range}`;
  drawing.setAttribute("aria-label", label);
  const band = { class: "band", x: 0, width: WIDTH, y: up(to), height: Math.max(1, up(from) - up(to)) };
  const line = points.map(({ mean }, index) => `${across(index)},${up(mean)}`).join(" ");
  drawing.append(element("rect", "", band, SVG), element("polyline", "", { class: "trend", points: line }, SVG));
  // A line of one point is nothing to see.
  if (points.length === 1) drawing.append(element("path", "", { class: "day", d: `M${WIDTH / 2} ${up(last.mean)}h0` }, SVG));
  points.forEach((point, index) => {
    if (excess(point) < 1) return;
    const at = `M${across(index)} ${up(point.mean)}h0`;
    drawing.append(element("path", "", { class: "moved", d: at }, SVG));
  });
  const figure = element("figure");
  const sign = excess(last) < 1 ? "" : "▲ ";
  const caption = element("figcaption", `${sign}${mean}, ${excess(last).toFixed(1)} times its limit`);
  caption.prepend(element("strong", name.replaceAll("_", " ")), " ");
  figure.append(caption, drawing);
  return figure;
}

function columns(summary, summaries) {
  if (!summary) return [];
  const same = summaries.filter((one) => one.version === summary.version);
  const largest = (name) => Math.max(...same.map((one) => (one.columns[name] ? excess(one.columns[name]) : 0)));
  const names = Object.keys(summary.columns).sort((a, b) => largest(b) - largest(a));
  return names.slice(0, MOST_COLUMNS).map((name) => sparkline(name, same));
}

function example({ request_id, time, column, value, trained, jpeg }) {
  const bytes = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
  const range = trained.map((end) => shown(end, trained)).join(" to ");
  const figure = element("figure");
  const caption = element("figcaption", ` ${shown(value, trained)}, in training ${range}`);
  caption.prepend(element("strong", column.replaceAll("_", " ")));
  caption.append(element("br"), `${time.slice(11, 16)} UTC, request ${request_id}`);
  const src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  figure.append(element("img", "", { src, alt: `Image of request ${request_id}` }), caption);
  return figure;
}

async function examples(summary) {
  const found = summary ? await api.examples(summary) : [];
  byId("examples-section").hidden = !found.length;
  byId("examples").replaceChildren(...found.map(example));
}

function said(summaries) {
  const spoken = summaries.filter((summary) => summary.performance).reverse();
  if (!spoken.length) return [element("p", "Nobody has corrected an answer in these days.")];
  const table = element("table");
  const row = (tag, cells) => {
    const made = element("tr");
    made.append(...cells.map((cell) => element(tag, String(cell))));
    return made;
  };
  table.append(row("th", ["Day", "Version", "Corrected", "Right", "IoU", "F1", "Places too many"]));
  for (const { day, version, performance: how } of spoken.slice(0, 10)) {
    const numbers = [how.iou.toFixed(2), how.f1.toFixed(2), how.count_error.toFixed(1)];
    table.append(row("td", [day, version, how.corrected, how.right, ...numbers]));
  }
  return [table];
}

function complain(error) {
  byId("problem").hidden = false;
  byId("problem").querySelector("span").textContent = `${error.title ?? "The page failed."} ${error.message}`;
  byId("token-form").hidden = error.status !== 401;
}

async function show() {
  const summaries = await api.driftReports();
  const last = worst(summaries.filter((summary) => summary.day === summaries.at(-1)?.day));
  byId("problem").hidden = true;
  strip(summaries);
  byId("latest").replaceChildren(...latest(last));
  byId("columns").replaceChildren(...columns(last, summaries));
  byId("said").replaceChildren(...said(summaries));
  await examples(last);
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useToken(byId("token").value);
  show().catch(complain);
});
show().catch(complain);
