"""The tables of the report: scores, corpus, rejects, errors by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from signloom.dataset.clip_names import named_signers
from signloom.metrics.bootstrap import interval, ratio
from signloom.metrics.wer import edit_stats, words_of
from signloom.report.labels import DATA, LABELS

DASH = "–"
# for intervals by group; the metric files have their own
_RESAMPLES, _SEED = 2000, 42
_MOST_ROWS = 60
_MOST_GROUPS = 12

WordsOf = Callable[[str], list[str]]  # the words of a text that are scored


@dataclass(frozen=True)
class Cell:
    """A text, a smaller line below it (a 95 % interval), and the letter of a footnote."""

    text: str
    interval: str = ""
    note: str = ""


@dataclass
class Table:
    """A captioned table. A row's first cell is its header; columns from `numeric` on are right-aligned.

    What is no `Cell` in a row becomes the text of one.
    """

    name: str
    caption: str
    columns: list[str]
    rows: Sequence[Sequence[Any]]
    notes: list[tuple[str, str]] = field(default_factory=list)
    numeric: int = 1

    def __post_init__(self) -> None:
        self.rows = [[it if isinstance(it, Cell) else Cell(str(it)) for it in row] for row in self.rows]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: its key in the metric file, its name, the better direction, its decimals."""

    key: str
    label: str
    better: str = ""
    decimals: int = 3


HEADLINE = [Metric(*row) for row in LABELS["headline"]]
RETRIEVAL = [Metric(*row) for row in LABELS["retrieval"]]


def score_table(name: str, caption: str, scores: Mapping[str, Any], metrics: Sequence[Metric]) -> Table:
    """Return a table of `metrics` (rows) by data set of `scores` (columns); undefined ones have their reason.

    `scores` maps the name of a data set to `<metric>, <metric>_low, <metric>_high, <metric>_reason, n`.
    The column of validation sentences that training never saw is left out if there are none.
    """
    shown = [key for key in DATA if scores.get(key, {}).get("n") or key != "val_unseen_sentences"]
    notes = Notes()
    rows = [
        [
            Cell(metric.label, metric.better and f"{metric.better} is better"),
            *(score_cell(scores.get(key, {}), metric, notes) for key in shown),
        ]
        for metric in metrics
    ]
    columns = ["Metric", *(f"{DATA[key]} (n\u00a0=\u00a0{scores.get(key, {}).get('n', 0)})" for key in shown)]
    return Table(name, f"{caption}, with 95 % intervals", columns, rows, notes.listed())


def score_cell(scores: Mapping[str, Any], metric: Metric, notes: Notes | None = None) -> Cell:
    """Return one metric of one data set; the reason for a missing value or interval goes into `notes`."""
    value, low, high = (scores.get(metric.key + end) for end in ("", "_low", "_high"))
    reason = scores.get(f"{metric.key}_reason")
    if value is None:
        reason = str(reason or "not measured")
        return Cell(DASH, note=notes.letter(reason) if notes else reason)
    text = _decimal(value, metric.decimals)
    if low is None or high is None:
        return Cell(text, note=notes.letter(reason) if notes and reason else "")
    return Cell(text, f"{_decimal(low, metric.decimals)} to {_decimal(high, metric.decimals)}")


def _decimal(value: float, decimals: int) -> str:
    """Return a number as text, with a minus sign instead of a hyphen."""
    return f"{value:.{decimals}f}".replace("-", "−")


