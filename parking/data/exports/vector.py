"""Georeferenced polygons, as drawn in QGIS over GeoTIFFs: GeoJSON, GeoPackage, and other formats of GDAL."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray

from parking.data.exports.annotation import Annotation, Drawing, Outline
from parking.data.polygons import MIN_AREA, rings_of
from parking.data.vocabulary import Label, LabelMap
from parking.errors import AnnotationError
from parking.storage import Store

ENDINGS = (".geojson", ".gpkg", ".fgb")
_TIFF = (".tif", ".tiff")
_COLUMNS = ("class", "label", "class_name", "category", "type", "name")
"""Attributes that may contain the label, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Polygons of one layer.

    Attributes:
        where: file and layer, for messages.
        crs: coordinate reference system of the polygons.
        polygons: shapely geometries.
        names: label of each polygon; None if its attribute is empty.
    """

    where: str
    crs: str
    polygons: NDArray[np.object_]
    names: list[str | None]


@dataclass(slots=True)
class _Placed:
    """Polygons of all layers in the CRS of some images, searchable by place."""

    tree: shapely.STRtree
    polygons: NDArray[np.object_]
    names: list[str | None]
    reach: dict[Label, shapely.Geometry] = field(default_factory=dict)
    """Area in which each class was annotated; outside it, the class is unknown."""


def read(store: Store, keys: Sequence[str], images: Sequence[str], labels: LabelMap) -> list[Annotation]:
    """An annotation for each GeoTIFF in which a polygon lies.

    A class was looked for in an image that lies where the class was drawn: within the hull of all its polygons.

    Args:
        store: the source.
        keys: of the layers' files.
        images: keys of all images.
        labels: meanings of labels.

    Raises:
        AnnotationError: a layer cannot be read, or has no CRS or labels; or no image is georeferenced.
    """
    layers = [layer for key in keys for layer in _layers(store, key, labels)]
    if not layers:
        return []
    by_crs: dict[str, _Placed] = {}
    found: list[Annotation] = []
    placed_images = 0
    for key in images:
        if PurePosixPath(key).suffix.lower() in _TIFF and (frame := _frame(store, key)) is not None:
            placed_images += 1
            placed = by_crs.get(frame.crs) or by_crs.setdefault(frame.crs, _placed(layers, frame.crs, labels))
            found += _annotation(key, frame, placed, labels)
    if not placed_images:
        raise AnnotationError(
            f"{layers[0].where} is drawn on the map, but no image says where it lies. Give GeoTIFFs with a coordinate "
            "reference system, or export the annotations in pixels."
        )
    return found


def _layers(store: Store, key: str, labels: LabelMap) -> list[Layer]:
    import pyogrio  # Imported late: GDAL's vector drivers are slow to import, and most sources have no layer.
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        # A file, since GDAL recognises formats by suffix, and GeoPackage is a database.
        with TemporaryDirectory() as folder:
            path = Path(folder) / PurePosixPath(key).name
            path.write_bytes(store.read(key))
            layers = [str(name) for name, _ in pyogrio.list_layers(path)]
            read = [(name, pyogrio.raw.read(path, layer=name, force_2d=True)) for name in layers]
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise AnnotationError(f"'{key}' cannot be read ({error}). Export it as GeoJSON or GeoPackage.") from error
    found = (
        # Of one layer alone, the file's name is what people know.
        _layer(key, name if len(layers) > 1 else PurePosixPath(key).stem, meta, geometry, fields, labels)
        for name, (meta, _, geometry, fields) in read
    )
    return [layer for layer in found if layer is not None]


def _layer(
    key: str,
    name: str,
    meta: dict[str, Any],
    geometry: NDArray[np.object_] | None,
    fields: Sequence[Any],
    labels: LabelMap,
) -> Layer | None:
    if geometry is None:
        return None
    shapes = shapely.from_wkb(geometry)
    areal = np.isin(shapely.get_type_id(shapes), (3, 6))
    if not areal.any():
        return None
    where = f"'{key}'" if name == PurePosixPath(key).stem else f"'{key}' ({name})"
    columns = {str(column).lower(): values[areal] for column, values in zip(meta["fields"], fields, strict=True)}
    return Layer(
        where,
        _crs(where, meta["crs"], shapes[areal]),
        shapes[areal],
        _names(where, key, name, columns, labels, int(areal.sum())),
    )


def _crs(where: str, crs: str | None, shapes: NDArray[np.object_]) -> str:
    if not crs or "undefined" in crs.lower():
        raise AnnotationError(f"{where} says no coordinate reference system. Set it in QGIS and save the layer again.")
    west, south, east, north = shapely.total_bounds(shapes)
    if "4326" in crs and (min(west, south) < -360 or max(east, north) > 360):
        raise AnnotationError(
            f"{where} says no coordinate reference system, and its coordinates (up to {max(east, north):.0f}) are no "
            "degrees. Save it again with its own, or in degrees (EPSG:4326)."
        )
    return crs


def _names(where: str, key: str, layer: str, columns: dict[str, Any], labels: LabelMap, count: int) -> list[str | None]:
    """Labels from the first attribute that has any, otherwise the name of the layer or of its file for all."""
    for column in _COLUMNS:
        if column in columns:
            texts = [None if value is None or value != value else str(value) for value in columns[column]]
            if column in _COLUMNS[:2] or labels.meaning(text for text in texts if text) is not None:
                return texts
    named = next((name for name in (layer, PurePosixPath(key).stem) if labels.meaning([name]) is not None), None)
    if named is None:
        there = ", ".join(columns) or "none"
        raise AnnotationError(
            f"{where} does not say what its polygons are: it has no attribute 'class' or 'label' (but {there}). Add "
            f"one, or say what the layer is: --labels {layer}=stall."
        )
    return [named] * count


@dataclass(frozen=True, slots=True)
class _Frame:
    """Position of a GeoTIFF: CRS, size, and the affine from its pixels to the CRS."""

    crs: str
    width: int
    height: int
    transform: Any


def _frame(store: Store, key: str) -> _Frame | None:
    """None if the image is not georeferenced, or damaged, which is reported when it is read as an image."""
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    try:
        with MemoryFile(store.read(key)) as file, file.open(driver="GTiff") as dataset:
            if dataset.crs is None or dataset.transform.is_identity:
                return None
            return _Frame(dataset.crs.to_wkt(), dataset.width, dataset.height, dataset.transform)
    except RasterioError:
        return None


def _placed(layers: Sequence[Layer], crs: str, labels: LabelMap) -> _Placed:
    from pyproj import Transformer

    polygons: list[NDArray[np.object_]] = []
    for layer in layers:
        move = Transformer.from_crs(layer.crs, crs, always_xy=True).transform
        polygons.append(
            shapely.transform(layer.polygons, lambda at, move=move: np.column_stack(move(at[:, 0], at[:, 1])))
        )
    every = np.concatenate(polygons)
    # What lies beyond the CRS of these images lies in none of them.
    every = np.where(np.isfinite(shapely.bounds(every)).all(axis=1), every, shapely.Polygon())
    names = [name for layer in layers for name in layer.names]
    placed = _Placed(shapely.STRtree(every), every, names)
    drawn: dict[Label, list[Any]] = defaultdict(list)
    for polygon, name in zip(every, names, strict=True):
        if (label := labels.meaning([name])) is not None:
            drawn[label].append(polygon)
    placed.reach = {label: shapely.union_all(group).convex_hull for label, group in drawn.items()}
    return placed


def _annotation(key: str, frame: _Frame, placed: _Placed, labels: LabelMap) -> list[Annotation]:
    corners = ((0, 0), (frame.width, 0), (frame.width, frame.height), (0, frame.height))
    ground = shapely.Polygon([frame.transform * corner for corner in corners])
    a, b, c, d, e, f = (~frame.transform)[:6]
    drawing = Drawing(labels)
    inside = shapely.box(0, 0, frame.width, frame.height)
    for number in sorted(placed.tree.query(ground, predicate="intersects").tolist()):
        pixels = shapely.affinity.affine_transform(placed.polygons[number], (a, b, d, e, c, f))
        if shapely.make_valid(pixels).intersection(inside).area >= MIN_AREA:
            name = placed.names[number]
            drawing.add([name] if name else [], lambda pixels=pixels: [Outline(ring) for ring in rings_of(pixels)])  # type: ignore[misc]
    if not (drawing.shapes or drawing.problems):
        return []
    known = {label for label, reach in placed.reach.items() if reach.intersects(ground)}
    return [
        Annotation(
            PurePosixPath(key).name,
            "map",
            # A place that is in two layers was drawn once.
            tuple(dict.fromkeys(drawing.shapes)),
            size=(frame.width, frame.height),
            addresses=(key,),
            problems=drawing.problems,
            names=frozenset(drawing.names),
            refused=frozenset(drawing.refused),
            known=frozenset(known),
            export="the layers on the map",
        )
    ]
