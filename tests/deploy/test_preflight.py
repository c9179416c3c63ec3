"""What the flows' pod says before it starts: the script of its init container, run with what may be wrong."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.deploy.chart import CHART
from tests.servers import S3Server


def first_complaint(folder: Path, environment: Mapping[str, str]) -> str:
    """The first line that is not about something that works; it would go on trying for minutes."""
    command = [sys.executable, "-c", (CHART / "files" / "preflight.py").read_text(encoding="utf-8")]
    given = {"PARKING_STATE_DIR": str(folder), "PREFECT_API_URL": "http://127.0.0.1:9/api", **environment}
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, **given}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if not line.rstrip().endswith(" answers"))
        process.kill()
    return line


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, s3_server: S3Server) -> None:
    line = first_complaint(tmp_path, {**s3_server.environment, "PARKING_STORE": "s3://nobody-made-this/free-parking"})
    assert f"{s3_server.endpoint} has no bucket 'nobody-made-this'" in line


def test_keys_that_are_refused_are_named(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket("preflight")
    wrong = {**s3_server.environment, "AWS_SECRET_ACCESS_KEY": "of-yesterday", "PARKING_STORE": "s3://preflight/x"}
    line = first_complaint(tmp_path, wrong)
    assert "refused the keys" in line
    assert "AWS_SECRET_ACCESS_KEY" in line


def test_a_setting_that_cannot_work_is_named_with_its_value(tmp_path: Path) -> None:
    line = first_complaint(tmp_path, {"PARKING_SLOTS": "none"})
    assert line.startswith("Settings that cannot work: PARKING_SLOTS='none'")


def test_a_prefect_that_does_not_answer_is_named(tmp_path: Path) -> None:
    line = first_complaint(tmp_path, {"PARKING_STORE": str(tmp_path / "store")})
    assert "http://127.0.0.1:9/api/health does not answer" in line
    assert "prefect.address" in line


def test_an_mlflow_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "health").write_text("true")
    wrong = {"PARKING_STORE": str(tmp_path / "store"), "PARKING_MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as prefect:
        threading.Thread(target=prefect.serve_forever, daemon=True).start()
        healthy = {"PREFECT_API_URL": f"http://127.0.0.1:{prefect.server_port}/api"}
        line = first_complaint(tmp_path, {**wrong, **healthy})
        prefect.shutdown()
    assert "MLflow at http://127.0.0.1:9 cannot be used" in line
    assert "mlflow.address" in line
