"""The routes; each hands over to an object with the logic."""

import asyncio

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from service import openapi_examples
from service.auth import caller, operator
from service.batch import BatchAnswer, predict_batch
from service.deadline import Deadline, while_wanted
from service.errors import NotReadyError
from service.health import Health, health_of
from service.middleware import ANSWER_ID
from service.model_info import ModelInfo, model_info
from service.predictor import Question
from service.query_params import AskedFor
from service.rate_limit import limit_rate, limit_rate_of_one
from service.responses import Prediction, choose_form
from service.state import ServiceState
from service.uploads import image_and_bays, many_images, one_image, read_image, read_image_and_bays, read_images
from service.webhook import signed, signed_body

__all__ = ["router"]

router = APIRouter()


@router.post(
    "/predict",
    responses=openapi_examples.PREDICT,
    response_class=Response,
    dependencies=[Depends(caller), Depends(limit_rate_of_one)],
    openapi_extra=one_image(),
)
async def predict(request: Request, params: AskedFor) -> Response:
    """Find the free parking places in an image of the ground from above."""
    form = choose_form(request.headers.get("accept"))
    predictor, deadline = _state(request).predictor, _deadline(request)
    async with deadline.waiting():
        upload, fields = await read_image(request)
    question = Question(upload, params.with_fields(fields), form, request.state.request_id)
    prediction, body = await while_wanted(request, deadline, predictor.predict(question, deadline))
    request.state.model_version = prediction.model_version
    return Response(body, media_type=form, headers={ANSWER_ID: prediction.answer_id})


@router.post(
    "/predict/batch",
    responses={
        200: {"model": BatchAnswer, "content": {"application/json": {"example": openapi_examples.BATCH_EXAMPLE}}},
        **openapi_examples.IMAGE_PROBLEMS,
    },
    response_class=Response,
    dependencies=[Depends(caller)],
    openapi_extra=many_images(),
)
async def predict_several(request: Request, params: AskedFor) -> Response:
    """Find the free parking places in up to 16 images; one that fails leaves the others their answers."""
    predictor, deadline = _state(request).predictor, _deadline(request)
    async with deadline.waiting():
        uploads, fields = await read_images(request)
    limit_rate(request, len(uploads))
    params = params.with_fields(fields)
    questions = [Question(upload, params, "application/json", request.state.request_id) for upload in uploads]

    def told(prediction: Prediction) -> None:
        request.state.model_version = prediction.model_version

    body = await while_wanted(request, deadline, predict_batch(predictor, questions, deadline, told))
    return Response(body, media_type="application/json")


@router.post(
    "/occupancy",
    responses=openapi_examples.OCCUPANCY,
    response_class=Response,
    dependencies=[Depends(caller), Depends(limit_rate_of_one)],
    openapi_extra=image_and_bays(),
)
async def occupancy(request: Request, params: AskedFor) -> Response:
    """Say which bays of a layer are taken in an image of the ground from above."""
    predictor, deadline = _state(request).predictor, _deadline(request)
    async with deadline.waiting():
        upload, bays, fields = await read_image_and_bays(request)
    params = params.with_fields(fields)
    body = await while_wanted(request, deadline, predictor.occupancy(upload, bays, params, deadline))
    return Response(body, media_type="application/geo+json")


@router.post(
    "/preview",
    # The page's own: to clients that are generated from the schema, an answer in `image/png` means nothing.
    include_in_schema=False,
    response_class=Response,
    dependencies=[Depends(caller), Depends(limit_rate_of_one)],
)
async def preview(request: Request) -> Response:
    """The image as a PNG of at most 2048 pixels a side, for browsers that cannot show a TIFF."""
    deadline = _deadline(request)
    async with deadline.waiting():
        upload, _ = await read_image(request)
    body = await while_wanted(request, deadline, _state(request).predictor.preview(upload, deadline))
    return Response(body, media_type="image/png")


@router.get("/model", dependencies=[Depends(caller)], responses=openapi_examples.UNAUTHORISED)
async def model(request: Request) -> ModelInfo:
    """The model that answers, how it came, and what it declares of itself."""
    state = _state(request)
    return model_info(state.slot, state.settings)


@router.post(
    "/model/reload",
    dependencies=[Depends(operator)],
    responses=openapi_examples.RELOAD,
)
async def reload(request: Request) -> ModelInfo:
    """Ask the registry for the production version now, instead of at the next interval, and say what came of it."""
    state = _state(request)
    await asyncio.to_thread(state.slot.poll)
    return model_info(state.slot, state.settings)


@router.post(
    "/model/webhook",
    status_code=202,
    dependencies=[Depends(signed)],
    responses=openapi_examples.WEBHOOK,
    openapi_extra=signed_body(),
)
async def webhook(request: Request) -> dict[str, str]:
    """For MLflow's webhooks: ask the registry now. What the message says is not used, only that it came."""
    _state(request).slot.wake()
    return {"status": "the registry is asked"}


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health(request: Request) -> Health:
    """Everything about this process, for a person; always 200."""
    state = _state(request)
    return health_of(state.slot, state.started)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live")
async def live() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "live"}


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses=openapi_examples.NOT_READY)
async def ready(request: Request) -> dict[str, str]:
    """Whether a model is loaded and warm, and the process not about to stop."""
    state = _state(request)
    if state.stopping:
        raise NotReadyError("The service is stopping. Ask another one.")
    if state.slot.current is None:
        raise NotReadyError(state.slot.reason)
    return {"status": "ready", "model_version": state.slot.current.label}


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    return Response(_state(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _state(request: Request) -> ServiceState:
    state: ServiceState = request.app.state.service
    return state


def _deadline(request: Request) -> Deadline:
    """Of this request, which counts for the version that serves now, whatever comes of it."""
    loaded = _state(request).slot.current
    request.state.model_version = loaded.label if loaded else ""
    return Deadline(_state(request).settings.request_seconds)
