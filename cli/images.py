"""Which images a person means: files, folders, patterns, or standard input."""

import glob
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from parking.data.imagery import EXTENSIONS
from parking.errors import ImageError, OutputError
from parking.model import is_address

STDIN = "-"


@dataclass(frozen=True)
class NamedImage:
    """An image to look at, and what its answers are called."""

    name: str
    """What messages call it: its path as the person sees it."""

    answers: Path
    """Folder and name of its answers, below the folder of all answers."""

    path: Path | None
    """None for standard input."""

    def read(self) -> Path | bytes:
        """Its path, or what standard input holds."""
        return sys.stdin.buffer.read() if self.path is None else self.path


def find_images(word: str, out: Path) -> list[NamedImage]:
    """The images that a word of the command line names.

    Args:
        word: a file, a folder (with all that lies below it), a pattern such as `photos/*.jpg`, or `-`.
        out: where answers go; a folder's images there are answers, and are left out.

    Raises:
        ImageError: it is an address, or names no image.
    """
    path = Path(word)
    if word == STDIN:
        return [NamedImage("standard input", Path("stdin"), None)]
    if is_address(word):
        raise ImageError(
            f"'{word}' is an address, and nothing is downloaded here. Save the image first, or hand it over: "
            f"curl -sL '{word}' | parking predict -"
        )
    if path.is_dir():
        return _in_folder(path, out)
    if not path.exists() and glob.has_magic(word):
        return _matching(word)
    return [NamedImage(word, Path(path.stem), path)]


def _matching(pattern: str) -> list[NamedImage]:
    found = [path for path in map(Path, sorted(glob.glob(pattern, recursive=True))) if path.is_file()]  # noqa: PTH207
    if not found:
        raise ImageError(f"No file matches '{pattern}'. Correct the pattern.")
    return [NamedImage(str(path), Path(path.stem), path) for path in found]


def _in_folder(folder: Path, out: Path) -> list[NamedImage]:
    answers = out.resolve()
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in EXTENSIONS
        and path.is_file()
        and not path.resolve().is_relative_to(answers)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise ImageError(f"The folder '{folder}' holds no image ({', '.join(EXTENSIONS)}). Name another.")
    return [NamedImage(str(path), path.relative_to(folder).with_suffix(""), path) for path in found]


def distinct(images: Iterable[NamedImage]) -> list[NamedImage]:
    """Each image once, however it was named."""
    first: dict[Path | None, NamedImage] = {}
    for image in images:
        first.setdefault(image.path and image.path.resolve(), image)
    return list(first.values())


class Answers:
    """Whose answers a name stands for, so that those of two images do not overwrite each other."""

    def __init__(self) -> None:
        self._images: dict[Path, NamedImage] = {}

    def claim(self, image: NamedImage) -> None:
        """Take the name of an image's answers.

        Raises:
            OutputError: answers of that name are another image's.
        """
        first = self._images.setdefault(image.answers, image)
        if first is not image:
            raise OutputError(
                f"The answers named '{image.answers}' are those of {first.name}, and stay. "
                "Ask again for this image with another --out."
            )

    def release(self, image: NamedImage) -> None:
        """Give the name back: the image has no answers."""
        if self._images.get(image.answers) is image:
            del self._images[image.answers]
