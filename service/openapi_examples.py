"""What the OpenAPI document says of answers: their forms, with an example each, and every way to fail."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from service.responses import PredictionAnswer

Responses = dict[int | str, dict[str, Any]]

_OUTLINE = [[60.0, 40.0], [60.0, 73.0], [77.0, 73.0], [77.0, 40.0]]
_ON_EARTH = [
    [2.35220, 48.85660],
    [2.35220, 48.85656],
    [2.35223, 48.85656],
    [2.35223, 48.85660],
    [2.35220, 48.85660],
]

_BESIDE = [[40.0, 40.0], [53.0, 40.0], [53.0, 71.0], [40.0, 71.0]]

_JSON: dict[str, Any] = {
    "answer_id": "20260501-3f1c09ab-5e0d7c21b8f4a693",
    "request_id": "b0c2f1d4",
    "model_version": "7",
    "count": 1,
    "count_interval": [0, 4],
    "threshold": 0.5,
    "coordinate_system": "WGS 84",
    "position_accuracy_m": 1.0,
    "spots": [{"polygon": _OUTLINE, "confidence": 0.83, "area_m2": 12.62, "kind": "bay", "lonlat": _ON_EARTH}],
    "vehicles": [{"polygon": _BESIDE, "confidence": 0.94, "area_m2": 8.31, "lonlat": _ON_EARTH}],
    "taken": 1,
    "share_taken": 0.5,
    "gsd": {"value": 0.15, "source": "file", "spread": None},
    "imagery_date": "2025-06-14",
    "stretch": {"low": 0.0, "high": 2140.0, "source": "percentiles"},
    "warnings": [],
    "width": 160,
    "height": 120,
    "elapsed_ms": 212.4,
}

_GEOJSON: dict[str, Any] = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": 1,
            "geometry": {"type": "Polygon", "coordinates": [_ON_EARTH]},
            "properties": {"confidence": 0.83, "area_m2": 12.62, "kind": "bay"},
        }
    ],
    "coordinate_system": "WGS 84",
    "position_accuracy_m": 1.0,
    "count": 1,
    "count_interval": [0, 4],
    "taken": 1,
    "share_taken": 0.5,
    "gsd": {"value": 0.15, "source": "file", "spread": None},
    "imagery_date": "2025-06-14",
    "stretch": {"low": 0.0, "high": 2140.0, "source": "percentiles"},
    "warnings": [],
    "model_version": "7",
    "image": {"name": "photo.tif", "width": 160, "height": 120},
}

_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}
"""By its name: FastAPI would put a model under `application/json`, which our failures are not."""


def failure(status: int, description: str, detail: str) -> dict[str, Any]:
    """A response of problem details.

    Args:
        status: of the response.
        description: when it comes.
        detail: an example of what it says.
    """
    title = HTTPStatus(status).phrase
    example = {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": "b0c2f1d4"}
    response: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA, "example": example}},
    }
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        wait = {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}
        response["headers"] = {"Retry-After": wait}
    return response


UNAUTHORISED: Responses = {
    401: failure(
        401,
        "The token is missing or wrong.",
        "The token is missing or wrong. Send it as 'Authorization: Bearer TOKEN'.",
    )
}

NOT_READY: Responses = {
    503: failure(
        503,
        "Not ready, and why.",
        "The first model is being loaded. Try again in a few seconds.",
    )
}

IMAGE_PROBLEMS: Responses = {
    **UNAUTHORISED,
    400: failure(400, "A form that cannot be read.", "The form cannot be read: Missing boundary in multipart."),
    413: failure(
        413,
        "The body, or the image in it, is too large.",
        "The body is larger than 32 MiB. Send a smaller image, or raise PARKING_MAX_UPLOAD_MB.",
    ),
    415: failure(
        415,
        "A body of another type.",
        "A body of type 'text/plain' is no image. Send multipart/form-data, or one of image/png, image/jpeg.",
    ),
    422: failure(
        422,
        "No image that can be read, or a query that is not as it should be.",
        "'photo.jpg' is damaged and cannot be decoded: image file is truncated. Export or copy it again.",
    ),
    429: failure(429, "Too many images of one caller.", "You send too many images. Go on in 3 s."),
    503: failure(
        503,
        "No model yet, or too many requests.",
        "Every slot is busy and the queue is full. Try again in a second.",
    ),
    504: failure(
        504,
        "It took too long.",
        "There is no answer after 60 s. Send a smaller image, ask again when the service has less to do, or raise "
        "PARKING_REQUEST_SECONDS.",
    ),
}

_PICTURE = {"schema": {"type": "string", "format": "binary"}}

PREDICT: Responses = {
    200: {
        "model": PredictionAnswer,
        "description": "The free places, in the form that Accept asks for.",
        "content": {
            "application/json": {"example": _JSON},
            "application/geo+json": {"schema": {"type": "object"}, "example": _GEOJSON},
            "image/png": _PICTURE,
        },
    },
    406: failure(
        406,
        "No form that Accept asks for.",
        "Nothing here is 'text/html'. Ask for one of application/json, application/geo+json, image/png.",
    ),
    **IMAGE_PROBLEMS,
}

BATCH_EXAMPLE: dict[str, Any] = {
    "results": [
        {"name": "photo.jpg", "answer": {**_JSON, "request_id": "b0c2f1d4-1"}, "problem": None},
        {
            "name": "broken.png",
            "answer": None,
            "problem": {
                "type": "about:blank",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "'broken.png' is not a PNG, JPEG, WebP or TIFF image (12 bytes). Convert it to one of these.",
                "request_id": "b0c2f1d4-2",
            },
        },
    ]
}
"""One image that was answered, and one that could not be."""

OCCUPANCY: Responses = {
    200: {
        "description": "The bays that lie in the image, each with its own attributes, its state, and how sure that is.",
        "content": {
            "application/geo+json": {
                "schema": {"type": "object"},
                "example": {
                    "type": "FeatureCollection",
                    "features": [
                        {
                            "type": "Feature",
                            "geometry": {"type": "Polygon", "coordinates": [_ON_EARTH]},
                            "properties": {"street": "Rue", "state": "free", "probability_occupied": 0.04},
                        }
                    ],
                    "free": 1,
                    "occupied": 0,
                    "unsure": 0,
                    "share_taken": 0.04,
                    "outside": 0,
                    "imagery_date": "2025-06-14",
                    "warnings": [],
                    "model_version": "7",
                },
            }
        },
    },
    409: failure(
        409,
        "The model that serves sees no vehicles.",
        "This model sees no vehicles, so it cannot say which bays are taken. Use the model that ships, or train one on "
        "scenes with vehicles.",
    ),
    **IMAGE_PROBLEMS,
}

SURVEYS: Responses = {
    **UNAUTHORISED,
    404: failure(404, "No such survey.", "There is no survey 'lyon-2025'."),
    422: failure(422, "A query that is not as it should be.", "limit: Input should be less than or equal to 10000."),
}

SURVEY_IMAGERY: Responses = {
    200: {"content": {"image/png": {}}, "description": "A tile, clear where there is no imagery."},
    404: failure(404, "No such survey or tile, or imagery that is not shown.", "There is no survey 'lyon-2025'."),
    503: failure(503, "Too many tiles.", "64 tiles of imagery are asked for already. Try again in a second."),
    504: failure(504, "It took too long.", "There is no answer after 60 s. Zoom in, or ask again later."),
}

RELOAD: Responses = {
    **UNAUTHORISED,
    403: failure(403, "The service has no token.", "This needs a token, and the service has none. Set PARKING_TOKEN."),
}

WEBHOOK: Responses = {
    401: failure(401, "The signature is missing, wrong or old.", "The signature is missing, wrong or old."),
    403: failure(
        403,
        "The service has no secret for webhooks.",
        "This needs a secret, and the service has none. Set PARKING_WEBHOOK_SECRET.",
    ),
}

FEEDBACK: Responses = {
    **UNAUTHORISED,
    404: failure(
        404,
        "No such answer, or not any more.",
        "There is no answer 'b0c2f1d4' to correct: it was never given, or more than 7 days ago. Ask again with the "
        "image, and correct that answer.",
    ),
    409: failure(
        409,
        "Several requests had this id.",
        "2 answers were given to requests called 'b0c2f1d4': 20260501-3f1c09ab-5e0d7c21b8f4a693 (2026-05-01 12:00:00 "
        "UTC), 20260501-3f1c09ab-91d27a30cc54e818 (2026-05-01 12:00:07 UTC). Correct one of them by its `answer_id`.",
    ),
    413: failure(
        413,
        "The correction is too large.",
        "The body is larger than 1 MiB. Correct fewer places at once, or draw them with fewer corners.",
    ),
    415: failure(
        415, "A body of another type.", "A body of type 'text/plain' is no correction. Send application/json."
    ),
    422: failure(
        422, "It does not fit the answer.", "Place 3 cannot be removed: the answer has 1 places, counted from 0."
    ),
    503: failure(
        503,
        "The store is out of reach, or too many corrections wait.",
        "The bucket cannot be reached. Try again later.",
    ),
    504: failure(
        504,
        "It took too long.",
        "There is no answer after 10 s. The store has not answered, and the correction may be lost. Send it again "
        "later: the last counts.",
    ),
}


def correction_body(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of the body of a correction: it is read by hand, within a limit of its own."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
