"""The flows as deployments, and handed to a work pool."""

import json
from pathlib import Path

import pytest
from prefect import get_client

from flows.deployments import deployments, read_template, register, schedule_of_retrain
from parking.errors import PlatformError
from parking.settings import Settings
from tests.flows.conftest import forget

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "job_manifest": {"kind": "Job"}},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "job-template.json"
    file.write_text(json.dumps(TEMPLATE))
    return file


def test_a_work_pool_gets_every_flow_with_its_schedule(template: Path) -> None:
    register("aerial", template)
    with get_client(sync_client=True) as client:
        assert client.read_work_pool("aerial").type == "kubernetes"
        for made in deployments():
            kept = client.read_deployment_by_name(f"{made.flow_name}/{made.name}")
            assert kept.work_pool_name == "aerial"
            assert kept.entrypoint == f"flows.{made.name}.{made.name}"
            assert len(kept.schedules) == len(made.schedules or ())


def test_a_retrain_is_scheduled_only_where_real_images_are_to_learn_from() -> None:
    assert schedule_of_retrain(Settings(_env_file=None)) == ""
    assert schedule_of_retrain(Settings(_env_file=None, data="s3://aerial/annotated")) == "0 3 * * 1"
    assert schedule_of_retrain(Settings(_env_file=None, data="s3://aerial/annotated", retrain_cron="")) == ""


def test_only_the_schedule_s_own_retrain_ends_where_nothing_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKING_DATA", "s3://aerial/annotated")
    forget()
    (retrain,) = [made for made in deployments() if made.name == "retrain"]
    assert [schedule.parameters for schedule in retrain.schedules or []] == [{"only_new": True}]
    assert retrain.parameters == {}


def test_registering_again_takes_the_newer_template(template: Path) -> None:
    register("aerial", template)
    newer = {**TEMPLATE, "job_configuration": {"command": "{{ command }}", "job_manifest": {"kind": "CronJob"}}}
    template.write_text(json.dumps(newer))
    register("aerial", template)
    with get_client(sync_client=True) as client:
        assert client.read_work_pool("aerial").base_job_template == newer


@pytest.mark.parametrize(("text", "reason"), [("{", "cannot be read"), ("[]", "lacks"), ('{"variables": {}}', "lacks")])
def test_a_template_that_is_none_is_refused_with_its_name(template: Path, text: str, reason: str) -> None:
    template.write_text(text)
    with pytest.raises(PlatformError, match=rf"job-template.json.*{reason}"):
        read_template(template)


def test_a_template_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"missing\.json"):
        read_template(tmp_path / "missing.json")
