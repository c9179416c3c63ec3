// What the report and the service's page draw alike: districts by colour, places one by one from a zoom on.

const SURVEY_COLOURS = {
  share_taken: [0, "#1a9850", 0.6, "#91cf60", 0.75, "#fee08b", 0.85, "#fc8d59", 0.95, "#d73027"],
  free_per_ha: [0, "#edf8e9", 1, "#bae4b3", 5, "#74c476", 10, "#31a354", 20, "#006d2c"],
};

/** A step expression: the colour of the class that a value falls in; grey where there is none. */
function surveyColour(column) {
  const [, first, ...steps] = SURVEY_COLOURS[column];
  const value = ["get", column];
  return ["case", ["==", value, null], "#999999", ["step", ["to-number", value], first, ...steps]];
}

/** `more` are options of MapLibre, such as one that signs what the map asks for. */
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
    layers(map);
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

function addDistricts(map, data) {
  const taken = data.features.some(({ properties }) => properties.share_taken !== null);
  map.addSource("districts", { type: "geojson", data });
  const paint = { "fill-color": surveyColour(taken ? "share_taken" : "free_per_ha"), "fill-opacity": 0.5 };
  map.addLayer({ id: "districts", type: "fill", source: "districts", paint });
  map.addLayer({ id: "district-lines", type: "line", source: "districts", paint: { "line-color": "#555" } });
  surveyPopup(map, "districts", (row) => [
    row.name,
    `${row.free} free places (${row.free_low} to ${row.free_high})`,
    row.share_taken == null ? `${row.free_per_ha} a hectare` : `${Math.round(row.share_taken * 100)} % taken`,
  ]);
}

function addPlaces(map, data, minzoom) {
  map.addSource("places", { type: "geojson", data });
  const sure = ["step", ["get", "confidence"], "#ff9f1c", 0.5, "#b4c850", 0.75, "#2ee886"];
  const filled = { "fill-color": sure, "fill-opacity": 0.6, "fill-outline-color": "#101418" };
  map.addLayer({ id: "places", type: "fill", source: "places", minzoom, paint: filled });
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
