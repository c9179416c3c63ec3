"""What an operator may write in the values, and what is refused by name."""

import pytest

from parking.settings import Settings
from tests.deploy.chart import MATRIX, OPERATOR, helm, helms, load, named, newest_helm, render, template

FILLED_IN = {
    *("state_dir", "store", "mlflow_tracking_uri", "study_url"),
    *("task_runner", "task_workers", "dask_address", "threads", "token", "webhook_secret"),
}
"""Settings that the chart works out from other values."""

REFUSED = {
    "service.replicas=many": "/service/replicas",
    "service.replicas=0": "/service/replicas",
    "service.port=99999": "/service/port",
    "service.resources.limits.memory=512Mb": "/service/resources/limits/memory",
    "service.ingress.host=Not_A_Host": "/service/ingress/host",
    "service.autoscaling.targetCPU=0": "/service/autoscaling/targetCPU",
    "settings.max_upload_mb=-1": "/settings/max_upload_mb",
    "settings.assumed_gsd=wide": "/settings/assumed_gsd",
    "settings.assumed_gsd=0.005": "/settings/assumed_gsd",
    "settings.retrain_cron=sometimes": "/settings/retrain_cron",
    "settings.no_such_setting=1": "no_such_setting",
    "store.url=/data": "/store/url",
    "s3.secret=me": "secret",
    "image.tag=latest": "/image/tag",
    "image.digests.service=abc": "/image/digests/service",
    "mlflow.address=mlflow:5000": "/mlflow/address",
    "prefect.address=http://prefect:4200": "/prefect/address",
    "dask.workers=0": "/dask/workers",
    "monitoring.serviceMonitor=perhaps": "/monitoring/serviceMonitor",
    "replicas=3": "replicas",
    "postgresql.host=db": "postgresql.existingSecret",
    "mlflow.existingSecret=login": "mlflow.address",
    "flows.jobs.keepSeconds=never": "/flows/jobs/keepSeconds",
    "flows.job.enabled=true": "job",
    "dask.enabled=true": "postgresql.host",
    "settings.auth=true": "service.token.existingSecret",
}
"""A value that cannot work, and what the message must name."""


@pytest.mark.parametrize("binary", helms() or [None])
@pytest.mark.parametrize("values", MATRIX)
def test_helm_finds_nothing_wrong(values: str, binary: str | None) -> None:
    switches, files = MATRIX[values]
    options = [word for file in files for word in ("--values", f"helm/{file}")]
    options += [word for switch in switches for word in ("--set", switch)]
    done = helm("lint", "--strict", "helm", *options, binary=binary)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("binary", helms() or [None])
@pytest.mark.parametrize(("value", "name"), REFUSED.items())
def test_a_value_that_cannot_work_is_refused_by_name(value: str, name: str, binary: str | None) -> None:
    done = helm("template", "parking", "helm", "--set", value, binary=binary)
    assert done.returncode != 0
    # Helm 3 joins with dots where Helm 4 uses slashes.
    assert name in done.stderr or name.strip("/").replace("/", ".") in done.stderr


def test_fewer_pods_at_most_than_at_least_are_refused() -> None:
    done = template(["service.autoscaling.enabled=true", "service.autoscaling.maxReplicas=1"])
    assert "service.autoscaling.maxReplicas: 1 is less than minReplicas, 2" in done.stderr


def test_every_setting_can_be_set_and_no_other() -> None:
    allowed = set(load("helm/values.schema.json")["properties"]["settings"]["properties"])
    assert allowed == set(Settings.model_fields) - FILLED_IN


def test_the_chart_repeats_the_settings_defaults() -> None:
    """What it sets otherwise, it says here."""
    ours = load("helm/values.yaml")["settings"]
    theirs = {name: Settings.model_fields[name].default for name in ours}
    assert {name: ours[name] for name in ours if ours[name] != theirs[name]} == {"log_json": True}


@pytest.mark.parametrize("values", MATRIX)
def test_the_settings_are_ones_that_the_code_accepts(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    switches, files = MATRIX[values]
    name = "bays" if values == "one-pod" else "parking"
    data = named(render(switches, files), "ConfigMap", f"{name}-settings")["data"]
    for key, value in data.items():
        monkeypatch.setenv(key, value)
    read = Settings(_env_file=None)
    given = {key.removeprefix("PARKING_").lower() for key in data if key.startswith("PARKING_")}
    assert given <= set(Settings.model_fields)
    assert read.model_fields_set == given
    assert read.store_url.startswith("s3://")


def test_an_endpoint_needs_no_scheme() -> None:
    for given in ("minio.lab.sspcloud.fr", "https://minio.lab.sspcloud.fr"):
        pod = named(render((f"s3.endpoint={given}",)), "Deployment", "parking")["spec"]["template"]["spec"]
        variables = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert variables["AWS_ENDPOINT_URL"] == "https://minio.lab.sspcloud.fr"


@pytest.mark.parametrize("limit", [1, 32, 100])
def test_the_proxy_lets_through_what_the_service_refuses_in_words(limit: int) -> None:
    manifests = render(("service.ingress.enabled=true", f"settings.max_upload_mb={limit}"))
    annotations = named(manifests, "Ingress", "parking")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{2 * limit}m"
    assert named(manifests, "ConfigMap", "parking-settings")["data"]["PARKING_MAX_UPLOAD_MB"] == str(limit)


def test_images_are_named_by_digest_where_one_is_known() -> None:
    digest = f"sha256:{'0123456789abcdef' * 4}"
    pod = named(render((f"image.digests.service={digest}",)), "Deployment", "parking")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"ghcr.io/owner/free-parking-service@{digest}"


def test_the_notes_say_how_to_reach_what_runs() -> None:
    newest_helm()
    notes = helm("install", "parking", "helm", "--dry-run=client", "--namespace", "city", "--api-versions", OPERATOR)
    if notes.returncode:
        notes = helm("install", "parking", "helm", "--dry-run", "--namespace", "city")
    text = notes.stdout
    assert "port-forward svc/parking-prefect 4200" in text
    assert "my-s3-creds must hold accessKey and secretKey" in text
