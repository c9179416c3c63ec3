"""Find the image that an export means, among those that are there."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from parking.data.exports.addresses import paths, without_upload_prefix

__all__ = ["ImageIndex", "NoImageError"]


class NoImageError(Exception):
    """Why there is no one image that an address can mean."""


class ImageIndex:
    """Images by their names; folders tell images of one name apart.

    Names are compared in Unicode's composed form: macOS stores an umlaut as two characters, and exports write one.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = list(keys)
        self._exact = {_composed(key): key for key in self._keys}
        # Two uploads of one name differ in the prefix alone, so it is looked away from late; case and a missing
        # extension are for tools that run on Windows, or write what they like.
        self._stages: list[tuple[dict[str, list[str]], Callable[[str], str]]] = [
            (self._by(lambda name: name), lambda name: name),
            (self._by(lambda name: name), without_upload_prefix),
            (self._by(without_upload_prefix), without_upload_prefix),
            (self._by(str.casefold), str.casefold),
            (self._by(lambda name: PurePosixPath(name).stem), lambda name: name),
        ]

    def find(self, addresses: Sequence[str], export: str = "") -> str:
        """The key of the image.

        Args:
            addresses: where the export says that the image is, the likeliest first.
            export: key of the export, which lies near the images that it means.

        Raises:
            NoImageError: none has the name, or several, and nothing tells them apart.
        """
        wanted = [_composed(path) for address in addresses for path in paths(address)]
        folder = str(PurePosixPath(_composed(export)).parent) if export else "."
        for path in wanted:
            for whole in (path, f"{folder}/{path}"):
                if key := self._exact.get(whole.removeprefix("./")):
                    return key
        for names, form in self._stages:
            for path in wanted:
                if keys := names.get(form(path.rpartition("/")[2])):
                    return _nearest(keys, path, folder)
        raise NoImageError("no image file of this name")

    def _by(self, form: Callable[[str], str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for key in self._keys:
            found[form(_composed(key).rpartition("/")[2])].append(key)
        return found


def _nearest(keys: Sequence[str], path: str, folder: str) -> str:
    """Of images of one name the one whose folders are the address's, else the one that lies nearest to the export."""
    closest = _best(keys, lambda key: _common(reversed(_folders(key)), reversed(_folders(path))))
    closest = _best(closest, lambda key: _common(_folders(key), folder.split("/")))
    if len(closest) == 1:
        return closest[0]
    if len({key.rpartition("/")[2] for key in closest}) > 1:
        names = ", ".join(key.rpartition("/")[2] for key in closest)
        raise NoImageError(f"{len(closest)} images could be meant: {names}; name it in full")
    raise NoImageError(f"{len(closest)} images have this name: {', '.join(closest)}; name it with its folder")


def _best(keys: Sequence[str], score: Callable[[str], int]) -> list[str]:
    scores = [score(key) for key in keys]
    return [key for key, own in zip(keys, scores, strict=True) if own == max(scores)]


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    count = 0
    for here, there in zip(one, other, strict=False):
        if here != there:
            break
        count += 1
    return count


def _folders(key: str) -> list[str]:
    return [part for part in _composed(key).split("/")[:-1] if part not in ("", ".", "..")]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
