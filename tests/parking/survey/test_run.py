"""A survey from its sources to its files: right, resumable, and honest about what failed."""

import csv
import io
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio
import shapely
from distributed import Client, LocalCluster

from parking.errors import FolderError, StoreError, SurveyError
from parking.lock import alone_in
from parking.survey.compare import compare_surveys
from parking.survey.folder import WORK
from parking.survey.inputs import find_imagery
from parking.survey.request import Progress, SurveyRequest
from parking.survey.run import run_survey
from tests.doubles import write_inverted_model
from tests.parking.survey.drawing import GSD, LAMBERT, NORTH, WEST, at, cut, draw, write
from tests.parking.survey.surveying import layer
from tests.servers import S3Server

OUTPUTS = ("places.parquet", "places.gpkg", "density.tif", "districts.gpkg", "districts.csv", "districts.geojson")
HALVES = {"West": (0, 30), "East </script>": (30, 63)}
"""Districts by the metres from the mosaic's west that they reach."""


def request(source: Path, out: Path | str, **more: Any) -> SurveyRequest:
    return SurveyRequest(sources=(str(source),), out=str(out), block=200, **more)


@pytest.fixture
def mosaic(tmp_path: Path) -> tuple[Path, int]:
    pixels, bays = draw(250, 420, 30)
    return cut(tmp_path / "mosaic", pixels, [100], [200]), bays


def test_every_file_opens_and_tells_the_same(mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str) -> None:
    source, bays = mosaic
    out, districts = tmp_path / "out", layer(tmp_path / "districts.gpkg", HALVES)
    told = run_survey(request(source, out, districts=str(districts)), model, dask=dask)
    assert (told["places"], told["vehicles"], told["blocks"]["failed"]) == (bays, None, [])
    assert told["km2"] == pytest.approx(250 * 420 * GSD**2 / 1e6, rel=0.01)
    rows = pq.read_table(out / "places.parquet").to_pylist()
    assert len(rows) == len({row["id"] for row in rows}) == bays
    shape = shapely.from_wkb(rows[0]["geometry"])
    assert shape.bounds == tuple(rows[0]["bbox"][side] for side in ("xmin", "ymin", "xmax", "ymax"))
    assert 2.3 < shape.centroid.x < 2.4
    assert rows[0]["area_m2"] == pytest.approx(17 * 33 * GSD**2, rel=0.02)
    about = pyogrio.read_info(out / "places.gpkg", layer="places")
    assert (about["features"], about["geometry_type"], about["crs"]) == (bays, "Polygon", LAMBERT)
    with closing(sqlite3.connect(out / "places.gpkg")) as database:
        assert database.execute("SELECT f_table_name, useAsDefault FROM layer_styles").fetchall() == [("places", 1)]
    listed = list(csv.DictReader(io.StringIO((out / "districts.csv").read_text())))
    assert [row["name"] for row in listed] == [*HALVES]
    assert sum(int(row["free"]) for row in listed) == bays
    assert all(int(row["free_low"]) <= int(row["free"]) <= int(row["free_high"]) for row in listed)
    with rasterio.open(out / "density.tif") as density:
        assert density.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        seen = density.read(1)
    assert np.nanmax(seen) > 0
    page = (out / "report.html").read_text()
    assert "East \\u003c/script>" in page
    assert "src=" not in page.split("<script>")[0]


def test_vehicles_are_counted_beside_the_places(tmp_path: Path, colour_model: Path, dask: str) -> None:
    pixels = np.full((200, 300, 3), 10, np.uint8)
    for column, kind in ((40, 0), (120, 1), (200, 1)):
        pixels[40:73, column : column + 17, kind] = 250
        pixels[45:68, column + 4 : column + 13, 2] = 250
    out = tmp_path / "out"
    asked = request(
        write(tmp_path / "lot.tif", pixels), out, districts=str(layer(tmp_path / "d.gpkg", {"All": (0, 50)}))
    )
    told = run_survey(asked, colour_model, dask=dask)
    assert (told["places"], told["vehicles"]) == (1, 2)
    (row,) = csv.DictReader(io.StringIO((out / "districts.csv").read_text()))
    assert (row["free"], row["taken"]) == ("1", "2")
    assert float(row["share_taken"]) == pytest.approx(2 / 3, abs=1e-3)
    assert float(row["share_low"]) < 2 / 3 < float(row["share_high"])
    assert pyogrio.read_info(out / "vehicles.gpkg", layer="vehicles")["features"] == 2


