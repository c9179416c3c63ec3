"""ONNX Runtime's reports to its makers, which are on unless they are turned off."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from parking.detection.detector import Detector
from parking.shipped import shipped_model
Detector.load(shipped_model(), threads=1)
"""


def test_nothing_is_noted_for_the_makers_of_the_runtime(tmp_path: Path) -> None:
    # It is silent of itself where it believes that it is being tested.
    told = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "CI", "PYTEST"))}
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", SCRIPT], env={**told, **places}, check=True, timeout=60)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
