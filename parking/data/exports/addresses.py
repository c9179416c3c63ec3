"""Addresses of images in exports: paths of any system, URLs, and proxies of annotation tools."""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import PureWindowsPath
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["file_name", "looks_like_image", "paths", "without_upload_prefix"]

_IMAGE = re.compile(r"\.(png|jpe?g|webp|tiff?)$", re.IGNORECASE)


def file_name(address: str) -> str:
    """The file name in an address, for messages."""
    names = [PureWindowsPath(path).name for path in paths(address)]
    return next((name for name in reversed(names) if _IMAGE.search(name)), names[-1] if names else "")


def paths(address: str) -> list[str]:
    """Possible paths of an address, the most literal first: a file may be called `100%25.png`, or `lot#3.png`."""
    found = [path.replace("\\", "/") for literal in _literal(address.strip()) for path in (literal, unquote(literal))]
    return [path for path in dict.fromkeys(found) if path]


def looks_like_image(address: str) -> bool:
    """Whether any possible path of an address has the suffix of an accepted image."""
    return any(_IMAGE.search(path) for path in paths(address))


def without_upload_prefix(name: str) -> str:
    """The name that an image had before Label Studio put eight hexadecimal digits in front of it."""
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name)


def _literal(address: str) -> Iterator[str]:
    yield address
    if "://" not in address and "?" not in address:
        return
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    # The path of a proxy names no image, but its parameters do: `?d=` is a path, `?fileuri=` an address in base64.
    for key, value in parse_qsl(parts.query):
        if key == "fileuri":
            yield from _literal(_decoded(value))
        elif key == "d" or _IMAGE.search(value):
            yield value
    yield parts.path


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_").decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return value
