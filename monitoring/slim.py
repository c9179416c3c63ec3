"""Evidently's page with less in it: its data grow with every column, and are most of what grows."""

import json
import re
from typing import Any

_DATA = re.compile(r"var (?:additional_graphs_)?metric_\w+ = (?=\{)")
_TWICE = "additionalGraphs"
_DIGITS = 5


def slim(page: str) -> str:
    """The page with numbers of as many digits as a chart shows, and without the graphs that it holds a second time.

    A graph that opens with a row of a table is looked up in a list of its own; Evidently leaves it out of the widget
    itself, but not where that is in a group, as every widget of a report is.

    Args:
        page: that Evidently made.
    """
    decoder = json.JSONDecoder()
    parts, at = [], 0
    for found in _DATA.finditer(page, 0, page.index("<body>")):
        data, end = decoder.raw_decode(page, found.end())
        parts += [page[at : found.end()], json.dumps(_slim(data), separators=(",", ":"))]
        at = end
    return "".join([*parts, page[at:]])


def _slim(data: Any) -> Any:  # noqa: ANN401 - JSON of any form
    if isinstance(data, float):
        return float(f"{data:.{_DIGITS}g}")
    if isinstance(data, list):
        return [_slim(entry) for entry in data]
    if isinstance(data, dict):
        return {name: [] if name == _TWICE else _slim(entry) for name, entry in data.items()}
    return data
