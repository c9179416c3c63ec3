"""The `parking` command in this process, as a person types it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from loguru import logger

from cli.app import main
from parking.settings import get_settings
from parking.workspace import open_workspace


@dataclass(frozen=True)
class Answer:
    """What a command ended with."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def parking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in an empty folder; what it sets in the environment goes with the test."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Answer:
        monkeypatch.setattr("sys.argv", ["parking", *map(str, words)])
        for cached in (get_settings, open_workspace):
            cached.cache_clear()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1 if end.code else 0
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    yield run
    # The log was led to this test's captured standard error, which ends with it.
    logger.remove()
    os.environ.clear()
    os.environ.update(before)
    for cached in (get_settings, open_workspace):
        cached.cache_clear()
