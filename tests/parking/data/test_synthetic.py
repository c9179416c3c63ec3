import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parking.data.dataset import free_mask, ingest
from parking.data.imagery import read_raster
from parking.data.synthetic import generate_dataset, generate_scene
from parking.data.synthetic.scene import SyntheticScene
from parking.errors import DatasetError
from parking.storage import FolderStore

SEEDS = range(16)


@pytest.fixture(scope="module")
def scenes() -> list[SyntheticScene]:
    return [generate_scene(seed) for seed in SEEDS]


def test_a_seed_gives_the_same_scene_again(scenes: list[SyntheticScene]) -> None:
    again = generate_scene(3)
    assert np.array_equal(again.raster.pixels, scenes[3].raster.pixels)
    assert again.rings == scenes[3].rings
    assert again.vehicles == scenes[3].vehicles
    assert not np.array_equal(scenes[4].raster.pixels, scenes[3].raster.pixels)


def test_scenes_hold_from_none_to_some_twenty_places(scenes: list[SyntheticScene]) -> None:
    counts = [len(scene.rings) for scene in scenes]
    assert min(counts) == 0
    assert max(counts) <= 24
    assert 5 <= np.mean(counts) <= 18


def test_places_are_as_large_as_a_car_needs(scenes: list[SyntheticScene]) -> None:
    for scene in scenes:
        pixels = [free_mask([ring], 768, 768).sum() for ring in scene.rings]
        metres = np.array(pixels) * scene.style.gsd**2
        assert ((metres > 5) & (metres < 16)).all()


def test_a_free_place_shows_bare_ground(scenes: list[SyntheticScene]) -> None:
    """A car has glass, edges and a colour; asphalt has none of them, whatever the light."""
    spread = []
    for scene in scenes:
        grey = scene.raster.pixels.mean(axis=2)
        for ring in scene.rings:
            inner = np.mean(ring, axis=0) + 0.6 * (np.array(ring) - np.mean(ring, axis=0))
            spread.append(grey[free_mask([tuple(map(tuple, inner.tolist()))], 768, 768)].std())
    assert np.percentile(spread, 90) < 16


def test_vehicles_are_as_large_as_cars_and_stand_on_no_free_place(scenes: list[SyntheticScene]) -> None:
    assert min(len(scene.vehicles) for scene in scenes) > 5
    for scene in scenes:
        taken, free = free_mask(scene.vehicles, 768, 768), free_mask(scene.rings, 768, 768)
        whole = [ring for ring in scene.vehicles if np.min(ring) > 0 and np.max(ring) < 768]
        for ring in whole:
            sides = np.sort(np.linalg.norm(np.array(ring) - np.roll(ring, 1, axis=0), axis=1)) * scene.style.gsd
            assert len(ring) == 4
            assert 1.5 < sides[0] < 2.3
            assert 3 < sides[-1] < 6
        assert (taken & free).sum() <= 0.02 * max(free.sum(), 1)


def test_where_a_vehicle_is_said_to_stand_the_ground_is_not_bare(scenes: list[SyntheticScene]) -> None:
    """Glass, edges and shadows: seen from above a car is more varied than a free place."""
    spread: dict[str, list[float]] = {"taken": [], "free": []}
    for scene in scenes[:8]:
        grey = scene.raster.pixels.mean(axis=2)
        for name, rings in (("taken", scene.vehicles), ("free", scene.rings)):
            masks = (free_mask([ring], 768, 768) for ring in rings)
            spread[name] += [grey[mask].std() for mask in masks if mask.any()]
    assert np.median(spread["taken"]) > 2 * np.median(spread["free"])


def test_a_style_can_be_asked_for() -> None:
    style = replace(generate_scene(1).style, gsd=0.2, free=0.0)
    scene = generate_scene(1, 300, style=style)
    assert scene.rings == ()
    assert scene.raster.gsd == 0.2
    assert scene.raster.pixels.shape == (300, 300, 3)


