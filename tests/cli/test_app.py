"""The command as a whole: quick to answer, and every failure a sentence."""

import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import Command

COMMANDS = (
    *(
        "demo",
        "up",
        "serve",
        "flows",
        "ingest",
        "tune",
        "train",
        "calibrate",
        "evaluate",
        "promote",
        "rollback",
        "retrain",
        "predict",
    ),
    *("monitor", "data show", "data generate", "benchmark quality", "benchmark recipes", "feedback export"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(parking: Command, name: str) -> None:
    answer = parking(*name.split(), "--help")
    assert answer.status == 0
    assert f"Example: parking {name}" in answer.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "model.onnx"), "--data and --out go together"),
        (("--data", "annotated"), "--data and --out go together"),
        (("--data", "annotated", "--out", "model.onnx", "--minutes", "3"), "--minutes does not go with --out"),
    ],
)
def test_a_training_to_a_file_refuses_options_that_it_cannot_follow(
    parking: Command, words: tuple[str, ...], said: str
) -> None:
    answer = parking("train", *words)
    assert answer.status == 1
    assert said in answer.err


def test_addresses_of_a_platform_that_does_not_run_are_a_sentence(parking: Command) -> None:
    answer = parking("up", "--addresses")
    assert answer.status == 1
    assert "No platform runs on" in answer.err


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from cli.app import app; app(['--help'], standalone_mode=False);"
        "heavy = {'torch', 'prefect', 'mlflow', 'numpy', 'cv2', 'pandas', 'optuna', 'onnxruntime', 'boto3', 'fastapi'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_printed(parking: Command) -> None:
    answer = parking("--version")
    assert answer.status == 0
    assert answer.out.startswith(f"parking {version('parking')}")


@pytest.mark.parametrize(
    ("missing", "group"), [("torch", "learning"), ("prefect", "loop"), ("evidently", "monitoring")]
)
def test_a_command_that_needs_more_than_is_installed_says_what(
    parking: Command, monkeypatch: pytest.MonkeyPatch, missing: str, group: str
) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

    monkeypatch.setattr("cli.session.start", absent)
    answer = parking("evaluate")
    assert answer.status == 1
    assert answer.err.startswith(f"Error: `parking evaluate` needs {missing}, which is not installed")
    assert group in answer.err
    assert "--no-default-groups" in answer.err


@pytest.mark.parametrize("words", [("up",), ("demo",), ("tune",), ("ingest",)])
def test_without_the_loop_nothing_is_begun(
    parking: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("parking.optional.is_installed", lambda module: module != "prefect")
    answer = parking(*words)
    assert answer.status == 1
    assert "needs prefect" in answer.err
    assert answer.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_module_of_our_own_that_is_missing_is_a_fault_and_no_advice(
    parking: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'parking.nothing'", name="parking.nothing")

    monkeypatch.setattr("cli.session.start", absent)
    with pytest.raises(ModuleNotFoundError):
        parking("evaluate")


def test_sigterm_unwinds_a_command_so_that_what_it_started_is_stopped() -> None:
    script = """
import os, signal, sys, time
from cli import app
@app.app.command()
def nap():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
    finally:
        print("unwound")
sys.argv = ["parking", "nap"]
app.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (128 + signal.SIGTERM, "unwound")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("predict",), "images"),
        (("tune", "--trials", "0"), "--trials"),
        (("train", "--folds", "1"), "--folds"),
        (("promote", "first"), "version"),
        (("predict", "a.png", "--threshold", "1.5"), "--threshold"),
        (("monitor", "--day", "yesterday"), "--day"),
        (("launch",), "launch"),
    ],
)
def test_a_wrong_word_is_a_usage_error_that_names_it(parking: Command, words: tuple[str, ...], named: str) -> None:
    answer = parking(*words)
    assert answer.status == 2
    assert named in answer.err


def test_a_setting_that_cannot_work_is_named_with_its_value(parking: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKING_THREADS", "many")
    answer = parking("rollback")
    assert answer.status == 1
    assert "PARKING_THREADS='many'" in answer.err


def test_a_state_folder_that_is_a_file_is_named(parking: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    answer = parking("rollback", "--state", "notes.txt")
    assert answer.status == 1
    assert "notes.txt" in answer.err
    assert "--state" in answer.err


@pytest.mark.parametrize("words", [("rollback",), ("evaluate",), ("predict", "a.png")])
def test_an_mlflow_out_of_reach_is_a_sentence_and_soon(
    parking: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PARKING_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    answer = parking(*words)
    assert answer.status == 1
    assert "MLflow at http://127.0.0.1:9 cannot be used" in answer.err
    assert "PARKING_MLFLOW_TRACKING_URI" in answer.err
    # MLflow's own retries take many minutes; the bound leaves a busy machine its time to start Python.
    assert time.monotonic() - started < 90


@pytest.mark.parametrize("words", [("ingest", "--data", "generated"), ("flows",)])
def test_a_prefect_out_of_reach_is_a_sentence(
    parking: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    answer = parking(*words)
    assert answer.status == 1
    assert "Prefect at http://127.0.0.1:9/api does not answer" in answer.err
    assert "PREFECT_API_URL" in answer.err


@pytest.mark.parametrize(
    ("words", "named"),
    [((), "PREFECT_API_URL"), (("--pool", "p"), "--job-template"), (("--job-template", "j"), "--pool")],
)
def test_flows_that_nobody_could_run_are_refused(parking: Command, words: tuple[str, ...], named: str) -> None:
    answer = parking("flows", *words)
    assert answer.status == 1
    assert named in answer.err


def test_the_best_settings_are_not_searched_before_it_is_known_that_they_can_be_kept(
    parking: Command, tmp_path: Path
) -> None:
    answer = parking("tune", "--out", tmp_path)
    assert answer.status == 1
    assert answer.err.startswith(f"Error: {tmp_path} cannot be written")
