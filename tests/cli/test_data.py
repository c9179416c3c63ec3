"""`parking data …`."""

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

from parking.data.dataset import ingest
from parking.data.synthetic import generate_dataset
from parking.storage import open_store
from tests.cli.conftest import Command


def test_scenes_are_drawn_into_a_new_folder(parking: Command, tmp_path: Path) -> None:
    assert parking("data", "generate", "scenes", "--count", 2, "--size", 128).status == 0
    assert len(list((tmp_path / "scenes").glob("*.png"))) == 2


def test_scenes_are_not_drawn_over_a_file(parking: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    answer = parking("data", "generate", "notes.txt", "--count", 1)
    assert answer.status == 1
    assert "notes.txt" in answer.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def taken_in(folder: Path) -> str:
    generate_dataset(folder / "images", 4, size=128)
    return ingest(str(folder / "images"), open_store(str(folder / ".parking" / "store"))).snapshot.version


def test_the_contact_sheet_goes_where_it_is_wanted_and_its_folder_is_made(parking: Command, tmp_path: Path) -> None:
    version = taken_in(tmp_path)
    answer = parking("data", "show", "--out", "new/sheet.png")
    assert answer.status == 0
    assert version in answer.out
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.width > 128


def test_a_contact_sheet_that_cannot_be_written_is_a_sentence(parking: Command, tmp_path: Path) -> None:
    taken_in(tmp_path)
    answer = parking("data", "show", "--out", tmp_path)
    assert answer.status == 1
    assert answer.err.startswith(f"Error: {tmp_path} cannot be written")


def test_on_a_full_disk_the_earlier_contact_sheet_stays(
    parking: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_in(tmp_path)
    (tmp_path / "sheet.png").write_bytes(b"the earlier one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    answer = parking("data", "show", "--out", "sheet.png")
    assert answer.status == 1
    assert "No space left" in answer.err
    assert (tmp_path / "sheet.png").read_bytes() == b"the earlier one"
    assert not list(tmp_path.glob(".partial*"))


def test_without_a_snapshot_the_command_that_makes_one_is_named(parking: Command) -> None:
    answer = parking("data", "show")
    assert answer.status == 1
    assert "parking ingest --data" in answer.err


def test_ingest_looks_for_annotations_before_it_starts_prefect(
    parking: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cli.session.start_flows", lambda *_: pytest.fail("Prefect was asked for first"))
    answer = parking("ingest", "--data", tmp_path / "nowhere")
    assert answer.status == 1
    assert "nowhere" in answer.err
    assert not (tmp_path / ".parking").exists()
