"""The Applications point at what is there."""

import pytest

from tests.deploy.chart import CHART, load, named, render

APPLICATIONS = ("argocd-app.yaml", "docs/argocd-production.yaml")


@pytest.mark.parametrize("path", APPLICATIONS)
def test_an_application_names_files_that_exist(path: str) -> None:
    source = load(path)["spec"]["source"]
    assert source["path"] == CHART.name
    assert [file for file in source["helm"]["valueFiles"] if not (CHART / file).is_file()] == []


@pytest.mark.parametrize("path", APPLICATIONS)
def test_self_heal_follows_git_in_the_number_of_pods_and_leaves_it_to_the_autoscaler_where_there_is_one(
    path: str,
) -> None:
    spec = load(path)["spec"]
    assert spec["syncPolicy"]["automated"]["selfHeal"] is True
    assert "ignoreDifferences" not in spec, "a difference that is ignored is never synced either"
    release = spec["source"]["helm"]["releaseName"]
    for autoscaling, said in (("true", None), ("false", 3)):
        values = (f"fullnameOverride={release}", "service.replicas=3", f"service.autoscaling.enabled={autoscaling}")
        assert named(render(values), "Deployment", release)["spec"].get("replicas") == said


def test_production_is_a_tag_and_the_other_a_branch() -> None:
    assert load("docs/argocd-production.yaml")["spec"]["source"]["targetRevision"].startswith("v")
    assert load("argocd-app.yaml")["spec"]["source"]["targetRevision"] == "main"
