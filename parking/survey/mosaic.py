"""The pixels of a window of a survey's grid, out of all sources that lie there."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from parking.data.rendering import described, stretch_of, stretched
from parking.data.stretch import usable
from parking.survey.grid import SAME_GSD, Bounds, Grid
from parking.survey.remote import readable
from parking.survey.sources import Source, check_unchanged, gdal_env
from parking.survey.stretch import Stretch
from parking.survey.tile_cache import as_files

_VRT_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32"} | {
    "int8": "Int8", "float32": "Float32", "float64": "Float64",
}  # fmt: skip

ONE_READ = threading.Lock()
"""rasterio 1.4 loses the error of a VRT that two threads read at once: missing files were then answered as no data."""


class Layer(BaseModel):
    """Sources that are read as one raster: of one pixel grid, one date and one kind of values."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    sources: tuple[Source, ...]
    """The topmost first."""

    stretch: Stretch
    """What brings its values to 8 bits, the same in every block."""

    @property
    def date(self) -> date | None:
        """When it was taken."""
        return self.sources[0].date


@dataclass(frozen=True, slots=True)
class Pixels:
    """What lies in a window."""

    rgb: NDArray[np.uint8]
    """(H, W, 3), black where there is no data."""

    layer: NDArray[np.uint8]
    """(H, W), number of the layer that each pixel is of, counted from 1; 0 where there is no data."""


def group_sources(sources: Sequence[Source]) -> list[tuple[Source, ...]]:
    """Sources, the topmost first, put together to what can be read as one; the order of overlap stays."""

    def kind(source: Source) -> tuple[object, ...]:
        of_its_own = source.path if source.lattice is None else ""
        return (str(source.date), f"{source.gsd:.2g}", str(source.lattice), source.dtype, source.bands, of_its_own)

    order = {key: number for number, key in reversed(list(enumerate(map(kind, sources))))}
    together = sorted(sources, key=lambda source: order[kind(source)])
    return [tuple(group) for _, group in groupby(together, key=kind)]


def footprint(source: Source, grid: Grid) -> Bounds:
    """Bounds of a source in the grid's CRS.

    Rounded outwards by a pixel's fraction: what lies there is a question of its mask.
    """
    corners = [source.affine @ (x, y) for x in (0, source.width) for y in (0, source.height)]
    xs, ys = zip(*corners, strict=True)
    extent = (min(xs), min(ys), max(xs), max(ys))
    if source.crs == grid.crs:
        return extent
    return Transformer.from_crs(source.crs, grid.crs, always_xy=True).transform_bounds(*extent, densify_pts=21)


def read_window(layers: Sequence[Layer], grid: Grid, column: int, row: int, width: int, height: int) -> Pixels:
    """Read a window of the grid; a pixel has what lies on top there.

    Args:
        layers: the topmost first; at most 255.
        grid: of the survey.
        column: first column.
        row: first row.
        width: columns.
        height: rows.

    Raises:
        RasterioError: a source cannot be read.
        SurveyError: one is no longer what it was when it was described, or a server does not give its imagery.
    """
    rgb, which = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    with gdal_env():
        for number, layer in enumerate(layers, 1):
            missing = which == 0
            if not missing.any():
                break
            values, valid = _read_layer(layer.sources, grid, column, row, width, height)
            taken = missing & valid
            which[taken] = number
            pixels = layer.stretch.apply(values)
            for colour in range(3):
                np.copyto(rgb[:, :, colour], pixels[:, :, colour], where=taken)
    # What is computed is kept under the imagery that was described: it must have been that.
    there = (column, row, column + width, row + height)
    check_unchanged(s for layer in layers for s in layer.sources if touch(grid.pixels_of(footprint(s, grid)), there))
    return Pixels(rgb, which)


