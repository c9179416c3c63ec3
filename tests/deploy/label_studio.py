"""The export of corrections in a real Label Studio, both ways; `tests/deploy/run annotation` runs it.

Label Studio gets an environment of its own: it pins half of Python.
"""

import datetime as dt
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio

from monitoring.answers import Answer, AnsweredSpot, keep_answer
from monitoring.corrections import Correction, take_correction
from monitoring.label_studio_export import write_tasks
from parking.data.dataset import ingest
from parking.data.imagery import encode_png
from parking.data.polygons import Ring
from parking.storage import FolderStore
from tests.servers import free_ports

VERSION = "1.23.2"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
LEFT: Ring = ((10.0, 10.0), (20.0, 10.0), (20.0, 30.0), (10.0, 30.0))
RIGHT: Ring = ((40.0, 10.0), (50.0, 10.0), (50.0, 30.0), (40.0, 30.0))
THIRD: Ring = ((60.0, 10.0), (70.0, 10.0), (70.0, 30.0), (60.0, 30.0))


def main() -> None:
    """Export, import, view, annotate as suggested, export again, ingest."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        store = FolderStore(root / "store")
        fill(store)
        folder = root / "to annotate"
        write_tasks(store, folder, lowest=9)
        with label_studio(root, document_root=folder.parent) as client:
            exported = annotate(client, folder)
        (folder / "tasks.json").unlink()
        (folder / "export.json").write_text(json.dumps(exported))
        found = {scene.name: scene.rings for scene in ingest(str(folder), store).snapshot.scenes}
        assert len(found) == len(exported) == 3, found
        for task in exported:
            rings = next(rings for scene, rings in found.items() if task["data"]["image"].endswith(scene))
            wanted = (LEFT, THIRD) if task["data"]["why"].startswith("corrected") else (LEFT, RIGHT)
            assert np.allclose(rings, wanted, atol=0.01), (task, rings)
    print(f"Label Studio {VERSION} shows and gives back {len(exported)} images with their places.")


def fill(store: FolderStore) -> None:
    """Answers of a plain image, of the same image again, of a GeoTIFF, and of one that was corrected."""
    now = dt.datetime.now(dt.UTC)
    spots = (AnsweredSpot(ring=LEFT, confidence=0.9), AnsweredSpot(ring=RIGHT, confidence=0.6))
    images = {"plain": png(1), "again": png(1), "placed": tiff(2), "corrected": png(3)}
    for name, image in images.items():
        answer = Answer(request_id=name, time=now, model_version="1", width=80, height=60, spots=spots)
        keep_answer(store, answer, image)
    correction = Correction(request_id="corrected", removed=(1,), added=(THIRD,), by="Ada")
    take_correction(store, correction, days=7, now=now)


def pixels(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def png(seed: int) -> bytes:
    return encode_png(pixels(seed))


def tiff(seed: int) -> bytes:
    with rasterio.MemoryFile() as file:
        transform = rasterio.Affine(0.1, 0, 652_000, 0, -0.1, 6_862_000)
        with file.open(
            driver="GTiff", width=80, height=60, count=3, dtype="uint8", crs="EPSG:2154", transform=transform
        ) as dataset:
            dataset.write(pixels(seed).transpose(2, 0, 1))
        return bytes(file.read())


@contextmanager
def label_studio(root: Path, document_root: Path) -> Iterator[httpx.Client]:
    """A server with an empty database, started as README.md of the export says, and a client who is let in."""
    (port,) = free_ports(1)
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))},
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
        "LABEL_STUDIO_BASE_DATA_DIR": str(root / "label-studio"),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
    }
    command = [*os.environ.get("LABEL_STUDIO", f"uvx --from label-studio=={VERSION} label-studio").split()]
    options = ["--port", str(port), "--no-browser", "--username", "a@example.org", "--password", "a-long-password"]
    with (root / "label-studio.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "start", *options, "--user-token", TOKEN], env=env, stdout=log, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=address, headers={"Authorization": f"Token {TOKEN}"}, timeout=60) as client:
            wait_for(client, server, root / "label-studio.log")
            yield client
    finally:
        server.terminate()
        server.wait(30)


def wait_for(client: httpx.Client, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    raise AssertionError(f"Label Studio did not start: {log.read_text()}")


def annotate(client: httpx.Client, folder: Path) -> Any:
    """What a person does: make a project, let it read the images, import, accept what is suggested, export."""
    config = (folder / "labeling-config.xml").read_text()
    project = answered(client.post("/api/projects", json={"title": "Corrections", "label_config": config}))["id"]
    images = {"project": project, "path": str(folder / "images"), "use_blob_urls": True, "regex_filter": ".*"}
    answered(client.post("/api/storages/localfiles", json=images))
    tasks = json.loads((folder / "tasks.json").read_text())
    answered(client.post(f"/api/projects/{project}/import", json=tasks))
    listed = answered(client.get("/api/tasks", params={"project": project, "fields": "all"}))["tasks"]
    assert len(listed) == len(tasks) == 3
    for task in listed:
        image = client.get(task["data"]["image"])
        assert (image.status_code, image.headers["Content-Type"]) == (200, "image/png"), image.text
        (prediction,) = answered(client.get("/api/predictions", params={"task": task["id"]}))
        answered(client.post(f"/api/tasks/{task['id']}/annotations", json={"result": prediction["result"]}))
    return answered(client.get(f"/api/projects/{project}/export", params={"exportType": "JSON"}))


def answered(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.request.url}: {response.status_code} {response.text[:2000]}"
    return response.json()


if __name__ == "__main__":
    main()
