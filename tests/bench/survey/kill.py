"""The command as a person types it, killed in the middle, and what came of it beside an unbroken run."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyogrio
import rasterio


def killed_and_resumed(mosaic: Path, folder: Path) -> dict[str, Any]:
    """Survey a mosaic in one go, and again with two kill -9; say whether the files are the same bytes."""
    whole, broken = folder / "whole", folder / "broken"
    for out in (whole, broken):
        shutil.rmtree(out, ignore_errors=True)
    begun = time.monotonic()
    _command(mosaic, whole).check_returncode()
    unbroken = time.monotonic() - begun
    blocks = len(list((whole / ".survey" / "blocks").iterdir()))
    kept = [_killed(mosaic, broken, blocks * part // 3) for part in (1, 2)]
    begun = time.monotonic()
    _command(mosaic, broken).check_returncode()
    names = sorted(file.name for file in whole.iterdir() if file.is_file())
    same = [name for name in names if _digest(whole / name) == _digest(broken / name)]
    told = [json.loads((out / "survey.json").read_text()) for out in (whole, broken)]
    for one in told:
        del one["seconds"], one["started"]
    with rasterio.open(broken / "density.tif") as density:
        opened = {"density.tif": list(density.shape)}
    opened |= {name: pyogrio.read_info(broken / name)["features"] for name in names if name.endswith(".gpkg")}
    return {
        "places": told[0]["places"],
        "blocks": blocks,
        "kept_when_killed": kept,
        "unbroken_seconds": unbroken,
        "last_run_seconds": time.monotonic() - begun,
        "same_bytes": same,
        "others": sorted(set(names) - set(same)),
        "summary_same_but_for_times": told[0] == told[1],
        "opened_by_gdal": opened,
    }


def _arguments(mosaic: Path, out: Path) -> list[str]:
    start = [sys.executable, "-c", "from cli.app import main; main()"]
    return [*start, "survey", str(mosaic), "--out", str(out)]


def _command(mosaic: Path, out: Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(_arguments(mosaic, out), stdout=subprocess.DEVNULL, env=_environment())


def _killed(mosaic: Path, out: Path, after: int) -> int:
    """Kill the command and its workers once so many blocks are kept; returns how many are."""
    blocks = out / ".survey" / "blocks"
    with subprocess.Popen(
        _arguments(mosaic, out), stdout=subprocess.DEVNULL, env=_environment(), start_new_session=True
    ) as process:
        while process.poll() is None and (not blocks.is_dir() or len(list(blocks.glob("*.parquet"))) < after):
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    return len(list(blocks.glob("*.parquet")))


def _environment() -> dict[str, str]:
    return os.environ | {"PARKING_STATE_DIR": os.environ.get("PARKING_STATE_DIR", "/tmp/parking-bench-state")}


def _digest(file: Path) -> str:
    with file.open("rb") as open_file:
        return hashlib.file_digest(open_file, "sha256").hexdigest()
