"""The OpenAPI document as those use it who generate a client from it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from parking.settings import Settings
from service.app import create_app
from tests.service.conftest import Serve
from tests.service.doubles import FlippingRegistry
from tests.tools import node_tool

pytestmark = pytest.mark.e2e

FAIL = "--fail-on-warning"
PREDICT = """
import sys; sys.path.insert(0, "client")
from free_parking_places_client.api.default import model, predict, predict_several
from free_parking_places_client.models import PredictionAnswer, Problem
from free_parking_places_client.types import File
answer = PredictionAnswer.from_dict(EXAMPLE)
assert (answer.count, answer.spots[0].confidence) == (1, 0.83)
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(Settings(_env_file=None, state_dir=tmp_path_factory.mktemp("state"))).openapi()


@pytest.fixture
def openapi_json(document: dict[str, Any], tmp_path: Path) -> Path:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    return file


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_operations_are_named_as_a_client_calls_them(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert {"predict", "predict_several", "model", "feedback"} <= set(names)
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)


def test_every_failure_is_the_one_problem_by_reference(document: dict[str, Any]) -> None:
    failures = [
        response["content"]
        for operation in operations(document)
        for status, response in operation["responses"].items()
        if status >= "400"
    ]
    assert failures
    for content in failures:
        assert set(content) == {"application/problem+json"}
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "detail" in document["components"]["schemas"]["Problem"]["required"]


def test_a_python_client_is_generated_without_a_warning_and_reads_an_answer(
    document: dict[str, Any], openapi_json: Path
) -> None:
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [tools / "openapi-python-client", "generate", "--path", openapi_json, "--output-path", "client", FAIL],
        cwd=openapi_json.parent,
        # It formats what it has made with ruff.
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    example = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    script = PREDICT.replace("EXAMPLE", repr(example))
    subprocess.run([sys.executable, "-c", script], cwd=openapi_json.parent, check=True)


def test_typescript_types_are_generated_without_a_warning(openapi_json: Path) -> None:
    types = openapi_json.with_name("types.d.ts")
    done = subprocess.run(
        [node_tool("openapi-typescript/bin/cli.js"), openapi_json, "-o", types],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower()
    assert "    predict: {" in types.read_text().split("export interface operations")[1]


def test_the_pages_about_the_api_need_no_other_host(serve: Serve, models: dict[int, Path]) -> None:
    client: TestClient = serve(FlippingRegistry(models, serving=1))
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("swagger/swagger-ui-bundle.js", "swagger/swagger-ui.css", "docs.js"):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert client.get("/redoc").status_code == 404
