"""The rasters of a survey: georeferenced files in folders and buckets, in the order in which they overlap."""

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import rasterio
from pydantic import BaseModel, ConfigDict
from pyproj import CRS, Transformer
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from parking.data.georeference import ground_pixel
from parking.data.geotiff import day_taken
from parking.data.rendering import described
from parking.errors import SurveyError
from parking.s3 import S3Store, endpoint
from parking.survey.grid import Bounds, Lattice
from parking.survey.http import Access, shown
from parking.survey.remote import REMOTE, is_remote, readable
from parking.survey.tile_service import TileService

SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2")
_SEEN = dict[str, str]()
"""Checksums computed in this process, of files whose modification time differs from the description."""
_READERS = 16
"""Threads that read headers: most of the time is spent waiting for a disk or a bucket."""

Entry = tuple[str, str, str]
"""Path for GDAL, name for people, and checksum if it is known."""


class Source(BaseModel):
    """One raster, as its header describes it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    path: str
    """Path for GDAL, such as `/vsis3/…`."""

    name: str
    """Name for people."""

    checksum: str
    """Changes with the content: SHA-256 of a file, ETag of an object."""

    stamp: str = ""
    """Size and modification time of a file when it was described; empty if it is no file."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    """Of the overview that is read."""

    width: int
    height: int
    overview: int
    """Overview that is read, counted from 0; -1 for the full resolution."""

    full_size: tuple[int, int] | None = None
    """Width and height at full resolution, where an overview is read."""

    dtype: str
    bands: tuple[int, ...]
    """Numbers of the red, green and blue band, or of the only one, counted from 1."""

    palette: bool
    """Whether the only band contains indices of a palette."""

    masked: bool
    """Whether pixels may have no data, by a nodata value, an alpha band or a mask."""

    gsd: float
    """Metres per pixel of the overview that is read, at the centre."""

    date: date | None
    """The day on which it was taken, if the file states it."""

    bounds: Bounds
    """Longitudes and latitudes; east is below west across the antimeridian."""

    attribution: str = ""
    """Attribution that results must show."""

    access: Access | None = None
    """Which servers may be asked, where it lies on one."""

    service: TileService | None = None
    """How tiles are requested, if it is a server's layer and not a file."""

    @property
    def affine(self) -> Affine:
        """From pixels to the CRS."""
        return Affine(*self.transform)

    def at_full_resolution(self) -> "Source":
        """As it would be without its overviews."""
        if self.full_size is None:
            return self
        width, height = self.full_size
        affine = self.affine @ Affine.scale(self.width / width, self.height / height)
        return self.model_copy(
            update={"transform": tuple(affine)[:6], "width": width, "height": height, "overview": -1}
        )

    def asked_by(self, workers: int) -> "Source":
        """The source for one of several workers: a server's layer gets its share of the requests at once."""
        if self.service is None:
            return self
        access = self.service.access.shared_by(workers)
        return self.model_copy(update={"service": self.service.model_copy(update={"access": access})})

    @property
    def lattice(self) -> Lattice | None:
        """Its pixel grid, if others can share it."""
        return Lattice.of(self.crs, self.affine)


def find_sources(
    places: Sequence[str], gsd: float, *, crs: str | None = None, known: dict[str, str] | None = None
) -> list[Source]:
    """Describe every raster in files, folders and `s3://` prefixes; the topmost comes first.

    Where rasters overlap, the newest is read, otherwise the finest, otherwise the first by name.

    Args:
        places: files, folders, buckets.
        gsd: metres per pixel to read, which determines the overview.
        crs: CRS of rasters that do not state one.
        known: checksums of files by path, size and modification time; new ones are added.

    Raises:
        SurveyError: nothing is there, or a raster cannot be used; the message names it.
    """
    listed = list(dict.fromkeys(entry for place in places for entry in _listed(place)))
    if not listed:
        raise SurveyError(
            f"There is no raster in {', '.join(places)}. Give GeoTIFF, COG, VRT or JPEG 2000 files, or a folder."
        )
    return sorted(describe_rasters(listed, gsd, crs=crs, known=known), key=overlap_order)


