"""Scenes are read once, however many ask at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from parking.learning import scene_cache
from parking.learning.scene_cache import forget_samples, samples_of
from parking.learning.training_scenes import Sample
from tests.parking.learning.scenes import make_samples


def test_trials_that_begin_at_once_read_the_scenes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []

    def read_slowly(*given: object) -> list[Sample]:
        reads.append(given)
        time.sleep(0.1)
        return make_samples(2)

    monkeypatch.setattr(
        scene_cache, "find_snapshot", lambda _: SimpleNamespace(train=(), test=(), telling=lambda what: (what,))
    )
    monkeypatch.setattr(scene_cache, "open_workspace", lambda: SimpleNamespace(store=None))
    monkeypatch.setattr(scene_cache, "load_samples", read_slowly)
    forget_samples()
    try:
        with ThreadPoolExecutor(4) as trials:
            given = list(trials.map(lambda _: samples_of("a", "train", 0.1), range(4)))
    finally:
        forget_samples()
    assert len(reads) == 1
    assert all(one is given[0] for one in given)
