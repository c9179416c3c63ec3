"""`parking up`: real servers, a retrain as Prefect's UI starts it, a service that picks the result up, no orphans.

The tests run in order on one platform, as a user's day goes.
"""

import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.asking import deployment, predict, run_deployment
from tests.e2e.conftest import Platform
from tests.e2e.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]


def test_the_service_lives_before_there_is_a_model_and_says_what_it_lacks(platform: Platform) -> None:
    assert httpx.get(f"{platform.service}/health/live").status_code == 200
    wait_until(lambda: "production" in httpx.get(f"{platform.service}/health/ready").text, 30, "the reason")
    assert httpx.get(f"{platform.service}/health/ready").status_code == 503


def test_every_flow_is_a_deployment_with_a_typed_form(platform: Platform) -> None:
    for name in ("ingest", "tune", "train", "promote", "retrain", "monitor", "survey"):
        assert deployment(platform, name)["tags"]
    form = deployment(platform, "retrain")["parameter_openapi_schema"]["properties"]
    assert set(form) == {"data", "trials", "folds", "minutes", "promote", "recipe", "only_new", "labels", "group_by"}
    assert form["promote"]["type"] == "boolean"
    assert form["folds"]["minimum"] == 2
    assert all(field.get("description") for field in form.values())


def test_mlflow_serves_its_pages(platform: Platform) -> None:
    assert "MLflow" in httpx.get(platform.mlflow).text


def test_the_addresses_are_printed_again_on_demand_and_polls_are_not_in_the_log(platform: Platform) -> None:
    printed = platform.command("up", "--addresses").stdout
    for address in (platform.service, platform.prefect.removesuffix("/api"), f"{platform.mlflow}/#/models/"):
        assert address in printed
        assert address in platform.log()
    assert "registered-models/alias" not in platform.log()


def test_a_retrain_from_prefect_is_served_without_a_restart(
    platform: Platform, annotated: Path, quick_recipe: str
) -> None:
    before = platform.children()
    state = run_deployment(
        platform, "retrain", data=str(annotated), trials=1, folds=2, recipe=quick_recipe, promote=True
    )
    assert state["type"] == "COMPLETED", state
    wait_until(lambda: httpx.get(f"{platform.service}/health/ready").status_code == 200, 30, "a loaded model")
    answer = predict(platform)
    assert str(answer["model_version"]) == "1"
    assert before <= platform.children()


def test_a_form_with_a_wrong_value_is_refused_at_once(platform: Platform) -> None:
    url = f"{platform.prefect}/deployments/{deployment(platform, 'retrain')['id']}/create_flow_run"
    answer = httpx.post(url, json={"parameters": {"folds": 1}}, timeout=30)
    assert answer.status_code in {409, 422}
    assert "folds" in answer.text


def test_a_second_version_promoted_by_hand_takes_over_and_rolls_back(platform: Platform, quick_recipe: str) -> None:
    trained = platform.command("train", "--folds", "2", "--recipe", quick_recipe)
    assert trained.returncode == 0, trained.stderr
    assert str(predict(platform)["model_version"]) == "1", "a version that is only registered must not serve"
    promoted = platform.command("promote", "2", "--force", "--reason", "to see it serve")
    assert promoted.returncode == 0, promoted.stderr
    wait_until(lambda: str(predict(platform)["model_version"]) == "2", 30, "version 2 to serve")
    assert platform.command("rollback").returncode == 0
    wait_until(lambda: str(predict(platform)["model_version"]) == "1", 30, "version 1 to serve again")


def test_the_nightly_flow_reports_on_what_was_asked(platform: Platform) -> None:
    time.sleep(6)  # the log is flushed every five seconds
    today = time.strftime("%Y-%m-%d", time.gmtime())
    state = run_deployment(platform, "monitor", day=today)
    assert state["type"] == "COMPLETED", state
    reports = list((platform.state / "store" / "reports" / "drift" / today).glob("*.html"))
    assert reports


def test_a_second_platform_on_the_same_ports_is_refused_with_a_sentence(platform: Platform) -> None:
    refused = Platform(platform.state.parent / "other", platform.ports)
    words = ("--prefect-port", str(platform.ports[0]))
    answer = refused.command("up", *words)
    assert answer.returncode == 1
    assert f"Port {platform.ports[0]}" in answer.stderr
    assert "--prefect-port" in answer.stderr


def test_sigterm_stops_every_process_and_the_state_resumes(platform: Platform) -> None:
    assert platform.children()
    platform.stop()
    wait_until(lambda: not platform.children(), 20, "every process to end")
    platform.start()
    wait_until(lambda: httpx.get(f"{platform.service}/health/ready").status_code == 200, 30, "the model to be back")
    assert str(predict(platform)["model_version"]) == "1"
