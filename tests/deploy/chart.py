"""The chart, rendered by a real Helm."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
TOOLS = Path(__file__).parent / ".tools"
OPERATOR = "monitoring.coreos.com/v1"

Manifest = dict[str, Any]


def helms() -> list[str]:
    """The Helms to test with: those that `tests/deploy/tools` fetched, or else the one on the path."""
    fetched = [str(TOOLS / name) for name in ("helm3", "helm4") if (TOOLS / name).exists()]
    return fetched or [found for found in (shutil.which("helm"),) if found]


def newest_helm() -> str:
    if not helms():
        pytest.skip("no Helm here: run tests/deploy/tools")
    return helms()[-1]


def helm(*words: str, binary: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run Helm; the caller looks at the exit status."""
    command = [binary or newest_helm(), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def template(switches: Sequence[str] = (), files: Sequence[str] = (), *more: str) -> "subprocess.CompletedProcess[str]":
    values = [word for file in files for word in ("--values", f"helm/{file}")]
    sets = [word for switch in switches for word in ("--set", switch)]
    return helm("template", "parking", "helm", "--namespace", "city", *values, *sets, *more)


@cache
def render(switches: tuple[str, ...] = (), files: tuple[str, ...] = (), *, operator: bool = True) -> list[Manifest]:
    """The manifests that these values give, on a cluster with or without the Prometheus operator."""
    done = template(switches, files, *(["--api-versions", OPERATOR] if operator else []))
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    return next(one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name)


def pods(manifests: Sequence[Manifest]) -> dict[str, Mapping[str, Any]]:
    """Each pod's spec, by the name of what makes it."""
    made = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in of_kind(manifests, "Deployment")}
    jobs = {name: template["job_configuration"]["job_manifest"] for name, template in job_templates(manifests).items()}
    made |= {name: job["spec"]["template"]["spec"] for name, job in jobs.items()}
    return made | {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "Pod")}


def job_templates(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """What work pools make Jobs of, by the name of the ConfigMap that holds it."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(manifests, "ConfigMap")}
    return {name: json.loads(data["job-template.json"]) for name, data in maps.items() if "job-template.json" in data}


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def load(path: str) -> Manifest:
    """A YAML or JSON file of the project."""
    text = (ROOT / path).read_text(encoding="utf-8")
    loaded: Manifest = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    return loaded


POSTGRES = ("postgresql.host=postgres.databases.svc", "postgresql.existingSecret=parking-postgres")
INGRESS = ("service.ingress.enabled=true",)
TOKEN = ("settings.auth=true", "service.token.existingSecret=parking-token")
MLFLOW = ("mlflow.address=https://mlflow.example.org", "mlflow.existingSecret=parking-mlflow")
MATRIX: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "defaults": ((), ()),
    "images": ((), ("values-images.yaml",)),
    "sspcloud": ((), ("values-images.yaml", "values-sspcloud.yaml")),
    "postgres": (POSTGRES, ()),
    "all-included": (
        (*POSTGRES, *INGRESS, *TOKEN, "dask.enabled=true", "service.autoscaling.enabled=true", "flows.gpus=1"),
        (),
    ),
    "jobs": ((*POSTGRES, *MLFLOW, "flows.jobs.enabled=true", "flows.gpus=1"), ()),
    "service-alone": (
        (
            "flows.enabled=false",
            "mlflow.address=https://mlflow.example.org",
            "prefect.address=https://prefect.example.org/api",
            "networkPolicy.enabled=false",
        ),
        (),
    ),
    "one-pod": (("service.replicas=1", "s3.existingSecret=", "fullnameOverride=bays"), ()),
}
"""Values that people use, as switches and files."""
