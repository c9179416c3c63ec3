"""Drills of the learning loop: each stage is killed at a random moment, and run again."""

import json
import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import httpx

from parking.data.dataset import ingest
from parking.data.synthetic import generate_dataset
from parking.learning.study import find_study
from parking.registry import PREVIOUS, PRODUCTION, Registry
from parking.storage import open_store
from parking.tracking import Tracker
from tests.drills.outcome import Outcome
from tests.e2e.conftest import Platform
from tests.e2e.processes import processes_on
from tests.monitoring.rows import scene_rows, write_rows

KILLS = 4
"""Of one try, where what was broken is cheap to break again."""

DAY = date(2026, 5, 1)

_RECIPE = {
    **{"encoder_weights": "none", "decoder_channels": [16, 16, 16, 8, 8], "crop": 64, "batch": 2, "steps": 6},
    **{"tile": 128, "overlap": 32, "evaluations": 1, "device": "cpu"},
}
"""A training of seconds."""


def killed_ingest(folder: Path) -> Outcome:
    """kill -9 of an ingest: run again, it makes the same snapshot, and nothing torn is left."""
    data = generate_dataset(folder / "data", 12, seed=3, size=128)
    wanted = ingest(str(data), open_store(str(folder / "whole"))).snapshot.version
    code = (
        "import sys; from parking.data.dataset import ingest; from parking.storage import open_store\n"
        "print('begun', flush=True); print(ingest(sys.argv[1], open_store(sys.argv[2])).snapshot.version)"
    )
    _killed([sys.executable, "-c", code, str(data), str(folder / "store")], seconds=1.0)
    again = _run([sys.executable, "-c", code, str(data), str(folder / "store")])
    return Outcome(1, int(again.split()[-1:] != [wanted]))


def killed_training(folder: Path) -> Outcome:
    """kill -9 of a training, some times: run again, it ends, and its network is that of a training nobody killed."""
    data = generate_dataset(folder / "data", 12, seed=3, size=128)
    code = (
        "import hashlib, json, sys; from pathlib import Path; from parking.learning.recipe import Recipe\n"
        "from parking.learning.train_file import train_file; from parking.detection.detector import Detector\n"
        "data, recipe, work, out = sys.argv[1:]; print('begun', flush=True)\n"
        "train_file(data, Recipe(**json.loads(recipe)), 2, Path(work), Path(out))\n"
        "made = Detector.load(Path(out)).contract.model_dump_json(exclude={'trained', 'code_version'})\n"
        "print(hashlib.sha256(made.encode()).hexdigest())"
    )

    def command(name: str) -> list[str]:
        return [
            sys.executable,
            "-c",
            code,
            str(data),
            json.dumps(_RECIPE),
            str(folder / name),
            str(folder / f"{name}.onnx"),
        ]

    begun = time.monotonic()
    wanted = _run(command("whole"))
    seconds = time.monotonic() - begun
    for _ in range(KILLS):
        _killed(command("killed"), seconds / 2)
    return Outcome(1, int(_run(command("killed")).split()[-1:] != wanted.split()[-1:]), f"killed {KILLS} times")


def killed_search(folder: Path) -> Outcome:
    """kill -9 of `parking tune` with its servers: run again, it makes the trials that are missing, and no more."""
    state, recipe = folder / "state", folder / "quick.json"
    recipe.write_text(json.dumps(_RECIPE))
    data = generate_dataset(folder / "data", 16, seed=3, size=128)
    parking = [sys.executable, "-m", "cli.app"]
    _run([*parking, "ingest", "--data", str(data), "--state", str(state)])
    search = [
        *parking,
        "tune",
        "--out",
        str(folder / "best.json"),
        "--trials",
        "2",
        "--folds",
        "2",
        "--recipe",
        str(recipe),
        "--state",
        str(state),
    ]
    process = subprocess.Popen(search, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.uniform(5, 40))
    process.kill()
    process.wait()
    end = time.monotonic() + 30
    while (left := processes_on(state)) and time.monotonic() < end:
        time.sleep(0.5)
    _run(search)
    (studies,) = state.glob("studies*.db")
    names = _study_names(f"sqlite:///{studies}")
    complete = sum(one.complete for name in names for one in find_study(f"sqlite:///{studies}", name).tried())
    return Outcome(2, abs(2 - complete) + len(left), f"{len(left)} processes left behind")


