"""The landmarks-to-sentence section of the page: scores, training, errors, examples, retrieval."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from signloom.metrics.paired import decided
from signloom.report import plots, tables
from signloom.report.errors import describe_errors
from signloom.report.labels import DATA, LABELS
from signloom.report.sentences import embedding_map, signs
from signloom.report.sources import SentenceSources
from signloom.report.tables import HEADLINE, RETRIEVAL, Cell, Metric, Notes, Table

_FIRST = next(metric for metric in RETRIEVAL if metric.key == "ret_top1")
_OVER = Metric("difference", "Difference", "higher")


def describe(sources: SentenceSources, clips: pd.DataFrame) -> dict[str, Any]:
    """Return the template's values for sentences; `clips` is the processed metadata."""
    space = sources.space
    return {
        **_scores(sources, clips),
        **_training(sources.history),
        **({} if sources.signs else _errors(sources.translations)),
        "signs": signs.describe(sources.scores, sources.ranks, sources.retrieval, clips)
        if sources.signs
        else None,
        "map": space and embedding_map.describe(space.vectors, space.table),
    }


def best_epoch(history: pd.DataFrame) -> int:
    """Return the epoch of best.pth: highest instance top-1, ties by lower loss, then by earlier epoch."""
    top1 = history["val_inst_top1"].fillna(-1.0)
    loss = history["val_loss"].fillna(history["train_loss"])
    order = pd.DataFrame({"top1": -top1, "loss": loss}).sort_values(["top1", "loss"], kind="stable")
    return int(history["epoch"].loc[order.index[0]])


def _scores(sources: SentenceSources, clips: pd.DataFrame) -> dict[str, Any]:
    translation, retrieval = sources.scores, sources.ranks
    by_key = {metric.key: metric for metric in [*HEADLINE, *RETRIEVAL, *signs.SIGNS]}
    tiles = []
    for label, file, data, key in LABELS["sign_tiles" if sources.signs else "sentence_tiles"]:
        scores = (translation if file == "sign2text" else retrieval).get(data, {})
        tiles.append((label, DATA[data], scores.get("n", 0), tables.score_cell(scores, by_key[key])))
    beside = "Against the training clips and the other clips of its data"
    among = {data: scores.get("leave_one_out", {}) for data, scores in retrieval.items()}
    signatures = {
        f"{key.removesuffix('_signature')}: {value}"
        for scores in translation.values()
        for key, value in scores.items()
        if key.endswith("_signature")
    }
    sentences = dict(zip(clips["sentence_id"], clips["sentence"], strict=True))
    return {
        "tiles": tiles,
        "headline": tables.score_table("headline", "Sentences and alignment", translation, HEADLINE),
        "retrieval": tables.score_table("gallery", "Against the training clips", retrieval, RETRIEVAL),
        "among": tables.score_table("among", beside, among, RETRIEVAL),
        "rivals": rivals_table(retrieval),
        "verdict": verdict_on_rivals(retrieval, "signs" if sources.signs else "sentences"),
        "wrong": tables.wrong_answers(sources.retrieval, sentences),
        "signatures": sorted(signatures),
    }


def rivals_table(retrieval: Mapping[str, Any]) -> Table | None:
    """Return the scores of untrained rivals beside the model's, or None if no data set can be searched."""
    shown = [data for data in DATA if _searched(retrieval.get(data, {}))]
    notes = Notes()
    rows = [
        [
            Cell(label, _asked([retrieval[data]["rivals"][name] for data in shown])),
            *(
                tables.score_cell(retrieval[data]["rivals"][name], metric, notes)
                for data in shown
                for metric in (_FIRST, _OVER)
            ),
        ]
        for name, label in LABELS["rivals"].items()
        if shown and name in retrieval[shown[0]]["rivals"]
    ]
    columns = ["Rival", *(column for data in shown for column in (DATA[data], "the model has more"))]
    caption = f"{_FIRST.label} by untrained rivals, and the model's share minus theirs"
    return Table("rivals", caption, columns, rows, notes.listed()) if shown else None


def _asked(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return what stands below a rival's name: how many clips it was asked about, if not about all."""
    counts = [str(one["n"]) for one in figures if "n" in one]
    return f"untrained; only {' and '.join(counts)} clips" if counts else "untrained"


def verdict_on_rivals(retrieval: Mapping[str, Any], units: str = "sentences") -> str:
    """Return whether the model beats every rival, on test or else on validation; "" if it is unknown."""
    data = next((data for data in ("test", "val") if _searched(retrieval.get(data, {}))), None)
    if not data:
        return ""
    own, rivals = retrieval[data], retrieval[data]["rivals"]
    level = [
        f"{label} finds {rivals[name]['ret_top1']:.3f} (difference {_points(rivals[name])})"
        for name, label in LABELS["rivals"].items()
        if name in rivals and not _better(rivals[name])
    ]
    if not level:
        return f"On {data}, the model finds more {units} than its untrained rivals do."
    return (
        f"On {data}, training is not shown to help: the model finds {own['ret_top1']:.3f} of the {units}, "
        f"and {' and '.join(level)}."
    )


def _better(figures: Mapping[str, Any]) -> bool:
    bounds = (figures["difference_low"], figures["difference_high"])
    return figures["difference"] > 0 and decided(figures["p"], bounds)


def _searched(scores: Mapping[str, Any]) -> bool:
    return bool(scores.get("n_ranked")) and "rivals" in scores


def _points(figures: Mapping[str, Any]) -> str:
    low, high = figures["difference_low"], figures["difference_high"]
    words = f"{figures['difference']:+.3f}, 95 % {low:+.3f} to {high:+.3f}, p {figures['p']:.3f}"
    return words.replace("-", "−")


def _training(history: pd.DataFrame) -> dict[str, Any]:
    best = best_epoch(history)
    two_views = history["supcon_loss"].fillna(0.0).any()
    more = " The validation loss has no two-view part, so the curves need not meet." if two_views else ""
    shown = [
        plots.curves(name, caption + (more if name == "losses" else ""), history, columns, best)
        for name, caption, columns in LABELS["sentence_curves"]
        if history[list(columns)].notna().any(axis=None)
    ]
    by_rank = "its validation clips ranked their own sentence first most often (ties go to the lower loss)"
    chosen = by_rank if history["val_inst_top1"].notna().any() else "its loss is the lowest"
    return {"best_epoch": best, "epochs": len(history), "curves": shown, "chosen_by": chosen}


def _errors(answers: pd.DataFrame) -> dict[str, Any]:
    known = "signer_id" in answers and (answers["signer_id"] != "").any()
    named = answers if known else answers[:0].assign(signer_id="")
    return describe_errors(answers, named, LABELS["errors"]["sentences"])
