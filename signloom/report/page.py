"""The report: everything that one build says of itself, on one page that opens from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jiwer
import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.translation import normalise, wer_stats
from signloom.report import plots, provenance, tables
from signloom.report.tables import DATA, HEADLINE, RETRIEVAL

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_name("template.html.j2")
# the committed demo corpus; its figures need a word of warning that no other corpus needs
_DEMO_VIDEOS = "data/demo/videos/"
_EXAMPLES = 6
_LOSSES = {"train_loss": "training", "val_loss": "validation", "ce_loss": "cross-entropy"}
_CONTRASTIVE = {"clip_loss": "clip and sentence", "supcon_loss": "two views of a clip"}
_ALIGNMENT = {
    "val_pos_sim": "similarity to the own sentence",
    "val_neg_sim": "similarity to the others",
    "val_inst_top1": "own sentence first",
}


@dataclass(frozen=True)
class Sources:
    """What the page is made of, read; `files` are those whose checksums the page shows."""

    metrics: dict[str, dict[str, Any]]
    history: pd.DataFrame
    translations: pd.DataFrame
    retrieval: pd.DataFrame
    clips: pd.DataFrame
    rejects: pd.DataFrame
    index: pd.DataFrame
    shards: set[str]
    benchmarks: Path
    files: list[Path]


@dataclass(frozen=True)
class Step:
    """One column of an alignment: `equal`, `substitute`, `delete` or `insert`."""

    kind: str
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class Example:
    """One decoded clip; `spoken` says the edits in words."""

    clip: str
    signer: str
    wer: str
    reference: str
    hypothesis: str
    nearest: str
    steps: list[Step]
    spoken: str


def read_metrics(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the metric files by name; SignloomError names the first that is missing."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in paths}
    for name in ("manifest", "features", "splits", "sign2text", "retrieval"):
        if name not in found:
            raise SignloomError(f"report: --input metrics=... lacks {name}.json")
    return found


def read_history(history: Path, epochs: Path) -> pd.DataFrame:
    """Return history.csv with the validation loss of metrics.jsonl, which the table does not have."""
    table = pd.read_csv(history)
    if table.empty:
        raise SignloomError(f"{history}: no epoch; run stage train_sign2text again")
    rows = [json.loads(line) for line in epochs.read_text("utf-8").splitlines()]
    losses = {int(row["epoch"]): row.get("val_loss") for row in rows}
    return table.assign(val_loss=[losses.get(int(epoch)) for epoch in table["epoch"]]).astype(
        {"val_loss": "float64"}
    )


def best_epoch(history: pd.DataFrame) -> int:
    """Return the epoch of best.pth: highest instance top-1, then lowest loss, then the first."""
    top1 = history["val_inst_top1"].fillna(-1.0)
    loss = history["val_loss"].fillna(history["train_loss"])
    order = pd.DataFrame({"top1": -top1, "loss": loss}).sort_values(["top1", "loss"], kind="stable")
    return int(history["epoch"].loc[order.index[0]])


def read_table(path: Path, numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Return a CSV with its texts as written (`NA` is a word) and its `numbers` as floats, empty as NaN."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in numbers:
        table[column] = table[column].replace("", np.nan).astype("float64")
    return table


def read_clips(metadata: Path, splits: Path) -> pd.DataFrame:
    """Return the processed metadata with `split` and `seen` of every clip."""
    clips = pd.read_parquet(metadata).drop(columns=["split", "seen"], errors="ignore")
    division = read_table(splits, ["seen"])[["clip_id", "split", "seen"]]
    return clips.merge(division, on="clip_id", how="left", validate="one_to_one")


def align(reference: str, hypothesis: str) -> list[Step]:
    """Return jiwer's alignment word by word; both texts are normalised as for the word error rate."""
    out = jiwer.process_words([normalise(reference)], [normalise(hypothesis)])
    left, right = out.references[0], out.hypotheses[0]
    steps = []
    for chunk in out.alignments[0]:
        ours = left[chunk.ref_start_idx : chunk.ref_end_idx]
        theirs = right[chunk.hyp_start_idx : chunk.hyp_end_idx]
        width = max(len(ours), len(theirs))
        pairs = zip(ours + [""] * (width - len(ours)), theirs + [""] * (width - len(theirs)), strict=True)
        steps += [Step(chunk.type, a, b) for a, b in pairs]
    return steps


def spoken_edits(steps: Sequence[Step]) -> str:
    """Return the edits of an alignment in words, for those who hear the page."""
    phrases = {
        "substitute": "“{0.hypothesis}” in place of “{0.reference}”",
        "delete": "“{0.reference}” left out",
        "insert": "“{0.hypothesis}” added",
    }
    edits = [phrases[step.kind].format(step) for step in steps if step.kind != "equal"]
    return "; ".join(edits) if edits else "no difference"


def choose_examples(answers: pd.DataFrame) -> list[Example]:
    """Return up to six clips of one data set, evenly spaced from the most wrong to the most right."""
    edits, words = wer_stats(answers["reference"].tolist(), answers["hypothesis"].tolist()).T
    rate = np.divide(edits, words, out=np.full(len(edits), np.nan), where=words > 0)
    ranked = answers.assign(rate=rate).sort_values(["rate", "clip_id"], ascending=[False, True])
    places = np.linspace(0, len(ranked) - 1, min(_EXAMPLES, len(ranked))).round().astype(int)
    return [_example(row) for row in ranked.iloc[places].to_dict("records")]


