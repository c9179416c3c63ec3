"""Messages of MLflow's registry, signed as the Standard Webhooks specification says (standardwebhooks.com)."""

import base64
import hashlib
import hmac
import time
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from parking.settings import Settings

__all__ = ["signed", "signed_body"]

OLDEST_SECONDS = 300
"""A message signed longer ago may be one that somebody kept, and sends again."""

_ID, _TIME, _SIGNATURE = "X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"


def signature(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """What MLflow puts into `X-MLflow-Signature`: an HMAC over the delivery's id, its time and its body."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


async def signed(request: Request) -> None:
    """Let only messages pass that were signed with our secret, and lately.

    Raises:
        HTTPException: 401; 403 where the service has no secret, so that none can.
    """
    settings: Settings = request.app.state.service.settings
    secret = settings.webhook_secret.get_secret_value()
    if not secret:
        raise HTTPException(403, "This needs a secret, and the service has none. Set PARKING_WEBHOOK_SECRET.")
    delivery, timestamp, given = (request.headers.get(name, "") for name in (_ID, _TIME, _SIGNATURE))
    wanted = signature(secret, delivery, timestamp, await request.body())
    if not hmac.compare_digest(given.encode(), wanted.encode()) or _age(timestamp) > OLDEST_SECONDS:
        raise HTTPException(
            401, "The signature is missing, wrong or old. Give MLflow's webhook the secret in PARKING_WEBHOOK_SECRET."
        )


def signed_body() -> dict[str, Any]:
    """What OpenAPI says of such a message."""
    headers = [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        for name, text in (
            (_ID, "Names the delivery."),
            (_TIME, "When it was signed, in seconds since 1970."),
            (_SIGNATURE, "`v1,` and the base64 of the HMAC-SHA256 of `id.time.body`."),
        )
    ]
    example = {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2026-05-01T12:00:00+00:00",
        "data": {"name": "free-parking", "alias": "production", "version": "7"},
    }
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"parameters": headers, "requestBody": {"required": True, "content": content}}


def _age(timestamp: str) -> float:
    return abs(time.time() - int(timestamp)) if timestamp.isdecimal() else float("inf")
