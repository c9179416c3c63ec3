"""How far a run is, on its page in Prefect."""

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import progress
from flows.progress import shown_in_run
from parking.progress import listening, report
from tests.flows.conftest import newest_artifact


def test_a_runs_page_says_how_far_it_is_and_who_listened_still_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @task(cache_policy=NO_CACHE)
    def work() -> None:
        for step in range(1, 4):
            report(step, 8, "trial 2, fold 1 of 4: training")

    @flow
    def worker() -> None:
        with shown_in_run():
            work()

    monkeypatch.setattr(progress, "PAGE_SECONDS", 0.0)
    heard: list[int] = []
    with listening(lambda done, *_: heard.append(done)):
        worker()
    assert heard == [1, 2, 3]
    shown = newest_artifact("progress")
    assert float(shown["data"]) == 37.5
    assert "trial 2, fold 1 of 4: training: 3 of 8" in shown["description"]
    assert "left" in shown["description"]


def test_a_page_that_cannot_be_written_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Prefect is away")

    @flow
    def worker() -> str:
        with shown_in_run():
            report(1, 2, "steps")
        return "done"

    monkeypatch.setattr(progress, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "update_progress_artifact", refuse)
    assert worker() == "done"
