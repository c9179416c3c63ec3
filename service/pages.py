"""The page for people: static files that ship with the package, and nothing from another host."""

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["HEADERS", "WEB", "add_pages"]

WEB = Path(__file__).parent / "web"
SWAGGER = Path(fastapi_offline.__file__).parent / "static"
"""Swagger UI as a package: FastAPI's own page would fetch it from another host."""

HEADERS = {
    # Images that a person chose are shown from memory (`blob:`); icons of Swagger UI stand in its style (`data:`).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Always asked again, and answered with 304: page and scripts must be of one version.
    "Cache-Control": "no-cache",
}

router = APIRouter()


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Where a person begins."""
    return FileResponse(WEB / "index.html", headers=HEADERS)


@router.head("/docs", include_in_schema=False)
@router.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """The API, to read and to try."""
    return FileResponse(WEB / "docs.html", headers=HEADERS)


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the page, and what it is made of."""
    app.include_router(router)
    app.mount("/static/swagger", _Files(directory=SWAGGER), name="swagger")
    app.mount("/static", _Files(directory=WEB), name="static")
