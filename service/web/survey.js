// A survey on a map: districts from far, single places of what is in view from near.

const MOST = 5000, WAIT_MS = 150;
const byId = (id) => document.getElementById(id);
const here = window.location.pathname.replace(/\/$/, "");

function authorised() {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask(path) {
  const headers = { Accept: "application/geo+json, application/json", ...authorised() };
  const answer = await fetch(path, { headers });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.detail ?? answer.statusText), { status: answer.status });
  return body;
}

function tell(summary) {
  const [low, high] = summary.places_interval;
  const { oldest, newest } = summary.imagery;
  byId("title").textContent = `Survey ${summary.id}`;
  byId("headline").textContent =
    `${whole(summary.places)} free places (80 % interval ${whole(low)} to ${whole(high)}) on ${rounded(summary.km2)} km² of ground.`;
  const taken = oldest ? (oldest === newest ? `of ${oldest}` : `from ${oldest} to ${newest}`) : "of unknown date";
  byId("age").textContent = `The imagery is ${taken}. What was free then says nothing about now.`;
}

function list(districts) {
  byId("districts").hidden = !districts.features.length;
  for (const { properties: row } of districts.features) {
    const line = byId("districts").tBodies[0].insertRow();
    const share = row.share_taken == null ? "–" : percent(row.share_taken);
    for (const value of [
      row.name, whole(row.free), `${whole(row.free_low)} to ${whole(row.free_high)}`,
      row.taken == null ? "–" : whole(row.taken), share,
    ]) {
      line.insertCell().textContent = value;
    }
  }
}

/** The places in view replace those of the view before; an answer that comes late is left aside. */
function followView(map, near) {
  const nothing = { type: "FeatureCollection", features: [] };
  addPlaces(map, nothing, near);
  let asked = 0, timer = 0;
  const load = async () => {
    const number = ++asked;
    if (map.getZoom() < near) {
      byId("shown").textContent = "Zoom in to see the single places.";
      map.getSource("places").setData(nothing);
      return;
    }
    try {
      const places = await ask(`${here}/places?bbox=${map.getBounds().toArray().flat().join(",")}&limit=${MOST}`);
      if (number !== asked) return;
      map.getSource("places").setData(places);
      const more = places.numberReturned === MOST ? " and more: zoom in" : "";
      byId("shown").textContent = `${places.numberReturned} places in view${more}. Click one for its confidence and date.`;
    } catch (error) {
      fail(error);
    }
  };
  map.on("moveend", () => {
    clearTimeout(timer);
    timer = setTimeout(load, WAIT_MS);
  });
  load();
}

function fail(error) {
  byId("problem").firstElementChild.textContent = error.message;
  byId("token-form").hidden = error.status !== 401;
  byId("problem").hidden = false;
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value);
  window.location.reload();
});

try {
  const [summary, districts] = await Promise.all([ask(here), ask(`${here}/districts`)]);
  tell(summary);
  list(districts);
  const tiles = summary.links.some(({ rel }) => rel === "tiles");
  surveyMap(byId("map"), summary.bounds, (made, near) => {
    if (tiles) addImagery(made, `${window.location.origin}${here}/imagery/{z}/{x}/{y}.png`, summary.bounds);
    if (districts.features.length) addDistricts(made, districts, near);
    followView(made, near);
  }, { transformRequest: (url) => ({ url, headers: authorised() }) });
} catch (error) {
  fail(error);
}
