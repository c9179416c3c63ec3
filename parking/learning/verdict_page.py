"""The gate's decision as a page: both scores, and the difference with its interval, as text and picture."""

import base64
import io

from matplotlib.figure import Figure

from parking.learning.gate import Verdict

__all__ = ["verdict_page", "verdict_picture"]


def verdict_page(version: int, verdict: Verdict, *, promoted: bool) -> str:
    """Markdown with the decision on a version and, where two were compared, their scores and a picture."""
    page = f"**Version {version}: {'promoted' if promoted else 'not promoted'}.** {verdict.reason}\n"
    if verdict.serving_iou is None:
        return page
    rows = (
        ("this version", f"{verdict.candidate_iou:.3f}"),
        ("the serving version", f"{verdict.serving_iou:.3f}"),
        ("difference", f"{verdict.delta:+.3f}"),
        ("95 % between", f"{verdict.low:+.3f} and {verdict.high:+.3f}"),
    )
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    picture = base64.b64encode(verdict_picture(verdict)).decode("ascii")
    return f"{page}\n| IoU | |\n| --- | --- |\n{table}\n\n![Scores](data:image/png;base64,{picture})\n"


def verdict_picture(verdict: Verdict) -> bytes:
    """PNG: both scores as bars, and the difference with its bounds against zero, above which a version must lie."""
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    scores, difference = figure.subplots(1, 2)
    bars = scores.barh(["serving", "this version"], [verdict.serving_iou or 0.0, verdict.candidate_iou])
    scores.bar_label(bars, fmt="%.3f", padding=3)
    scores.set(title="IoU on the test scenes", xlim=(0, 1))
    difference.errorbar(
        [verdict.delta], [0], xerr=[[verdict.delta - verdict.low], [verdict.high - verdict.delta]], fmt="o", capsize=5
    )
    difference.axvline(0, color="black", linewidth=1)
    difference.set(title="difference, 95 %", yticks=[])
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
