"""The drift reports as a person sees them on the page, and as Prometheus reads them."""

import base64
import datetime as dt
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import cv2
import numpy as np
import pytest

import service.drift_history
from monitoring.drift_statistics import Verdict
from monitoring.examples import Example, keep_examples
from monitoring.history import ColumnSummary, DaySummary, write_summary
from monitoring.performance import Performance
from parking.settings import Settings
from parking.storage import FolderStore, Store
from service.app import create_app
from service.drift_history import DriftHistory, DriftMetrics
from service.metrics import Metrics
from tests.monitoring.rows import NOON
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TODAY = dt.datetime.now(dt.UTC).date()


def summary(days_ago: int, verdict: str, luminance: float = 0.4, **changes: Any) -> DaySummary:
    day = TODAY - dt.timedelta(days=days_ago)
    columns = {
        "luminance": ColumnSummary(score=abs(luminance - 0.4) * 10, limit=0.5, mean=luminance, trained=(0.35, 0.45)),
        "haze": ColumnSummary(score=0.1, limit=0.5, mean=0.2, trained=(0.1, 0.3)),
    }
    fields = {"day": day, "version": "7", "verdict": verdict, "reason": f"It is {verdict}.", "rows": 100 + days_ago}
    return DaySummary.model_validate(
        {**fields, "columns": columns, "html": f"reports/drift/{day}/v7.html", "files": 1, **changes}
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fill(FolderStore(tmp_path / "store"))


def fill(made: Store) -> Store:
    """Days of a version that worked, until its images turned dark."""
    for days_ago in range(9, 2, -1):
        write_summary(made, summary(days_ago, "ok", 0.41))
    write_summary(made, summary(2, "warning", 0.34))
    said = Performance(corrected=12, right=5, iou=0.5, f1=0.625, count_error=1.5)
    write_summary(made, summary(1, "drift", 0.1, performance=said))
    write_summary(made, summary(-5, "ok"))
    write_summary(made, summary(45, "ok"))
    made.write(f"reports/drift/{TODAY - dt.timedelta(days=1)}/v7.html", b"<!DOCTYPE html><title>r</title>the report")
    keep_examples(made, f"reports/drift/{TODAY - dt.timedelta(days=1)}/v7.html", [dark_example()])
    return made


def dark_example() -> Example:
    jpeg = cv2.imencode(".jpg", np.full((60, 80, 3), 9, np.uint8))[1].tobytes()
    shown = {"request_id": "dark-1", "time": NOON, "column": "luminance", "value": 0.03, "trained": (0.35, 0.45)}
    return Example.model_validate({**shown, "jpeg": base64.b64encode(jpeg).decode()})


def test_the_reports_of_thirty_days_are_told_and_none_to_come(
    serve: Serve, models: dict[int, Path], store: Store
) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url)
    told = client.get("/monitoring/nights").json()
    assert len(told) == 9
    assert (told[-1]["verdict"], told[-1]["performance"]["f1"]) == ("drift", 0.625)


def test_the_last_day_is_in_the_metrics(serve: Serve, models: dict[int, Path], store: Store) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url)
    wait_until(lambda: "parking_drift_score{" in client.get("/metrics").text)
    text = client.get("/metrics").text
    assert 'parking_drift_verdict{model_version="7",verdict="drift"} 1.0' in text
    assert 'parking_drift_verdict{model_version="7",verdict="ok"} 0.0' in text
    assert float(re.findall(r'drift_score{column="luminance",model_version="7"} (\S+)', text)[0]) == pytest.approx(6)
    assert 'parking_feedback_f1{model_version="7"} 0.625' in text
    reported = float(re.findall(r"\nparking_drift_reported_timestamp_seconds (\d\S+)", text)[0])
    assert reported == dt.datetime.combine(TODAY, dt.time(), dt.UTC).timestamp()


def test_a_scrape_at_any_moment_gets_a_whole_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    drift = DriftMetrics()
    metrics.registry.register(drift)
    history = DriftHistory(lambda: store, drift, every_seconds=60)
    read = history.read()
    monkeypatch.setattr(service.drift_history, "read_history", lambda *_: read)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(lambda: [history.read() for _ in range(300)])
            seen = {whole_day(metrics)}
            while not again.done():
                seen.add(whole_day(metrics))
    finally:
        sys.setswitchinterval(interval)
    assert seen == {(len(get_args(Verdict)), 2, 1)}


def whole_day(metrics: Metrics) -> tuple[int, int, int]:
    """How many verdicts, scores and F1s a scrape of now gets."""
    text = metrics.text().decode()
    verdicts, scores, f1s = (
        text.count(f"\n{name}{{") for name in ("parking_drift_verdict", "parking_drift_score", "parking_feedback_f1")
    )
    return verdicts, scores, f1s


def test_a_report_is_shown_and_can_reach_nothing(serve: Serve, models: dict[int, Path], store: Store) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url)
    yesterday = TODAY - dt.timedelta(days=1)
    answer = client.get(f"/monitoring/reports/{yesterday}/v7.html")
    assert "the report" in answer.text
    assert "sandbox allow-scripts; default-src 'none'" in answer.headers["Content-Security-Policy"]
    for name in ("v8.html", "..%2f..%2fhistory", "v7.json"):
        assert client.get(f"/monitoring/reports/{yesterday}/{name}").status_code == 404


def test_the_images_of_a_report_are_told_and_none_where_there_are_none(
    serve: Serve, models: dict[int, Path], store: Store
) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url)
    days = [TODAY - dt.timedelta(days=number) for number in (1, 2)]
    told = [client.get(f"/monitoring/reports/{day}/v7.html/examples").json() for day in days]
    assert [[example["request_id"] for example in examples] for examples in told] == [["dark-1"], []]
    assert client.get(f"/monitoring/reports/{days[0]}/v7.json/examples").status_code == 404


