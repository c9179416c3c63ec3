"""What the rendered manifests must keep, beyond what Kubernetes' schemas see."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.deploy.chart import MATRIX, Manifest, containers, job_templates, load, named, of_kind, pods, render

SCHEMALESS = {("monitoring.coreos.com/v1", "ServiceMonitor"), ("monitoring.coreos.com/v1", "PrometheusRule")}
"""Kinds of operators, checked against their types by `tests/deploy/run types`."""

KUBERNETES = ("1.25", "1.32", "1.37")
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|[MGT]|[KMGT]i)?")
DOCUMENTED_SECRETS = {
    "my-s3-creds": {"accessKey", "secretKey"},
    "parking-postgres": {"username", "password"},
    "parking-mlflow": {"username", "password"},
    "parking-token": {"token"},
}


@pytest.fixture(params=MATRIX)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """The chart, under each set of values in turn."""
    return render(*MATRIX[request.param])


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_accepts_them(manifests: list[Manifest], version: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for manifest in manifests:
        if (manifest["apiVersion"], manifest["kind"]) not in SCHEMALESS:
            validator.validate(manifest, version, strict=True)


def test_alarms_are_of_the_release_s_own_namespace() -> None:
    (rules,) = of_kind(render(("monitoring.prometheusRule=true",), ()), "PrometheusRule")
    expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    metrics = [found for one in expressions for found in re.findall(r"parking_[a-z_]+(?:\{[^}]*\})?", one)]
    assert len(metrics) >= len(expressions) > 10
    assert [metric for metric in metrics if '{namespace="' not in metric] == []


def test_what_trains_knows_how_many_cores_it_may_use(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        for container in containers(pod):
            given = {one["name"]: one.get("valueFrom", {}).get("resourceFieldRef") for one in container.get("env", ())}
            if "PREFECT_LOGGING_LEVEL" in given:
                limit = {"resource": "limits.cpu"}
                assert (given["OMP_NUM_THREADS"], given["PARKING_THREADS"]) == (limit, limit), name
                assert "cpu" in container["resources"]["limits"], name


def test_names_are_names(manifests: list[Manifest]) -> None:
    identities = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(identities) == len(set(identities))
    assert [name for _, name in identities if not NAME.fullmatch(name)] == []


def test_selectors_find_the_pods_they_are_for(manifests: list[Manifest]) -> None:
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind(manifests, "Deployment")
    }
    for one in of_kind(manifests, "Deployment"):
        assert found(one["spec"]["selector"]["matchLabels"], labels) == {one["metadata"]["name"]}
    for one in of_kind(manifests, "Service"):
        assert found(one["spec"]["selector"], labels) == {one["metadata"]["name"]}
    for one in of_kind(manifests, "PodDisruptionBudget"):
        assert found(one["spec"]["selector"]["matchLabels"], labels) == {one["metadata"]["name"]}
    for name, template in job_templates(manifests).items():
        labels[name] = template["job_configuration"]["job_manifest"]["spec"]["template"]["metadata"]["labels"]
    for one in of_kind(manifests, "NetworkPolicy"):
        assert len(found(one["spec"]["podSelector"]["matchLabels"], labels)) == 1


@pytest.mark.parametrize("values", ["all-included", "jobs"])
def test_a_policy_guards_every_deployment(values: str) -> None:
    everything = render(*MATRIX[values])
    guarded = [one["spec"]["podSelector"]["matchLabels"] for one in of_kind(everything, "NetworkPolicy")]
    for one in of_kind(everything, "Deployment"):
        assert any(guard.items() <= one["spec"]["selector"]["matchLabels"].items() for guard in guarded)


def found(selector: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Names of the deployments whose pods a selector finds."""
    return {name for name, of_pod in labels.items() if selector.items() <= of_pod.items()}


