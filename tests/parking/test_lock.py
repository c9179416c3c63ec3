"""Two processes never work in one folder, and nobody waits for one that is gone."""

import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parking.errors import FolderError
from parking.lock import LOCK, alone_in, is_held
from tests.service.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from parking.lock import alone_in
with alone_in(Path(sys.argv[1])) as lock:
    {fork}
    print("held", flush=True)
    sys.stdin.read()
"""
FORK = """import os, time
    reader, writer = os.pipe()
    if not os.fork():
        os.write(writer, b"!")
        time.sleep(60)
    os.read(reader, 1)
"""
"""A child that lives on; its parent waits until it runs, because only then has it let go of what it inherited."""


CHILD = 'import subprocess; subprocess.Popen(["sleep", "60"], pass_fds=(lock,))'
"""A child that is meant to hold on."""


def holder(folder: Path, fork: str = "") -> "subprocess.Popen[str]":
    """Another process, once it holds the folder."""
    command = [sys.executable, "-c", HOLD.format(fork=fork), str(folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_who_comes_second_is_told_who_came_first_and_what_to_do(tmp_path: Path) -> None:
    other = holder(tmp_path)
    try:
        with pytest.raises(FolderError, match=rf"process {other.pid} on .* holds {tmp_path}. Wait .* or stop"):
            alone_in(tmp_path).__enter__()
    finally:
        other.communicate("")
    with alone_in(tmp_path):
        pass


def test_two_threads_of_a_process_are_two(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(FolderError, match=f"process {os.getpid()} "), alone_in(tmp_path):
        pass


def test_who_was_killed_holds_nothing_though_its_children_live(tmp_path: Path) -> None:
    other = holder(tmp_path, FORK)
    other.kill()
    other.wait()
    try:
        with alone_in(tmp_path):
            pass
    finally:
        os.killpg(other.pid, 9)
        other.communicate()


def test_a_folder_that_its_holder_moved_away_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, away = tmp_path / "work", tmp_path / "done"
    take = fcntl.flock

    def moved_just_before(handle: int, how: int) -> None:
        monkeypatch.undo()
        folder.rename(away)
        take(handle, how)

    monkeypatch.setattr("fcntl.flock", moved_just_before)
    with alone_in(folder):
        assert (folder / ".lock").exists()
        assert not (folder / ".lock").samefile(away / ".lock")


def test_what_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=f"{tmp_path}/file is no folder to work in"):
        alone_in(tmp_path / "file").__enter__()


def test_whoever_only_asks_keeps_nobody_out(tmp_path: Path) -> None:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_held(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            for _ in range(30):
                with alone_in(tmp_path):
                    assert is_held(tmp_path)
        finally:
            done.set()
    assert [one.result() for one in asking] == [None] * 2
    assert not is_held(tmp_path)


def test_a_folder_that_was_let_go_names_nobody(tmp_path: Path) -> None:
    with alone_in(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / LOCK).read_text()
    assert (tmp_path / LOCK).read_text() == ""


def test_a_child_that_was_given_the_lock_holds_on_when_its_parent_was_killed(tmp_path: Path) -> None:
    other = holder(tmp_path, CHILD)
    other.kill()
    other.wait()
    try:
        assert is_held(tmp_path)
        with pytest.raises(FolderError, match=rf"a child of process {other.pid} .*, which has ended, holds"):
            alone_in(tmp_path).__enter__()
    finally:
        os.killpg(other.pid, 9)
        other.communicate()
    wait_until(lambda: not is_held(tmp_path))
