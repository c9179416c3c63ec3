"""Evidently's UI shows a run for each day, drawn over the days."""

import datetime as dt
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx
import pytest

from monitoring.drift import Comparison
from monitoring.evidently_workspace import adopt_runs, evaluate, keep_run, remove_torn
from monitoring.schema import rows_to_table
from tests.e2e.waiting import wait_until
from tests.monitoring.rows import NOON, scene_rows
from tests.servers import free_ports

pytestmark = pytest.mark.e2e


def keep_day(folder: Path, day: dt.date) -> None:
    reference, current = rows_to_table(scene_rows(range(40))), rows_to_table(scene_rows(range(50, 66)))
    batch = Comparison(reference)
    batch.add(current)
    finding = batch.finding(min_rows=12, threshold=0.5, share=0.4)
    keep_run(folder, "free-parking", evaluate(finding, reference, current, 0.4, day), day, "1")


def test_evidentlys_own_server_shows_one_run_a_day(tmp_path: Path) -> None:
    days = [NOON.date(), NOON.date() + dt.timedelta(days=1)]
    for day in (*days, days[0]):
        keep_day(tmp_path / "evidently", day)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "evidently.cli", "ui", "--workspace", str(tmp_path / "evidently")]
    env = {**os.environ, "DO_NOT_TRACK": "1"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, env=env, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}/api"
        wait_until(lambda: is_up(f"{address}/projects"), 120, "Evidently to answer")
        (project,) = httpx.get(f"{address}/projects", timeout=30).json()
        assert project["name"] == "free-parking"
        runs = httpx.get(f"{address}/projects/{project['id']}/reports", timeout=30).json()
        assert sorted(run["timestamp"][:10] for run in runs) == [str(day) for day in days]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(20)


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_list_of_runs_that_is_damaged_stops_no_report(tmp_path: Path) -> None:
    keep_day(tmp_path, NOON.date())
    (tmp_path / "nights.json").write_text("{")
    keep_day(tmp_path, NOON.date())
    assert list(json.loads((tmp_path / "nights.json").read_text())) == [f"{NOON.date()} version 1"]


def test_what_a_full_disk_left_half_written_hinders_no_later_run(tmp_path: Path) -> None:
    days = [NOON.date() + dt.timedelta(days=number) for number in range(2)]
    keep_day(tmp_path, days[0])
    (file,) = tmp_path.glob("*/metadata.json")
    file.write_bytes(file.read_bytes()[:40])
    keep_day(tmp_path, days[1])
    assert len(list(tmp_path.glob("*/snapshots/*.json"))) == 2, "whole runs stay"
    assert len(list(tmp_path.glob("*/metadata.json"))) == 1
    assert all(json.loads(file.read_text()) for file in tmp_path.rglob("*.json"))


@pytest.mark.parametrize("torn", ["snapshots/b.json", "metadata.json", "dashboard.json"])
@pytest.mark.parametrize("left", ["", '{"half": ', '{"half": {}'])
def test_torn_files_go_and_whole_ones_stay(tmp_path: Path, torn: str, left: str) -> None:
    project = tmp_path / "0196aaaa-bbbb-7ccc-8ddd-0123456789ab"
    for name in ("metadata.json", "dashboard.json", "snapshots/a.json", "snapshots/b.json"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(left if name == torn else "{}")
    damaged = remove_torn(tmp_path)
    assert len(damaged) == (torn == "metadata.json")
    for one in damaged:
        adopt_runs(one, project)
    assert (project / torn).exists() is False
    assert (project / "snapshots" / "a.json").exists()
    aside = tmp_path.with_name(f"{tmp_path.name}.damaged")
    assert remove_torn(tmp_path) == ([aside / project.name] if damaged else [])


def test_a_run_that_met_a_full_disk_leaves_nothing_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_day(tmp_path, NOON.date())
    dump = json.dump

    def fill(value: object, file: IO[str], **options: object) -> None:
        file.write(json.dumps({"half": 1})[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(json, "dump", fill)
    with pytest.raises(OSError, match="No space left"):
        keep_day(tmp_path, NOON.date() + dt.timedelta(days=1))
    monkeypatch.setattr(json, "dump", dump)
    assert all(json.loads(file.read_text()) for file in tmp_path.rglob("*.json"))
    keep_day(tmp_path, NOON.date() + dt.timedelta(days=2))
    assert len(list(tmp_path.glob("*/snapshots/*.json"))) == 2
