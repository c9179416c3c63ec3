"""Flows in Jobs: what Prefect's own worker makes of the chart's template for a run."""

from typing import Any
from uuid import uuid4

import pytest

from tests.deploy.chart import MATRIX, Manifest, job_templates, of_kind, render

IGNORED = ("parallelism", "completions")
"""What Prefect demands in the pod's spec, and Kubernetes passes over."""


def job_of_a_run(manifests: list[Manifest]) -> Manifest:
    """The Job of a run of `retrain`."""
    from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
    from prefect.utilities.templating import apply_values
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    (template,) = job_templates(manifests).values()
    configuration = KubernetesWorkerJobConfiguration(**apply_values(template["job_configuration"], {}))
    configuration.prepare_for_flow_run(
        FlowRun(id=uuid4(), flow_id=uuid4(), name="fast-otter"),
        flow=Flow(id=uuid4(), name="retrain", labels={}),
        work_pool=WorkPool(id=uuid4(), name="parking-flows", type="kubernetes", default_queue_id=uuid4()),
        worker_name="parking-flows",
    )
    job: Manifest = configuration.job_manifest
    return job


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render(*MATRIX["jobs"])


@pytest.fixture(scope="module")
def job(manifests: list[Manifest]) -> Manifest:
    return job_of_a_run(manifests)


def container(job: Manifest) -> dict[str, Any]:
    only: dict[str, Any]
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return only


def test_kubernetes_accepts_it(job: Manifest) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    pod = {key: value for key, value in job["spec"]["template"]["spec"].items() if key not in IGNORED}
    template = {**job["spec"]["template"], "spec": pod}
    validator.validate({**job, "spec": {**job["spec"], "template": template}}, "1.32", strict=True)


def test_nothing_is_left_to_fill_in(job: Manifest) -> None:
    assert "{{" not in str(job)
    assert container(job)["args"] == ["prefect", "flow-run", "execute"]


def test_it_runs_in_the_release_with_its_own_resources_and_gpu(job: Manifest) -> None:
    assert job["metadata"]["namespace"] == "city"
    assert container(job)["resources"]["limits"] == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": 1}
    names = [variable["name"] for variable in container(job)["env"]]
    assert {"AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "PREFECT__FLOW_RUN_ID"} <= set(names)
    assert len(names) == len(set(names))


def test_the_servers_of_the_release_let_its_pod_in_and_nobody_reaches_it() -> None:
    manifests = render(("flows.jobs.enabled=true",))
    labels = job_of_a_run(manifests)["spec"]["template"]["metadata"]["labels"]
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "NetworkPolicy")}
    for server in ("parking-mlflow", "parking-prefect"):
        ((allowed,),) = (rule["from"] for rule in policies[server]["ingress"])
        assert allowed["podSelector"]["matchLabels"].items() <= labels.items()
    closed = policies["parking-flows-job"]
    assert closed["podSelector"]["matchLabels"].items() <= labels.items()
    assert closed["ingress"] == []
