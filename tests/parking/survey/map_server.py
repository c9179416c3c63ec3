"""A real MapProxy over a drawn mosaic, with something in front of it that fails, waits, redirects and complains."""

import json
import socketserver
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST

TILE = 256
ATTRIBUTION = "© Town of Drawn"


@dataclass
class Reply:
    """What is answered instead of MapProxy."""

    status: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Fault = Callable[[str], Reply | None]
"""From path and query to what is answered instead; None for MapProxy's own answer. It may wait."""


@dataclass
class MapServer:
    """A running server."""

    address: str
    fault: Fault = lambda _: None
    asked: list[str] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")

    @property
    def wms(self) -> str:
        return f"wms:{self.address}/service?layers=ortho"

    @property
    def wmts(self) -> str:
        return f"wmts:{self.address}/wmts/1.0.0/WMTSCapabilities.xml?layer=mercator"

    @property
    def xyz(self) -> str:
        return f"{self.address}/wmts/mercator/web/{{z}}/{{x}}/{{y}}.png"

    def imagery_asked(self) -> list[str]:
        """Requests for pixels, not for what there is."""
        return [one for one in self.asked if "GetCapabilities" not in one and not one.endswith(".xml")]

    def forget(self) -> None:
        """Begin anew: no faults, nothing asked."""
        self.fault, self.most_at_once = (lambda _: None), 0
        self.asked.clear()


class _Threading(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def map_server(folder: Path, pixels: NDArray[np.uint8]) -> Iterator[MapServer]:
    """Serve a mosaic that lies where `drawing.write` would put it: as WMS, WMTS, and tiles in Web Mercator.

    Args:
        folder: for tiles and configuration.
        pixels: (H, W, 3).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mapproxy.wsgiapp import make_wsgi_app

        app = make_wsgi_app(str(_configuration(folder, pixels)))
    server = MapServer("")

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        asked = f"{environ['PATH_INFO']}{'?' if query else ''}{query}"
        with server.lock:
            server.asked.append(asked)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            reply = server.fault(asked)
            if reply is None:
                return list(app(environ, start))
            start(reply.status, [*reply.headers.items(), ("Content-Length", str(len(reply.body)))])
            return [reply.body]
        finally:
            with server.lock:
                server.at_once -= 1

    with make_server("127.0.0.1", 0, answer, _Threading, _Quiet) as http:
        server.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _configuration(folder: Path, pixels: NDArray[np.uint8]) -> Path:
    height, width, _ = pixels.shape
    _write_tiles(folder / "tiles", pixels)
    document = {
        "services": {
            "wms": {
                "srs": [LAMBERT, "EPSG:3857", "EPSG:4326"],
                "md": {"title": "Drawn", "contact": {"organization": "The drawers"}, "access_constraints": "none"},
            },
            "wmts": {"kvp": True, "restful": True},
        },
        "layers": [
            {
                "name": "ortho",
                "title": "Orthophoto",
                "sources": ["ground"],
                "md": {"attribution": {"title": ATTRIBUTION}},
            },
            {"name": "mercator", "title": "Tiles", "tile_sources": ["mercator"]},
        ],
        "caches": {
            "ground": {
                "grids": ["ground"],
                "sources": [],
                "format": "image/png",
                "cache": {"type": "file", "directory": str(folder / "tiles"), "directory_layout": "tms"},
            },
            "mercator": {"grids": ["web"], "sources": ["ground"], "format": "image/png", "disable_storage": True},
        },
        "grids": {
            "ground": {
                "srs": LAMBERT,
                "origin": "nw",
                "bbox": [WEST, NORTH - height * GSD, WEST + width * GSD, NORTH],
                "res": [2 * GSD, GSD],
                "tile_size": [TILE, TILE],
            },
            "web": {"base": "GLOBAL_WEBMERCATOR", "num_levels": 22},
        },
        "globals": {"image": {"resampling_method": "bicubic", "paletted": False, "stretch_factor": 1.15}},
    }
    path = folder / "mapproxy.yaml"
    path.write_text(json.dumps(document))
    return path


def _write_tiles(folder: Path, pixels: NDArray[np.uint8]) -> None:
    height, width, _ = pixels.shape
    rgba = np.zeros((-(-height // TILE) * TILE, -(-width // TILE) * TILE, 4), np.uint8)
    rgba[:height, :width, :3] = pixels
    rgba[:height, :width, 3] = 255
    for row in range(rgba.shape[0] // TILE):
        for column in range(rgba.shape[1] // TILE):
            path = folder / "1" / str(column) / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            tile = rgba[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            Image.fromarray(np.ascontiguousarray(tile), "RGBA").save(path)