class Notes:
    """Footnotes of a table: one letter per distinct reason."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, reason: str) -> str:
        return self._letters.setdefault(reason, chr(ord("a") + len(self._letters)))

    def listed(self) -> list[tuple[str, str]]:
        return [(letter, reason) for reason, letter in self._letters.items()]


def corpus_table(clips: pd.DataFrame) -> Table:
    """Return counts by split and in total; `clips` is the processed metadata with `split` and `seen`."""
    parts = [(name, clips[clips["split"] == name]) for name in ("train", "val", "test")]
    whose = "of these clips" if _signers(clips) else ""
    nameless = f"the annotation table names no signers {whose}".rstrip()
    notes = Notes()
    rows = [_corpus_row(name, part, nameless, notes) for name, part in [*parts, ("all", clips)]]
    caption = "Kept clips by split; frames at the feature rate"
    return Table("corpus", caption, LABELS["corpus_columns"], rows, notes.listed())


def _corpus_row(name: str, clips: pd.DataFrame, nameless: str, notes: Notes) -> list[str | Cell]:
    signed = clips[clips["sentence_id"] >= 0]
    signers = _signers(clips)
    return [
        name,
        f"{len(signed):,}",
        f"{signed['sentence_id'].nunique():,}",
        f"{signers:,}" if signers or clips.empty else Cell(DASH, note=notes.letter(nameless)),
        f"{len(clips) - len(signed):,}",
        f"{(signed['seen'] == 0).sum():,}",
        f"{int(clips['num_frames'].sum()):,}",
        f"{clips['num_frames'].median():.0f}" if len(clips) else DASH,
    ]


def _signers(clips: pd.DataFrame) -> int:
    """Return the number of signers in `clips`; a corpus may name none."""
    if "signer_id" not in clips:
        return 0
    return named_signers(clips["signer_id"])


def reject_tables(rejects: pd.DataFrame) -> list[Table]:
    """Return two tables: rejects counted by stage and reason, and the first rejects one by one."""
    counts = rejects.groupby(["stage", "reason"], sort=True).size()
    counted = [(stage, reason, f"{n:,}") for (stage, reason), n in counts.items()]
    shown = rejects.head(_MOST_ROWS)
    records = shown.to_dict("records")
    single = [(row["clip_id"], row["reason"], row.get("detail") or DASH) for row in records]
    more = f", the first {len(shown)} of {len(rejects)}" if len(rejects) > len(shown) else ""
    caption = f"Rejected clips, one by one{more}"
    return [
        Table("rejects", "Rejected clips by reason", ["Stage", "Reason", "Clips"], counted, numeric=2),
        Table("rejected", caption, ["Clip", "Reason", "Detail"], single, numeric=9),
    ]


def wer_by(answers: pd.DataFrame, column: str, words: WordsOf = words_of) -> pd.DataFrame:
    """Return `data, group, n, wer, low, high`: corpus word error rate of each value of `column`.

    `answers` has `data, reference, hypothesis` and `column`. `low` and `high` are a 95 % bootstrap interval
    over the group's clips. Groups without reference words are left out. Data sets have the order of `DATA`.
    """
    counts = edit_stats(*(list(map(words, answers[column])) for column in ("reference", "hypothesis")))
    found = []
    for data in DATA:
        of_data = (answers["data"] == data).to_numpy()
        for group in sorted(answers[column][of_data].unique()):
            stats = counts[of_data & (answers[column] == group).to_numpy()]
            bounds = interval(stats, ratio, _RESAMPLES, _SEED)
            if bounds is None:
                continue
            edits, words = stats.sum(0)
            found.append((data, group, len(stats), edits / words, *bounds))
    return pd.DataFrame(found, columns=["data", "group", "n", "wer", "low", "high"])


def reference_lengths(references: Sequence[str], words: WordsOf = words_of) -> pd.Series:
    """Return the lower end of each reference's length group, in words; there are at most twelve groups."""
    lengths = pd.Series([len(words(text)) for text in references], dtype="int64")
    if lengths.empty:
        return lengths
    first = int(lengths.min())
    width = -(-(int(lengths.max()) - first + 1) // _MOST_GROUPS)
    return first + (lengths - first) // width * width


def group_table(name: str, caption: str, heading: str, groups: pd.DataFrame) -> Table:
    """Return the word error rates of `wer_by` as a table, limited to its first rows."""
    shown = groups.head(_MOST_ROWS)
    more = f", the first {len(shown)} of {len(groups)} groups" if len(groups) > len(shown) else ""
    rows = [
        (str(row["group"]) or DASH, DATA[row["data"]], f"{row['n']:,}", _rate(row))
        for row in shown.to_dict("records")
    ]
    return Table(name, caption + more, [heading, "Data", "Clips", "Word error rate"], rows, numeric=2)


def _rate(row: Mapping[Any, Any]) -> Cell:
    return Cell(f"{row['wer']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}")


def wrong_answers(retrieval: pd.DataFrame, sentences: Mapping[int, str]) -> Table:
    """Return the most confident wrong answers among queries whose sentence the gallery has."""
    wrong = retrieval[retrieval["rank"] > 1].sort_values(["similarity", "clip_id"], ascending=[False, True])
    rows = [
        [
            row["clip_id"],
            sentences.get(int(row["sentence_id"]), DASH),
            row["top_sentence"],
            f"{row['similarity']:.3f}",
            f"{row['rank']:.0f}",
        ]
        for row in wrong.head(10).to_dict("records")
    ]
    columns = ["Clip", "Its sentence", "Sentence found", "Similarity", "Rank of its sentence"]
    return Table("wrong", "Most confident wrong answers, at most 10", columns, rows, numeric=3)
