"""One store for everything that is kept: the same few verbs over a folder or an S3 bucket."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from parking.errors import StoreError
from parking.files import PARTIAL, write_whole
from parking.store_keys import check_key, missing_key

__all__ = ["FolderStore", "Store", "open_store"]


class Store(Protocol):
    """Bytes under keys such as `datasets/latest`. A reader never sees half a value."""

    url: str

    def read(self, key: str) -> bytes:
        """The value under a key.

        Raises:
            MissingKeyError: there is none.
            StoreError: the store refused, or cannot be reached.
        """
        ...

    def write(self, key: str, data: bytes) -> None:
        """Put a value under a key, all of it or nothing.

        Raises:
            StoreError: no space left, refused, or out of reach.
        """
        ...

    def exists(self, key: str) -> bool:
        """Whether the key has a value."""
        ...

    def delete(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, sorted."""
        ...

    def size(self, key: str) -> int:
        """Bytes under a key.

        Raises:
            MissingKeyError: there is none.
        """
        ...

    def tags(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Keys that begin with `prefix`, sorted, each with a text that changes with its value; nothing is read."""
        ...


def open_store(url: str) -> Store:
    """The store at a folder path or `s3://bucket/prefix`.

    Args:
        url: where it is; a folder is made on the first write.

    Raises:
        StoreError: no such bucket, keys refused, endpoint out of reach, or a URL of another kind.
    """
    if url.startswith("s3://"):
        # boto3 takes a third of a second to import, which a folder need not pay.
        from parking.s3 import S3Store

        return S3Store(url)
    if not url or "://" in url:
        raise StoreError(f"'{url}' is no store. Give a folder, or s3://bucket/prefix.")
    return FolderStore(url)


class FolderStore:
    """A store in a folder; a key is a path below it."""

    def __init__(self, folder: str | Path) -> None:
        self.root = Path(folder).expanduser().absolute()
        self.url = str(self.root)
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"The store '{self.root}' is a file. Give a folder.")

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise missing_key(key, self.url) from error
        except OSError as error:
            raise self._refused(key, error) from error

    def size(self, key: str) -> int:
        """See `Store.size`."""
        path = self._path(key)
        if not path.is_file():
            raise missing_key(key, self.url)
        return path.stat().st_size

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        return self._path(key).is_file()

    def write(self, key: str, data: bytes) -> None:
        """See `Store.write`."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise self._refused(key, error, len(data)) from error

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(key, error) from error

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See `Store.keys`."""
        # Only the deepest folder that the prefix names is walked: a store keeps one folder a day of logs.
        top = self.root / PurePosixPath(prefix).parent if not prefix.endswith("/") else self.root / prefix
        found = (
            Path(path).relative_to(self.root).as_posix()
            for path in _files_below(str(top))
            if not PurePosixPath(path).name.startswith(PARTIAL)
        )
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def tags(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """See `Store.tags`: size and time of the last write."""
        for key in self.keys(prefix):
            # One that was deleted meanwhile is none.
            with suppress(OSError):
                found = (self.root / key).stat()
                yield key, f"{found.st_size}-{found.st_mtime_ns}"

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _refused(self, key: str, error: OSError, size: int | None = None) -> StoreError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreError(
                f"No space is left in '{self.root}' for '{key}' ({size} bytes); nothing was written. "
                "Free some space, or set PARKING_STORE to another place."
            )
        return StoreError(f"'{key}' in '{self.root}' is refused: {error.strerror or error}. Check its permissions.")


def _files_below(top: str) -> Iterator[str]:
    """Paths of all files, in linked folders too; each folder once: under its own path, else under that of a link."""
    seen: set[str] = set()
    starts = [top]
    for start in starts:
        for folder, folders, names in os.walk(start):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            below = (os.path.join(folder, name) for name in folders)  # noqa: PTH118 - a store may hold many
            starts += [path for path in below if os.path.islink(path)]  # noqa: PTH114
            yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118
