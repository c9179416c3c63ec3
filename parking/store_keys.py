"""Keys of a store: what may be one, and the error where one has no value. Folders and buckets share it."""

from parking.errors import MissingKeyError, StoreError

__all__ = [
    "check_key",
    "missing_key",
]


def check_key(key: str) -> str:
    """The key itself, if it stays inside its store.

    Raises:
        StoreError: it is empty, absolute, or climbs out.
    """
    if not key or key.startswith("/") or "\0" in key or {"..", "."} & set(key.split("/")):
        raise StoreError(f"'{key}' is no key. Keys are relative paths such as 'datasets/latest', without '..'.")
    return key


def missing_key(key: str, url: str) -> MissingKeyError:
    """The error for a key without a value."""
    return MissingKeyError(f"There is nothing under '{key}' in {url}.")
