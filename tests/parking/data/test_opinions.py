"""One image in several exports: the same, more, or something else."""

import json
from pathlib import Path
from typing import Any

from parking.data.dataset import Snapshot, ingest
from parking.storage import FolderStore
from tests.parking.data.places import SQUARE, task, write_places

CAR = [(50, 10), (70, 10), (70, 30), (50, 30)]


def dated(one: dict[str, Any], day: str) -> dict[str, Any]:
    one["annotations"][0]["updated_at"] = f"{day}T00:00:00Z"
    return one


def taken_in(tmp_path: Path, **exports: list[dict[str, Any]]) -> Snapshot:
    folder = write_places(tmp_path / "in", 4)
    for name, tasks in exports.items():
        (folder / f"{name}.json").write_text(json.dumps(tasks))
    return ingest(str(folder), FolderStore(tmp_path / "store")).snapshot


def test_the_same_annotation_in_two_exports_is_nothing_to_speak_of(tmp_path: Path) -> None:
    by_another = task("1.png", [SQUARE], by=2)
    snapshot = taken_in(tmp_path, again=[task("0.png", [SQUARE]), by_another])
    assert (len(snapshot.scenes), snapshot.quarantine) == (4, ())


def test_the_newer_of_two_counts_whatever_the_names_of_the_files(tmp_path: Path) -> None:
    new = dated(task("0.png", [SQUARE, CAR]), "2026-02-01")
    old = dated(task("0.png", [CAR, CAR, CAR]), "2026-01-01")
    for number, exports in enumerate(({"a": [new], "b": [old]}, {"a": [old], "b": [new]}, {"a": [old, new]})):
        snapshot = taken_in(tmp_path / str(number), **exports)
        assert len(snapshot.scenes[0].rings) == 2
        reasons = [item.reason for item in snapshot.quarantine]
        assert any("of 2026-01-01: the newer one, of 2026-02-01, was used" in reason for reason in reasons)
        assert any("without a date: the newer one" in reason for reason in reasons)


def test_exports_of_different_things_add_to_each_other(tmp_path: Path) -> None:
    snapshot = taken_in(tmp_path, cars=[task("0.png", [CAR], label="car")])
    scene = snapshot.scenes[0]
    assert (len(scene.rings), len(scene.vehicles), scene.annotated) == (1, 1, ("free", "vehicle"))
    assert snapshot.scenes[1].annotated == ("free",)
    assert snapshot.quarantine == ()


def test_what_only_the_older_export_looked_at_stays(tmp_path: Path) -> None:
    both = dated(task("0.png", [SQUARE, SQUARE]), "2026-01-01")
    both["annotations"][0]["result"] += task("0.png", [CAR], label="car")["annotations"][0]["result"]
    new = dated(task("0.png", [SQUARE]), "2026-02-01")
    snapshot = taken_in(tmp_path, new=[new], old=[both])
    scene = snapshot.scenes[0]
    assert (len(scene.rings), len(scene.vehicles), scene.annotated) == (1, 1, ("free", "vehicle"))
    assert any("of 2026-01-01: the newer one, of 2026-02-01" in item.reason for item in snapshot.quarantine)
