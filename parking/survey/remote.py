"""Rasters on servers, read by ranges through our own requests: GDAL itself would follow a redirect to any host."""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from parking.errors import SurveyError
from parking.survey.http import Access, fetch_range

REMOTE = "/vsicurl/"
"""How the path of a raster on a server begins; what follows is its address."""
_CHUNK = 1 << 18
"""Bytes that are asked for at once."""
_CHUNKS = 64
"""Of them that a process keeps: headers are read again and again."""


class RemoteFile(io.RawIOBase):
    """A file on a server as GDAL reads one."""

    def __init__(self, url: str, access: Access) -> None:
        self._url, self._access, self._at = url, access, 0
        self._size = _chunk(url, access, 0)[1]

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """So many bytes from the position on, or fewer at the end."""
        end = self._size if size < 0 else min(self._size, self._at + size)
        parts = []
        while self._at < end:
            number, begin = divmod(self._at, _CHUNK)
            part = _chunk(self._url, self._access, number)[0][begin : begin + end - self._at]
            if not part:
                break
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)


@lru_cache(_CHUNKS)
def _chunk(url: str, access: Access, number: int) -> tuple[bytes, int]:
    """A part of a file, and the size of the whole."""
    return fetch_range(url, access, number * _CHUNK, (number + 1) * _CHUNK - 1)


@contextmanager
def readable(places: Sequence[tuple[str, Access | None]]) -> Iterator[list[str]]:
    """Paths that GDAL reads: of a raster on a server one through our own requests, of any other its own.

    Args:
        places: paths, and which servers may be asked.

    Raises:
        SurveyError: a server refuses, or sends us to a host that is not allowed.
    """
    refused: list[SurveyError] = []
    with ExitStack() as stack:
        try:
            yield [
                stack.enter_context(_opened(path, access or Access(), refused)).name if is_remote(path) else path
                for path, access in places
            ]
        except RasterioError:
            # GDAL says that it could not read; the reason came to pass in our own code.
            if refused:
                raise refused[0] from None
            raise


def is_remote(path: str) -> bool:
    """Whether a raster lies on a server."""
    return path.startswith(REMOTE)


def _opened(path: str, access: Access, refused: list[SurveyError]) -> DatasetReader:
    url = path.removeprefix(REMOTE)

    def opener(asked: str, mode: str = "rb") -> io.RawIOBase:
        # GDAL also looks for files beside it, whose names it makes up.
        if asked != url:
            raise FileNotFoundError(asked)
        try:
            return _Noting(url, access, refused)
        except SurveyError as error:
            refused.append(error)
            raise

    return rasterio.open(url, opener=opener, driver=_driver(url))


class _Noting(RemoteFile):
    """Notes why a part could not be had: GDAL does not pass that on."""

    def __init__(self, url: str, access: Access, refused: list[SurveyError]) -> None:
        super().__init__(url, access)
        self._refused = refused

    def read(self, size: int = -1) -> bytes:
        """As its base; see there."""
        try:
            return super().read(size)
        except SurveyError as error:
            self._refused.append(error)
            raise


def _driver(url: str) -> str:
    """The format that is read of a server: a VRT could name files of this machine, and other hosts."""
    return "JP2OpenJPEG" if url.partition("?")[0].lower().endswith(".jp2") else "GTiff"
