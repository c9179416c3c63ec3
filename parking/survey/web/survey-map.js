// What the report and the service's page draw alike: districts by colour, places one by one from a zoom on.

const SURVEY_COLOURS = {
  share_taken: [0, "#2c7bb6", 0.6, "#abd9e9", 0.75, "#ffffbf", 0.85, "#fdae61", 0.95, "#d7191c"],
  free_per_ha: [0, "#edf8e9", 1, "#bae4b3", 5, "#74c476", 10, "#31a354", 20, "#006d2c"],
};

const SURE_COLOURS = [0, "#ff9f1c", 0.5, "#b4c850", 0.75, "#2ee886"];
const NO_VALUE = "#999999";

const percent = (value) => `${Math.round(value * 100)} %`;
const whole = (value) => value.toLocaleString("en");
const rounded = (value) => Number(Number(value).toPrecision(3)).toLocaleString("en");

/** The column that colours districts: the share taken, if vehicles were counted. */
function surveyColumn(data) {
  return data.features.some(({ properties }) => properties.share_taken !== null) ? "share_taken" : "free_per_ha";
}

/** The same colour as on the map, for one value. */
function colourOf(column, value) {
  if (value == null) return NO_VALUE;
  const stops = SURVEY_COLOURS[column];
  let found = stops[1];
  for (let at = 2; at < stops.length && value >= stops[at]; at += 2) found = stops[at + 1];
  return found;
}

/** Colours and what they mean, as rows. */
function legendRows(stops, told) {
  const from = (at) => told(stops[at]);
  const rows = [[stops[1], `below ${from(2)}`]];
  for (let at = 2; at < stops.length; at += 2) {
    rows.push([stops[at + 1], at + 2 < stops.length ? `${from(at)} to ${from(at + 2)}` : `${from(at)} and more`]);
  }
  return rows;
}

/** A legend on the map; returns its box, to hide it. */
function addLegend(map, title, rows) {
  const box = document.createElement("div");
  box.className = "maplibregl-ctrl maplibregl-ctrl-group survey-legend";
  box.style.cssText = "padding: 0.4rem 0.7rem; color: #16201b; font: 0.8rem/1.5 system-ui, sans-serif";
  box.appendChild(document.createElement("strong")).textContent = title;
  for (const [colour, text] of rows) {
    const row = box.appendChild(document.createElement("div"));
    const patch = row.appendChild(document.createElement("i"));
    patch.style.cssText = `display: inline-block; width: 1.1em; height: 0.8em; margin-right: 0.5em; background: ${colour}`;
    row.append(text);
  }
  map.addControl({ onAdd: () => box, onRemove: () => box.remove() }, "bottom-right");
  return box;
}

/** A step expression: the colour of the class that a value falls in; grey where there is none. */
function surveyColour(column) {
  const [, first, ...steps] = SURVEY_COLOURS[column];
  const value = ["get", column];
  return ["case", ["==", value, null], NO_VALUE, ["step", ["to-number", value], first, ...steps]];
}

const PLACES_AT_LEAST = 15, PLACES_AT_MOST = 17;

/** `layers` gets the map and the zoom from which single places are drawn; `more` are options of MapLibre, such as one that signs what the map asks for. */
function surveyMap(container, bounds, layers, more = {}) {
  const [west, south, east, north] = bounds;
  const map = new maplibregl.Map({
    container,
    style: { version: 8, sources: {}, layers: [] },
    bounds: [[west, south], [east < west ? east + 360 : east, north]],
    fitBoundsOptions: { padding: 20 },
    attributionControl: false,
    maxZoom: 22,
    ...more,
  });
  window.surveyShown = map;
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }));
  map.addControl(new maplibregl.ScaleControl());
  map.on("load", () => {
    // Closer than the whole survey, so that the first view shows districts; a small survey is all near.
    layers(map, Math.max(PLACES_AT_LEAST, Math.min(map.getZoom() + 0.7, PLACES_AT_MOST)));
    container.dataset.ready = "yes";
  });
  return map;
}

