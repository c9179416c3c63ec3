"""The model behind BentoML: a class with an API method, as its quickstart sets it up."""

from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]

from tests.bench.peers.work import detector, find


@bentoml.service
class Parking:
    """`bentoml serve` runs it with one worker, and requests in threads."""

    def __init__(self) -> None:
        detector()

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, file: Path) -> dict[str, Any]:
        """An uploaded file comes as a path."""
        return find(file.read_bytes())
