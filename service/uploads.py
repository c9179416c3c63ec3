"""Images as they come in: in a multipart form, or as the body itself."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/tiff", "application/octet-stream")
"""Content types of a body that is an image; what it really is, its bytes decide."""

MOST_IMAGES = 16
"""In one batch; the limit of the whole body holds, too."""

_IMAGE = {"type": "string", "format": "binary", "description": "A PNG, JPEG, WebP or (Geo)TIFF image."}


@dataclass(frozen=True, slots=True)
class Upload:
    """The bytes of one file."""

    data: bytes
    name: str
    """What messages call it."""


def one_image() -> dict[str, Any]:
    """What OpenAPI says of a body with one image; generators of clients know no content types of images."""
    form = {"type": "object", "required": ["file"], "properties": {"file": _IMAGE}}
    raw = {**_IMAGE, "description": f"The image itself, also as {', '.join(IMAGE_TYPES[:-1])}."}
    content = {"multipart/form-data": {"schema": form}, IMAGE_TYPES[-1]: {"schema": raw}}
    return {"requestBody": {"required": True, "content": content}}


def many_images() -> dict[str, Any]:
    """What OpenAPI says of a body with several images."""
    files = {"type": "array", "items": _IMAGE, "minItems": 1, "maxItems": MOST_IMAGES}
    form = {"type": "object", "required": ["file"], "properties": {"file": files}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


async def read_images(request: Request) -> list[Upload]:
    """The images of a batch; raises as `read_image` does."""
    kind = _content_type(request)
    if kind == "multipart/form-data":
        return await read_form(request, most=MOST_IMAGES)
    raise HTTPException(415, f"A body of type {kind!r} is no batch. Send multipart/form-data with fields called file.")


async def read_image(request: Request) -> Upload:
    """The one image of a request.

    Raises:
        RequestValidationError: there is none, or it is not called `file`.
        HTTPException: 400 for a form that cannot be read, 415 for a body of another type.
    """
    kind = _content_type(request)
    if kind == "multipart/form-data":
        return (await read_form(request, most=1))[0]
    if kind in IMAGE_TYPES:
        return Upload(await request.body(), "image")
    if not kind and not await request.body():
        raise _missing()
    raise HTTPException(
        415, f"A body of type {kind!r} is no image. Send multipart/form-data, or one of {', '.join(IMAGE_TYPES)}."
    )


async def read_form(request: Request, *, most: int) -> list[Upload]:
    """The images of a multipart form, each in a field called `file`; at most that many.

    Raises:
        RequestValidationError: there is none.
        HTTPException: 400, the form cannot be read or holds more.
    """
    async with aclosing(request.stream()) as stream:
        parser = MultiPartParser(request.headers, stream, max_files=most, max_fields=most)
        # The size of the whole body is limited before it comes here; nothing of it needs to touch the disk.
        parser.spool_max_size = 0
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, UnicodeError) as error:
            raise HTTPException(400, f"The form cannot be read: {error}") from error
    try:
        files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
        if not files:
            raise _missing()
        return [Upload(await file.read(), (file.filename or "image")[:100]) for file in files]
    finally:
        await form.close()


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _missing() -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", "file"), "msg": "Field required", "type": "missing"}])
