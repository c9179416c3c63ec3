"""The head of a report: what was looked at, the verdict, the images, and every column with what it means."""

import html
from collections.abc import Sequence

from monitoring.descriptors import meanings
from monitoring.drift_statistics import ColumnDrift
from monitoring.examples import Example, section
from monitoring.report import NightReport

_OPEN = 6
"""Columns to show at once; the others unfold, but for those that moved."""
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


def summary(report: NightReport, sampled: int = 0, examples: Sequence[Example] = ()) -> str:
    """The head of a report, as HTML.

    Args:
        report: what to tell.
        sampled: rows that the charts below it show; 0 where there are none.
        examples: images to show.
    """
    title = f"Version {report.version} on {report.day}" if report.version else f"No version, {report.day}"
    problems = "".join(f"<li>{html.escape(problem)}</li>" for problem in report.problems)
    return (
        f'{_STYLE}<section id="summary"><h1>{html.escape(title)}</h1>'
        f'<p class="verdict {report.verdict}"><strong>{report.verdict.replace("_", " ")}</strong>: '
        f"{html.escape(report.reason)}</p>"
        + (f"<p>What was odd about the log:</p><ul>{problems}</ul>" if problems else "")
        + section(examples)
        + _columns(report.columns)
        + (f"<h2>Charts</h2><p>{_CHARTS}{_drawn_from(report.rows, sampled)}</p>" if sampled else "")
        + "</section>"
    )


def _columns(columns: Sequence[ColumnDrift]) -> str:
    """Those that moved and some more, the furthest first, and behind a click the rest."""
    if not columns:
        return ""
    shown = max(_OPEN, sum(column.drifted for column in columns))
    first, others = columns[:shown], columns[shown:]
    more = f"<details><summary>The other {len(others)} columns</summary>{_table(others)}</details>" if others else ""
    return f"<h2>What moved, the furthest first</h2>{_table(first)}{more}"


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
    moved = ' class="number moved"' if column.drifted else ' class="number"'
    return (
        f"<tr><td>{column.name.replace('_', ' ')}<br><small>{meaning}{missing}</small></td>"
        f'<td class="number">{column.reference_mean:.3g}<br><small>{low:.3g} to {high:.3g}</small></td>'
        f'<td class="number">{column.current_mean:.3g}</td><td{moved}>{column.excess:.1f}</td></tr>'
    )


def _drawn_from(rows: int, sampled: int) -> str:
    if rows <= sampled:
        return ""
    return f" The verdict is of all {rows:,} rows; the charts below show {sampled:,} of them, drawn at random."
