"""Differences between two surveys of one area: of two dates, or of two models."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from parking.errors import MissingKeyError, SurveyError
from parking.storage import Store, open_store
from parking.survey.local import local_file
from parking.survey.results import add_style, save_layer
from parking.survey.style import CHANGES_STYLE

__all__ = ["CAME", "SAME", "STAYED", "SUMMARY", "UNSEEN", "WENT", "compare_surveys"]

SAME = 0.3
"""Intersection over union from which two places are the same."""
STAYED, CAME, WENT, UNSEEN = "stayed", "came", "went", "not seen"
SUMMARY = "survey.json"


def compare_surveys(before: str, after: str, out: Path) -> dict[str, Any]:
    """Write `changes.gpkg`, `changes.csv` and `compare.json`; returns what the last says.

    A place on ground that the other survey does not cover is `not seen`.

    Args:
        before: folder or `s3://` prefix of the earlier survey.
        after: of the later one.
        out: folder for the result.

    Raises:
        SurveyError: one of them is no finished survey, or they have no ground in common.
    """
    stores = open_store(before), open_store(after)
    about = [_summary(store) for store in stores]
    crs = str(about[1]["crs"])
    with tempfile.TemporaryDirectory() as name:
        rows = [_places(store, crs, Path(name)) for store in stores]
        seen_by_other = [_seen(stores[1 - n], rows[n], crs, Path(name)) for n in (0, 1)]
    if not any(seen.any() for seen in seen_by_other) and (len(rows[0]) or len(rows[1])):
        raise SurveyError(f"The surveys {before} and {after} have no ground in common.")
    matched = _matches(*(np.asarray(one["shape"].tolist(), object) for one in rows))
    states = [_states(len(rows[n]), matched[n], seen_by_other[n], gone=(WENT, CAME)[n]) for n in (0, 1)]
    out.mkdir(parents=True, exist_ok=True)
    _write_layer(out / "changes.gpkg", rows, states, crs)
    by_district = _by_district(rows, states)
    (out / "changes.csv").write_bytes(_csv(by_district))
    told = {
        "before": {"survey": before, "model": about[0]["model"]["sha256"], "imagery": about[0]["imagery"]},
        "after": {"survey": after, "model": about[1]["model"]["sha256"], "imagery": about[1]["imagery"]},
        "changes": {state: _count(states, state) for state in (STAYED, CAME, WENT, UNSEEN)},
        "districts": by_district,
    }
    (out / "compare.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return told


def _summary(store: Store) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(store.read(SUMMARY))
    except MissingKeyError as error:
        raise SurveyError(f"{store.url} holds no finished survey: there is no {SUMMARY}.") from error
    return found


def _places(store: Store, crs: str, cache: Path) -> NDArray[Any]:
    """Outlines in a CRS, with id and district, as a structured array."""
    table = pq.read_table(local_file(store, "places.parquet", cache), columns=["id", "district", "geometry"])
    shapes = shapely.from_wkb(table["geometry"].to_numpy())
    transformer = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    moved = shapely.transform(shapes, lambda at: np.column_stack(transformer.transform(*at.T)))
    made = np.empty(len(table), dtype=[("id", "U16"), ("district", object), ("shape", object)])
    made["id"], made["district"], made["shape"] = table["id"].to_pylist(), table["district"].to_pylist(), moved
    return made


def _seen(other: Store, rows: NDArray[Any], crs: str, cache: Path) -> NDArray[np.bool_]:
    """Which places stand on ground that the other survey covers, to about a cell of the density."""
    points = shapely.get_coordinates(shapely.centroid(np.asarray(rows["shape"].tolist(), object)))
    with rasterio.open(local_file(other, "density.tif", cache)) as density:
        x, y = Transformer.from_crs(crs, density.crs.to_wkt(), always_xy=True).transform(points[:, 0], points[:, 1])
        values = [value[0] for value in density.sample(list(zip(x, y, strict=True)), masked=False)]
    return np.isfinite(np.array(values, float)) if values else np.empty(0, bool)


def _matches(one: NDArray[np.object_], other: NDArray[np.object_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Match the places of both surveys greedily by IoU, each in one pair at most."""
    found = np.zeros(len(one), bool), np.zeros(len(other), bool)
    if not len(one) or not len(other):
        return found
    first, second = shapely.STRtree(other).query(one, predicate="intersects")
    common = shapely.area(shapely.intersection(one[first], other[second]))
    iou = common / (shapely.area(one[first]) + shapely.area(other[second]) - common)
    for pair in np.argsort(-iou, kind="stable"):
        a, b = int(first[pair]), int(second[pair])
        if iou[pair] >= SAME and not found[0][a] and not found[1][b]:
            found[0][a] = found[1][b] = True
    return found


def _states(count: int, matched: NDArray[np.bool_], seen: NDArray[np.bool_], *, gone: str) -> NDArray[np.str_]:
    states = np.full(count, gone, dtype="U8")
    states[~seen] = UNSEEN
    states[matched] = STAYED
    return states


def _count(states: list[NDArray[np.str_]], state: str) -> int:
    """Number of places in a state; one that stayed is in both surveys and counts once."""
    return int((states[1] == state).sum() + (0 if state == STAYED else (states[0] == state).sum()))


def _by_district(rows: list[NDArray[Any]], states: list[NDArray[np.str_]]) -> list[dict[str, Any]]:
    names = sorted({name for one in rows for name in one["district"] if name is not None})
    return [
        {"district": name}
        | {
            state: _count([s[r["district"] == name] for r, s in zip(rows, states, strict=True)], state)
            for state in (STAYED, CAME, WENT, UNSEEN)
        }
        for name in names
    ]


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["district", STAYED, CAME, WENT, UNSEEN], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _write_layer(path: Path, rows: list[NDArray[Any]], states: list[NDArray[np.str_]], crs: str) -> None:
    """Places of the later survey, and those that only the earlier one has."""
    chosen = [(rows[1], states[1], np.ones(len(rows[1]), bool)), (rows[0], states[0], states[0] != STAYED)]
    parts = [
        pa.table(
            {
                "id": one["id"][which].tolist(),
                "district": pa.array(one["district"][which].tolist(), pa.string()),
                "change": state[which].tolist(),
                "survey": ["after" if one is rows[1] else "before"] * int(which.sum()),
                "geometry": pa.array(shapely.to_wkb(np.asarray(one["shape"][which].tolist(), object)), pa.binary()),
            },
            schema=_SCHEMA,
        )
        for one, state, which in chosen
    ]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder:
        draft = Path(folder) / path.name
        save_layer(pa.concat_tables(parts).to_reader(), draft, "changes", crs, "Polygon")
        add_style(draft, "changes", CHANGES_STYLE)
        draft.replace(path)


_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "district", "change", "survey")] + [("geometry", pa.binary())]
)
