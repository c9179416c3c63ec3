"""The steps of the demo, each a flow or a request, and the summary of what they measured."""

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from rich.table import Table

from cli.console import console, table
from cli.demo_client import ServiceClient
from cli.demo_comparison import compare
from flows.ingest import ingest
from flows.monitor import monitor
from flows.promote import promote
from flows.train import train
from flows.tune import tune
from monitoring.nightly import DriftReport
from monitoring.schema import read_rows
from parking.data.dataset import Scene, load_raster
from parking.data.domain_shift import Shift, apply_shift
from parking.data.imagery import encode_png
from parking.errors import PlatformError
from parking.learning.gate import Verdict
from parking.learning.recipe import Recipe, load_recipe
from parking.learning.scene_cache import find_snapshot
from parking.settings import Settings
from parking.workspace import open_workspace

SCENES, SIZE = 100, 384
TRIALS, FOLDS = 2, 3
FIRST_STEPS = 5
"""Of the first version: enough that it answers, and few enough that a busy machine takes no minutes."""
BATCH = 16
"""Images in each batch that is compared with the training."""
PICTURES = 4
DISCLAIMER = """
The model trained here is a demo's: minutes of training show that the loop works, not how well it can learn.
`parking predict` and a fresh `parking up` answer with the shipped model.
Look around: the reports and pictures above; Prefect's and MLflow's pages: [bold]parking up --state {out}[/bold]."""


class Loop:
    """One walk through the loop; remembers what each step measured."""

    def __init__(self, settings: Settings, service: str, out: Path, steps: int) -> None:
        self._settings, self._out = settings, out
        self._recipe = out / "recipe.json"
        self._recipe.write_text(load_recipe("demo").model_copy(update={"steps": steps}).model_dump_json(indent=2))
        self._client = ServiceClient(service)
        self._batches: dict[str, DriftReport] = {}

    def ingest(self, data: str) -> None:
        """Images and annotations in, a snapshot out."""
        self._snapshot = find_snapshot(ingest(data, scenes=SCENES, size=SIZE))
        snapshot = self._snapshot
        console.print(
            f"  snapshot {snapshot.version}: {len(snapshot.train)} scenes to train on, {len(snapshot.test)} to test "
            f"on, {len(snapshot.quarantine)} quarantined"
        )

    def train_first(self) -> None:
        """A version to serve before there is a good one."""
        hasty = load_recipe("demo").model_copy(update={"steps": FIRST_STEPS})
        first = train(self._snapshot.version, hasty, folds=2).version
        verdict = promote(first, force=True, by="demo", reason="something has to serve first")
        console.print(f"  version {first} serves: {verdict.reason}")
        self._first = first

    def see_serving(self) -> None:
        """The service answers with the first version."""
        self._client.wait_for_version(self._first)
        console.print(f"  the service answers with version {self._client.version()}")

    def tune(self, minutes: float | None) -> None:
        """The best of a few settings."""
        self._best: Recipe = tune(self._snapshot.version, TRIALS, FOLDS, minutes, str(self._recipe))

    def train(self, minutes: float | None) -> None:
        """The version that should replace the first."""
        self._trained = train(self._snapshot.version, self._best, FOLDS, minutes)
        scores = self._trained.test_scores
        console.print(
            f"  registered as version {self._trained.version}: test IoU {scores.iou:.3f}, F1 {scores.f1_50:.3f}"
        )

    def promote(self) -> None:
        """Through the gate; then the running service must answer with it, without a restart."""
        self._verdict: Verdict = promote(self._trained.version, by="demo")
        console.print(f"  {self._verdict.reason}")
        self._reload_seconds = self._client.wait_for_version(self._trained.version) if self._verdict.promote else None

    def predict(self) -> None:
        """Overlays and GeoJSON of a few test scenes."""
        images = [(scene.name, png) for scene, png in self._images(None)][:PICTURES]
        since = dt.datetime.now(dt.UTC)
        self._overlays = self._client.save_answers(images, self._out / "predictions")
        # Rows are in the store a moment after the answer: none of these may fall into the first batch.
        self._wait_for_rows(since, len(images))
        for overlay in self._overlays:
            console.print(f"  {overlay} and .pixels.json", soft_wrap=True)

    def compare(self) -> None:
        """The same images, answered by the model that ships."""
        scenes = self._snapshot.test[:PICTURES]
        registry = open_workspace().registry
        trained = registry.fetch(registry.resolve(str(self._trained.version)), self._settings.state_dir / "models")
        self._comparison = self._out / "predictions" / "comparison.png"
        rasters = [load_raster(open_workspace().store, scene) for scene in scenes]
        free = [len(scene.rings) for scene in scenes]
        self._counted = compare(rasters, trained, free, self._comparison, self._settings)

    def monitor(self) -> None:
        """A batch like the training scenes, then one for each way in which images change."""
        for shift in (None, *get_args(Shift)):
            name = shift or "as trained"
            since = dt.datetime.now(dt.UTC)
            images = [(scene.name, png) for scene, png in self._images(shift)][:BATCH]
            self._client.ask_all(images, f"requests, {name}")
            self._wait_for_rows(since, len(images))
            (report,) = monitor(since.date(), since=since)
            self._batches[name] = report
            console.print(f"  {name}: [bold]{report.verdict}[/bold]. {report.reason}")

    def summarise(self) -> None:
        """One page: scores, versions, drift, and where the files are."""
        console.print()
        console.print(self._scores())
        console.print("\nWhat happened", style="bold")
        # Lines, not a table: a path that is folded or cut short cannot be opened.
        for name, value in self._facts():
            console.print(f"{name:19}{value}", markup=False, soft_wrap=True)
        console.print(self._counted)
        console.print(f"Side by side: {self._comparison}", markup=False, soft_wrap=True)
        console.print(DISCLAIMER.format(out=self._out))

    def _scores(self) -> Table:
        """Scores of each fold and of the test scenes, a row each."""
        scores = table("scenes", "IoU", "F1 at 0.5", "precision", "recall", "count bias", title="[bold]Scores[/bold]")
        parts = [(f"fold {n}", part) for n, part in enumerate(self._trained.fold_scores, start=1)]
        for name, part in [*parts, (f"test ({self._trained.test_scores.scenes})", self._trained.test_scores)]:
            values = (part.iou, part.f1_50, part.precision, part.recall)
            scores.add_row(name, *(f"{value:.3f}" for value in values), f"{part.count_bias:+.0%}")
        return scores

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "dataset", self._snapshot.version
        promoted = "promoted" if self._verdict.promote else "not promoted"
        yield "version", f"{self._trained.version}, {promoted}: {self._verdict.reason}"
        if self._reload_seconds is not None:
            yield "hot reload", f"{self._reload_seconds:.1f} s after the promotion, in the same process"
        for name, report in self._batches.items():
            yield f"drift, {name}", f"{report.verdict}: {self._out / 'store' / report.html}"
        yield "pictures", str(self._out / "predictions")

    def _images(self, shift: Shift | None) -> Iterator[tuple[Scene, bytes]]:
        for number, scene in enumerate(self._snapshot.test):
            pixels = load_raster(open_workspace().store, scene).pixels
            yield scene, encode_png(apply_shift(pixels, shift, seed=number) if shift else pixels)

    def _wait_for_rows(self, since: dt.datetime, count: int) -> None:
        """Wait until the service has written its log; it does so in the background."""
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline:
            rows = read_rows(open_workspace().store, since.date()).table
            if sum(moment >= since for moment in rows["time"].to_pylist()) >= count:
                return
            time.sleep(0.5)
        raise PlatformError("The service did not write its inference log within 30 s: see servers.log.")
