"""Scenes come into a folder all together: they are drawn aside, and moved in when the last is done."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parking.errors import DatasetError
from parking.lock import LOCK, alone_in

__all__ = ["ANNOTATIONS", "ASIDE", "CONTRIBUTOR", "check_free", "gathered", "images_of", "read_ours"]

ANNOTATIONS = "annotations.coco.json"
CONTRIBUTOR = "parking scene generator"
ASIDE = ".scenes-unfinished"
"""Folder within the scenes' own; an ingest passes over what is hidden."""
_REPLACED = "replaced.json"


@contextmanager
def gathered(folder: Path) -> Iterator[Path]:
    """A folder to put images and, last of all, their annotations into; they come into `folder` when the block ends.

    A run that is killed before leaves `folder` as it was. One that is killed while it moves is gone on with by the
    next: from the annotations on, what lies aside is complete.

    Raises:
        DatasetError: somebody else's file has the name of one of ours.
        FolderError: another process draws into the same folder.
    """
    aside = folder / ASIDE
    with alone_in(aside):
        _move_in(aside, folder)
        for path in aside.iterdir():
            if path.name != LOCK:
                path.unlink()
        try:
            yield aside
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _move_in(aside, folder)
        shutil.rmtree(aside, ignore_errors=True)


def read_ours(path: Path) -> dict[str, Any]:
    """Annotations that this generator wrote; empty where there are none.

    Raises:
        DatasetError: they are somebody else's.
    """
    try:
        made: dict[str, Any] = json.loads(path.read_text())
        if made["info"]["contributor"] == CONTRIBUTOR:
            return made
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DatasetError(f"'{path}' is not ours to overwrite. Generate scenes into an empty folder.")


def check_free(folder: Path, names: Iterable[str], ours: Iterable[str]) -> None:
    """Raises DatasetError where a file has one of these names and is not one of ours."""
    for name in sorted(set(names) - set(ours)):
        if (folder / name).exists():
            raise DatasetError(
                f"'{folder / name}' is not ours to overwrite. Move it away, or generate scenes into an empty folder."
            )


def images_of(made: dict[str, Any]) -> set[str]:
    """Names of the images that annotations are of."""
    return {Path(image["file_name"]).name for image in made.get("images", ())}


def _move_in(aside: Path, folder: Path) -> None:
    """Put what lies aside into place, if it is complete; each step may be the last of a run, and the first of the next.

    Between the first step and the last the folder has no annotations at all, so that nobody takes a half for a whole.
    """
    new = images_of(read_ours(aside / ANNOTATIONS))
    if not new:
        return
    if read_ours(folder / ANNOTATIONS):
        (folder / ANNOTATIONS).replace(aside / _REPLACED)
    old = images_of(read_ours(aside / _REPLACED))
    waiting = [name for name in new if (aside / name).exists()]
    check_free(folder, waiting, old)
    for name in waiting:
        (aside / name).replace(folder / name)
    for name in old - new:
        (folder / name).unlink(missing_ok=True)
    (aside / ANNOTATIONS).replace(folder / ANNOTATIONS)
    (aside / _REPLACED).unlink(missing_ok=True)
