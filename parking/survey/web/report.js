// Fills the report from the data that it carries.

const { summary, districts, places, density } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const MOST_SOURCES = 50, MOST_BARS = 20, PLACES_FROM = 15;

function cells(row, values, tag = "td") {
  for (const value of values) row.appendChild(document.createElement(tag)).textContent = value ?? "–";
}

function headline() {
  const [low, high] = summary.places_interval;
  const { oldest, newest, undated } = summary.imagery;
  byId("headline").textContent =
    `${summary.places} free places (80 % interval ${low} to ${high}) on ${summary.km2} km² of ground.`;
  const taken = oldest ? (oldest === newest ? `of ${oldest}` : `from ${oldest} to ${newest}`) : "of unknown date";
  byId("age").textContent =
    `The imagery is ${taken}${oldest && undated ? `; ${undated} files do not say` : ""}. ` +
    "What was free then says nothing about now.";
}

function drawDistricts() {
  const rows = districts.features.map(({ properties }) => properties);
  if (!rows.length) return;
  byId("districts").hidden = false;
  const taken = rows.some((row) => row.share_taken !== null);
  const head = byId("head").appendChild(document.createElement("tr"));
  cells(head, ["District", "Free", "Bounds", "Taken", "Share taken", "Hectares", "Seen", "Free a hectare"], "th");
  const percent = (value) => (value == null ? null : `${Math.round(value * 100)} %`);
  for (const row of rows) {
    cells(byId("rows").appendChild(document.createElement("tr")), [
      row.name, row.free, `${row.free_low} to ${row.free_high}`, row.taken,
      row.share_taken == null ? null : `${percent(row.share_taken)} (${percent(row.share_low)} to ${percent(row.share_high)})`,
      row.area_ha, percent(row.seen), row.free_per_ha,
    ]);
  }
  drawBars(rows, taken ? "share_taken" : "free", taken ? percent : String);
}

function drawBars(rows, column, told) {
  const sorted = rows.filter((row) => row[column] !== null).sort((a, b) => b[column] - a[column]).slice(0, MOST_BARS);
  const most = column === "share_taken" ? 1 : Math.max(1, ...sorted.map((row) => row[column]));
  byId("bars-note").textContent = column === "share_taken" ? "Share that is taken" : "Free places";
  for (const row of sorted) {
    const bar = byId("bars").appendChild(document.createElement("div"));
    bar.className = "bar";
    bar.appendChild(document.createElement("span")).textContent = row.name;
    bar.appendChild(document.createElement("i")).style.width = `${(row[column] / most) * 100}%`;
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
  : "There are too many places for this page: open places.gpkg in QGIS to see them one by one.";
surveyMap(byId("map"), summary.bounds, (map) => {
  map.addSource("density", { type: "image", url: density.url, coordinates: density.corners });
  map.addLayer({ id: "density", type: "raster", source: "density", paint: { "raster-resampling": "nearest", "raster-opacity": 0.7 } });
  if (districts.features.length) addDistricts(map, districts);
  if (places) addPlaces(map, places, PLACES_FROM);
});