def test_where_images_want_a_token_the_history_does_too(serve: Serve, models: dict[int, Path], store: Store) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url, auth=True, token="secret")
    report = f"/monitoring/reports/{TODAY - dt.timedelta(days=1)}/v7.html"
    for path in ("/monitoring/nights", report, f"{report}/examples"):
        assert client.get(path).status_code == 401
    assert client.get("/monitoring/nights", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_a_signed_link_opens_its_report_without_the_token_for_an_hour(
    serve: Serve, models: dict[int, Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url, auth=True, token="secret")
    told = client.get("/monitoring/nights", headers={"Authorization": "Bearer secret"}).json()
    link = told[-1]["report"]
    answer = client.get(link)
    assert "the report" in answer.text
    assert answer.headers["Cache-Control"] == "private, no-cache"
    path, query = link.split("?")
    until, proof = (part.split("=")[1] for part in query.split("&"))
    another = told[-2]["report"].split("?")[0]
    for wrong in (
        f"{another}?{query}",
        f"{path}/examples?{query}",
        f"{path}?until={int(until) + 1}&proof={proof}",
        f"{path}?until={until}&proof={proof[:-1]}",
        f"{path}?until={until}&proof=%C3%A9",
        f"{path}?until={until}",
    ):
        assert client.get(wrong).status_code == 401, wrong
    monkeypatch.setattr("service.auth.time.time", lambda: float(until) + 1)
    late = client.get(link)
    assert late.status_code == 401
    assert "This link has expired" in late.json()["detail"]


def test_where_no_token_is_wanted_links_are_plain(serve: Serve, models: dict[int, Path], store: Store) -> None:
    client = serve(FlippingRegistry(models, serving=1), store=store.url, token="secret")
    link = client.get("/monitoring/nights").json()[-1]["report"]
    assert link == f"monitoring/reports/{TODAY - dt.timedelta(days=1)}/v7.html"
    assert client.get(f"{link}?until=1&proof=old").status_code == 200


def test_a_store_that_is_down_is_said(serve: Serve, models: dict[int, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    client = serve(FlippingRegistry(models, serving=1), store=str(tmp_path / "file"))
    assert client.get("/monitoring/nights").status_code == 503


def test_a_person_sees_the_strip_what_moved_and_what_people_say(
    browser: "Browser", models: dict[int, Path], store: Store, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", store=store.url)
    with running(create_app(settings, FlippingRegistry(models, serving=1))) as address:
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text))
        page.goto(address)
        page.get_by_role("link", name="Monitoring").click()
        page.get_by_text(re.compile(r"drift on \d{4}")).wait_for()
        days = page.locator("#strip > li > *")
        assert days.count() == 30
        assert page.locator("#first-day").inner_text() == str(TODAY - dt.timedelta(days=29))
        looks = days.evaluate_all("days => days.map(day => day.className)")
        assert looks[-1] == "none", "today is looked at tomorrow"
        assert looks[-4:-1] == ["ok", "warning", "drift"]
        assert looks[:20] == ["none"] * 20
        assert days.all_inner_texts()[-4:] == ["✓", "!", "✗", "·"], "who does not see the colours reads the signs"
        figures = page.locator("#columns figure")
        assert figures.nth(0).inner_text().startswith("luminance ▲ 0.1, 6.0 times its limit")
        assert figures.nth(0).locator("path.moved").count() == 2
        assert figures.nth(1).locator("path.moved").count() == 0
        assert re.search(r"12\s+5\s+0\.50\s+0\.63\s+1\.5", page.locator("#said").inner_text())
        (strange,) = page.locator("#examples figure").all()
        assert re.match(r"luminance 0.03, in training 0.35 to 0.45\s+12:00 UTC, request dark-1", strange.inner_text())
        assert strange.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 80
        page.get_by_role("link", name="Full report").click()
        page.get_by_text("the report").wait_for()
        page.close()
    assert problems == []


def test_one_day_is_a_dot_and_what_only_rounding_left_is_nought(
    browser: "Browser", models: dict[int, Path], tmp_path: Path
) -> None:
    store = FolderStore(tmp_path / "one")
    column = ColumnSummary(score=0.1, limit=0.5, mean=-1.29e-15, trained=(-1.6, 1.6))
    write_summary(store, summary(1, "ok", columns={"embedding_1": column}))
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", store=store.url)
    with running(create_app(settings, FlippingRegistry(models, serving=1))) as address:
        page = browser.new_page()
        page.goto(f"{address}/monitoring")
        figure = page.locator("#columns figure")
        assert figure.inner_text().startswith("embedding 1 0, 0.2 times its limit")
        assert figure.locator("path.day").evaluate("dot => getComputedStyle(dot).strokeWidth") == "7px"
        page.close()


def test_a_person_gives_the_token_and_opens_a_report(
    browser: "Browser", models: dict[int, Path], store: Store, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state", store=store.url, auth=True, token="secret")
    with running(create_app(settings, FlippingRegistry(models, serving=1))) as address:
        page = browser.new_context().new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/monitoring")
        page.get_by_text("A token is needed.").wait_for()
        page.get_by_label("Token").fill("secret")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text(re.compile(r"drift on \d{4}")).wait_for()
        assert page.locator("#problem").is_hidden()
        page.locator("#examples figure").wait_for()
        page.get_by_role("link", name="Full report").click()
        page.get_by_text("the report").wait_for()
        assert "secret" not in page.url
        page.go_back()
        with page.context.expect_page() as opened:
            page.locator("#strip a.drift").click(modifiers=["Control"])
        opened.value.get_by_text("the report").wait_for()
        page.context.close()
    assert problems == []