def test_a_run_again_computes_nothing_and_gives_the_same_bytes(
    mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str
) -> None:
    asked = request(mosaic[0], tmp_path / "out", districts=str(layer(tmp_path / "districts.gpkg", HALVES)))
    run_survey(asked, model, dask=dask)
    before = {name: (tmp_path / "out" / name).read_bytes() for name in OUTPUTS}
    # A scheduler that nobody runs: it is not needed.
    run_survey(asked, model, dask="tcp://127.0.0.1:1")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in OUTPUTS} == before


def test_newer_imagery_redoes_its_part_and_another_model_all(
    mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str
) -> None:
    source, _ = mosaic
    out = tmp_path / "out"
    run_survey(request(source, out), model, dask=dask)
    kept = set((out / WORK / "blocks").iterdir())
    new = np.full((20, 20, 3), 20, np.uint8)
    write(source / "new.tif", new, tags={"ACQUISITIONDATETIME": "2026:01:01 00:00:00"})
    told = run_survey(request(source, out), model, dask=dask)
    now = set((out / WORK / "blocks").iterdir())
    assert kept != now
    assert told["imagery"] == {"oldest": "2026-01-01", "newest": "2026-01-01", "undated": 4}
    run_survey(request(source, out), write_inverted_model(tmp_path / "other.onnx"), dask=dask)
    assert not now & set((out / WORK / "blocks").iterdir())


