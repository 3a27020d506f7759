"""What people decided about clips of the review queue: `review.csv`, and what it does to the table's rows."""

import difflib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from signloom.console import number_of
from signloom.dataset.clip_ids import clip_ids
from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import one_form, spelled
from signloom.dataset.importers import all_rows
from signloom.dataset.withdrawn import withdrawn_from
from signloom.errors import SignloomError
from signloom.params.dataset import DatasetParams

ANSWER_COLUMNS = ["action", "new_label", "note"]  # what people fill in
ACTIONS = ("keep", "relabel", "set_aside")
_LABEL_COLUMNS = ["sentence_id", "sentence", "gloss", "category", "text_variations"]
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Decision:
    """One filled-in row: the line of its file, the clip, what was decided, and what the reviewer saw."""

    row: int
    clip_id: str
    action: str
    new_label: str
    note: str
    label: str | None  # at the time, "" if the clip had none; None if the row does not say it
    content: str  # as `short_hash` gives it, or `hash_start` in older tables; "" if the row does not say it

    def since(self, label: str, digest: str) -> str:
        """Return in words what of a clip, now with this label and content, has changed since, or ""."""
        if self.content not in ("", short_hash(digest), hash_start(digest)):
            return "its video has changed"
        known = self.action == "relabel" and self.new_label == label
        if known or self.label is None or _same_label(self.label, label):
            return ""
        return f"its label was {self.label!r} and is {label!r}"


def hash_start(digest: str) -> str:
    """Return the first digits of a content hash."""
    return digest[:_HASH_DIGITS]


def short_hash(digest: str) -> str:
    """Return the part of a content hash that a table for people shows.

    It begins with a letter, because a spreadsheet takes some digests for numbers and saves `062565207000` as
    `62565207000`.
    """
    return f"h-{hash_start(digest)}"


def _same_label(said: str, label: str) -> bool:
    """Return whether two labels are the same, or became the same number in a spreadsheet, as `01` and `1`."""
    try:
        return said == label or float(said) == float(label)
    except ValueError:
        return False


def read_review(path: str | Path | None) -> list[Decision]:
    """Return the rows of `path` that have an action, in their order; none without a path.

    A row without an action is one that nobody has looked at. Raises SignloomError with the row for an
    unknown action, a label without the action relabel or the other way round, and a clip that stands twice.
    """
    if path is None:
        return []
    table = Path(path)
    rows = read_table(table, ["clip_id", "action"])
    found: dict[str, Decision] = {}
    for row in rows.to_dict("records"):
        clip_id, content, action, note = (
            str(row.get(name, "")).strip() for name in ("clip_id", "content", "action", "note")
        )
        # labels as the table of clips has them
        new_label = one_form(str(row.get("new_label", "")))
        label: str | None = one_form(str(row.get("label", "")))
        if not (label or content):  # typed by hand: a row of the queue has at least the content
            label = None
        decision = Decision(int(row["row"]), clip_id, action, new_label, note, label, content)
        if problem := _problem(decision, found.get(one_form(clip_id))):
            raise SignloomError(f"{table}: row {decision.row}: {problem}")
        if action:
            found[one_form(clip_id)] = decision
    return list(found.values())


def _about(clips: Iterable[str], path: str | Path | None) -> list[Decision]:
    """Return what `read_review` does, with ids as `clips` spell them; a spreadsheet may compose letters."""
    decisions = read_review(path)
    ids = spelled([it.clip_id for it in decisions], clips)
    return [replace(it, clip_id=clip_id) for it, clip_id in zip(decisions, ids, strict=True)]


def _problem(it: Decision, before: Decision | None) -> str:
    """Return what is wrong with a row, and what to do, or "" if nothing is."""
    if not it.action:
        return f"new_label {it.new_label!r} without an action; write relabel" if it.new_label else ""
    if it.action not in ACTIONS:
        return f"unknown action {it.action!r}; expected keep, relabel, set_aside, or nothing"
    if not it.clip_id:
        return f"action {it.action} without a clip_id; fill in the clip or clear the action"
    if before:
        return f"clip {it.clip_id!r} has an action in row {before.row} already; keep one of the two"
    if it.action == "relabel" and not it.new_label:
        return "relabel without a new_label; write the right label, or set_aside if it is not known"
    if it.action != "relabel" and it.new_label:
        return f"{it.action} with new_label {it.new_label!r}; write relabel, or clear new_label"
    return ""