def touch(one: Bounds, other: Bounds) -> bool:
    """Whether two boxes (left, top, right, bottom) have pixels in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _read_layer(
    sources: Sequence[Source], grid: Grid, column: int, row: int, width: int, height: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Values, (H, W, 3) of the layer's type, and where there are any."""
    first, target = sources[0], grid.transform(column, row)
    sources = as_files(sources, _bounds(target, width, height), grid.crs)
    if not sources:
        return np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
    with ONE_READ, _opened(sources) as dataset:
        if fits_exactly(first, grid):
            values, alpha = _read_as_it_is(dataset, target, width, height)
        else:
            values, alpha = _read_warped(dataset, first, grid, target, width, height)
    pixels = np.moveaxis(values, 0, 2)
    valid = alpha > 0
    if np.issubdtype(pixels.dtype, np.floating):
        valid = usable(pixels, valid)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels, valid


def _bounds(target: Affine, width: int, height: int) -> Bounds:
    (west, north), (east, south) = target @ (0, 0), target @ (width, height)
    return west, south, east, north


def fits_exactly(source: Source, grid: Grid) -> bool:
    """Whether the pixels of a source are those of the grid."""
    lattice = source.lattice
    return lattice is not None and lattice.crs == grid.crs and _same_step(lattice.step, grid.step) and _in_phase(
        lattice.phase_x - grid.x / grid.step
    ) and _in_phase(lattice.phase_y - grid.y / grid.step)  # fmt: skip


def _same_step(one: float, other: float) -> bool:
    return abs(one / other - 1) < 1e-8


def _in_phase(off: float) -> bool:
    return abs(off - round(off)) < 0.02


def _read_as_it_is(
    dataset: rasterio.io.DatasetReader, target: Affine, width: int, height: int
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """A plain window, which may reach beyond the raster."""
    left, top = (round(value) for value in ~dataset.transform @ (target.c, target.f))
    values = np.zeros((_colours(dataset), height, width), dataset.dtypes[0])
    alpha = np.zeros((height, width), np.uint8)
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(dataset.width, left + width), min(dataset.height, top + height)
    if x0 < x1 and y0 < y1:
        window = Window(x0, y0, x1 - x0, y1 - y0)
        there = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        values[(slice(None), *there)] = dataset.read(list(range(1, len(values) + 1)), window=window)
        alpha[there] = dataset.dataset_mask(window=window)
    return values, alpha


def _read_warped(
    dataset: rasterio.io.DatasetReader, source: Source, grid: Grid, target: Affine, width: int, height: int
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    scale = source.gsd / grid.gsd
    with WarpedVRT(
        dataset,
        src_crs=_continuous(source),
        crs=grid.crs,
        transform=target,
        width=width,
        height=height,
        resampling=Resampling.average if scale < 1 - SAME_GSD else Resampling.cubic,
        add_alpha=True,
        # Exact positions, and one kernel: by default both depend on the window, and blocks would differ. (At 0 itself
        # rasterio fails.)
        tolerance=1e-6,
        **({} if scale < 1 - SAME_GSD else {"XSCALE": 1, "YSCALE": 1}),
    ) as warped:
        colours = list(range(1, _colours(dataset) + 1))
        return warped.read(colours), warped.read(warped.count)


def _continuous(source: Source) -> str:
    """The CRS of a source; in degrees, counted on beyond 180 where it lies across: else GDAL finds only one side."""
    crs = CRS.from_user_input(source.crs)
    west, _, east, _ = source.bounds
    if not crs.is_geographic or east >= west:
        return source.crs
    middle, _ = source.affine @ (source.width / 2, source.height / 2)
    return f"{rasterio.CRS.from_user_input(source.crs).to_proj4()} +lon_wrap={middle:.0f}"


def _colours(dataset: rasterio.io.DatasetReader) -> int:
    return 3 if dataset.count >= 3 else 1


@contextmanager
def _opened(sources: Sequence[Source]) -> Iterator[rasterio.io.DatasetReader]:
    """One VRT of the sources: XML that GDAL opens like a file."""
    with readable([(source.path, source.access) for source in sources]) as paths:
        there = [source.model_copy(update={"path": path}) for source, path in zip(sources, paths, strict=True)]
        with rasterio.open(_vrt(there), driver="VRT") as dataset:
            yield dataset


def _vrt(sources: Sequence[Source]) -> str:
    """A mosaic whose later entries cover the earlier, hence the reverse; with a mask of what has data."""
    first = sources[0]
    step_x, step_y = first.affine.a, first.affine.e
    alone = len(sources) == 1
    left = min(source.affine.c for source in sources)
    top = max(source.affine.f for source in sources) if not alone else first.affine.f
    places = [
        (source, round((source.affine.c - left) / step_x), round((source.affine.f - top) / step_y))
        if not alone
        else (source, 0, 0)
        for source in sources
    ][::-1]
    width = max(x + source.width for source, x, _ in places)
    height = max(y + source.height for source, _, y in places)
    corner = Affine(first.affine.a, first.affine.b, left, first.affine.d, first.affine.e, top)
    geotransform = ", ".join(repr(value) for value in corner.to_gdal())
    kind = "Byte" if first.palette else _VRT_TYPES[first.dtype]
    count = 3 if first.palette else len(first.bands)
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{band}">'
        f"{''.join(_colour_source(source, band, x, y) for source, x, y in places)}</VRTRasterBand>"
        for band in range(1, count + 1)
    )
    masks = "".join(_mask_source(source, x, y) for source, x, y in places)
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{escape(first.crs)}</SRS>'
        f"<GeoTransform>{geotransform}</GeoTransform>{bands}"
        f'<MaskBand><VRTRasterBand dataType="Byte">{masks}</VRTRasterBand></MaskBand></VRTDataset>'
    )


