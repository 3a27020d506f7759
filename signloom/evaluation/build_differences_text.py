"""Say a comparison of two builds in words and in tables of words, for the terminal and for the page."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from signloom.evaluation.build_differences import METRICS, Comparison, Row
from signloom.metrics.paired import signer_bounds

ONE_SEED = "One seed in A or B: how far another seed would move these figures is unknown."
SIGNERS = "Where there are five signers or more, the interval over signers leaves out 0 too."
SEEDS = "Where A or B has several seeds, the interval leaves out 0 too."
SEVERAL = "Intervals resample clips and seeds."
_MOST = 12  # figures without an interval that are printed


def in_words(a: str, b: str, found: Comparison) -> str:
    """Return the comparison of the builds `a` and `b` for the terminal."""
    parts = [f"A = {a}\nB = {b}"]
    if found.rows:
        parts.append(_plain([row_cells(row) for row in found.rows]))
    parts.append("\n".join(verdict(found)))
    if found.figures:
        more = len(found.figures) - _MOST
        rest = f"\nand {more} more, which --html and --json list" if more > 0 else ""
        table = _plain([figure_cells(figure) for figure in found.figures[:_MOST]])
        parts.append(f"Moved too, but without an interval:\n\n{table}{rest}")
    if found.clips:
        parts.append("Clips that changed most:\n\n" + "\n\n".join(map(_clip, found.clips)))
    return "\n\n".join(parts)


def verdict(found: Comparison) -> list[str]:
    """Return the sentences that sum up a comparison."""
    rows = found.rows
    if not rows and not found.figures and not found.left_out:
        return [f"Nothing differs: all {found.equal} metrics are equal."]
    lines = []
    if rows:
        differ = sum(row.differs for row in rows)
        lines += [
            f"{differ} of {len(rows)} differ: p is below 0.05 after Holm's correction for {len(rows)}.",
            *([SEEDS] if any(max(row.seeds) > 1 for row in rows) else []),
            *([SIGNERS] if any(signer_bounds(row.by_signer)[0] is not None for row in rows) else []),
            SEVERAL if all(min(row.seeds) > 1 for row in rows) else ONE_SEED,
        ]
    if found.left_out:
        why = "because one build lacks them or has another reference"
        lines.append(f"Clips left out, {why}: up to {found.left_out} of a data set.")
    lines.append(f"Metrics that are equal: {found.equal}.")
    if found.alone:
        lines.append(f"Metrics that one build lacks: {found.alone}.")
    return lines


def row_cells(row: Row) -> dict[str, str]:
    """Return a row of the table of metrics with intervals, by column."""
    digits, lower = METRICS[row.metric].decimals, METRICS[row.metric].better == "lower"
    way = "worse" if (row.difference > 0) == lower else "better"
    return {
        "model": row.model,
        "data": row.data,
        "metric": row.metric,
        "clips": str(row.clips),
        "A": f"{row.a:.{digits}f}",
        "B": f"{row.b:.{digits}f}",
        "B - A": f"{row.difference:+.{digits}f}",
        "95 % interval": f"{row.low:+.{digits}f} to {row.high:+.{digits}f}",
        "p": f"{row.p:.3f}",
        "differs": way if row.differs else "",
    }


def figure_cells(figure: dict[str, Any]) -> dict[str, str]:
    """Return a row of the table of metrics without intervals, by column."""
    a, b = figure["a"], figure["b"]
    return {"metric": figure["figure"], "A": f"{a:.10g}", "B": f"{b:.10g}", "B - A": f"{b - a:+.4g}"}


def _plain(rows: Sequence[dict[str, str]]) -> str:
    return str(pd.DataFrame(rows).to_string(index=False))


def _clip(clip: dict[str, Any]) -> str:
    word = "error" if clip["errors_a"] == 1 else "errors"  # a mean over seeds need not be whole
    errors = f"{clip['errors_a']:g} {word} in A, {clip['errors_b']:g} in B"
    return (
        f"{clip['model']}, {clip['data']}, {clip['clip_id']}: {errors}\n"
        f"  truth  {clip['reference']}\n  A      {clip['answer_a']}\n  B      {clip['answer_b']}"
    )