def killed_promotion(folder: Path) -> Outcome:
    """kill -9 in promotions and rollbacks: the next look finds the old state or the new one, and a way back."""
    uri = f"sqlite:///{folder}/mlflow.db"
    registry = Registry(uri, "drilled")
    (folder / "model.onnx").write_bytes(b"onnx")
    with Tracker(uri, "models", folder / "artifacts").run("train") as run:
        for _ in range(2):
            registry.register(folder / "model.onnx", run_id=run.id, tags={})
    registry.promote(1, reason="The first.", by="drill")
    code = (
        "import sys; from parking.registry import Registry; registry = Registry(*sys.argv[1:3]); registry.history()\n"
        "print('begun', flush=True); registry.promote(int(sys.argv[3]), reason='Better.', by='drill')"
    )
    lost = 0
    for number in range(KILLS):
        wanted = 2 - number % 2
        before = registry.resolve(PRODUCTION).number
        _killed([sys.executable, "-c", code, uri, "drilled", str(wanted)], seconds=0.4)
        registry.resolve(PRODUCTION)
        found = {alias: version.number for version in registry.history() for alias in version.aliases}
        moved = found.get(PRODUCTION) == wanted
        lost += not (moved or found.get(PRODUCTION) == before)
        lost += moved and before != wanted and found.get(PREVIOUS) != before
        registry.promote(wanted, reason="Once more.", by="drill")
    return Outcome(KILLS, lost)


def killed_monitoring(folder: Path) -> Outcome:
    """kill -9 of the daily report, some times: run again, the day has one report, whole, of all its rows."""
    store = open_store(str(folder / "store"))
    write_rows(store, scene_rows(range(60)), date=DAY)
    code = (
        "import sys, datetime as dt; from pathlib import Path; from parking.storage import open_store\n"
        "from parking.settings import Settings; from monitoring.nightly import monitor_day\n"
        "from tests.monitoring.fake_registry import FakeRegistry; from tests.drills.loop import DAY, reference\n"
        "store, state = sys.argv[1:]; print('begun', flush=True)\n"
        "settings = Settings(_env_file=None, state_dir=Path(state))\n"
        "monitor_day(open_store(store), FakeRegistry({'1': reference()}), settings, DAY)"
    )
    command = [sys.executable, "-c", code, str(folder / "store"), str(folder / "state")]
    for _ in range(KILLS):
        _killed(command, seconds=12.0)
        for key in store.keys("reports/"):
            if key.endswith(".json"):
                json.loads(store.read(key))
    _run(command)
    reports = [key for key in store.keys("reports/") if key.endswith("v1.json") and "history" not in key]
    rows = [json.loads(store.read(key))["rows"] for key in reports]
    return Outcome(60, 0 if rows == [60] else 60, f"killed {KILLS} times")


def reference() -> bytes:
    """What the rows of a day are compared with."""
    from monitoring.schema import rows_to_table, table_to_parquet

    return table_to_parquet(rows_to_table(scene_rows(range(40))))


def killed_platform(folder: Path) -> Outcome:
    """kill -9 of `parking up`, servers left alone: the next one ends them, and Prefect, MLflow and service answer."""
    platform = Platform(folder / "state")
    try:
        platform.start()
        orphans = platform.children()
        assert platform.process is not None
        platform.process.send_signal(signal.SIGKILL)
        platform.process.wait()
        time.sleep(random.uniform(0, 2))
        platform.start()
        left = [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
        addresses = (f"{platform.prefect}/health", f"{platform.mlflow}/health", f"{platform.service}/health/live")
        silent = [one for one in addresses if httpx.get(one, timeout=20).status_code != 200]
        return Outcome(len(addresses), len(left) + len(silent), f"{len(orphans)} processes were left")
    finally:
        platform.kill()


def _study_names(url: str) -> list[str]:
    import optuna

    return optuna.study.get_all_study_names(url)


def _killed(command: list[str], seconds: float) -> None:
    """Run a command, and kill it at a random moment within so many seconds of its word that it has begun."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(random.uniform(0, seconds))
    process.kill()
    process.communicate()


def _run(command: list[str]) -> str:
    """What a command prints.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout
