"""A cache of a server's tiles on this machine: each is requested once, and kept as long as the survey's folder."""

import fcntl
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from pyproj import Transformer

from parking.errors import SurveyError
from parking.files import write_whole
from parking.survey.grid import Bounds
from parking.survey.http import Answer, fetch, shown
from parking.survey.sources import Source
from parking.survey.tile_service import TileService

_AS_THEY_ARE = {("PNG", "RGB"): ".png", ("JPEG", "RGB"): ".jpg", ("PNG", "RGBA"): ".alpha.png"}
"""Content types that are kept as they were sent, with their file suffixes; others are converted to RGBA."""
_EMPTY = ".empty"
"""Suffix of an empty tile: missing on the server, or blank."""
_LOCKS = 256
_AROUND = 8
"""Pixels that are read beyond a window: more than the radius of any resampling kernel."""


def as_files(sources: Sequence[Source], bounds: Bounds, crs: str) -> list[Source]:
    """The sources of a window, with files of tiles in place of each server; missing tiles are requested.

    Args:
        sources: of one layer, the topmost first.
        bounds: of the window.
        crs: of the bounds.

    Raises:
        SurveyError: a server cannot be asked, or answers with something else than a tile.
    """
    found = []
    for source in sources:
        found += [source] if source.service is None else _tiles(source, source.service, bounds, crs)
    return found


def _tiles(source: Source, service: TileService, bounds: Bounds, crs: str) -> list[Source]:
    if crs != service.crs:
        bounds = Transformer.from_crs(crs, service.crs, always_xy=True).transform_bounds(*bounds, densify_pts=21)
    around = _AROUND * service.step
    columns, rows = service.over((bounds[0] - around, bounds[1] - around, bounds[2] + around, bounds[3] + around))
    places = list(product(columns, rows))
    with ThreadPoolExecutor(service.access.requests) as pool:
        files = list(pool.map(lambda at: tile_file(service, *at), places))
    there = zip(places, files, strict=True)
    return [_source(source, service, at, file) for at, file in there if file is not None]


def _source(source: Source, service: TileService, at: tuple[int, int], file: Path) -> Source:
    return source.model_copy(
        update={
            "path": str(file),
            "transform": tuple(service.transform(*at))[:6],
            "width": service.tile_width,
            "height": service.tile_height,
            "masked": file.name.endswith(".alpha.png"),
            "service": None,
        }
    )


def tile_file(service: TileService, column: int, row: int) -> Path | None:
    """The file of a tile; None if the tile is empty. It is requested if it is not in the cache.

    Raises:
        SurveyError: the server cannot be asked, or answers with something else than a tile.
    """
    place = cache_folder(service.cache) / service.key[:16] / str(row) / str(column)
    if (kept := _kept(place)) is not None:
        return _content(kept)
    place.parent.mkdir(parents=True, exist_ok=True)
    # Margins of blocks overlap: others that need the same tile wait for it instead of requesting it again.
    with _alone(place.parent.parent / f".lock-{(row * 31 + column) % _LOCKS}"):
        if (kept := _kept(place)) is None:
            kept = _ask(service, service.address(column, row), place)
    return _content(kept)


def _ask(service: TileService, url: str, place: Path) -> Path:
    answer = fetch(url, service.access)
    data, suffix = (b"", _EMPTY) if answer is None else _checked(answer, service, url)
    path = place.with_name(f"{place.name}{suffix}")
    try:
        write_whole(path, data)
    except OSError as error:
        raise SurveyError(
            f"A tile cannot be kept in {service.cache}: {error.strerror}. Free some space, and run the "
            "same command again."
        ) from None
    return path


def _kept(place: Path) -> Path | None:
    names = (place.with_name(f"{place.name}{suffix}") for suffix in (*_AS_THEY_ARE.values(), _EMPTY))
    return next((path for path in names if path.exists()), None)


def _content(path: Path) -> Path | None:
    return None if path.suffix == _EMPTY else path


def _checked(answer: Answer, service: TileService, url: str) -> tuple[bytes, str]:
    """The bytes to keep, and their suffix. A tile of one colour counts as empty: servers send it outside their data."""
    try:
        with Image.open(io.BytesIO(answer.body)) as image:
            expected = (service.tile_width, service.tile_height)
            if image.size != expected:
                raise SurveyError(
                    f"{shown(url)} answers a tile of {image.width} by {image.height} pixels instead of "
                    f"{expected[0]} by {expected[1]}. Check the address."
                )
            suffix = _AS_THEY_ARE.get((str(image.format), image.mode))
            if "transparency" in image.info:
                suffix = None
            if image.mode.startswith(("I", "F")):
                raise SurveyError(f"{shown(url)} answers values of more than 8 bits. Ask for a layer in colours.")
            pixels = np.asarray(image.convert("RGBA"))
    except UnidentifiedImageError:
        raise SurveyError(f"{shown(url)} answers no image{complaint(answer)}.") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise SurveyError(f"{shown(url)} answers a damaged image ({error}).") from None
    seen = pixels[pixels[:, :, 3] > 0]
    if not len(seen) or (seen[:, :3] == seen[0, :3]).all():
        return b"", _EMPTY
    return (answer.body, suffix) if suffix else (_as_png(pixels), ".alpha.png")


def _as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG", compress_level=1)
    return file.getvalue()


def complaint(answer: Answer) -> str:
    """The error message in place of a tile: the text of an XML exception, or the first words of anything else."""
    text = answer.body[:4000].decode(errors="replace")
    said = re.search(r"<(?:\w+:)?(?:ServiceException|ExceptionText)\b[^>]*>(.*?)</", text, re.DOTALL)
    words = said[1] if said else re.sub(r"<[^>]*>", " ", text)
    words = " ".join(words.replace("<![CDATA[", "").replace("]]>", "").split())[:200]
    return f", but says: {words}" if words else f" ({len(answer.body)} bytes of {answer.kind or 'no kind'})"


def cache_folder(cache: str) -> Path:
    """The cache folder on this machine: a worker elsewhere may not be able to write to the command's folder."""
    try:
        folder = Path(cache)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"parking-survey-{os.getuid()}" / "imagery"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Lock a file against other processes, and against threads of this one, each of which opens it anew."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
