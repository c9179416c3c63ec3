"""The drift report as a page for people: our own summary, and below it Evidently's charts."""

import html
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from monitoring.descriptors import meanings
from monitoring.drift_statistics import ColumnDrift, shown
from monitoring.examples import Example, section
from monitoring.report import DriftReport

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

__all__ = ["SIGNS", "bare_page", "page", "summary"]

_COLUMNS_SHOWN = 6
"""Columns that are shown at once, with those that moved; the others unfold."""
_CHARTS = (
    "Evidently draws them. What it calls “dataset drift” is the share of drifted columns of the images alone, and the "
    "score of a column is that of the table above before it was divided by the limit. The verdict is the one above."
)
# Colours only where they mean something: Evidently's page may be turned dark, and the rest turns with it.
_STYLE = """<style>
#summary { font: 15px/1.5 sans-serif; margin: 24px; max-width: 72em; }
#summary h1 { font-size: 22px; margin: 0; } #summary h2 { font-size: 18px; margin: 28px 0 8px; }
#summary table { border-collapse: collapse; width: 100%; }
#summary th, #summary td { text-align: left; vertical-align: top; padding: 4px 16px 4px 0; }
#summary tr + tr { border-top: 1px solid #8884; } #summary small { opacity: 0.75; }
#summary td.number, #summary th.number { text-align: right; white-space: nowrap; }
#summary summary { cursor: pointer; margin: 8px 0; } #summary .moved { color: #d1432b; font-weight: bold; }
#summary .verdict { padding: 8px 16px; border-left: 6px solid #8a94a0; background: #8882; }
#summary .ok { border-color: #2f9e63; } #summary .warning { border-color: #e0a100; }
#summary .drift { border-color: #d1432b; }
</style>"""
SIGNS = {"ok": "✓", "warning": "!", "drift": "✗", "insufficient_data": "?"}
"""A verdict's sign beside its colour and its name, as on the service's page."""
_DATA = re.compile(r"var (?:additional_graphs_)?metric_\w+ = (?=\{)")
_DUPLICATED = "additionalGraphs"
_SIGNIFICANT_DIGITS = 5


def page(head: str, snapshot: "Snapshot") -> str:
    """A page that needs no network, under 5 MB.

    Args:
        head: see `summary`.
        snapshot: Evidently's run of the sample.
    """
    shown: str = snapshot.get_html_str(as_iframe=False)
    return _shrunk(shown).replace("<body>", f"<body>{head}", 1)


def bare_page(head: str) -> str:
    """The page of a batch without a comparison: its head alone."""
    return f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"></head><body>{head}</body></html>'


def summary(report: DriftReport, sampled: int = 0, examples: Sequence[Example] = ()) -> str:
    """The head of a report as HTML: what was compared, the verdict, the images, and every column with its meaning.

    Args:
        report: to show.
        sampled: rows that the charts below it show; 0 where there are none.
        examples: images to show.
    """
    title = f"Version {report.version} on {report.day}" if report.version else f"No version, {report.day}"
    problems = "".join(f"<li>{html.escape(problem)}</li>" for problem in report.problems)
    return (
        f'{_STYLE}<section id="summary"><h1>{html.escape(title)}</h1>'
        f'<p class="verdict {report.verdict}">{SIGNS[report.verdict]} '
        f"<strong>{report.verdict.replace('_', ' ')}</strong>: "
        f"{html.escape(report.reason)}</p>"
        + (f"<p>Problems in the log:</p><ul>{problems}</ul>" if problems else "")
        + section(examples)
        + _columns(report.columns)
        + (f"<h2>Charts</h2><p>{_CHARTS}{_sampling_note(report.rows, sampled)}</p>" if sampled else "")
        + "</section>"
    )


def _columns(columns: Sequence[ColumnDrift]) -> str:
    """Those that moved and some more, in falling order of drift; the rest unfolds."""
    if not columns:
        return ""
    shown = max(_COLUMNS_SHOWN, sum(column.drifted for column in columns))
    first, others = columns[:shown], columns[shown:]
    more = f"<details><summary>The other {len(others)} columns</summary>{_table(others)}</details>" if others else ""
    return f"<h2>Columns in falling order of drift</h2>{_table(first)}{more}"


def _table(columns: Sequence[ColumnDrift]) -> str:
    head = "".join(
        f'<th class="{kind}">{name}</th>'
        for kind, name in (
            ("", "column"),
            ("number", "in training<br><small>mean; nine tenths lie in</small>"),
            ("number", "that day<br><small>mean</small>"),
            ("number", "moved<br><small>times its limit</small>"),
        )
    )
    return f"<table><tr>{head}</tr>{''.join(_row(column) for column in columns)}</table>"


def _row(column: ColumnDrift) -> str:
    meaning = html.escape(meanings()[column.name])
    low, high = column.reference_low, column.reference_high
    missing = f"; {column.missing:,} rows without a value" if column.missing else ""

    def of(value: float) -> str:
        return shown(value, low, high)

    sign = " ▲" if column.drifted else ""
    moved = ' class="number moved"' if column.drifted else ' class="number"'
    return (
        f"<tr><td>{column.name.replace('_', ' ')}<br><small>{meaning}{missing}</small></td>"
        f'<td class="number">{of(column.reference_mean)}<br><small>{of(low)} to {of(high)}</small></td>'
        f'<td class="number">{of(column.current_mean)}</td><td{moved}>{column.excess:.1f}{sign}</td></tr>'
    )


def _sampling_note(rows: int, sampled: int) -> str:
    if rows <= sampled:
        return ""
    return f" The verdict is of all {rows:,} rows; the charts below show {sampled:,} of them, drawn at random."


def _shrunk(page: str) -> str:
    """Evidently's page with rounded numbers and without duplicated graphs: most of its size is data.

    The graph behind a row of a table is loaded from a list of its own. Evidently leaves it out of the widget, but not
    out of a widget in a group, as every widget of a report is.
    """
    decoder = json.JSONDecoder()
    parts, at = [], 0
    for found in _DATA.finditer(page, 0, page.index("<body>")):
        data, end = decoder.raw_decode(page, found.end())
        parts += [page[at : found.end()], json.dumps(_rounded(data), separators=(",", ":"))]
        at = end
    return "".join([*parts, page[at:]])


def _rounded(data: Any) -> Any:  # noqa: ANN401 - JSON of any form
    if isinstance(data, float):
        return float(f"{data:.{_SIGNIFICANT_DIGITS}g}")
    if isinstance(data, list):
        return [_rounded(entry) for entry in data]
    if isinstance(data, dict):
        return {name: [] if name == _DUPLICATED else _rounded(entry) for name, entry in data.items()}
    return data
