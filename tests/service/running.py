"""The service on a real port, in a thread of the test's own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tests.servers import free_ports
from tests.service.waiting import wait_until


@contextmanager
def running(app: FastAPI, grace: int | None = None) -> Iterator[str]:
    """Its address, once it answers; at the end requests may go on for so many seconds, or until they are done."""
    (port,) = free_ports(1)
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=grace)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
