"""What a person sees of work that takes long."""

import io
import time

import pytest
from rich.console import Console
from rich.progress import Progress

import cli.console
from cli.console import Bars, PlainLines


def test_a_detail_that_changes_is_no_further_bar() -> None:
    bars = Progress(console=Console(file=io.StringIO()))
    shown = Bars(bars)
    for step, loss in enumerate((1.9, 1.8, 1.7), start=1):
        shown(step, 69, f"training, loss {loss}")
    shown(1, 4, "validation")
    assert [(task.description, task.completed) for task in bars.tasks] == [("training, loss 1.7", 3), ("validation", 1)]


def test_a_line_tells_how_far_and_then_the_detail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.console, "PLAIN_SECONDS", 0.0)
    lines = PlainLines()
    time.sleep(0.001)
    lines(3, 69, "training, loss 1.839")
    lines(2, 5, "images")
    assert capsys.readouterr().out == "  training: 3 of 69, loss 1.839\n  images: 2 of 5\n"
