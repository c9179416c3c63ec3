"""The body limits of proxy and service together, through a real nginx: who refuses, and in which words."""

import shutil
import subprocess
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from parking.data.imagery import encode_png
from parking.settings import Settings
from service.app import create_app
from tests.deploy.chart import named, render
from tests.doubles import write_bright_model
from tests.servers import free_ports
from tests.service.doubles import FlippingRegistry
from tests.service.running import running
from tests.service.waiting import wait_until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
"""Where distributions put it, on the path of root alone."""
LIMIT_MB = 2
CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log stderr info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size {proxy-body-size};
        proxy_read_timeout {proxy-read-timeout}s;
        proxy_http_version 1.1; proxy_buffering off;
        location / {{ proxy_pass {service}; }}
    }}
}}
"""
"""With what the chart's annotations become in the controller's configuration, and its defaults for the rest."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    settings = Settings(_env_file=None, state_dir=folder / "state", max_upload_mb=LIMIT_MB, threads=1)
    registry = FlippingRegistry({1: write_bright_model(folder / "1.onnx")}, serving=1)
    with running(create_app(settings, registry), grace=5) as address:
        wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        yield address


@pytest.fixture(scope="module")
def proxy(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx before the service, configured by the rendered Ingress."""
    if NGINX is None:
        pytest.skip("there is no nginx: install Debian's nginx-light to test the limits behind a proxy")
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("nginx")
    ingress = named(
        render(("service.ingress.enabled=true", f"settings.max_upload_mb={LIMIT_MB}")), "Ingress", "parking"
    )
    given = {key.rpartition("/")[2]: value for key, value in ingress["metadata"]["annotations"].items()}
    file = folder / "nginx.conf"
    file.write_text(CONFIG.format(folder=folder, port=port, service=service, **given), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([NGINX, "-c", str(file), "-p", str(folder)], stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or is_up(f"http://127.0.0.1:{port}"))
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def is_up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def image_of(megabytes: float) -> bytes:
    """A PNG, and nothing after its end, up to this size."""
    png = encode_png(np.full((64, 64, 3), 20, np.uint8))
    return png + bytes(int(megabytes * 2**20) - len(png))


def chunks(body: bytes) -> Iterator[bytes]:
    """Sent so, a body says nothing of its length before."""
    for start in range(0, len(body), 2**16):
        yield body[start : start + 2**16]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_limit_is_answered(proxy: str, chunked: bool) -> None:
    answer = post(proxy, LIMIT_MB - 0.1, chunked)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("megabytes", [LIMIT_MB + 0.1, 2 * LIMIT_MB - 0.1])
def test_a_body_somewhat_over_the_limit_is_refused_by_the_service_in_words(
    proxy: str, megabytes: float, chunked: bool
) -> None:
    for _ in range(5):
        answer = post(proxy, megabytes, chunked)
        assert answer.status_code == 413, answer.text
        assert f"The body is larger than {LIMIT_MB} MiB" in answer.json()["detail"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_far_over_the_limit_does_not_reach_the_service(proxy: str, chunked: bool) -> None:
    answer = post(proxy, 2 * LIMIT_MB + 0.1, chunked)
    assert answer.status_code == 413
    assert "nginx" in answer.text


def post(proxy: str, megabytes: float, chunked: bool) -> httpx.Response:
    body = image_of(megabytes)
    return httpx.post(
        f"{proxy}/predict",
        content=chunks(body) if chunked else body,
        headers={"Content-Type": "image/png"},
        timeout=30,
    )
