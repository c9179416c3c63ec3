"""A run that is alone has all threads; runs beside each other share them, and answer the same."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parking.detection.onnx_model import Sessions
from parking.shipped import shipped_model
from tests.doubles import write_bright_model

TILES = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
OUTPUTS = ["probability"]


class PatientSession:
    """Answers with its name, once it may."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began, self.may_answer = threading.Event(), threading.Event()

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[str]:
        self.began.set()
        assert self.may_answer.wait(10)
        return [self.name]


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(write_bright_model(tmp_path / "model.onnx"), threads=4, at_once=2)


def threads_of(session: Any) -> int:
    return int(session.get_session_options().intra_op_num_threads)


def test_threads_are_shared_by_the_runs_there_may_be(sessions: Sessions, tmp_path: Path) -> None:
    assert (threads_of(sessions.alone), threads_of(sessions.beside)) == (4, 2)
    many = Sessions(tmp_path / "model.onnx", threads=4, at_once=9)
    assert threads_of(many.beside) == 1


def test_one_at_a_time_is_opened_once(tmp_path: Path) -> None:
    sessions = Sessions(write_bright_model(tmp_path / "model.onnx"), threads=2)
    assert sessions.alone is sessions.beside


def test_only_a_run_beside_another_takes_a_share(sessions: Sessions) -> None:
    alone, beside = PatientSession("alone"), PatientSession("beside")
    sessions.alone, sessions.beside = alone, beside
    beside.may_answer.set()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sessions.run, OUTPUTS, TILES)
        assert alone.began.wait(10)
        assert sessions.run(OUTPUTS, TILES) == ["beside"]
        alone.may_answer.set()
        assert first.result() == ["alone"]
    assert sessions.run(OUTPUTS, TILES) == ["alone"]


def test_a_run_that_fails_leaves_the_next_one_all_threads(sessions: Sessions) -> None:
    with pytest.raises(Exception, match="nothing"):
        sessions.run(["nothing"], TILES)
    sessions.beside = PatientSession("beside")
    assert sessions.run(OUTPUTS, TILES)[0].shape == (1, 128, 128)


def test_runs_beside_each_other_answer_to_the_bit_as_one_alone() -> None:
    sessions = Sessions(shipped_model(), threads=2, at_once=2)
    outputs = [output.name for output in sessions.alone.get_outputs()]
    expected = sessions.run(outputs, TILES)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: sessions.run(outputs, TILES), range(6)))
    for answer in answers:
        for one, other in zip(answer, expected, strict=True):
            np.testing.assert_array_equal(one, other)
