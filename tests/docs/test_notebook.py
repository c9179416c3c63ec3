"""The example notebook runs as a reader runs it, and is kept without outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_architecture import ROOT

pytestmark = pytest.mark.e2e

NOTEBOOK = ROOT / "docs" / "first-answer.ipynb"
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=200, kernel_name="python3").execute()
nbformat.write(notebook, "run.ipynb")
"""


@pytest.mark.timeout(300)
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(cell.get("outputs") for cell in json.loads(NOTEBOOK.read_text())["cells"])
    (tmp_path / "docs").mkdir()
    (tmp_path / "service").symlink_to(ROOT / "service")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # In a process of its own: the kernel's outlives the client by moments, which Python warns of.
    done = subprocess.run(
        [sys.executable, "-c", RUN, NOTEBOOK], cwd=tmp_path / "docs", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "docs" / "run.ipynb").read_text())["cells"]
    assert "<img" in "".join(cells[3]["outputs"][0]["data"]["text/html"])
    assert (tmp_path / "docs" / "predictions" / "street.prob.tif").exists()
