"""The version of the code names the commit where there is one."""

import subprocess
from pathlib import Path

import pytest

from parking.version import _commit, code_version


def test_a_checkout_is_named_by_its_commit_and_its_changes(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "code.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-m", "Start")
    git("tag", "v9")
    commit = git("rev-parse", "--short=7", "HEAD")
    assert _commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("a = 2\n")
    assert _commit(tmp_path) == f"{commit}.dirty"
    assert _commit(tmp_path / "inside") == ""


def test_an_image_is_named_by_the_commit_that_it_was_built_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_REVISION", "0123456789abcdef")
    code_version.cache_clear()
    assert code_version().endswith("+0123456")
    monkeypatch.undo()
    code_version.cache_clear()


def test_the_version_starts_with_the_release() -> None:
    assert code_version().startswith("0.")