def _colour_source(source: Source, band: int, x: int, y: int) -> str:
    more = "<UseMaskBand>true</UseMaskBand>" if source.masked else ""
    if source.palette:
        more += f"<ColorTableComponent>{band}</ColorTableComponent>"
    number = 1 if source.palette else source.bands[band - 1]
    kind = "ComplexSource" if more else "SimpleSource"
    return f"<{kind}>{_where(source, str(number), x, y)}{more}</{kind}>"


def _mask_source(source: Source, x: int, y: int) -> str:
    """Where it has data; where it has none, what lies below shows."""
    # What is no data in one band alone is dark, and no hole; where bands have one mask in common it is that of each.
    wheres = [_where(source, f"mask,{band}", x, y) for band in (source.bands if source.masked else source.bands[:1])]
    return "".join(f"<ComplexSource>{where}<NODATA>0</NODATA></ComplexSource>" for where in wheres)


def _where(source: Source, band: str, x: int, y: int) -> str:
    size = f'xSize="{source.width}" ySize="{source.height}"'
    options = f'<OOI key="OVERVIEW_LEVEL">{source.overview}</OOI>' if source.overview >= 0 else ""
    return (
        f'<SourceFilename relativeToVRT="0">{escape(source.path)}</SourceFilename><OpenOptions>{options}</OpenOptions>'
        f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="{x}" yOff="{y}" {size}/>'
    )


def layer_stretch(sources: Sequence[Source]) -> Stretch:
    """The stretch of a layer by values from all over it, at full resolution.

    It is that of a file read alone: one file, and the same cut in forty, get the same.
    """
    whole = [source.at_full_resolution() for source in sources]
    with ONE_READ, gdal_env(), _read_alone(whole[0]) as first:
        rendering = described(first)
        if len(whole) == 1:
            found = stretched(rendering, stretch_of(first, rendering)).stretch
    if len(whole) > 1:
        with ONE_READ, gdal_env(), _opened(whole) as dataset:
            bands = tuple(range(1, _colours(dataset) + 1))
            found = stretched(rendering, stretch_of(dataset, replace(rendering, bands=bands))).stretch
    return Stretch() if found is None else Stretch(low=found.low, high=found.high)


@contextmanager
def _read_alone(source: Source) -> Iterator[rasterio.io.DatasetReader]:
    with readable([(source.path, source.access)]) as (path,), rasterio.open(path) as dataset:
        yield dataset
