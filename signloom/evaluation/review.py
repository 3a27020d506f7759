"""The review queue: all clips, those first whose label or tracking most deserves a look, with reasons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.dataset.reject_words import TWIN
from signloom.dataset.reviewed import ANSWER_COLUMNS, Decision, short_hash
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.misfit import FRAMES, Fit, Ids, fit_of, p_values
from signloom.evaluation.oddities import Oddity
from signloom.metrics.bootstrap import Floats

# what a reason adds to the score, in powers of ten; `neighbours` and `held_out` give their own
WEIGHTS = {"duplicate": 2.0, "swap": 1.0, "other_hand": 1.0, "tracking": 1.0, "length": 1.0}
KINDS = ("neighbours", "held_out", *WEIGHTS)
TWINS = 0.1  # of the usual distance to the nearest clip: as close as recordings of one performance
QUEUE_COLUMNS = [
    *("rank", "clip_id", "label", "signer_id", "score", "reasons", "why", "suggestion"),
    *("like_own", "like_other", "content", *ANSWER_COLUMNS),
]


@dataclass(frozen=True)
class Evidence:
    """What one way of looking at the clips (N,) says: misfit from 0 to 1, and the label that is nearer.

    Misfit is NaN and `label` -1 where it says nothing; `words` are the reasons, "" where the own label fits.
    """

    kind: str
    misfit: Floats
    label: Ids
    words: list[str]


def neighbours(clips: pd.DataFrame, points: npt.NDArray[np.floating]) -> tuple[Fit, Evidence, list[Oddity]]:
    """Return how clips fit among all others without any training, and near copies under two labels.

    The misfit is the mean of two: with clips compared frame by frame, and by warping in time. The higher one
    gives the reason.

    `clips` has `clip_id, sentence_id, sentence, signer_id`, all signed; `points` are their `trajectories`.
    """
    labels = clips["sentence_id"].to_numpy(np.int64)
    rows = np.arange(len(clips))
    fit = fit_of(points, labels, points, labels, rows)
    warped = fit_of(points, labels, points, labels, rows, title="warping", frames=FRAMES)
    misfits = (fit.misfit + warped.misfit) / 2
    worst = _worse(fit, warped)
    names, signers = _names(clips), clips["signer_id"].astype(str).to_numpy()
    words = [
        _of_neighbours(labels[near[near >= 0]], names, own, other, signers[near[near >= 0]] != signer)
        if misfit > 0.5
        else ""
        for near, own, other, signer, misfit in zip(
            worst.nearest, labels, worst.label, signers, misfits, strict=True
        )
    ]
    evidence = Evidence("neighbours", misfits, worst.label, words)
    return worst, evidence, list(_copies(clips, fit))


def held_out(clips: pd.DataFrame, builds: Sequence[EmbeddedClips]) -> Evidence:
    """Return how clips fit in the embeddings of models that did not train on them.

    A model that has trained on a clip has learnt its label, wrong or not; so each of `builds` judges only the
    clips outside its training split, among its training clips. The misfits of several models are averaged.
    """
    place = {clip_id: row for row, clip_id in enumerate(clips["clip_id"])}
    found: list[list[tuple[float, int]]] = [[] for _ in range(len(clips))]
    for build in builds:
        asked = np.flatnonzero((build.table["split"] != "train") & build.table["clip_id"].isin(list(place)))
        # nobody gets this gallery, so clips whose features may not be handed on are in it too
        learnt = (build.table["split"] == "train") & (build.table["sentence_id"] >= 0)
        gallery = np.flatnonzero(learnt)
        rows = [place[clip_id] for clip_id in build.table["clip_id"].iloc[asked]]
        labels = clips["sentence_id"].to_numpy(np.int64)[rows]
        known = build.table["sentence_id"].to_numpy(np.int64)[gallery]
        fit = fit_of(build.vectors[asked], labels, build.vectors[gallery], known, title="held_out")
        for row, misfit, label in zip(rows, fit.misfit, fit.label, strict=True):
            if np.isfinite(misfit):
                found[row].append((float(misfit), int(label)))
    misfits = np.array([np.mean([it for it, _ in said]) if said else np.nan for said in found], np.float64)
    # a model that finds the own label nearer suggests no other
    others = [[label for misfit, label in said if misfit > 0.5] for said in found]
    nearer = np.array([_most_frequent(labels) for labels in others], np.int64)
    names = _names(clips)
    words = [
        _of_models(labels.count(label), len(said), names[label], own) if misfit > 0.5 else ""
        for labels, said, misfit, label, own in zip(
            others, found, misfits, nearer.tolist(), clips["sentence"], strict=True
        )
    ]
    return Evidence("held_out", misfits, nearer, words)


def twice_in_table(clips: pd.DataFrame, rejects: pd.DataFrame, rows: pd.DataFrame) -> list[Oddity]:
    """Return clips whose video another row of the table names under another label.

    The manifest keeps the first row and rejects the other one: `rejects` has `clip_id, row, reason, detail`,
    and `rows` has `row, sentence` of the whole table.
    """
    labels = dict(zip(clips["clip_id"], clips["sentence"], strict=True))
    said = dict(zip(rows["row"].astype(str), rows["sentence"], strict=True))
    found = []
    for reject in rejects[rejects["reason"] == "duplicate"].itertuples():
        kept = str(reject.detail).removeprefix(TWIN) if TWIN in str(reject.detail) else str(reject.clip_id)
        other = said.get(str(reject.row), "")
        if kept in labels and other != labels[kept]:
            label = f"the label {_quoted(other)}" if other else "no label"
            words = f"row {reject.row} of the table gives the same video {label}"
            found.append(Oddity(kept, "duplicate", words))
    return found


def queue(
    clips: pd.DataFrame, evidence: Sequence[Evidence], odd: Iterable[Oddity], like: Fit | None = None
) -> pd.DataFrame:
    """Return the queue with the columns `QUEUE_COLUMNS`, the clip with the highest score first.

    `clips` has `clip_id, sentence_id, sentence, signer_id, video_hash`; each of `evidence`, and `like`, is
    about its signed clips (sentence_id >= 0) in their order. The score is the mean of -log10 p over the
    evidence that a clip has, where p is the share of clips that fit as badly or worse, plus the weights
    of its other reasons, each kind once: one point more means ten times as rare. Ties are broken by the clip.
    """
    signed = np.flatnonzero(clips["sentence_id"].to_numpy(np.int64) >= 0)
    names, ids = _names(clips), clips["clip_id"].to_numpy(dtype=object)
    surprise = np.array([-np.log10(p_values(it.misfit)) for it in evidence]).reshape(len(evidence), -1)
    score = np.zeros(len(clips))
    there = np.isfinite(surprise)
    score[signed] = np.where(there, surprise, 0.0).sum(0) / np.maximum(there.sum(0), 1)
    reasons: list[dict[str, list[str]]] = [{} for _ in range(len(clips))]
    suggestion = np.full(len(clips), "", dtype=object)
    for it in evidence:  # the last evidence that has a reason suggests a label
        for row, words, label in zip(signed, it.words, it.label, strict=True):
            if words:
                reasons[row][it.kind] = [words]
                suggestion[row] = names[label]
    place = {clip_id: row for row, clip_id in enumerate(ids)}
    for one in odd:
        if one.clip_id in place:
            reasons[place[one.clip_id]].setdefault(one.kind, []).append(one.words)
    score += [sum(WEIGHTS.get(kind, 0.0) for kind in its) for its in reasons]
    table = pd.DataFrame(
        {
            "clip_id": ids,
            "label": clips["sentence"].to_numpy(),
            "signer_id": clips["signer_id"].to_numpy(),
            "score": score.round(3),
            "reasons": [" ".join(its) for its in reasons],
            "why": ["; ".join(words for its in kinds.values() for words in its) for kinds in reasons],
            "suggestion": suggestion,
            **_alike(ids, signed, like),
            "content": [short_hash(digest) for digest in clips["video_hash"]],
            **dict.fromkeys(ANSWER_COLUMNS, ""),
        }
    )
    table = table.sort_values(["score", "clip_id"], ascending=[False, True], ignore_index=True)
    return table.assign(rank=np.arange(1, len(table) + 1))[QUEUE_COLUMNS]


def without(table: pd.DataFrame, clips: Sequence[str]) -> pd.DataFrame:
    """Return the queue without `clips`, which people have looked at."""
    left = table[~table["clip_id"].isin(list(clips))].reset_index(drop=True)
    return left.assign(rank=np.arange(1, len(left) + 1))


def with_decisions(table: pd.DataFrame, decisions: Sequence[Decision]) -> pd.DataFrame:
    """Return the queue and, after it, a row for each decision as people filled it in.

    So the table can replace the one that was sent back before, and nothing that was decided is lost.
    """
    names = ("clip_id", "label", "content", *ANSWER_COLUMNS)
    # a note may have several lines, which no cell of this table has
    rows = [{name: " ".join((getattr(it, name) or "").splitlines()) for name in names} for it in decisions]
    decided = pd.DataFrame(rows, columns=QUEUE_COLUMNS, dtype=object).fillna("")
    return pd.concat([table.astype(object), decided], ignore_index=True)


def count_reasons(table: pd.DataFrame, settled: int) -> dict[str, Any]:
    """Return the figures of metrics/review.json: clips in the queue, reviewed ones, and clips by reason."""
    kinds = table["reasons"].str.split()
    return {
        "clips": len(table),
        "reviewed": settled,
        "with_a_reason": int((table["reasons"] != "").sum()),
        "reasons": {kind: int(sum(kind in its for its in kinds)) for kind in KINDS},
    }


def _worse(one: Fit, other: Fit) -> Fit:
    """Return for each clip that of two fits in which it has the higher misfit, of equal ones the first."""
    more = other.misfit > one.misfit
    pairs = {it.name: (getattr(one, it.name), getattr(other, it.name)) for it in fields(Fit)}
    return Fit(
        **{name: np.where(more if a.ndim == 1 else more[:, None], b, a) for name, (a, b) in pairs.items()}
    )


def _copies(clips: pd.DataFrame, fit: Fit) -> Iterable[Oddity]:
    """Yield clips whose nearest clip has another label and lies far closer than nearest clips usually do."""
    known = fit.distance[np.isfinite(fit.distance)]
    limit = TWINS * float(np.median(known)) if len(known) else 0.0
    ids, labels = clips["clip_id"].tolist(), clips["sentence"].tolist()
    for row, (near, distance) in enumerate(zip(fit.nearest[:, 0], fit.distance, strict=True)):
        if near >= 0 and distance <= limit and labels[near] != labels[row]:
            other = _quoted(labels[near])
            words = f"nearly the same movements as clip {ids[near]}, which is labelled {other}"
            yield Oddity(ids[row], "duplicate", words)


def _of_neighbours(
    near: Ids, names: dict[int, str], own: int, other: int, strange: npt.NDArray[np.bool_]
) -> str:
    """Return in words that a clip lies nearer to `other`; `strange` (K,) are neighbours by other signers."""
    theirs = near == other
    if not theirs.any():
        return f"nearer to the clips of {_quoted(names[other])} than to the others of {_quoted(names[own])}"
    by = int((theirs & strange).sum())
    signers = f", {'all' if by == theirs.sum() else by} by other signers" if by else ""
    verb = "is" if theirs.sum() == 1 else "are"
    return f"{theirs.sum()} of its {len(near)} nearest clips {verb} {_quoted(names[other])}{signers}"


def _of_models(sure: int, models: int, other: str, own: str) -> str:
    if models == 1:
        who = "a model that did not train on it places"
    else:
        count = f"all {models}" if sure == models else f"{sure} of {models}"
        who = f"{count} models that did not train on it {'places' if sure == 1 else 'place'}"
    return f"{who} it nearer to {_quoted(other)} than to {_quoted(own)}"


def _quoted(label: str) -> str:
    """Return the label between backticks, by which the page knows it; its own become apostrophes."""
    return "`" + label.replace("`", "'") + "`"


def _names(clips: pd.DataFrame) -> dict[int, str]:
    return dict(zip(clips["sentence_id"].astype(int), clips["sentence"].astype(str), strict=True)) | {-1: ""}


def _most_frequent(labels: list[int]) -> int:
    """Return the most frequent label, of several the smallest; -1 without one."""
    return min(set(labels), key=lambda label: (-labels.count(label), label), default=-1)


def _alike(ids: npt.NDArray[Any], signed: npt.NDArray[np.intp], like: Fit | None) -> dict[str, Any]:
    """Return the nearest clip of the own label, and that of the nearest other label; "" if there is none."""
    found = {name: np.full(len(ids), "", dtype=object) for name in ("like_own", "like_other")}
    if like is not None:
        for name, rows in zip(found, (like.own_clip, like.other_clip), strict=True):
            found[name][signed] = [ids[signed[row]] if row >= 0 else "" for row in rows]
    return found
