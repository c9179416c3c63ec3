// Fills the report from the data that it carries.

const { summary, districts, places, density } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const MOST_SOURCES = 50, MOST_BARS = 20;

function cells(row, values, tag = "td") {
  for (const value of values) row.appendChild(document.createElement(tag)).textContent = value ?? "–";
}

function headline() {
  const [low, high] = summary.places_interval;
  const { oldest, newest, undated } = summary.imagery;
  byId("headline").textContent =
    `${whole(summary.places)} free places (80 % interval ${whole(low)} to ${whole(high)}) on ${rounded(summary.km2)} km² of ground.`;
  const taken = oldest ? (oldest === newest ? `of ${oldest}` : `from ${oldest} to ${newest}`) : "of unknown date";
  byId("age").textContent =
    `The imagery is ${taken}${oldest && undated ? `; ${undated} files do not say` : ""}. ` +
    "What was free then says nothing about now.";
}

function drawDistricts() {
  const rows = districts.features.map(({ properties }) => properties);
  if (!rows.length) return;
  byId("districts").hidden = false;
  const column = surveyColumn(districts);
  const head = byId("head").appendChild(document.createElement("tr"));
  cells(head, ["District", "Free", "80 % interval", "Taken", "Share taken", "Hectares", "Imagery covers", "Free per hectare"], "th");
  for (const row of rows) {
    cells(byId("rows").appendChild(document.createElement("tr")), [
      row.name, whole(row.free), `${whole(row.free_low)} to ${whole(row.free_high)}`, row.taken == null ? null : whole(row.taken),
      row.share_taken == null ? null : `${percent(row.share_taken)} (${percent(row.share_low)} to ${percent(row.share_high)})`,
      rounded(row.area_ha), row.seen == null ? null : percent(row.seen), rounded(row.free_per_ha),
    ]);
  }
  drawBars(rows, column, column === "share_taken" ? percent : rounded);
}

function drawBars(rows, column, told) {
  const sorted = rows.filter((row) => row[column] !== null).sort((a, b) => b[column] - a[column]).slice(0, MOST_BARS);
  const most = column === "share_taken" ? 1 : Math.max(1e-9, ...sorted.map((row) => row[column]));
  byId("bars-note").textContent =
    (column === "share_taken" ? "Share of places that is taken" : "Free places per hectare") +
    (rows.length > sorted.length ? `: the ${sorted.length} highest of ${rows.length} districts` : "");
  for (const row of sorted) {
    const bar = byId("bars").appendChild(document.createElement("div"));
    bar.className = "bar";
    bar.appendChild(document.createElement("span")).textContent = row.name;
    const strip = bar.appendChild(document.createElement("i"));
    strip.style.width = `${(row[column] / most) * 100}%`;
    strip.style.background = colourOf(column, row[column]);
    bar.appendChild(document.createElement("span")).textContent = told(row[column]);
  }
}

function drawLists() {
  const { failed } = summary.blocks;
  byId("failed").hidden = !failed.length;
  for (const one of failed) {
    byId("failures").appendChild(document.createElement("li")).textContent =
      `Block in row ${one.row}, column ${one.column}: ${one.reason}`;
  }
  for (const source of summary.sources.slice(0, MOST_SOURCES)) {
    cells(byId("sources").appendChild(document.createElement("tr")), [
      source.attribution ? `${source.name} (${source.attribution})` : source.name, source.date ?? "unknown", source.gsd,
    ]);
  }
  const more = summary.sources.length - MOST_SOURCES;
  byId("more-sources").textContent = more > 0 ? `and ${more} more, all in survey.json` : "";
}

headline();
drawDistricts();
drawLists();
byId("map-note").textContent = places
  ? "Zoom in to see the single places; click one for its confidence and date."
  : "There are too many places for this page: zoomed in, it shows how many lie on a hectare. Open places.gpkg in QGIS to see them one by one.";
/** Under districts it is seen from near only: two colours on top of each other are neither. */
function addDensity(map, { url, corners }, minzoom) {
  map.addSource("density", { type: "image", url, coordinates: corners });
  const paint = { "raster-resampling": "nearest", "raster-opacity": 0.7 };
  map.addLayer({ id: "density", type: "raster", source: "density", minzoom, paint }, map.getLayer("places") ? "places" : undefined);
  const legend = addLegend(map, "Free places per hectare", [["#46a01e1a", "none"], ["#46a01e80", "10"], ["#46a01ee6", "20 and more"]]);
  const follow = () => (legend.hidden = map.getZoom() < minzoom);
  map.on("zoom", follow);
  follow();
}

surveyMap(byId("map"), summary.bounds, (map, near) => {
  if (districts.features.length) addDistricts(map, districts, near);
  if (places) addPlaces(map, places, near);
  if (!places || !districts.features.length) addDensity(map, density, districts.features.length ? near : 0);
});