def test_a_source_that_goes_in_the_middle_fails_its_blocks_alone(
    tmp_path: Path, model: Path, dask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, bays = draw(120, 1200, 30)
    source = cut(tmp_path / "mosaic", pixels, [], [900])
    gone, out = source / "0-900.tif", tmp_path / "out"
    data = gone.read_bytes()

    def found_and_lost(*places: Any, **more: Any) -> Any:
        found = find_imagery(*places, **more)
        gone.write_bytes(data[:100])
        return found

    monkeypatch.setattr("parking.survey.run.find_imagery", found_and_lost)
    told = run_survey(request(source, out), model, dask=dask)
    failed = told["blocks"]["failed"]
    assert 0 < len(failed) < told["blocks"]["count"]
    assert 0 < told["places"] < bays
    assert "0-900.tif" in failed[0]["reason"]


def test_a_source_that_is_replaced_in_the_middle_leaves_no_block_of_either(
    tmp_path: Path, model: Path, dask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, bays = draw(120, 700, 20)
    source, other = cut(tmp_path / "mosaic", pixels, [], [400]), cut(tmp_path / "other", 255 - pixels, [], [400])
    asked = request(source, tmp_path / "out")

    def found_and_replaced(*places: Any, **more: Any) -> Any:
        found = find_imagery(*places, **more)
        (other / "0-400.tif").replace(source / "0-400.tif")
        return found

    monkeypatch.setattr("parking.survey.run.find_imagery", found_and_replaced)
    told = run_survey(asked, model, dask=dask)
    assert "0-400.tif' has changed since this run began" in told["blocks"]["failed"][0]["reason"]
    assert told["places"] < bays
    monkeypatch.undo()
    write(source / "0-400.tif", pixels[:, 400:], transform=at(0, 400))
    told = run_survey(asked, model, dask=dask)
    assert (told["places"], told["pixels"], told["blocks"]["failed"]) == (bays, 120 * 700, [])


def test_only_the_area_is_surveyed(mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str) -> None:
    area = layer(tmp_path / "area.gpkg", {"a": (0, 20)})
    told = run_survey(request(mosaic[0], tmp_path / "out", area=str(area)), model, dask=dask)
    xs = pq.read_table(tmp_path / "out" / "places.parquet").to_pylist()
    assert 0 < told["places"] == len(xs) < mosaic[1]
    far = request(mosaic[0], tmp_path / "far", bbox=(10, 50, 11, 51))
    with pytest.raises(SurveyError, match="touches no imagery"):
        run_survey(far, model, dask=dask)


def test_what_a_user_can_get_wrong_is_said_in_a_sentence(
    mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parking.survey.engine._SECONDS_TO_CONNECT", 0.5)
    source = mosaic[0]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(SurveyError, match="holds other files"):
        run_survey(request(source, tmp_path / "full"), model, dask=dask)
    with pytest.raises(SurveyError, match="--district-name"):
        run_survey(
            request(source, tmp_path / "a", districts=str(layer(tmp_path / "n.gpkg", HALVES, column="zzz"))), model
        )
    with pytest.raises(SurveyError, match="No Dask scheduler answers"):
        run_survey(request(source, tmp_path / "b"), model, dask="tcp://127.0.0.1:1")
    run_survey(request(source, tmp_path / "c"), model, dask=dask)
    pixels, _ = draw(100, 100, 2)
    elsewhere = write(tmp_path / "else.tif", pixels, transform=rasterio.Affine(GSD, 0, WEST + 9000, 0, -GSD, NORTH))
    with pytest.raises(SurveyError, match="other ground"):
        run_survey(request(elsewhere, tmp_path / "c"), model, dask=dask)
    with alone_in(tmp_path / "c" / WORK), pytest.raises(FolderError, match="under way"):
        run_survey(request(source, tmp_path / "c"), model, dask=dask)


def test_two_surveys_are_compared_by_place_and_district(tmp_path: Path, model: Path, dask: str) -> None:
    old, bays = draw(200, 300, 14, seed=3)
    new = old.copy()
    rows, columns = np.nonzero((old == 240).all(axis=2))
    new[rows[0] : rows[0] + 33, columns[0] : columns[0] + 33] = 20
    districts = str(layer(tmp_path / "districts.gpkg", HALVES))
    for name, pixels in (("before", old), ("after", new)):
        write(tmp_path / f"{name}.tif", pixels)
        run_survey(request(tmp_path / f"{name}.tif", tmp_path / name, districts=districts), model, dask=dask)
    told = compare_surveys(str(tmp_path / "before"), str(tmp_path / "after"), tmp_path / "changes")
    changes = told["changes"]
    assert (changes["came"], changes["not seen"]) == (0, 0)
    assert changes["went"] >= 1
    assert changes["stayed"] + changes["went"] == bays
    assert sum(row["went"] for row in told["districts"]) == changes["went"]
    assert pyogrio.read_info(tmp_path / "changes" / "changes.gpkg", layer="changes")["features"] == bays
    with pytest.raises(SurveyError, match="no finished survey"):
        compare_surveys(str(tmp_path / "before"), str(tmp_path / "changes"), tmp_path / "x")


def test_a_survey_from_bucket_to_bucket(
    tmp_path: Path, model: Path, dask: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.create_bucket("city")
    pixels, bays = draw(150, 200, 8)
    folder = cut(tmp_path / "parts", pixels, [70], [90])
    for file in folder.iterdir():
        s3_server.client().upload_file(str(file), "city", f"ortho/{file.name}")
    asked = SurveyRequest(sources=("s3://city/ortho",), out="s3://city/survey", block=200)
    assert run_survey(asked, model, dask=dask)["places"] == bays
    kept = {entry["Key"] for entry in s3_server.client().list_objects_v2(Bucket="city", Prefix="survey/")["Contents"]}
    assert {"survey/places.gpkg", "survey/places.parquet", "survey/survey.json", "survey/report.html"} <= kept
    # Nothing is left to compute, so nobody is asked.
    assert run_survey(asked, model, dask="tcp://127.0.0.1:1")["places"] == bays


KILLED = """
import json, os, signal, sys
from pathlib import Path
from parking.survey.request import Progress, SurveyRequest
from parking.survey.run import run_survey

if __name__ == "__main__":
    request = SurveyRequest.model_validate_json(sys.argv[1])
    def progress(now):
        if now.done >= int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
    run_survey(request, Path(sys.argv[2]), dask=sys.argv[4], progress=progress)
"""


@pytest.mark.e2e
def test_killed_twice_and_resumed_it_gives_the_bytes_of_an_unbroken_run(
    mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str
) -> None:
    districts = str(layer(tmp_path / "districts.gpkg", HALVES))
    broken = request(mosaic[0], tmp_path / "broken", districts=districts)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    for after in (2, 4):
        command = [sys.executable, str(script), broken.model_dump_json(), str(model), str(after), dask]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": "."}
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(list((tmp_path / "broken" / WORK / "blocks").iterdir())) >= 4
    assert not (tmp_path / "broken" / "survey.json").exists()
    run_survey(broken, model, dask=dask)
    run_survey(request(mosaic[0], tmp_path / "whole", districts=districts), model, dask=dask)
    for name in OUTPUTS:
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    told = [json.loads((tmp_path / name / "survey.json").read_text()) for name in ("broken", "whole")]
    for one in told:
        del one["seconds"], one["started"]
    assert told[0] == told[1]


@pytest.mark.e2e
def test_a_worker_process_that_is_killed_changes_nothing(
    mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str
) -> None:
    """A scheduler and two worker processes of their own, one of them killed after the first block."""
    run_survey(request(mosaic[0], tmp_path / "whole"), model, dask=dask)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tcp://", dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster, Client(cluster) as client:  # fmt: skip
        before = set(client.run(os.getpid).values())
        killed = list[int]()

        def kill_one(now: Progress) -> None:
            if now.done and not killed:
                killed.append(min(before))
                os.kill(killed[0], signal.SIGKILL)

        told = run_survey(
            request(mosaic[0], tmp_path / "broken"), model, dask=cluster.scheduler_address, progress=kill_one
        )
        now = set(client.run(os.getpid).values())
    assert killed
    assert killed[0] in before - now
    assert told["blocks"]["failed"] == []
    for name in ("places.parquet", "places.gpkg", "density.tif"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight mebibytes."""
    there = tmp_path / "disk"
    there.mkdir()
    mount = shutil.which("mount")
    if os.getuid() != 0 or mount is None or subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(there)], capture_output=True
    ).returncode:  # fmt: skip
        pytest.skip("a disk of its own needs root, and leave to mount")
    try:
        yield there
    finally:
        subprocess.run(["umount", str(there)], check=True)


def test_a_full_disk_ends_in_a_sentence_and_leaves_every_file_as_it_was(
    mosaic: tuple[Path, int], tmp_path: Path, model: Path, dask: str, small_disk: Path
) -> None:
    asked = request(mosaic[0], small_disk / "out", districts=str(layer(tmp_path / "districts.gpkg", HALVES)))
    run_survey(asked, model, dask=dask)
    out, ballast = small_disk / "out", small_disk / "ballast"
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    largest, refused = sum(len(data) for data in before.values()), 0
    for room in (0, 4_096, *(largest * part // 8 for part in range(1, 8))):
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(free - room))
        # Nothing is left to compute: the files are written anew.
        with pytest.raises((SurveyError, StoreError), match="No space is left"):
            run_survey(asked, model, dask="tcp://127.0.0.1:1")
        refused += 1
        ballast.unlink()
        assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
        assert not (out / WORK / "staging").exists()
    assert refused == 9
    run_survey(asked, model, dask="tcp://127.0.0.1:1")
    assert {name: (out / name).read_bytes() for name in OUTPUTS} == {name: before[name] for name in OUTPUTS}
