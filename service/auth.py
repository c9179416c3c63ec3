"""Authentication: a bearer token, if the settings ask for one, or a link that was signed for a caller who has it."""

import hmac
import time
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from parking.errors import SettingsError
from parking.settings import Settings

__all__ = ["Shown", "caller", "check_reader", "check_token", "operator", "signed"]

LINK_SECONDS = 3600
"""How long a signed link is valid: about as long as somebody reads the page that it is on."""

_bearer = HTTPBearer(auto_error=False, description="The token that PARKING_TOKEN holds.")
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
"""What a caller shows."""


def check_token(settings: Settings) -> None:
    """Refuse to start without a token if authentication is on.

    Raises:
        SettingsError: auth is on, and there is no token.
    """
    if settings.auth and not settings.token.get_secret_value():
        raise SettingsError("PARKING_AUTH is on, but PARKING_TOKEN is empty. Set a token, or turn PARKING_AUTH off.")


def caller(request: Request, shown: Shown) -> None:
    """Let callers pass that show the token, where one is wanted.

    Raises:
        HTTPException: 401.
    """
    settings: Settings = request.app.state.service.settings
    if settings.auth:
        _check(shown, settings)


def signed(path: str, settings: Settings) -> str:
    """A path that a browser can open for a while: it follows links without the token. As it is where none is wanted.

    Args:
        path: of a report, relative to this service's address.
        settings: hold the token, which signs.
    """
    if not settings.auth:
        return path
    until = int(time.time()) + LINK_SECONDS
    return f"{path}?until={until}&proof={_proof(path, until, settings)}"


def check_reader(request: Request, shown: Shown, path: str, until: int, proof: str) -> None:
    """Let those pass that show the token or came by a signed link to this very path.

    Raises:
        HTTPException: 401.
    """
    settings: Settings = request.app.state.service.settings
    if not (settings.auth and proof):
        caller(request, shown)
    elif until < time.time() or not hmac.compare_digest(proof.encode(), _proof(path, until, settings).encode()):
        raise HTTPException(401, "This link has expired, or is damaged. Load /monitoring again, and open its link.")


def _proof(path: str, until: int, settings: Settings) -> str:
    key = settings.token.get_secret_value().encode()
    return hmac.new(key, f"link to {path} until {until}".encode(), "sha256").hexdigest()


def operator(request: Request, shown: Shown) -> None:
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
