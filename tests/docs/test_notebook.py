"""The example notebook runs as a reader runs it, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.test_architecture import ROOT

NOTEBOOK = ROOT / "docs" / "first-answer.ipynb"


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")  # of the kernel's client, which is not ours
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells)
    (tmp_path / "docs").mkdir()
    (tmp_path / "service").symlink_to(ROOT / "service")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": tmp_path / "docs"}}
    ).execute()
    shown = notebook.cells[3].outputs[0]["data"]
    assert "<img" in shown["text/html"]
    assert (tmp_path / "docs" / "predictions" / "street.prob.tif").exists()
