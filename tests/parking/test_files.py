"""What a killed process left unfinished goes; what somebody is writing stays."""

import os
import time
from pathlib import Path

from parking.files import LEFT_BEHIND_SECONDS, PARTIAL, remove_left_behind, write_whole


def test_unfinished_files_of_killed_processes_go_and_all_others_stay(tmp_path: Path) -> None:
    write_whole(tmp_path / "deeper.png", b"whole")
    folder = tmp_path / "images"
    folder.mkdir()
    (old, fresh, whole) = (folder / name for name in (f"{PARTIAL}a.png", f"{PARTIAL}b.png", "c.png"))
    for file in (old, fresh, whole):
        file.write_bytes(b"x")
    past = time.time() - LEFT_BEHIND_SECONDS - 1
    for file in (old, whole):
        os.utime(file, (past, past))
    assert remove_left_behind(tmp_path) == 1
    assert sorted(file.name for file in tmp_path.rglob("*.png")) == [fresh.name, "c.png", "deeper.png"]


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert remove_left_behind(tmp_path / "nowhere") == 0
