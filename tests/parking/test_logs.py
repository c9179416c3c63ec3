"""One log for the process, whoever writes to it."""

import json
import logging
from collections.abc import Iterator

import pytest
from loguru import logger

from parking.logs import configure_logs
from parking.settings import Settings


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logger.remove()


def test_libraries_write_to_the_same_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None))
    logger.info("ours {}", 1)
    logging.getLogger("somebody").warning("theirs %d {braces}", 2)
    logging.getLogger("urllib3").info("chatter")
    lines = capsys.readouterr().err
    assert "ours 1" in lines
    assert "theirs 2 {braces}" in lines
    assert "chatter" not in lines


def test_a_line_of_a_library_is_told_where_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None, log_json=True))
    logging.getLogger("somebody").error("theirs")
    record = json.loads(capsys.readouterr().err)["record"]
    assert record["function"] == "test_a_line_of_a_library_is_told_where_it_was_written"
    assert record["level"]["name"] == "ERROR"


def test_a_bad_log_call_of_a_library_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("not now")

    configure_logs(Settings(_env_file=None))
    logging.getLogger("somebody").warning("%d places", "many")
    logging.getLogger("somebody").warning("too few: %s %s", 1)
    logging.getLogger("somebody").warning("%s", Unspeakable())
    lines = capsys.readouterr().err
    assert "'%d places' (its arguments do not fit)" in lines
    assert "too few" in lines
    assert lines.count("do not fit") == 3


def test_the_request_id_stands_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(_env_file=None))
    with logger.contextualize(request_id="abc-1"):
        logger.info("asked")
    assert "abc-1" in capsys.readouterr().err
