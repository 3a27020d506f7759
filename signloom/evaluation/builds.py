"""Read one build: its answers clip by clip, and the figures of its metric files."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.runs import SENTENCES, read_answers
from signloom.files import read_csv
from signloom.metrics.bootstrap import NOT_DECODED
from signloom.metrics.metric_files import meaningful
from signloom.params.variants import VARIANTS
from signloom.run_names import folder_after

RETRIEVAL = "retrieval"
# metric files that repeat the figures of others
_SUMMARIES = frozenset({"ablation", "runs"})
# metric files of all models of a family
_OF_SENTENCES = frozenset({SENTENCES, RETRIEVAL, "calibration", "inference"})
_OF_GLOSSES = frozenset({"alignment", "spotting"})
# entries that are no figures of their own: bounds, spreads, counts of clips and seeds
_BESIDE = re.compile(r"(_low|_high|_std| n| n_\w+| seeds)$")


class Build(NamedTuple):
    """What a build says.

    `answers` has a row per seed and clip: `model, seed, data, clip_id, signer_id, reference, answer, errors,
    words`. `figures` has the numbers of the metric files by name, such as `sign2text test chrf`; each is the
    mean over seeds.
    """

    answers: pd.DataFrame
    figures: pd.Series


def read_build(folder: Path) -> Build:
    """Read the build in `folder`, which is laid out like `build`; the runs of its folds are not read.

    Raises SignloomError if a run has no predictions.
    """
    runs = _runs(folder)
    figures = pd.concat([_figures(folder, place, models) for place, models in runs.items()])
    means = figures.groupby(level=0, sort=False).mean()
    rounded = {name: meaningful(mean, str(name)) for name, mean in means.items()}
    answers = [_answers(folder, place, models) for place, models in runs.items()]
    return Build(pd.concat(answers, ignore_index=True), pd.Series(rounded, dtype="float64"))


def places(folder: Path) -> list[Path]:
    """Return the folders of runs below the build `folder`: its own, those of variants and more seeds."""
    return list(_runs(folder))


def _runs(folder: Path) -> dict[Path, set[str]]:
    """Return the folders of runs below the build `folder`, each with the models that it has.

    runs.csv names the runs of the last build; products of others are left from older ones.
    """
    table = folder / "predictions/runs.csv"
    if not table.exists():
        return {Path(): {SENTENCES, *VARIANTS}}
    runs = read_csv(table, dtype=str, keep_default_na=False)
    found: dict[Path, set[str]] = {}
    for model, seed in zip(runs["model"], runs["seed"], strict=True):
        found.setdefault(_place(model, seed), set()).add(model.partition("-")[0])
    return found


def _place(model: str, seed: str) -> Path:
    variant = model.partition("-")[2]
    return Path(*(["variants", variant] if variant else []), *(["seeds", seed] if seed else []))


def _suffix(place: Path) -> str:
    """Return what the model of a run is called after its family: `-supcon` for variants/supcon."""
    variant = folder_after("build" / place / "predictions", "variants")
    return f"-{variant}" if variant else ""


def _answers(folder: Path, place: Path, models: set[str]) -> pd.DataFrame:
    files = folder / place / "predictions"
    paths = [files / f"{SENTENCES}.csv", *(files / "gloss" / f"{name}.csv" for name in VARIANTS)]
    found = read_answers([path for path in paths if path.stem in models and path.exists()])
    if found.empty:
        raise SignloomError(f"compare: {files} has no predictions; build it first")
    # as the folder that was given says, whatever stands above it
    found["model"] = found["model"].str.partition("-")[0]
    if SENTENCES in models and (ranks := files / f"{RETRIEVAL}.csv").exists():
        found = pd.concat([found, _retrieved(ranks, found[found["model"] == SENTENCES])], ignore_index=True)
    if not _decoded(folder / place):
        found = found[found["model"] != SENTENCES]
    seed = folder_after("build" / place / "predictions", "seeds")
    return found.assign(model=found["model"] + _suffix(place), seed=seed).drop(columns="fold")


def _decoded(place: Path) -> bool:
    """Return whether the sentences of a run were decoded; those of signs repeat what retrieval found."""
    scores = _metrics_of(place) / f"{SENTENCES}.json"
    return not scores.exists() or NOT_DECODED not in scores.read_text("utf-8")


def _retrieved(path: Path, sentences: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of retrieval: one error where the right sentence is not the first."""
    ranks = read_csv(path, dtype=str, keep_default_na=False)
    ranks = ranks[ranks["rank"] != ""].rename(columns={"top_sentence": "answer"})
    clips = sentences[["clip_id", "signer_id", "reference"]]
    table = ranks[["data", "clip_id", "rank", "answer"]].merge(clips, on="clip_id")
    errors = (table.pop("rank").astype(float) > 1).astype(float)
    return table.assign(model=RETRIEVAL, errors=errors, words=1.0)


def _metrics_of(place: Path) -> Path:
    """Return the folder of metric files of `place`: metrics/mine for build/mine."""
    parts = place.absolute().parts
    if "build" not in parts:
        return place / "metrics"
    last = len(parts) - 1 - parts[::-1].index("build")
    return Path(*parts[:last], "metrics", *parts[last + 1 :])


def _figures(folder: Path, place: Path, models: set[str]) -> pd.Series:
    files = _metrics_of(folder / place)
    listed = [*sorted(files.glob("*.json")), *files.glob("gloss/*.json")]
    paths = {path.stem: path for path in listed if _is_of(path.stem, models)}
    found: dict[str, float] = {}
    # those of the models come first
    for stem in dict.fromkeys([SENTENCES, RETRIEVAL, *VARIANTS, *paths]):
        if stem in paths and stem not in _SUMMARIES:
            tree = pd.json_normalize(json.loads(paths[stem].read_text("utf-8")), sep=" ")
            for name, value in tree.select_dtypes("number").iloc[0].items():
                if not _BESIDE.search(name):
                    found[f"{stem}{_suffix(place)} {name}"] = float(value)
    return pd.Series(found, dtype="float64")


def _is_of(stem: str, models: set[str]) -> bool:
    """Return whether a metric file is of one of `models`, or of none such as that of the splits."""
    if stem in VARIANTS:
        return stem in models
    if stem in _OF_SENTENCES:
        return SENTENCES in models
    return stem not in _OF_GLOSSES or not models.isdisjoint(VARIANTS)
