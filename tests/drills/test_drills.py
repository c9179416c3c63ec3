"""The quick form of the drills: one try each of those that take seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.__main__ import Line, table
from tests.drills.drills import DRILLS, stop_all
from tests.drills.outcome import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    stop_all()


@pytest.mark.parametrize("name", ["service: kill -9 under load", "service: SIGTERM under load"])
def test_nothing_that_was_answered_is_lost(name: str, tmp_path: Path) -> None:
    outcome = DRILLS[name](tmp_path)
    assert outcome.counted > 0
    assert outcome.lost == 0, outcome


def test_the_table_counts_tries_that_broke_as_not_survived() -> None:
    line = Line("a drill", [Outcome(5, 0, "3 s"), Outcome(4, 2)], ["did not end: TimeoutError()"])
    assert "| a drill | 3 | 1 | 9 | 2 | 3 s; did not end: TimeoutError() |" in table([line], 1)
