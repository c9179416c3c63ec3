// What the page asks of the service.

let token = sessionStorage.getItem("token") ?? "";

export function useToken(given) {
  token = given;
  sessionStorage.setItem("token", given);
}

/** What a status means to a person; the detail says more. */
const TITLES = {
  401: "A token is needed.",
  413: "That is too large.",
  422: "This image cannot be used.",
  429: "Too many requests.",
  503: "Not now.",
  504: "It took too long.",
};

/** A failure that is told to the person: what failed, what to do, and the id to report it with. */
export class Problem extends Error {
  constructor(title, detail, { status = 0, id = "" } = {}) {
    super(detail);
    Object.assign(this, { title, status, id });
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service does not answer.", "Check the connection, then try again.");
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  const detail = body.detail ?? "Whatever stands before the service refused; try again in a moment.";
  const id = body.request_id ?? answer.headers.get("X-Request-ID") ?? "";
  throw new Problem(TITLES[answer.status] ?? "The service failed.", detail, { status: answer.status, id });
}

function upload(path, file, accept, signal) {
  const body = new FormData();
  body.append("file", file, file.name || "image");
  return ask(path, { method: "POST", body, headers: { Accept: accept }, signal });
}

/** The free places of an image, as the service answers in JSON; `gsd` says how many metres a pixel is. */
export const predict = async (file, signal, gsd = null) =>
  (await upload(gsd ? `predict?gsd=${gsd}` : "predict", file, "application/json", signal)).json();

/** The image in a form that any browser shows, for those such as TIFF that it cannot read itself. */
export const preview = async (file, signal) => (await upload("preview", file, "image/png", signal)).blob();

/** Say what is right, wrong or missing in an earlier answer; it is scored. */
export const feedback = async (correction) => {
  const headers = { "Content-Type": "application/json" };
  return (await ask("feedback", { method: "POST", headers, body: JSON.stringify(correction) })).json();
};

/** The drift reports, oldest first. */
export const driftReports = async () => (await ask("monitoring/nights")).json();

/** Small copies of the images that a report shows; none where images are not kept. */
export const examples = async (summary) => (await ask(`${summary.report.split("?")[0]}/examples`)).json();

/** Which model serves, and what the service takes. */
export const model = async () => (await ask("model")).json();

export const sample = async (name) => {
  const blob = await (await ask(`static/samples/${name}.jpg`)).blob();
  return new File([blob], `${name}.jpg`, { type: blob.type });
};
