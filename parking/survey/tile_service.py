"""A layer that a server offers as tiles: the position and the address of each tile."""

import hashlib
import math
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rasterio.transform import Affine

from parking.survey.grid import Bounds
from parking.survey.http import Access


class TileService(BaseModel):
    """A layer of a WMS, a WMTS or XYZ tiles at one resolution. It is sent to workers with its source."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    kind: Literal["WMS", "WMTS", "XYZ"]
    template: str
    """Address of a tile: `{x}` is its column, `{y}` its row, `{-y}` the row from the south, `{bbox}` its box."""

    crs: str
    left: float
    """Where column 0 begins, in units of the CRS."""
    top: float
    """Where row 0 begins; rows go south."""
    step: float
    """Edge of a pixel in units of the CRS."""
    tile_width: int
    tile_height: int
    column: int = 0
    """First column of the surveyed part."""
    row: int = 0
    columns: int = 1
    rows: int = 1
    all_rows: int = 0
    """Rows of the whole layer, for rows that are counted from the south."""
    north_first: bool = False
    """Whether the box in an address begins with the northing or latitude."""

    cache: str
    """Folder in which tiles are kept."""
    access: Access

    @property
    def key(self) -> str:
        """A hash that identifies its tiles: of the address and the grid, not of the surveyed part."""
        parts = (self.template, self.crs, self.left, self.top, self.step, self.tile_width, self.tile_height)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def transform(self, column: int, row: int) -> Affine:
        """From pixels of the tiles that begin at a column and a row, to the CRS."""
        left = self.left + column * self.tile_width * self.step
        top = self.top - row * self.tile_height * self.step
        return Affine(self.step, 0, left, 0, -self.step, top)

    def address(self, column: int, row: int) -> str:
        """The address of one tile."""
        south_row = self.all_rows - 1 - row
        found = self.template.replace("{x}", str(column)).replace("{y}", str(row)).replace("{-y}", str(south_row))
        return found.replace("{bbox}", ",".join(map(repr, self._box(column, row))))

    def _box(self, column: int, row: int) -> Bounds:
        corner, across, down = self.transform(column, row), self.tile_width * self.step, self.tile_height * self.step
        west, south, east, north = corner.c, corner.f - down, corner.c + across, corner.f
        return (south, west, north, east) if self.north_first else (west, south, east, north)

    def over(self, bounds: Bounds) -> tuple[range, range]:
        """Columns and rows of the surveyed part that touch a box in the CRS."""
        west, south, east, north = bounds
        across, down = self.tile_width * self.step, self.tile_height * self.step
        columns = range(math.floor((west - self.left) / across), math.ceil((east - self.left) / across))
        rows = range(math.floor((self.top - north) / down), math.ceil((self.top - south) / down))
        return _both(columns, self.column, self.columns), _both(rows, self.row, self.rows)

    def within(self, bounds: Bounds) -> "TileService":
        """The part that touches a box in the CRS; it has no column or row where none does."""
        columns, rows = self.over(bounds)
        return self.model_copy(
            update={"column": columns.start, "row": rows.start, "columns": len(columns), "rows": len(rows)}
        )


def _both(one: range, start: int, count: int) -> range:
    first = max(one.start, start)
    return range(first, max(first, min(one.stop, start + count)))
