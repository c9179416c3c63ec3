"""The short way to MLflow gives what its client gives, or nothing; `test_registry_server.py` goes it for real."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from parking.errors import NoVersionError, RegistryError
from parking.mlflow_rest import download, find_entry
from parking.registry import Registry

ENTRY = b'{"model_version": {"name": "m", "version": "1"}}'
ANSWERS = {
    "/api/2.0/mlflow/registered-models/alias": ENTRY,
    "/api/2.0/mlflow/model-versions/get-download-uri": b'{"artifact_uri": "runs:/r/model/abc"}',
    "/api/2.0/mlflow/runs/get": b'{"run": {"info": {"artifact_uri": "mlflow-artifacts:/1/r/artifacts"}}}',
    "/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/model/abc/model.onnx": b"the model",
}
"""As MLflow 3.17 answers."""


@contextmanager
def answering(answers: dict[str, bytes], headers: list[str | None], missing: int = 0) -> Iterator[str]:
    """A server that says this, without so many of the last bytes, and notes how callers logged in."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append(self.headers.get("Authorization"))
            body = answers.get(self.path.split("?")[0])
            self.send_response(200 if body else 400)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write((body or b"")[: len(body or b"") - missing])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_plain_server_is_asked_with_the_name_and_password_that_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins: list[str | None] = []
    with answering(ANSWERS, logins) as uri:
        assert find_entry(uri, "m", "production") == {"name": "m", "version": "1"}
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush")
        assert download(uri, "m", 1, "model.onnx", tmp_path / "cache" / "model.onnx")
    assert (tmp_path / "cache" / "model.onnx").read_bytes() == b"the model"
    assert logins == [None] + ["Basic bWU6aHVzaA=="] * 3


@pytest.mark.parametrize("text", [b"", b"<html>log in</html>", b"[]", b"{}", b'{"model_version": 3', b"null"])
def test_an_answer_of_another_shape_is_left_to_the_client(tmp_path: Path, text: bytes) -> None:
    with answering(dict.fromkeys(ANSWERS, text), []) as uri:
        assert find_entry(uri, "m", "production") is None
        assert not download(uri, "m", 1, "model.onnx", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


NO_ALIAS = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such alias"}'


@pytest.mark.parametrize("body", [b"", NO_ALIAS])
def test_an_address_s_password_is_said_by_no_error(body: bytes) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with pytest.raises((RegistryError, NoVersionError), match=r"http://bob:\*\*\*@127") as refused:
        Registry(f"http://bob:S3cret@127.0.0.1:{server.server_port}", "models").resolve()
    server.shutdown()
    server.server_close()
    assert "S3cret" not in str(refused.value)


def test_half_a_file_is_no_file(tmp_path: Path) -> None:
    with answering(ANSWERS, [], missing=1) as uri:
        assert not download(uri, "m", 1, "model.onnx", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "root", ["s3://bucket/1/r/artifacts", "mlflow-artifacts://elsewhere:5000/1/r/artifacts", "/srv/1/r/artifacts"]
)
def test_artifacts_that_do_not_come_through_the_server_are_left_to_the_client(tmp_path: Path, root: str) -> None:
    run = f'{{"run": {{"info": {{"artifact_uri": "{root}"}}}}}}'.encode()
    with answering({**ANSWERS, "/api/2.0/mlflow/runs/get": run}, []) as uri:
        assert not download(uri, "m", 1, "model.onnx", tmp_path / "model.onnx")


def token(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("MLFLOW_TRACKING_TOKEN", "hush")


def workspace(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("MLFLOW_WORKSPACE", "ours")


def credentials(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("HOME", str(home))
    (home / ".mlflow").mkdir()
    (home / ".mlflow" / "credentials").touch()


@pytest.mark.parametrize("special", [token, workspace, credentials])
def test_a_server_that_wants_more_is_left_to_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, special: Callable[[pytest.MonkeyPatch, Path], None]
) -> None:
    asked: list[str | None] = []
    special(monkeypatch, tmp_path)
    with answering(ANSWERS, asked) as uri:
        assert find_entry(uri, "m", "production") is None
        assert not download(uri, "m", 1, "model.onnx", tmp_path / "model.onnx")
    assert asked == []
