"""What `helm test` runs: the service is ready, and answers for an image."""

import io
import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from typing import Any

import numpy as np
from PIL import Image

SERVICE = os.environ["SERVICE_URL"]


def sample() -> bytes:
    """A dark street with bright bays."""
    pixels = np.full((512, 512, 3), 90, np.uint8)
    for left in range(40, 460, 22):
        pixels[200:236, left : left + 17] = 235
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def call(path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    """The JSON answer to a GET, or to a POST where there is a body."""
    request = urllib.request.Request(SERVICE + path, body, headers or {})  # noqa: S310  # our own service
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def predict(image: bytes) -> Any:  # noqa: ANN401
    """The answer of /predict, asked as a browser's form would."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="sample.png"\r\n\r\n'
    body = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if token := os.environ.get("PARKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    return call("/predict", body, headers)


try:
    call("/health/ready")
    answer = predict(sample())
except urllib.error.HTTPError as refused:
    sys.exit(f"{refused.url} answered {refused.code}: {refused.read().decode()}")
except OSError as error:
    sys.exit(f"{SERVICE} does not answer: {error}")
if (answer["width"], answer["height"]) != (512, 512):
    sys.exit(f"an image of 512 x 512 was answered as {answer['width']} x {answer['height']}")
sys.stdout.write(f"{answer['count']} free places, by version {answer['model_version']}, {answer['elapsed_ms']} ms\n")
