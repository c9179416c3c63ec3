"""Who may ask: a bearer token, where the settings want one."""

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from parking.errors import SettingsError
from parking.settings import Settings

_bearer = HTTPBearer(auto_error=False, description="The token that PARKING_TOKEN holds.")
_Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def check_guard(settings: Settings) -> None:
    """Refuse to start unguarded where a guard is wanted.

    Raises:
        SettingsError: auth is on, and there is no token.
    """
    if settings.auth and not settings.token.get_secret_value():
        raise SettingsError("PARKING_AUTH is on, but PARKING_TOKEN is empty. Set a token, or turn PARKING_AUTH off.")


def caller(request: Request, shown: _Shown) -> None:
    """Let callers pass that show the token, where one is wanted.

    Raises:
        HTTPException: 401.
    """
    settings: Settings = request.app.state.service.settings
    if settings.auth:
        _check(shown, settings)


def operator(request: Request, shown: _Shown) -> None:
    """Let only those pass that show the token, always.

    Raises:
        HTTPException: 401; 403 where the service has no token, so that nobody can.
    """
    settings: Settings = request.app.state.service.settings
    if not settings.token.get_secret_value():
        raise HTTPException(403, "This needs a token, and the service has none. Set PARKING_TOKEN.")
    _check(shown, settings)


def _check(shown: HTTPAuthorizationCredentials | None, settings: Settings) -> None:
    given = shown.credentials if shown else ""
    if not hmac.compare_digest(given.encode(), settings.token.get_secret_value().encode()):
        raise HTTPException(
            401,
            "The token is missing or wrong. Send it as 'Authorization: Bearer TOKEN'.",
            {"WWW-Authenticate": "Bearer"},
        )