def _example(row: Mapping[Any, Any]) -> Example:
    steps = align(row["reference"], row["hypothesis"])
    return Example(
        clip=row["clip_id"],
        signer=row.get("signer_id", ""),
        wer=tables.DASH if np.isnan(row["rate"]) else f"{row['rate']:.2f}",
        reference=row["reference"],
        hypothesis=row["hypothesis"],
        nearest=row.get("nearest", ""),
        steps=steps,
        spoken=spoken_edits(steps),
    )


def motion_groups(clips: pd.DataFrame, index: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the mean motion of kept clips, signed or not, and of rejected ones, still or not."""
    signed = clips["sentence_id"] >= 0
    rejected = index[index["status"] == "rejected"]
    still = rejected["reason"] == "low_motion"
    return {
        "signed, kept": clips["motion_mean"][signed],
        "not signing, kept": clips["motion_mean"][~signed],
        "rejected as low_motion": rejected["motion_mean"][still],
        "rejected for another reason": rejected["motion_mean"][~still],
    }


def is_demo(clips: pd.DataFrame) -> bool:
    """Whether any clip is a video of the committed demo corpus."""
    return bool(clips["video_file"].astype(str).str.startswith(_DEMO_VIDEOS).any())


def render(sources: Sources) -> str:
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals["DATA"] = DATA
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        demo=is_demo(sources.clips),
        **_scores(sources),
        **_corpus(sources),
        **_training(sources.history),
        **_errors(sources.translations),
        times=tables.stage_times(sources.benchmarks, sources.shards),
        commit=provenance.git_commit(ROOT),
        versions=provenance.package_versions(),
        checksums=provenance.checksums(sources.files),
    )


def _scores(sources: Sources) -> dict[str, Any]:
    translation, retrieval = sources.metrics["sign2text"], sources.metrics["retrieval"]
    by_key = {metric.key: metric for metric in [*HEADLINE, *RETRIEVAL]}
    wanted = [
        ("Word error rate", translation, "test", "wer"),
        ("BLEU-4", translation, "test", "bleu4"),
        ("Right sentence first", retrieval, "test", "ret_top1"),
        ("Word error rate", translation, "test_unseen_sentences", "wer"),
        ("Nearest sentence’s word error rate", translation, "test_unseen_sentences", "nearest_wer"),
    ]
    tiles = [
        (
            label,
            DATA[data],
            scores.get(data, {}).get("n", 0),
            tables.score_cell(scores.get(data, {}), by_key[key]),
        )
        for label, scores, data, key in wanted
    ]
    among = {data: scores.get("leave_one_out", {}) for data, scores in retrieval.items()}
    signatures = {
        f"{key.removesuffix('_signature')}: {value}"
        for scores in translation.values()
        for key, value in scores.items()
        if key.endswith("_signature")
    }
    sentences = dict(zip(sources.clips["sentence_id"], sources.clips["sentence"], strict=True))
    return {
        "tiles": tiles,
        "headline": tables.score_table(
            "headline", "Sentences and alignment, with 95 % intervals", translation, HEADLINE
        ),
        "retrieval": tables.score_table(
            "gallery", "Against the training clips, with 95 % intervals", retrieval, RETRIEVAL
        ),
        "among": tables.score_table(
            "among",
            "Against the training clips and the other clips of its data, with 95 % intervals",
            among,
            RETRIEVAL,
        ),
        "wrong": tables.wrong_answers(sources.retrieval, sentences),
        "signatures": sorted(signatures),
    }


def _corpus(sources: Sources) -> dict[str, Any]:
    manifest, features = sources.metrics["manifest"].get("all", {}), sources.metrics["features"]["all"]
    clips = sources.clips
    counted, single = tables.reject_tables(sources.rejects)
    return {
        "corpus": tables.corpus_table(clips),
        "rejects": counted,
        "rejected": single,
        "manifest": manifest,
        "features": features,
        "lengths": plots.lengths(clips) if len(clips) else None,
        "motion": plots.motion(motion_groups(clips, sources.index), float(features["motion_floor"])),
    }


def _training(history: pd.DataFrame) -> dict[str, Any]:
    best = best_epoch(history)
    drawn = [
        ("losses", "Losses. The one in validation has no two-view part, so the two need not meet.", _LOSSES),
        ("contrastive", "Contrastive losses in training.", _CONTRASTIVE),
        ("alignment", "Alignment of clips and sentences in validation.", _ALIGNMENT),
        ("val-wer", "Word error rate in validation, greedy decoding.", {"val_wer": "word error rate"}),
        ("val-bleu", "BLEU-4 in validation, greedy decoding.", {"val_bleu4": "BLEU-4"}),
    ]
    shown = [
        plots.curves(name, caption, history, columns, best)
        for name, caption, columns in drawn
        if history[list(columns)].notna().any(axis=None)
    ]
    return {"best_epoch": best, "epochs": len(history), "curves": shown}


def _errors(answers: pd.DataFrame) -> dict[str, Any]:
    answers = answers.assign(length=tables.reference_lengths(answers["reference"].tolist()).to_numpy())
    by_length = tables.wer_by(answers, "length")
    named = "signer_id" in answers and (answers["signer_id"] != "").any()
    by_signer = tables.wer_by(answers, "signer_id") if named else None
    chosen = {
        data: choose_examples(answers[answers["data"] == data])
        for data in DATA
        if data != "val_unseen_sentences"
    }
    return {
        "by_length": plots.wer_by_length(by_length) if len(by_length) else None,
        "length_table": tables.group_table(
            "by-length", "Word error rate by length of the reference", "Words (from)", by_length
        ),
        "by_signer": plots.wer_by_signer(by_signer) if by_signer is not None and len(by_signer) else None,
        "signer_table": None
        if by_signer is None
        else tables.group_table("by-signer", "Word error rate by signer", "Signer", by_signer),
        "examples": {data: found for data, found in chosen.items() if found},
    }
