"""What the demo asks of the running service, over HTTP like anybody else."""

import time
from collections.abc import Iterable
from pathlib import Path

import httpx

from parking.errors import PlatformError
from parking.progress import report

GEOJSON, PNG = "application/geo+json", "image/png"
RELOAD_LIMIT_SECONDS = 60.0


class ServiceClient:
    """A client of one service."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=120.0)

    def version(self) -> str | None:
        """The version that answers now."""
        version = httpx_json(self._http.get("/health")).get("model_version")
        return None if version is None else str(version)

    def wait_for_version(self, number: int) -> float:
        """Seconds until this version answers.

        Raises:
            PlatformError: it does not come up in time.
        """
        started = time.monotonic()
        while str(self.version()) != str(number):
            if time.monotonic() - started > RELOAD_LIMIT_SECONDS:
                raise PlatformError(f"The service did not load version {number} within {RELOAD_LIMIT_SECONDS:g} s.")
            time.sleep(0.1)
        return time.monotonic() - started

    def predict(self, name: str, png: bytes, accept: str = "application/json") -> httpx.Response:
        """Ask for the free places in one image."""
        answer = self._http.post("/predict", files={"file": (name, png)}, headers={"Accept": accept})
        if answer.status_code != 200:
            raise PlatformError(f"The service answered {answer.status_code} for {name}: {answer.text[:300]}")
        return answer

    def ask_all(self, images: Iterable[tuple[str, bytes]], what: str) -> int:
        """Ask for each image; returns how many places were found in all."""
        asked = list(images)
        found = 0
        for done, (name, png) in enumerate(asked, start=1):
            found += int(httpx_json(self.predict(name, png))["count"])
            report(done, len(asked), what)
        return found

    def save_answers(self, images: Iterable[tuple[str, bytes]], folder: Path) -> list[Path]:
        """Keep overlay and places of each image next to each other; returns the overlays.

        The images are plain ones, so the places are in pixels and the file's name says so.
        """
        folder.mkdir(parents=True, exist_ok=True)
        overlays = []
        for name, png in images:
            overlay = folder / f"{Path(name).stem}.overlay.png"
            overlay.write_bytes(self.predict(name, png, PNG).content)
            (folder / f"{Path(name).stem}.pixels.json").write_bytes(self.predict(name, png, GEOJSON).content)
            overlays.append(overlay)
        return overlays


def httpx_json(answer: httpx.Response) -> dict[str, str | int]:
    """The answer's JSON object."""
    content: dict[str, str | int] = answer.json()
    return content
