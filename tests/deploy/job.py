"""A flow run in the worker's image, as the Job that Prefect's worker makes of the chart's template for it.

Run by `tests/deploy/run worker`, after the image was built. Prefect and S3 are on this machine; Kubernetes is not:
podman runs the Job's pod.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import yaml  # type: ignore[import-untyped]
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from cli.servers import Server, Servers, python
from tests.deploy.chart import Manifest, job_templates, named, render
from tests.deploy.image import podman, say
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server, free_ports, weed

IMAGE = os.environ.get("WORKER_IMAGE", "localhost/free-parking-worker:test")
BUCKET, POOL = "jobs", "parking-flows"
IGNORED = ("parallelism", "completions", "nodeSelector", "serviceAccountName")
"""Of the pod's spec: what Kubernetes passes over, and what podman has nothing for."""
SECRET = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}


def check_contents() -> None:
    """Training is in it, compilers and root are not."""
    script = (
        "id -u; python -c 'import torch, prefect_kubernetes; print(torch.__version__)'; command -v gcc cc make; true"
    )
    size = int(podman("image", "inspect", "--format", "{{.Size}}", IMAGE)) / 1e6
    user, torch, *compilers = podman("run", "--rm", "--network=none", IMAGE, "sh", "-c", script).split()
    say(f"{size:.0f} MB, user {user}, torch {torch}, compilers: {compilers or 'none'}")
    assert (user, compilers) == ("10001", [])


def register(template: Manifest, api: str, folder: Path) -> None:
    """Hand the flows to the pool, by the command that the chart's init container runs."""
    (folder / "template").mkdir()
    (folder / "template" / "job-template.json").write_text(json.dumps(template), encoding="utf-8")
    options = ("--rm", "--network=host", "--read-only", "--cap-drop=ALL", "--volume=/state")
    mount = f"--volume={folder / 'template'}:/etc/parking:ro"
    command = ("parking", "flows", "--pool", POOL, "--job-template", "/etc/parking/job-template.json")
    started = time.monotonic()
    podman("run", *options, mount, "--env", f"PREFECT_API_URL={api}", IMAGE, *command)
    say(f"the flows are registered after {time.monotonic() - started:.1f} s")


async def make_run(client: PrefectClient) -> tuple[FlowRun, Manifest]:
    """A run of `ingest` on drawn scenes, and the Job that Prefect's worker would create for it."""
    deployment = await client.read_deployment_by_name("ingest/ingest")
    parameters = {"data": "generated", "scenes": 6, "size": 192}
    run = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
    configuration = await KubernetesWorkerJobConfiguration.resolve_for_flow_run(
        run, client=client, work_pool=await client.read_work_pool(POOL), worker_name=POOL
    )
    return run, configuration.job_manifest


def as_pod(job: Manifest) -> Manifest:
    """The Job's pod, on this machine's own network so that it finds the servers here."""
    template = job["spec"]["template"]
    spec = {key: value for key, value in template["spec"].items() if key not in IGNORED}
    meta = {"name": "free-parking-job-check", "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**spec, "hostNetwork": True}}


async def wait_for_end(client: PrefectClient, run: UUID, seconds: float) -> str:
    """How the run ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = (await client.read_flow_run(run)).state
        if state is not None and state.is_final():
            return state.type.value
        await asyncio.sleep(1)
    return "it did not end"


async def check_run(settings: Manifest, folder: Path) -> None:
    async with get_client() as client:
        run, job = await make_run(client)
        file = folder / "job.yaml"
        file.write_text(yaml.safe_dump_all([settings, as_pod(job)]), encoding="utf-8")
        secret = folder / "keys.json"
        secret.write_text(json.dumps({key: base64.b64encode(word.encode()).decode() for key, word in SECRET.items()}))
        podman("secret", "create", "my-s3-creds", str(secret))
        started = time.monotonic()
        try:
            podman("kube", "play", str(file))
            outcome = await wait_for_end(client, run.id, 300)
            say(f"the run in its Job's pod: {outcome} after {time.monotonic() - started:.1f} s")
            if outcome != "COMPLETED":
                sys.exit(podman("pod", "logs", "free-parking-job-check")[-3000:])
        finally:
            for undo in (("kube", "down", str(file)), ("secret", "rm", "my-s3-creds")):
                subprocess.run(["podman", *undo], capture_output=True, timeout=120, check=False)


def check_bucket(s3: S3Server) -> None:
    found = s3.client().list_objects_v2(Bucket=BUCKET, Prefix="free-parking/datasets/").get("Contents", [])
    say(f"{len(found)} objects of the dataset are in the bucket")
    assert found


def main() -> None:
    check_contents()
    (port,) = free_ports(1)
    api = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryDirectory() as name, weed(Path(name)) as s3, Servers(lambda *_: None) as servers:
        folder = Path(name)
        quiet = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        command = [*python("prefect", "server", "start"), "--port", str(port)]
        servers.start(Server("prefect", command, quiet, f"{api}/health"))
        s3.create_bucket(BUCKET)
        manifests = render(
            (
                *("image.repository=localhost/free-parking", "image.tag=test", "flows.jobs.enabled=true"),
                *(f"prefect.address={api}", f"s3.endpoint={s3.endpoint}", f"store.url=s3://{BUCKET}/free-parking"),
                *("flows.resources.limits.cpu=2", "flows.resources.limits.memory=4Gi"),
            )
        )
        servers.wait_ready()
        (template,) = job_templates(manifests).values()
        register(template, api, folder)
        with temporary_settings({PREFECT_API_URL: api}):
            asyncio.run(check_run(named(manifests, "ConfigMap", "parking-settings"), folder))
        check_bucket(s3)


if __name__ == "__main__":
    main()
