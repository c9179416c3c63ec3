"""Our log lines in Prefect's log of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from flows.ingest import ingest
from flows.logs import show_in_runs


@pytest.fixture(autouse=True)
def _no_other_logs() -> Iterator[None]:
    logger.remove()
    yield
    logger.remove()


def test_what_a_task_logs_is_in_the_log_of_its_run(annotated: Path, caplog: pytest.LogCaptureFixture) -> None:
    show_in_runs()
    version = ingest(str(annotated))
    told = [record for record in caplog.records if f"Dataset {version}" in record.getMessage()]
    assert [record.name for record in told] == ["prefect.task_runs"]


def test_prefects_own_lines_do_not_come_round_again(caplog: pytest.LogCaptureFixture) -> None:
    show_in_runs()
    logger.patch(lambda record: record.__setitem__("name", "prefect.flow_runs")).info("finished")
    assert not caplog.records


def test_outside_a_run_a_line_is_not_lost(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")
    show_in_runs()
    logger.info("on the way to a run")
    assert "on the way to a run" in capsys.readouterr().err