def describe_rasters(
    entries: Sequence[Entry],
    gsd: float,
    *,
    crs: str | None = None,
    known: dict[str, str] | None = None,
    access: Access | None = None,
) -> list[Source]:
    """Describe rasters by their headers, in the order given; see `find_sources`.

    Args:
        entries: which.
        gsd: metres per pixel that will be read.
        crs: what rasters without a CRS are in.
        known: checksums of files that were read before; it is added to.
        access: which servers may be asked.

    Raises:
        SurveyError: a raster cannot be used; the message names it.
    """
    known = {} if known is None else known
    with ThreadPoolExecutor(_READERS) as pool, gdal_env():
        return list(pool.map(lambda entry: _describe(entry, gsd, crs, known, access), entries))


def overlap_order(source: Source) -> tuple[int, float, str]:
    """Sort key: the newest first, then the finest, then by name."""
    return (-source.date.toordinal() if source.date else 0, float(f"{source.gsd:.2g}"), source.name)


def gdal_env() -> rasterio.Env:
    """GDAL's options: the S3 endpoint of this project, and retries for slow networks."""
    options = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        # Only of buckets: what lies on other servers is read by our own requests.
        "GDAL_HTTP_MAX_RETRY": "3",
        "GDAL_HTTP_RETRY_DELAY": "1",
        "GDAL_HTTP_TIMEOUT": "60",
        "CPL_VSIL_CURL_CACHE_SIZE": "16000000",
    }
    if (url := endpoint()) is not None:
        scheme, _, host = url.partition("://")
        options |= {
            "AWS_S3_ENDPOINT": host.rstrip("/"),
            "AWS_HTTPS": "YES" if scheme == "https" else "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return rasterio.Env(**options)


def _listed(place: str) -> Iterator[Entry]:
    """Each raster in a place."""
    if place.startswith("s3://"):
        yield from _in_bucket(place)
        return
    path = Path(place).expanduser()
    if path.is_dir():
        files: Iterable[Path] = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    elif path.is_file():
        files = [path]
    else:
        raise SurveyError(f"There is no file or folder '{place}'. Correct the path of the imagery.")
    yield from ((str(file.absolute()), file.name, "") for file in files)


def _in_bucket(place: str) -> Iterator[Entry]:
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    for key, tag in S3Store(f"s3://{bucket}").tags(prefix):
        if key.lower().endswith(SUFFIXES):
            yield f"/vsis3/{bucket}/{key}", key.rpartition("/")[2], tag


def _describe(entry: Entry, gsd: float, crs: str | None, known: dict[str, str], access: Access | None) -> Source:
    path, name, tag = entry
    try:
        with readable([(path, access)]) as (there,), rasterio.open(there) as dataset:
            stamp = "" if tag else stamp_of(Path(path))
            found = _source(dataset, path, name, tag or _checksum(Path(path), known), gsd, crs)
            return found.model_copy(update={"stamp": stamp, "access": access if is_remote(path) else None})
    except (RasterioError, OSError) as error:
        # The address may hold a key; so may what GDAL says of it.
        where, why = (shown(path.removeprefix(REMOTE)), "it is no GeoTIFF") if is_remote(path) else (path, str(error))
        raise SurveyError(f"'{where}' cannot be read: {why}. Copy it again, or leave it out.") from error


def _source(dataset: DatasetReader, path: str, name: str, checksum: str, gsd: float, assumed_crs: str | None) -> Source:
    crs = dataset.crs.to_wkt() if dataset.crs else assumed_crs
    if dataset.transform.is_identity and (dataset.gcps[0] or dataset.rpcs):
        what = "ground control points" if dataset.gcps[0] else "a camera model (RPC)"
        raise SurveyError(
            f"'{name}' is placed by {what}, which a survey does not read. Make a GeoTIFF of it with `gdalwarp -t_srs`, "
            "and for a camera model with a height model (`-rpc -to RPC_DEM=…`)."
        )
    if crs is None or dataset.transform.is_identity:
        raise SurveyError(
            f"'{name}' does not say where on Earth it lies: name its CRS with --crs EPSG:…, and see that its "
            "world file lies beside it. A plain picture is for `parking predict`."
        )
    bounds = _bounds(dataset, crs, name)
    full = _ground_distance(dataset, crs)
    level, across, down = _overview(dataset, gsd / full)
    bands, palette = _colours(dataset)
    if any("complex" in kind for kind in dataset.dtypes):
        raise SurveyError(f"'{name}' has complex values, as radar has. Export its brightness.")
    affine = dataset.transform @ Affine.scale(dataset.width / across, dataset.height / down)
    return Source(
        path=path,
        name=name,
        checksum=checksum,
        crs=short_crs(crs),
        transform=tuple(affine)[:6],
        width=across,
        height=down,
        overview=level,
        full_size=None if level < 0 else (dataset.width, dataset.height),
        dtype=dataset.dtypes[bands[0] - 1],
        bands=bands,
        palette=palette,
        masked=any(MaskFlags.all_valid not in dataset.mask_flag_enums[band - 1] for band in bands),
        gsd=full * (dataset.width / across),
        date=day_taken(dataset),
        bounds=bounds,
    )


def short_crs(crs: str) -> str:
    """`EPSG:2154` if a CRS is exactly that, otherwise its WKT: files describe one CRS in different words."""
    known = CRS.from_user_input(crs)
    code = known.to_epsg(min_confidence=90)
    return f"EPSG:{code}" if code else known.to_wkt()


def _bounds(dataset: DatasetReader, crs: str, name: str) -> Bounds:
    try:
        to_wgs84 = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
        west, south, east, north = to_wgs84.transform_bounds(*_extent(dataset), densify_pts=21)
    except Exception as error:  # pyproj's errors, and GDAL's, have no common base
        raise SurveyError(
            f"The CRS of '{name}' has no place on Earth ({error}): name another with --crs EPSG:…"
        ) from error
    if not all(map(math.isfinite, (west, south, east, north))):
        raise SurveyError(f"'{name}' lies outside of what its CRS can place: name another with --crs EPSG:…")
    return _longitude(west), south, _longitude(east), north


def _longitude(value: float) -> float:
    """Normalised to -180 to 180: rasters in degrees may exceed it."""
    return value if -180 <= value <= 180 else (value + 180) % 360 - 180


def _extent(dataset: DatasetReader) -> Bounds:
    """Bounds of all four corners: `bounds` of a rotated or south-up raster uses two."""
    corners = [dataset.transform @ (x, y) for x in (0, dataset.width) for y in (0, dataset.height)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _ground_distance(dataset: DatasetReader, crs: str) -> float:
    found = ground_pixel(crs, dataset.transform, dataset.width, dataset.height)
    if found is None:
        raise SurveyError(f"'{dataset.name}' covers no ground that can be measured. Check its CRS and transform.")
    return found.gsd


def _overview(dataset: DatasetReader, factor: float) -> tuple[int, int, int]:
    """The coarsest overview that is fine enough, with its width and height."""
    fits = [level for level, times in enumerate(dataset.overviews(1)) if times <= factor * 1.01]
    if not fits:
        return -1, dataset.width, dataset.height
    level = fits[-1]
    with rasterio.open(dataset.name, overview_level=level) as smaller:
        return level, smaller.width, smaller.height


def _colours(dataset: DatasetReader) -> tuple[tuple[int, ...], bool]:
    """The bands that are read, as of a file that is read alone, and whether they hold numbers of colours."""
    bands = described(dataset).bands
    return bands[:3], len(bands) == 1 and dataset.colorinterp[bands[0] - 1] == ColorInterp.palette


def _checksum(path: Path, known: dict[str, str]) -> str:
    key = f"{path}|{stamp_of(path)}"
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return known[key]


def stamp_of(path: Path) -> str:
    """Size and modification time of a file."""
    stat = path.stat()
    return f"{stat.st_size}|{stat.st_mtime_ns}"


def check_unchanged(sources: Iterable[Source]) -> None:
    """Check that files have not changed since they were described.

    A copy on another machine may have another modification time: then its checksum is compared.

    Raises:
        SurveyError: one has changed, or is gone.
    """
    for source in sources:
        if not source.stamp:
            continue
        try:
            same = stamp_of(Path(source.path)) == source.stamp or _checksum(Path(source.path), _SEEN) == source.checksum
        except OSError as error:
            raise SurveyError(
                f"'{source.path}' is gone ({error.strerror or error}). Put it back, and run again."
            ) from error
        if not same:
            raise SurveyError(f"'{source.path}' has changed since this run began: run the same command again.")


def threads_of_machine() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