/** Imagery below all else, as tiles. Near the ground only: from far away it would read whole files. */
function addImagery(map, tiles, bounds) {
  const [west, south, east, north] = bounds;
  const within = east < west ? {} : { bounds: [west, south, east, north] };
  map.addSource("imagery", { type: "raster", tiles: [tiles], tileSize: 256, minzoom: 13, maxzoom: 21, ...within });
  map.addLayer({ id: "imagery", type: "raster", source: "imagery" });
}

/** Districts fade where single places are drawn: from `near` on. */
function addDistricts(map, data, near) {
  const column = surveyColumn(data);
  map.addSource("districts", { type: "geojson", data });
  const opacity = ["interpolate", ["linear"], ["zoom"], near - 0.3, 0.65, near + 0.3, 0.2];
  const paint = { "fill-color": surveyColour(column), "fill-opacity": opacity };
  map.addLayer({ id: "districts", type: "fill", source: "districts", paint });
  map.addLayer({ id: "district-lines", type: "line", source: "districts", paint: { "line-color": "#333", "line-width": 1.5 } });
  const taken = column === "share_taken";
  const rows = legendRows(SURVEY_COLOURS[column], taken ? percent : String);
  if (data.features.some(({ properties }) => properties[column] == null)) rows.push([NO_VALUE, "nothing found"]);
  addLegend(map, taken ? "Share of places taken" : "Free places per hectare", rows);
  nameUnderPointer(map, column);
  surveyPopup(map, "districts", (row) => [
    row.name,
    `${row.free} free places (${row.free_low} to ${row.free_high})`,
    row.share_taken == null ? `${rounded(row.free_per_ha)} per hectare` : `${percent(row.share_taken)} taken`,
  ]);
}

function nameUnderPointer(map, column) {
  const label = new maplibregl.Popup({ closeButton: false, closeOnClick: false, offset: 12, className: "survey-name" });
  map.on("mousemove", "districts", ({ lngLat, features: [{ properties: row }] }) => {
    map.getCanvas().style.cursor = "pointer";
    const value = row[column] == null ? "" : column === "share_taken" ? `: ${percent(row[column])} taken` : `: ${rounded(row[column])}`;
    label.setLngLat(lngLat).setText(`${row.name}${value}`).addTo(map);
  });
  map.on("mouseleave", "districts", () => {
    map.getCanvas().style.cursor = "";
    label.remove();
  });
  map.on("click", () => label.remove());
}

function addPlaces(map, data, minzoom) {
  map.addSource("places", { type: "geojson", data });
  const sure = ["step", ["get", "confidence"], ...SURE_COLOURS.slice(1)];
  const filled = { "fill-color": sure, "fill-opacity": 0.8, "fill-outline-color": "#101418" };
  map.addLayer({ id: "places", type: "fill", source: "places", minzoom, paint: filled });
  const legend = addLegend(map, "Free place, confidence", legendRows(SURE_COLOURS, String));
  const follow = () => (legend.hidden = map.getZoom() < minzoom);
  map.on("zoom", follow);
  follow();
  surveyPopup(map, "places", (row) => [
    "Free place",
    `confidence ${Number(row.confidence).toFixed(2)}, ${Number(row.area_m2).toFixed(1)} m²`,
    `imagery of ${row.date ?? "unknown date"}`,
  ]);
}

/** Text only: names come from files of other people. */
function surveyPopup(map, layer, lines) {
  map.on("click", layer, (event) => {
    if (layer === "districts" && map.getLayer("places") && map.queryRenderedFeatures(event.point, { layers: ["places"] }).length) return;
    const box = document.createElement("div");
    for (const line of lines(event.features[0].properties)) {
      const row = document.createElement("div");
      row.textContent = line;
      box.append(row);
    }
    new maplibregl.Popup().setLngLat(event.lngLat).setDOMContent(box).addTo(map);
  });
}
