"""Images as they come in: in a multipart form, or as the body itself."""

import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi.exceptions import RequestValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

__all__ = ["Upload", "image_and_bays", "many_images", "one_image", "read_image", "read_image_and_bays", "read_images"]

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/tiff", "application/octet-stream")
"""Content types of a body that is an image; what it really is, its bytes decide."""

_UNSPECIFIC = {
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-octet-stream",
    "application/binary",
    # What `curl --data-binary` says where nobody tells it otherwise.
    "application/x-www-form-urlencoded",
}
"""Content types that say nothing of the body."""

_MOST_FIELDS = 64
"""In one form, besides its files."""

_EXTENDED_NAME = re.compile(rb"filename\*\s*=\s*\"?(utf-8|iso-8859-1)'[^']*'([^;\"]+)", re.IGNORECASE)
"""A name beyond ASCII (RFC 5987)."""

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


async def read_images(request: Request) -> tuple[list[Upload], dict[str, str]]:
    """The images of a batch, and the other fields of its form; raises as `read_image` does."""
    kind = _content_type(request)
    if kind == "multipart/form-data":
        return await read_form(request, most=MOST_IMAGES)
    raise HTTPException(415, f"A body of type {kind!r} is no batch. Send multipart/form-data with fields called file.")


async def read_image(request: Request) -> tuple[Upload, dict[str, str]]:
    """The one image of a request, and the other fields of its form.

    Raises:
        RequestValidationError: there is none, or it is not called `file`.
        HTTPException: 400 for a form that cannot be read, 415 for a body of another type.
    """
    kind = _content_type(request)
    if kind == "multipart/form-data":
        uploads, fields = await read_form(request, most=1)
        return uploads[0], fields
    if kind and not _may_be_image(kind):
        raise HTTPException(
            415, f"A body of type {kind!r} is no image. Send multipart/form-data, or one of {', '.join(IMAGE_TYPES)}."
        )
    data = await request.body()
    if not data and kind not in IMAGE_TYPES:
        raise _missing()
    return Upload(data, "image"), {}


def image_and_bays() -> dict[str, Any]:
    """What OpenAPI says of a body with an image and a layer of bays."""
    bays = {"type": "string", "format": "binary", "description": "A GeoJSON or GeoPackage of polygons, a bay each."}
    form = {"type": "object", "required": ["file", "bays"], "properties": {"file": _IMAGE, "bays": bays}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


async def read_image_and_bays(request: Request) -> tuple[Upload, Upload, dict[str, str]]:
    """The image, the layer of bays, and the other fields of a form; raises as `read_image` does."""
    kind = _content_type(request)
    if kind != "multipart/form-data":
        raise HTTPException(
            415, f"A body of type {kind!r} is no image with bays. Send multipart/form-data with fields file and bays."
        )
    form = await _parse_form(request, most=2)
    try:
        image, bays = form.get("file"), form.get("bays")
        if not isinstance(image, UploadFile):
            raise _missing()
        if bays is None:
            raise _missing(field="bays")
        layer = Upload(await bays.read(), bays.filename or "bays") if isinstance(bays, UploadFile) else None
        layer = layer or Upload(str(bays).encode(), "bays")
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str) and name != "bays"}
        return Upload(await image.read(), (image.filename or "image")[:100]), layer, fields
    finally:
        await form.close()


async def read_form(request: Request, *, most: int) -> tuple[list[Upload], dict[str, str]]:
    """The images of a multipart form, each in a field called `file`, at most that many; and its other fields.

    Raises:
        RequestValidationError: there is no image.
        HTTPException: 400, the form cannot be read or holds more.
    """
    form = await _parse_form(request, most)
    try:
        files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        if not files:
            others = sorted(name for name, value in form.multi_items() if isinstance(value, UploadFile))
            raise _missing(f"Field required: the image is in a field called {others[0]!r}" if others else None)
        return [Upload(await file.read(), (file.filename or "image")[:100]) for file in files], fields
    finally:
        await form.close()


async def _parse_form(request: Request, most: int) -> FormData:
    async with aclosing(request.stream()) as stream:
        parser = _FormParser(request.headers, stream, max_files=most, max_fields=_MOST_FIELDS)
        # The size of the whole body is limited before it comes here; nothing of it needs to touch the disk.
        parser.spool_max_size = 0
        try:
            return await parser.parse()
        except (MultiPartException, KeyError, UnicodeError) as error:
            raise HTTPException(400, f"The form cannot be read: {error}") from error


class _FormParser(MultiPartParser):
    """Takes a part called `file` for a file, whether it has a name in ASCII, in `filename*` alone, or none at all."""

    def on_headers_finished(self) -> None:
        disposition = self._current_part.content_disposition or b""
        _, options = parse_options_header(disposition)
        if options.get(b"name") == b"file" and b"filename" not in options:
            extended = _EXTENDED_NAME.search(disposition)
            name = unquote(extended[2].decode("ascii", "replace"), extended[1].decode()) if extended else "image"
            quoted = name.replace("\\", "_").replace('"', "_").encode(self._charset or "utf-8", "replace")
            self._current_part.content_disposition = b'form-data; name="file"; filename="' + quoted + b'"'
        super().on_headers_finished()


def _may_be_image(kind: str) -> bool:
    """Whether a body of this type may be an image, which its bytes decide: `image/jpg` and its like are often sent."""
    return kind.startswith("image/") or kind in _UNSPECIFIC


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _missing(message: str | None = None, field: str = "file") -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", field), "msg": message or "Field required", "type": "missing"}])
