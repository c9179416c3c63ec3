"""Files of models that nobody needs any more go; those that somebody may need never do."""

import os
import time
from pathlib import Path

import pytest

from parking.model_cache import RECENT_SECONDS, mark_used, remove_others, version_folder


def fetched(cache: Path, number: int, *, name: str = "parking", age: float = RECENT_SECONDS + 60) -> Path:
    """A version's folder with its file, as fetched so many seconds ago."""
    folder = version_folder(cache, name, number)
    folder.mkdir(parents=True)
    then = time.time() - age
    (folder / "model.onnx").write_bytes(b"onnx")
    for path in (folder / "model.onnx", folder):
        os.utime(path, (then, then))
    return folder


def test_old_versions_go_and_those_to_keep_stay(tmp_path: Path) -> None:
    folders = {number: fetched(tmp_path, number) for number in (1, 2, 3, 10)}
    remove_others(tmp_path, "parking", {3, 10})
    assert [number for number, folder in folders.items() if folder.exists()] == [3, 10]


def test_what_somebody_is_about_to_open_stays(tmp_path: Path) -> None:
    new, used, arriving = fetched(tmp_path, 1, age=5), fetched(tmp_path, 2), fetched(tmp_path, 3)
    mark_used(used / "model.onnx")
    (arriving / "half-a-download").mkdir()
    remove_others(tmp_path, "parking", set())
    assert new.exists()
    assert used.exists()
    assert arriving.exists()


def test_other_models_and_other_files_are_left_alone(tmp_path: Path) -> None:
    other = fetched(tmp_path, 1, name="somebody-elses")
    note = tmp_path / "parking" / "README"
    note.parent.mkdir()
    note.touch()
    remove_others(tmp_path, "parking", set())
    assert other.exists()
    assert note.exists()


def test_without_a_cache_there_is_nothing_to_do(tmp_path: Path) -> None:
    remove_others(tmp_path / "nowhere", "parking", {1})


def test_a_folder_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [fetched(tmp_path, number) for number in (1, 2)]
    tried: list[Path] = []

    def refuse(folder: Path) -> None:
        tried.append(folder)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    remove_others(tmp_path, "parking", set())
    assert sorted(tried) == folders
