// Files made of what is on the screen: the places that the threshold leaves.

import { colourOf } from "./view.js";

/** The largest canvas that phones still draw, in pixels. */
const MOST_PIXELS = 16e6;

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A ring as GeoJSON wants it (RFC 7946): closed, and counterclockwise where y points up. */
function closed(ring) {
  const turn = ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    return sum + (nextX - x) * (nextY + y);
  }, 0);
  const points = turn > 0 ? [...ring].reverse() : ring;
  return [...points, points[0]];
}

/** Without it GDAL, and so every GIS, takes pixels for degrees of WGS 84. As in parking/detection/output.py. */
const IMAGE_CRS = {
  type: "name",
  properties: {
    name:
      'ENGCRS["Pixels of the image, y downwards",EDATUM["Upper left corner of the image"],CS[Cartesian,2],' +
      'AXIS["x",unspecified],AXIS["y",unspecified],LENGTHUNIT["pixel",1]]',
  },
};

const isPlaced = (answer) => answer.coordinate_system === "WGS 84";

function geojson(answer, spots, threshold) {
  const placed = isPlaced(answer);
  return {
    type: "FeatureCollection",
    ...(placed ? {} : { crs: IMAGE_CRS }),
    features: spots.map((spot, i) => ({
      type: "Feature",
      id: i + 1,
      geometry: { type: "Polygon", coordinates: [closed(placed ? spot.lonlat : spot.polygon)] },
      properties: { confidence: spot.confidence, area_m2: spot.area_m2 },
    })),
    coordinate_system: answer.coordinate_system,
    count: spots.length,
    threshold,
    gsd: answer.gsd,
    imagery_date: answer.imagery_date,
    model_version: answer.model_version,
    image: { width: answer.width, height: answer.height },
  };
}

function csv(answer, spots) {
  const middle = (ring, axis) => ring.reduce((sum, point) => sum + point[axis], 0) / ring.length;
  const rows = spots.map((spot, i) => [
    i + 1,
    spot.confidence,
    spot.area_m2,
    middle(spot.polygon, 0).toFixed(1),
    middle(spot.polygon, 1).toFixed(1),
    spot.lonlat ? middle(spot.lonlat, 0).toFixed(7) : "",
    spot.lonlat ? middle(spot.lonlat, 1).toFixed(7) : "",
  ]);
  return [["place", "confidence", "area_m2", "x", "y", "longitude", "latitude"], ...rows].join("\r\n") + "\r\n";
}

async function picture(answer, spots, image) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (answer.width * answer.height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(answer.width * scale));
  canvas.height = Math.max(1, Math.round(answer.height * scale));
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  context.lineWidth = Math.max(1.5, Math.min(answer.width, answer.height) / 400) / scale;
  for (const spot of spots) {
    context.beginPath();
    spot.polygon.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.fillStyle = context.strokeStyle = colourOf(spot.confidence);
    context.globalAlpha = 0.35;
    context.fill();
    context.globalAlpha = 1;
    context.stroke();
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** Saves the places shown as `geojson`, `csv` or `png`. */
export async function download(kind, { answer, spots, threshold, name, image }) {
  const stem = name.replace(/\.[^.]*$/, "") || "image";
  if (kind === "geojson") {
    const text = JSON.stringify(geojson(answer, spots, threshold), null, 1);
    save(new Blob([text], { type: "application/geo+json" }), stem + (isPlaced(answer) ? ".geojson" : ".pixels.json"));
  } else if (kind === "csv") {
    save(new Blob([csv(answer, spots)], { type: "text/csv" }), `${stem}.csv`);
  } else {
    save(await picture(answer, spots, image), `${stem}.places.png`);
  }
}
