"""The application, and the process that runs it."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from parking.detection.runtime import check_runtime
from parking.logs import configure_logs
from parking.registry import Registry
from parking.settings import Settings, get_settings
from parking.shipped import StockedRegistry, has_no_registry
from service.auth import check_token
from service.drift_history import router as drift_router
from service.errors import register_errors
from service.feedback import router as feedback_router
from service.last_served import remember_shipped
from service.limits import BodyLimit
from service.middleware import ANSWER_ID, REQUEST_ID, RequestContext
from service.model_slot import Versions
from service.pages import add_pages
from service.routes import router
from service.state import ServiceState
from service.surveys import router as surveys_router

__all__ = ["DESCRIPTION", "GRACE_SECONDS", "StoppingServer", "create_app", "main"]

DESCRIPTION = """## Ask for the places in an image

    curl -F file=@photo.jpg localhost:8000/predict

The answer is JSON; with `Accept: application/geo+json` it is GeoJSON, with `Accept: image/png` a picture. Failures are
problems of RFC 9457. The imagery may be months old: no answer says that a place is free now.
"""

GRACE_SECONDS = 20
"""How long requests that run may take to end after SIGTERM; Kubernetes kills after 30."""


def create_app(settings: Settings | None = None, registry: Versions | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: those of the process by default.
        registry: where the model comes from; the MLflow of the settings by default.

    Raises:
        SettingsError: settings that do not go together.
    """
    settings = settings or get_settings()
    check_token(settings)
    check_runtime(settings.runtime)
    state = ServiceState(settings, registry or _registry_of(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with state.running():
            yield

    app = FastAPI(
        title="Free parking places",
        summary="Images of the ground from above go in; free parking places come out.",
        description=DESCRIPTION,
        lifespan=lifespan,
        version=version("parking"),
        # The pages about the API, which FastAPI would fetch from another host, are in `service/pages.py`.
        docs_url=None,
        redoc_url=None,
        # What a generated client calls its functions.
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = state
    app.include_router(router)
    app.include_router(feedback_router)
    app.include_router(drift_router)
    app.include_router(surveys_router)
    add_pages(app)
    register_errors(app)
    _add_middleware(app, state)
    return app


def _add_middleware(app: FastAPI, state: ServiceState) -> None:
    """Limits of bodies, CORS where it is set, and ids of requests; the last one added is the outermost."""
    settings = state.settings
    most = int(settings.max_upload_mb * 2**20)
    together = most * (settings.slots + settings.queue)
    app.add_middleware(BodyLimit, most_bytes=most, most_together=together, metrics=state.metrics.room)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin.strip() for origin in settings.cors_origins.split(",")],
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", REQUEST_ID],
            expose_headers=[ANSWER_ID, REQUEST_ID],
        )
    app.add_middleware(RequestContext, metrics=state.metrics)


def main(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Run the service until SIGTERM or Ctrl-C: then it takes no more, ends what runs, and writes the last log rows."""
    settings = get_settings()
    configure_logs(settings)
    if settings.register_shipped and has_no_registry(settings):
        remember_shipped(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more when it is done; a requested stop is no failure.
        signal.signal(number, _stopped_as_told)
    StoppingServer(config, app.state.service).run()


class StoppingServer(uvicorn.Server):
    """Reports "not ready" as soon as a signal comes: uvicorn accepts requests a little longer."""

    def __init__(self, config: uvicorn.Config, state: ServiceState) -> None:
        super().__init__(config)
        self._state = state

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self._state.stop()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the process once all is closed.

        A thread that waits for a store which never answers cannot be stopped from outside, and the interpreter would
        wait for it.
        """
        await super().shutdown(sockets)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(0)


def _registry_of(settings: Settings) -> Registry:
    if settings.register_shipped:
        return StockedRegistry(settings)
    return Registry(settings.tracking_uri, settings.model_name)


def _stopped_as_told(number: int, frame: FrameType | None) -> None:
    """By now the service has stopped."""
