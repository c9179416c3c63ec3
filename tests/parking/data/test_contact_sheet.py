from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from parking.data.contact_sheet import contact_sheet
from parking.data.dataset import Snapshot, ingest
from parking.errors import DatasetError
from parking.storage import FolderStore
from tests.parking.data.places import write_places


def test_every_scene_is_on_the_sheet_with_its_places(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    snapshot = ingest(str(write_places(tmp_path / "in", 7)), store).snapshot
    sheet = contact_sheet(store, snapshot, columns=3, thumb=120)
    assert sheet.shape == (3 * (120 + 18 + 4) + 4, 3 * (120 + 4) + 4, 3)
    outlines = (sheet == (255, 64, 200)).all(axis=2)
    cells = [
        outlines[4 + row * 142 : 124 + row * 142, 4 + column * 124 : 124 + column * 124]
        for row in range(3)
        for column in range(3)
    ]
    assert [bool(cell.any()) for cell in cells] == [True] * 7 + [False] * 2
    # Thumbnails are 120 x 80, in the middle of a square: the place from (10, 10) to (30, 30) lies 20 lower.
    rows, columns = np.nonzero(cells[0])
    assert np.allclose((rows.min(), rows.max(), columns.min(), columns.max()), (30, 50, 10, 30), atol=1)


def test_an_empty_dataset_has_nothing_to_show(tmp_path: Path) -> None:
    empty = Snapshot(version="0" * 12, created=datetime.now(UTC), source="", scenes=(), quarantine=())
    with pytest.raises(DatasetError, match="no scene to show"):
        contact_sheet(FolderStore(tmp_path), empty)
