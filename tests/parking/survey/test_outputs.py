"""GDAL's own tools open every file of a survey, and say of it what the survey says."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rio_cogeo.cogeo import cog_validate

from tests.parking.survey.surveying import FREE, TAKEN, survey_car_park

Tool = Callable[..., str]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("car-park")
    survey_car_park(folder, folder / "out")
    return folder / "out"


@pytest.fixture
def tool() -> Tool:
    """A program of GDAL; what it prints. A warning counts as a failure."""

    def run(name: str, *words: object) -> str:
        if (program := shutil.which(name)) is None:
            pytest.skip(f"there is no {name}: install Debian's gdal-bin to see what GDAL itself says of the files")
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    return run


def test_gdal_reads_the_density_and_its_check_says_that_it_is_a_cog(out: Path, tool: Tool) -> None:
    told: dict[str, Any] = json.loads(tool("gdalinfo", "-json", "-checksum", out / "density.tif"))
    assert (told["driverShortName"], told["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"]) == ("GTiff", "COG")
    assert 'ID["EPSG",2154]' in told["coordinateSystem"]["wkt"]
    assert told["bands"][0]["description"] == "free places per hectare"
    assert told["bands"][0]["noDataValue"] == "NaN"


def test_the_density_is_a_valid_cog(out: Path) -> None:
    valid, errors, warnings = cog_validate(out / "density.tif", strict=True)
    assert (valid, errors, warnings) == (True, [], [])


@pytest.mark.parametrize(
    ("file", "features", "geometry", "epsg"),
    [
        ("places.gpkg", len(FREE), "Polygon", 2154),
        ("vehicles.gpkg", len(TAKEN), "Polygon", 2154),
        ("districts.gpkg", 2, "Multi Polygon", 2154),
        ("districts.geojson", 2, "Polygon", 4326),
    ],
)
def test_ogr_reads_every_layer(out: Path, tool: Tool, file: str, features: int, geometry: str, epsg: int) -> None:
    told = tool("ogrinfo", "-ro", "-al", "-so", out / file)
    assert f"Feature Count: {features}" in told
    assert f"Geometry: {geometry}" in told
    assert f'ID["EPSG",{epsg}]' in told


@pytest.mark.parametrize("file", ["places.parquet", "vehicles.parquet"])
def test_ogr_reads_the_geoparquet(out: Path, tool: Tool, file: str) -> None:
    if "Parquet" not in tool("ogrinfo", "--formats"):
        pytest.skip("this GDAL was built without Parquet, as Debian's is")
    told = tool("ogrinfo", "-ro", "-al", "-so", out / file)
    assert "Geometry: Polygon" in told


def test_ogr_reads_the_table_of_districts_with_the_numbers_of_the_layer(out: Path, tool: Tool) -> None:
    told = tool("ogrinfo", "-ro", "-al", out / "districts.csv")
    (row, _) = csv.DictReader(io.StringIO((out / "districts.csv").read_text()))
    assert re.findall(r"name \(String\) = (\w+)", told) == ["West", "East"]
    assert f"free (String) = {row['free']}" in told
    assert f"free (Integer64) = {row['free']}" in tool("ogrinfo", "-ro", "-al", out / "districts.gpkg")