def test_ports_refer_to_each_other(manifests: list[Manifest]) -> None:
    by_name = pods(manifests)
    for service in of_kind(manifests, "Service"):
        pod = by_name[service["metadata"]["name"]]
        offered = {port["name"] for one in pod["containers"] for port in one["ports"]}
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in offered
            assert 1 <= port["port"] <= 65535
    for ingress in of_kind(manifests, "Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        service = named(manifests, "Service", backend["name"])
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_probes_ask_ports_that_are_open(manifests: list[Manifest]) -> None:
    for deployment in of_kind(manifests, "Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container[probe]["httpGet"]["port"] in ports


def test_the_service_is_asked_on_its_own_paths() -> None:
    container = pods(render())["parking"]["containers"][0]
    asked = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert asked == {"startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live"}


def test_containers_run_with_least_rights(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["enableServiceLinks"] is False
        for container in containers(pod):
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_only_the_worker_that_makes_jobs_talks_to_kubernetes(manifests: list[Manifest]) -> None:
    told = {
        one["metadata"]["name"] for one in of_kind(manifests, "ServiceAccount") if one["automountServiceAccountToken"]
    }
    with_token = {name for name, pod in pods(manifests).items() if pod.get("automountServiceAccountToken") is not False}
    assert {pods(manifests)[name]["serviceAccountName"] for name in with_token} == told
    if told:
        assert with_token == {"parking-flows"}
        (role,) = of_kind(manifests, "Role")
        assert {name for rule in role["rules"] for name in rule["resources"]} == {"jobs", "pods", "pods/log"}
        (binding,) = of_kind(manifests, "RoleBinding")
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert {subject["name"] for subject in binding["subjects"]} == told


def test_images_and_resources_are_definite(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        for container in containers(pod):
            image = container["image"]
            assert re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", image), image
            assert not image.endswith(":latest")
            for kind in ("requests", "limits"):
                amounts = container["resources"][kind]
                assert {"cpu", "memory"} <= set(amounts)
                assert [one for one in amounts.values() if not QUANTITY.fullmatch(str(one))] == []


def test_what_is_referred_to_exists_or_is_documented(manifests: list[Manifest]) -> None:
    maps = {one["metadata"]["name"] for one in of_kind(manifests, "ConfigMap")}
    accounts = {one["metadata"]["name"] for one in of_kind(manifests, "ServiceAccount")}
    claims = {one["metadata"]["name"] for one in of_kind(manifests, "PersistentVolumeClaim")}
    for pod in pods(manifests).values():
        assert pod["serviceAccountName"] in accounts
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {one["persistentVolumeClaim"]["claimName"] for one in claimed(volumes)} <= claims
        for container in containers(pod):
            assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
            assert {source["configMapRef"]["name"] for source in container.get("envFrom", ())} <= maps
            for reference in secret_references(container):
                assert reference["key"] in DOCUMENTED_SECRETS[reference["name"]]


def claimed(volumes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [volume for volume in volumes.values() if "persistentVolumeClaim" in volume]


def secret_references(container: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    for variable in container.get("env", ()):
        if "secretKeyRef" in (source := variable.get("valueFrom", {})):
            yield source["secretKeyRef"]


def test_pods_wait_for_a_node_that_can_run_their_image(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        assert pod["nodeSelector"]["kubernetes.io/arch"] == "amd64"


def test_no_variable_is_given_twice(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        for container in containers(pod):
            names = [variable["name"] for variable in container.get("env", ())]
            assert len(names) == len(set(names))


def test_schedules_are_cron() -> None:
    # Prefect reads them, so Prefect decides.
    from prefect.client.schemas.schedules import CronSchedule

    for name in ("retrain_cron", "monitor_cron"):
        CronSchedule(cron=load("helm/values.yaml")["settings"][name])


def test_nothing_needs_rights_beyond_a_namespace(manifests: list[Manifest]) -> None:
    kinds = {one["kind"] for one in manifests}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding", "Namespace", "CustomResourceDefinition", "Secret"}


def test_what_has_an_address_elsewhere_is_not_run() -> None:
    assert set(pods(render(*MATRIX["service-alone"]))) == {"parking", "parking-test"}


def test_monitors_come_with_their_operator_only() -> None:
    operator = {"ServiceMonitor", "PrometheusRule"}
    assert operator <= {one["kind"] for one in render()}
    assert not operator & {one["kind"] for one in render(operator=False)}
    assert operator <= {
        one["kind"]
        for one in render(("monitoring.serviceMonitor=true", "monitoring.prometheusRule=true"), operator=False)
    }


def test_the_grace_time_covers_the_pause_and_the_requests() -> None:
    from service.app import GRACE_SECONDS

    pod = pods(render())["parking"]
    pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + GRACE_SECONDS + 5


def test_volumes_outlive_the_release(manifests: list[Manifest]) -> None:
    for claim in of_kind(manifests, "PersistentVolumeClaim"):
        annotations = claim["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert "Prune=false" in annotations["argocd.argoproj.io/sync-options"]


def test_alerts_and_panels_ask_for_metrics_that_the_service_has() -> None:
    from service.drift_history import DriftMetrics
    from service.metrics import Metrics

    shown = [*Metrics().registry.collect(), *DriftMetrics().collect()]
    exported = {sample.name for family in shown for sample in family.samples}
    families = {family.name for family in shown}
    known = exported | {f"{name}{end}" for name in families for end in ("", "_total", "_bucket", "_sum", "_count")}
    rules = [rule["expr"] for group in load("helm/files/alerts.yaml")["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in load("helm/files/dashboard.json")["panels"] for target in panel["targets"]]
    asked = {name for text in rules + panels for name in re.findall(r"\bparking_\w+", text)}
    assert asked
    assert asked - known == set()
