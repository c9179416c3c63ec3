"""Files of a survey on this machine, wherever its store is."""

import hashlib
from pathlib import Path, PurePosixPath

from parking.files import write_whole
from parking.storage import FolderStore, Store
from parking.store_keys import missing_key

__all__ = ["local_file"]


def local_file(store: Store, key: str, cache: Path) -> Path:
    """A read-only file with a value of the store: the store's own, or a copy that is kept until the value changes.

    Raises:
        MissingKeyError: there is none.
        StoreError: the store is out of reach.
    """
    if isinstance(store, FolderStore):
        path = store.root / key
        if not path.is_file():
            raise missing_key(key, store.url)
        return path
    tag = next((tag for name, tag in store.tags(key) if name == key), None)
    if tag is None:
        raise missing_key(key, store.url)
    folder = cache / hashlib.sha256(f"{store.url} {key}".encode()).hexdigest()[:24]
    path = folder / f"{hashlib.sha256(tag.encode()).hexdigest()[:16]}-{PurePosixPath(key).name}"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for older in folder.glob("*-*"):
            older.unlink(missing_ok=True)
        write_whole(path, store.read(key))
    return path