def relabelled(rows: pd.DataFrame, ids: Sequence[str], dataset: DatasetParams) -> pd.DataFrame:
    """Return the table's `rows` with the labels that the review gives; `ids` are the rows' clips.

    `rows` has, besides the columns of the table, `content`, the hash of what each row names.
    A new label brings the sentence_id, gloss, category and variations of the first row that has it; times of
    glosses become unknown. A decision about a clip that has since changed or was withdrawn is left out.
    Raises SignloomError for a clip that the table lacks, and for a label that no clip has.
    """
    path, about = dataset.review, _about(ids, dataset.review)
    if not {it.clip_id for it in about} <= {*ids} and len(listed := withdrawn_from(dataset.table)):
        out = ({*listed["clip_id"]} | {*clip_ids(all_rows(dataset))}) - {*ids}
        about = [it for it in _about([*ids, *out], path) if it.clip_id not in out]
    place = {clip_id: number for number, clip_id in reversed(list(enumerate(ids)))}
    labels = rows["sentence"].tolist()
    # of the rows with a label the first one with an id that can be used
    usable = [number for number, text in enumerate(rows["sentence_id"]) if str(text).strip().isdecimal()]
    first = {labels[number]: number for number in reversed([*usable, *range(len(labels))]) if labels[number]}
    changed = rows.copy()
    for it in checked(about, place, path):
        row = place[it.clip_id]
        if it.action != "relabel":
            continue
        if it.new_label not in first:
            raise SignloomError(
                f"{path}: row {it.row}: no clip has the label {it.new_label!r}{_meant(it.new_label, first)}; "
                "correct it, or add the new label in the table, the annotations or the folders first"
            )
        # a table that was put right may know more of the clip than the first row with its label
        if labels[row] != it.new_label and not it.since(labels[row], rows["content"].iloc[row]):
            source = first[it.new_label]
            for column in _LABEL_COLUMNS:
                changed.iloc[row, changed.columns.get_loc(column)] = rows[column].iloc[source]
            changed.iloc[row, changed.columns.get_loc("gloss_times")] = ""
    return changed


def checked(decisions: list[Decision], known: dict[str, int], path: str | Path | None) -> list[Decision]:
    """Return `decisions` if all are about clips in `known`; raises SignloomError with the row of another."""
    for it in decisions:
        if it.clip_id not in known:
            raise SignloomError(
                f"{path}: row {it.row}: the table has no clip {it.clip_id!r}{_meant(it.clip_id, known)}; "
                "correct clip_id, or delete the row"
            )
    return decisions


def set_aside(clips: pd.DataFrame, path: str | Path | None) -> dict[str, str]:
    """Return, by clip, the note of those of `clips` that the review sets aside.

    `clips` has `clip_id, sentence, video_hash`. Decisions about clips that have since changed are left out,
    and a warning counts them.
    """
    if words := left_out(clips, path):
        print(f"warning: {words}", file=sys.stderr)
    decisions = _with_changes(clips, path)
    return {it.clip_id: it.note for it, change in decisions if it.action == "set_aside" and not change}


def left_out(clips: pd.DataFrame, path: str | Path | None) -> str:
    """Return in words how many decisions are about `clips` that have since changed, or "" if none is."""
    stale = [(it, change) for it, change in _with_changes(clips, path) if change]
    if not stale:
        return ""
    it, change = stale[0]
    which = number_of(len(stale), "decision is", "decisions are")
    return (
        f"{path}: {which} left out, because the clip has changed since; first: row {it.row}, "
        f"clip {it.clip_id}: {change}; look at it again, or correct the row"
    )


def settled(clips: pd.DataFrame, path: str | Path | None) -> list[Decision]:
    """Return the decisions that hold: all but those about `clips` that have changed since.

    `clips` has `clip_id, sentence, video_hash`. Clips that are set aside are not among them.
    """
    changed = {it.clip_id for it, change in _with_changes(clips, path) if change}
    return [it for it in _about(clips["clip_id"], path) if it.clip_id not in changed]


def _with_changes(clips: pd.DataFrame, path: str | Path | None) -> list[tuple[Decision, str]]:
    """Return the decisions about `clips`, which are relabelled already, and what has changed since, or ""."""
    rows = {clip.clip_id: clip for clip in clips.itertuples()}
    found = []
    for it in _about(rows, path):
        # a clip that is not there is rejected for another reason
        if (clip := rows.get(it.clip_id)) is not None:
            found.append((it, it.since(clip.sentence, clip.video_hash)))
    return found


def _meant(name: str, known: dict[str, int]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
