"""The routes; each hands over to an object with the logic."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.background import BackgroundTask

from service.answers import PredictionAnswer, choose_form
from service.errors import NotReadyError
from service.health import Health, health_of
from service.state import ServiceState

router = APIRouter()

_PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {}}}
_PREDICT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PredictionAnswer,
        "description": "The free places, in the form that Accept asks for.",
        "content": {"application/geo+json": {}, "image/png": {}},
    },
    406: {"description": "No form that Accept asks for.", **_PROBLEM},
    413: {"description": "The body, or the image in it, is too large.", **_PROBLEM},
    422: {"description": "No image that can be read.", **_PROBLEM},
    503: {"description": "No model yet, or too many requests; see Retry-After.", **_PROBLEM},
}


@router.post("/predict", responses=_PREDICT_RESPONSES, response_class=Response)
async def predict(
    request: Request, file: Annotated[UploadFile, File(description="A PNG, JPEG, WebP or (Geo)TIFF image.")]
) -> Response:
    """Find the free parking places in an image of the ground from above."""
    form = choose_form(request.headers.get("accept"))
    predictor = _state(request).predictor
    name = (file.filename or "image")[:100]
    prediction, body = await predictor.predict(await file.read(), name, form, request.state.request_id)
    request.state.model_version = prediction.model_version
    return Response(body, media_type=form, background=BackgroundTask(predictor.log, prediction))


@router.get("/health")
async def health(request: Request) -> Health:
    """Everything about this process, for a person; always 200."""
    state = _state(request)
    return health_of(state.slot, state.started)


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"description": "Not ready, and why.", **_PROBLEM}})
async def ready(request: Request) -> dict[str, str]:
    """Whether a model is loaded and warm."""
    state = _state(request)
    if state.slot.current is None:
        raise NotReadyError(state.slot.reason)
    return {"status": "ready", "model_version": state.slot.current.label}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    return Response(_state(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Where a person begins."""
    return RedirectResponse("/docs")


def _state(request: Request) -> ServiceState:
    state: ServiceState = request.app.state.service
    return state
