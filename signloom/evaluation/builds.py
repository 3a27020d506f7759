"""Read one build: its answers clip by clip, and the figures of its metric files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.runs import SENTENCES, read_answers
from signloom.metrics.metric_files import meaningful
from signloom.params.variants import VARIANTS

RETRIEVAL = "retrieval"
# metric files that repeat the figures of others
_SUMMARIES = frozenset({"ablation", "runs"})
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
    places = [Path(), *(Path("seeds") / seed for seed in further_seeds(folder))]
    answers = [_answers(folder / place, place.name) for place in places]
    figures = [_figures(_metrics_of(folder / place)) for place in places]
    means = pd.concat(figures).groupby(level=0, sort=False).mean()
    rounded = {name: meaningful(mean, str(name)) for name, mean in means.items()}
    return Build(pd.concat(answers, ignore_index=True), pd.Series(rounded, dtype="float64"))


def further_seeds(folder: Path) -> list[str]:
    """Return the seeds beside the first, from runs.csv; folders of other seeds are left from older builds."""
    table = folder / "predictions/runs.csv"
    if not table.exists():
        return []
    seeds = pd.read_csv(table, dtype=str, keep_default_na=False)["seed"]
    return [str(seed) for seed in seeds.unique() if seed]


def _answers(place: Path, seed: str) -> pd.DataFrame:
    folder = place / "predictions"
    paths = [folder / f"{SENTENCES}.csv", *(folder / "gloss" / f"{name}.csv" for name in VARIANTS)]
    found = read_answers([path for path in paths if path.exists()])
    if found.empty:
        raise SignloomError(f"compare: {folder} has no predictions; build it first")
    if (ranks := folder / f"{RETRIEVAL}.csv").exists():
        found = pd.concat([found, _retrieved(ranks, found[found["model"] == SENTENCES])], ignore_index=True)
    return found.assign(seed=seed).drop(columns="fold")


def _retrieved(path: Path, sentences: pd.DataFrame) -> pd.DataFrame:
    """Return the answers of retrieval: one error where the right sentence is not the first."""
    ranks = pd.read_csv(path, dtype=str, keep_default_na=False)
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


def _figures(folder: Path) -> pd.Series:
    paths = {path.stem: path for path in [*sorted(folder.glob("*.json")), *folder.glob("gloss/*.json")]}
    found: dict[str, float] = {}
    # those of the models come first
    for stem in dict.fromkeys([SENTENCES, RETRIEVAL, *VARIANTS, *paths]):
        if stem in paths and stem not in _SUMMARIES:
            tree = pd.json_normalize(json.loads(paths[stem].read_text("utf-8")), sep=" ")
            numbers = tree.select_dtypes("number").iloc[0].items()
            found |= {f"{stem} {name}": float(value) for name, value in numbers if not _BESIDE.search(name)}
    return pd.Series(found, dtype="float64")
