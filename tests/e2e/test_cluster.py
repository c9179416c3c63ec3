"""As on a cluster: MLflow, Prefect, flows and service, with PostgreSQL and S3, both real and with passwords.

The tests run in order, as the loop goes: ingest, tune, train, promote, reload, predict, log, monitor.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.asking import predict, run_deployment
from tests.e2e.cluster import BUCKET, DATABASES, LOGIN, Cluster, running_cluster
from tests.e2e.waiting import wait_until
from tests.servers import S3Server, postgres

CACHES = re.compile(
    "|".join(
        (
            r"(service|flows)/models/",  # versions and their references, fetched from MLflow
            r"service/remembered\.json",  # which of them served last
            r"service/inference-log/",  # the current hour's rows, which the bucket has too
            r"flows/evidently/",  # the reports of the bucket once more, for Evidently's own UI
            r"\w+/\.cache/",  # libraries' own: fonts, compiled code
            r"flows/cache/",  # scenes, fetched from the bucket
            r"flows/work/",  # checkpoints of what runs
            r"\w+/prefect/memo_store\.toml",  # what Prefect knows of its own migrations
            r"prefect/prefect/concurrency_leases/",  # who has a deployment's slot; the chart has a volume for it
        )
    )
)
"""What may be lost with its pod."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def cluster(s3_server: S3Server, annotated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The servers, and annotated images in the bucket."""
    with postgres(DATABASES) as database, running_cluster(s3_server, database, tmp_path_factory.mktemp("c")) as made:
        for file in annotated.iterdir():
            s3_server.client().upload_file(str(file), BUCKET, f"annotated/{file.name}")
        yield made


def test_a_retrain_from_the_bucket_is_served(cluster: Cluster, quick_recipe: str) -> None:
    state = run_deployment(cluster, "retrain", trials=1, folds=2, recipe=quick_recipe)
    assert state["type"] == "COMPLETED", state
    wait_until(lambda: httpx.get(f"{cluster.service}/health/ready").status_code == 200, 30, "a loaded model")
    assert str(predict(cluster)["model_version"]) == "1"


def test_versions_runs_and_studies_are_in_postgresql(cluster: Cluster) -> None:
    ask = cluster.postgres.ask
    assert ask("mlflow", "SELECT alias, version FROM registered_model_aliases") == [("production", 1)]
    assert ask("studies", "SELECT state::text FROM trials") == [("COMPLETE",)]
    completed = "SELECT flow.name FROM flow_run JOIN flow ON flow.id = flow_id WHERE state_type = 'COMPLETED'"
    names = ask("prefect", completed)
    assert {name for (name,) in names} == {"retrain", "ingest", "tune", "train", "promote"}


def test_the_model_lies_in_the_bucket_and_is_the_one_that_serves(cluster: Cluster) -> None:
    (key,) = (key for key in cluster.keys("free-parking/mlflow/") if key.endswith("/model.onnx"))
    stored = cluster.s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    (cached,) = (cluster.state / "service").rglob("model.onnx")
    assert hashlib.sha256(stored).digest() == hashlib.sha256(cached.read_bytes()).digest()


def test_what_was_asked_is_logged_and_monitored_in_the_bucket(cluster: Cluster) -> None:
    predict(cluster)
    predict(cluster)
    wait_until(lambda: cluster.keys("free-parking/inference-log/"), 30, "the inference log")
    state = run_deployment(cluster, "monitor", day=time.strftime("%Y-%m-%d", time.gmtime()))
    assert state["type"] == "COMPLETED", state
    (numbers,) = (key for key in cluster.keys("free-parking/reports/drift/2") if key.endswith("/v1.json"))
    report = json.loads(cluster.s3.client().get_object(Bucket=BUCKET, Key=numbers)["Body"].read())
    assert report["rows"] == 3
    assert report["columns"], "the reference was not found"


def test_nothing_but_caches_is_on_a_disk(cluster: Cluster) -> None:
    kept = [file for file in cluster.files() if not CACHES.match(file)]
    assert kept == []


def test_without_its_password_nobody_reads_mlflow(cluster: Cluster) -> None:
    versions = f"{cluster.mlflow}/api/2.0/mlflow/model-versions/search"
    assert httpx.get(versions).status_code == 401
    assert httpx.get(versions, auth=tuple(LOGIN.values())).status_code == 200  # type: ignore[arg-type]
