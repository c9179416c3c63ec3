"""The rendered Deployment, run as a pod by `podman kube play`, with MLflow on this machine.

Run by `tests/deploy/run image`, after the image was built.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from tests.deploy.chart import ROOT, named, render
from tests.deploy.image import mlflow, podman, say, wait_for
from tests.servers import free_ports

HOST = "host.containers.internal"
SECRET = json.dumps({key: base64.b64encode(b"none").decode() for key in ("accessKey", "secretKey")})
"""As podman keeps a Secret; nothing here calls S3 with it."""


def check_missing_key(played: Path, keys: Path) -> None:
    """A Secret that lacks a key stops the pod before it starts, with the key's name."""
    keys.write_text(json.dumps({"accessKey": json.loads(SECRET)["accessKey"]}), encoding="utf-8")
    podman("secret", "create", "my-s3-creds", str(keys))
    try:
        done = subprocess.run(
            ["podman", "kube", "play", str(played)], capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert "secretKey" in said, said
        say(f"without a key of its Secret: {said.strip().splitlines()[-1]}")
    finally:
        for undo in (("kube", "down", str(played)), ("secret", "rm", "my-s3-creds")):
            subprocess.run(["podman", *undo], capture_output=True, timeout=120, check=False)


def main() -> None:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder, mlflow(Path(folder), host="0.0.0.0", name=HOST) as uri:
        manifests = render(
            (
                "image.repository=localhost/free-parking",
                "image.tag=test",
                f"mlflow.address={uri.replace('127.0.0.1', HOST)}",
                "service.replicas=1",
                "service.resources.limits.cpu=2",
            )
        )
        deployment = named(manifests, "Deployment", "parking")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        container["ports"][0]["hostPort"] = port
        played = [named(manifests, "ConfigMap", "parking-settings"), deployment]
        file = Path(folder) / "played.yaml"
        file.write_text(yaml.safe_dump_all(played), encoding="utf-8")
        keys = Path(folder) / "keys.json"
        check_missing_key(file, keys)
        keys.write_text(SECRET, encoding="utf-8")
        podman("secret", "create", "my-s3-creds", str(keys))
        try:
            podman("kube", "play", str(file))
            url = f"http://127.0.0.1:{port}"
            say(f"the rendered Deployment is ready after {wait_for(f'{url}/health/ready', 120):.1f} s")
            smoke = ROOT / "helm" / "files" / "smoke.py"
            subprocess.run([sys.executable, str(smoke)], env={**os.environ, "SERVICE_URL": url}, check=True, timeout=60)
        finally:
            for undo in (("kube", "down", str(file)), ("secret", "rm", "my-s3-creds")):
                subprocess.run(["podman", *undo], capture_output=True, timeout=120, check=False)


if __name__ == "__main__":
    main()