@pytest.mark.parametrize("size", [64, 257, 1200])
def test_any_size_can_be_drawn(size: int) -> None:
    scene = generate_scene(7, size)
    assert scene.raster.pixels.shape == (size, size, 3)
    points = np.array([point for ring in (*scene.rings, *scene.vehicles) for point in ring]).reshape(-1, 2)
    assert ((points >= 0) & (points <= size)).all()


def test_a_scene_is_drawn_fast() -> None:
    spent = []
    for seed in range(8):
        start = time.process_time()
        generate_scene(seed)
        spent.append(time.process_time() - start)
    # Seconds of processor time, three times what an idle core needs: a slow machine is no failure, a slow generator is.
    assert np.median(spent) < 0.5


def test_a_generated_folder_is_ingested_whole(tmp_path: Path) -> None:
    folder = generate_dataset(tmp_path / "scenes", 6, seed=2, size=256)
    snapshot = ingest(str(folder), FolderStore(tmp_path / "store")).snapshot
    assert [scene.name for scene in snapshot.scenes] == [f"scene-{n:05d}.png" for n in range(2, 8)]
    assert snapshot.quarantine == ()
    assert [len(one.rings) for one in snapshot.scenes] == [len(generate_scene(n, 256).rings) for n in range(2, 8)]
    assert read_raster(folder / "scene-00002.png").gsd is None


def test_generating_again_draws_nothing_and_another_wish_replaces_it(tmp_path: Path) -> None:
    folder = generate_dataset(tmp_path, 3, size=64)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    generate_dataset(tmp_path, 3, size=64)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    generate_dataset(tmp_path, 2, seed=8, size=64)
    assert sorted(path.name for path in folder.glob("*.png")) == ["scene-00008.png", "scene-00009.png"]


@pytest.mark.parametrize("text", ["not json", "[]", json.dumps({"info": {"contributor": "me"}})])
def test_somebody_elses_annotations_are_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations.coco.json").write_text(text)
    with pytest.raises(DatasetError, match="not ours to overwrite"):
        generate_dataset(tmp_path, 1, size=64)
    assert (tmp_path / "annotations.coco.json").read_text() == text


def test_somebody_elses_image_of_the_same_name_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "scene-00001.png").write_bytes(b"mine")
    with pytest.raises(DatasetError, match=r"scene-00001\.png' is not ours to overwrite"):
        generate_dataset(tmp_path, 2, size=64)
    assert [path.name for path in tmp_path.iterdir()] == ["scene-00001.png"]
    assert (tmp_path / "scene-00001.png").read_bytes() == b"mine"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


KILLED = """
import os, sys
from pathlib import Path
from parking.data.synthetic import generate_dataset
real, left = Path.replace, int(sys.argv[2])

def replace(self, target):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return real(self, target)

Path.replace = replace
generate_dataset(Path(sys.argv[1]), 2, seed=1, size=64)
"""


@pytest.mark.parametrize("renames", range(8))
def test_a_run_killed_at_any_step_changes_nothing_or_is_gone_on_with(tmp_path: Path, renames: int) -> None:
    """Its renames: two images and the annotations aside; then old annotations away, images and annotations in."""
    wished = contents(generate_dataset(tmp_path / "wished", 2, seed=1, size=64))
    folder = generate_dataset(tmp_path / "scenes", 2, size=64)
    (folder / "note.txt").write_bytes(b"mine")
    before = contents(folder)
    run = [sys.executable, "-c", KILLED, str(folder), str(renames)]
    done = subprocess.run(run, check=False, timeout=60)
    assert done.returncode == (9 if renames < 7 else 0)
    if renames < 4:
        assert contents(folder) == before
    elif renames < 7:
        assert "annotations.coco.json" not in contents(folder), "a half would be taken for a whole"
    generate_dataset(folder, 2, seed=1, size=64)
    assert contents(folder) == {**wished, "note.txt": b"mine"}
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_a_run_that_ends_by_itself_leaves_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(generate_dataset(tmp_path, 2, size=64))

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("parking.data.synthetic.writer.write_whole", full)
    with pytest.raises(DatasetError, match="No space left"):
        generate_dataset(tmp_path, 3, size=64)
    assert contents(tmp_path) == before
    assert not (tmp_path / ".scenes-unfinished").exists()
