"""Thumbnails of the images that differ most from the training, shown in the report as long as they may be kept."""

import base64
import datetime as dt
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import cv2
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from monitoring.answers import find_answer
from monitoring.drift_statistics import ColumnDrift
from monitoring.history import REPORT_PREFIX
from monitoring.outliers import Outlier
from parking.data.imagery import read_raster
from parking.errors import ImageError, MissingKeyError
from parking.storage import Store

__all__ = [
    "MAX_EXAMPLES",
    "Example",
    "examples_key",
    "find_examples",
    "forget_examples",
    "keep_examples",
    "read_examples",
    "section",
]

MAX_EXAMPLES = 6
_MAX_SIDE_PX = 240
"""Enough to see darkness, snow or a blur, in about ten kilobytes."""
_JPEG_QUALITY = 80
_BEGIN, _END = "<!-- examples -->", "<!-- end of examples -->"
_BETWEEN = re.compile(f"{_BEGIN}.*?{_END}", re.DOTALL)


class Example(BaseModel):
    """A thumbnail of one request, and the column in which it differs most from the training."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    request_id: str
    time: dt.datetime
    """Of the answer, UTC."""
    column: str
    value: float
    """Of that column."""
    trained: tuple[float, float]
    """Its 5th and 95th percentile at training time."""
    jpeg: str
    """Base64 of a JPEG."""


_Examples = TypeAdapter(list[Example])


def find_examples(
    store: Store, rows: Iterable[Outlier], columns: Mapping[str, ColumnDrift], *, max_megapixels: float
) -> list[Example]:
    """Examples of the first rows whose image is kept; an image that was sent twice is shown once.

    Args:
        store: holds the answers, and their images where these are kept.
        rows: in falling order of distance.
        columns: of the verdict, by name.
        max_megapixels: larger images are passed over.

    Raises:
        StoreError: the store refused.
    """
    shown: dict[bytes, Example] = {}
    for row in rows:
        image = _image_of(store, row)
        if image is None or image in shown or row.column not in columns:
            continue
        with suppress(ImageError):
            shown[image] = _example(row, columns[row.column], _thumbnail(image, max_megapixels))
        if len(shown) == MAX_EXAMPLES:
            break
    return list(shown.values())


def examples_key(report: str) -> str:
    """Where the examples of a report lie, by the key of its page."""
    return f"{report.removesuffix('.html')}-examples.json"


def keep_examples(store: Store, report: str, examples: Sequence[Example]) -> None:
    """Write a report's examples beside it, instead of those before."""
    store.write(examples_key(report), _Examples.dump_json(list(examples)))


def read_examples(store: Store, report: str) -> list[Example]:
    """The examples of a report; none where there are none, or not any more."""
    try:
        return _Examples.validate_json(store.read(examples_key(report)))
    except (MissingKeyError, ValidationError):
        return []


def section(examples: Sequence[Example]) -> str:
    """The examples as a part of a page, which `forget_examples` finds again."""
    if not examples:
        return ""
    figures = "".join(_figure(example) for example in examples)
    return (
        f"{_BEGIN}<section>"
        "<h2>Images that differ most from the training</h2>"
        f'<div style="display: flex; flex-wrap: wrap; gap: 16px">{figures}</div></section>{_END}'
    )


def forget_examples(store: Store, *, days: float, today: dt.date) -> int:
    """Remove images from reports once their originals are no longer kept; returns the number of reports."""
    oldest = str(today - dt.timedelta(days=int(days) + 1))
    ending = examples_key("")
    old = [key for key in store.keys(REPORT_PREFIX) if key.endswith(ending) and key[len(REPORT_PREFIX) :][:10] < oldest]
    for key in old:
        report = f"{key.removesuffix(ending)}.html"
        with suppress(MissingKeyError):
            store.write(report, _BETWEEN.sub("", store.read(report).decode()).encode())
        # Last, so that an interrupted run starts again.
        store.delete(key)
    return len(old)


def _image_of(store: Store, row: Outlier) -> bytes | None:
    """The image of a request, where it was kept."""
    answer = find_answer(store, row.answer_id, row.time.date())
    if answer is None or not answer.image:
        return None
    try:
        return store.read(answer.image)
    except MissingKeyError:
        return None


def _thumbnail(image: bytes, max_megapixels: float) -> str:
    """Base64 of a small JPEG; raises ImageError where the bytes are no image that can be read."""
    pixels = read_raster(image, max_megapixels=max_megapixels).pixels
    height, width = pixels.shape[:2]
    scale = min(1.0, _MAX_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    return base64.b64encode(
        cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    ).decode()


def _example(row: Outlier, column: ColumnDrift, jpeg: str) -> Example:
    return Example(
        request_id=row.request_id,
        time=row.time,
        column=row.column,
        value=row.value,
        trained=(column.reference_low, column.reference_high),
        jpeg=jpeg,
    )


def _figure(example: Example) -> str:
    low, high = example.trained
    difference = f"{example.column.replace('_', ' ')} {example.value:.3g}, in training {low:.3g} to {high:.3g}"
    origin = f"{example.time:%H:%M} UTC, request {example.request_id}"
    return (
        f'<figure style="margin: 0; max-width: {_MAX_SIDE_PX}px">'
        f'<img alt="" src="data:image/jpeg;base64,{example.jpeg}">'
        f"<figcaption><strong>{html.escape(difference)}</strong><br>{html.escape(origin)}</figcaption></figure>"
    )
