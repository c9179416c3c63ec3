"""The model behind LitServe: a LitAPI, as its quickstart sets it up."""

import sys
from typing import Any

import litserve  # type: ignore[import-not-found]
from fastapi import UploadFile

from tests.bench.peers.work import detector, find


class Parking(litserve.LitAPI):  # type: ignore[misc]
    """One worker process, the default on a CPU."""

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        detector()

    def decode_request(self, request: UploadFile) -> bytes:
        """A multipart field called `request`."""
        return request.file.read()

    def predict(self, x: bytes) -> dict[str, Any]:
        """One image."""
        return find(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return output


if __name__ == "__main__":
    litserve.LitServer(Parking(), accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False
    )
