"""Read the report's inputs from the files of one build."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.files import read_csv
from signloom.report.contact_sheet import Videos
from signloom.report.times import Built
from signloom.run_names import run_name

Metrics = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class SentenceSources:
    """Results of the landmarks-to-sentence family: metric files, training history, predictions."""

    scores: dict[str, Any]
    ranks: dict[str, Any]
    history: pd.DataFrame
    translations: pd.DataFrame
    retrieval: pd.DataFrame
    space: EmbeddedClips | None = None
    signs: bool = False  # every text is one sign, and nothing was decoded


@dataclass(frozen=True)
class InferenceSources:
    """Results of calibrate, export and evaluate_inference; those of the last two are None if not run.

    `calibration` and `scores` are their metric files, `answers` has `kind, reason` of the test clips,
    `bundle` is export_manifest.json, `latency` the benchmark file of stage evaluate_inference.
    """

    calibration: dict[str, Any]
    curve: pd.DataFrame
    thresholds: dict[str, Any]
    scores: dict[str, Any] | None = None
    answers: pd.DataFrame | None = None
    bundle: dict[str, Any] | None = None
    latency: dict[str, Any] | None = None


@dataclass(frozen=True)
class AlignmentSources:
    """Results of stage align: its metric file, and the times of every gloss."""

    scores: dict[str, Any]
    times: pd.DataFrame


@dataclass(frozen=True)
class SpottingSources:
    """Results of stage spot: its metric file, and the best place of each example in each clip."""

    scores: dict[str, Any]
    places: pd.DataFrame


@dataclass(frozen=True)
class GlossSources:
    """Results of the gloss family.

    `metrics` and `predictions` map a run to the content of its file, in the pipeline's order; `epochs` has a
    row per run and epoch; `backbones` has the distinct `backbone, weights, weights_sha256, mode` of features.
    """

    metrics: Metrics
    epochs: pd.DataFrame
    predictions: dict[str, pd.DataFrame]
    ablation: dict[str, Any]
    says: str
    backbones: pd.DataFrame
    alignment: AlignmentSources | None = None
    spotting: SpottingSources | None = None


@dataclass(frozen=True)
class Sources:
    """All inputs of the page; `files` are those whose checksums the page shows, `page` is where it will lie.

    A family that was not built is None, and so are videos if features were imported. `recipes` are tables by
    their paths. `built` says which stages, jobs and runs there are; `params` are the sections of the build's
    parameters.
    """

    metrics: Metrics
    clips: pd.DataFrame
    rejects: pd.DataFrame
    index: pd.DataFrame
    built: Built
    benchmarks: Path
    files: list[Path]
    page: Path
    params: dict[str, Any]
    videos: Videos | None = None
    sentences: SentenceSources | None = None
    inference: InferenceSources | None = None
    glosses: GlossSources | None = None
    recipes: Mapping[Path, pd.DataFrame] = field(default_factory=dict)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file."""
    return dict(json.loads(path.read_text("utf-8")))


def read_metrics(paths: Sequence[Path], names: Sequence[str]) -> Metrics:
    """Return the metric files by name; raise SignloomError for the first of `names` that is missing."""
    return {name: read_json(path) for name, path in by_name("metrics", paths, names).items()}


def by_name(option: str, paths: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Return the paths by name; raise SignloomError for the first of `names` that `option` lacks."""
    found = {path.stem: path for path in paths}
    for name in names:
        if name not in found:
            ending = "json" if option == "metrics" else "csv"
            raise SignloomError(f"report: --input {option}=... lacks {name}.{ending}; add it")
    return found


def read_diagnostics(index: Sequence[Path]) -> pd.DataFrame:
    """Return `clip_id, status, reason, motion_mean` of every clip from the pose-feature indexes."""
    columns = ["clip_id", "status", "reason", "motion_mean"]
    return pd.concat([pd.read_parquet(path, columns=columns) for path in index], ignore_index=True)


def read_history(history: Path, epochs: Path) -> pd.DataFrame:
    """Return history.csv joined with the validation loss, which only metrics.jsonl has."""
    table = read_csv(history)
    if table.empty:
        raise SignloomError(f"{history}: no epoch; run stage train_sign2text again")
    rows = [json.loads(line) for line in epochs.read_text("utf-8").splitlines()]
    losses = {int(row["epoch"]): row.get("val_loss") for row in rows}
    return table.assign(val_loss=table["epoch"].astype(int).map(losses).astype("float64"))


def read_table(path: Path, numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV: texts stay as written (`NA` is a word); `numbers` are float columns, NaN if empty."""
    table = read_csv(path, dtype=str, keep_default_na=False)
    for column in numbers:
        table[column] = table[column].replace("", np.nan).astype("float64")
    return table


def read_clips(metadata: Path, splits: Path) -> pd.DataFrame:
    """Return the processed metadata with `split` and `seen` of every clip."""
    clips = pd.read_parquet(metadata).drop(columns=["split", "seen"], errors="ignore")
    division = read_table(splits, ["seen"])[["clip_id", "split", "seen"]]
    return clips.merge(division, on="clip_id", how="left", validate="one_to_one")


def variant_of(run: str) -> str:
    """Return the variant of a gloss run: its name up to the seed."""
    return run.partition("-")[0]


def read_glosses(
    metrics: Sequence[Path],
    epochs: Sequence[Path],
    predictions: Sequence[Path],
    ablation: dict[str, Any],
    says: str,
    clip_index: Sequence[Path],
    alignment: AlignmentSources | None = None,
    spotting: SpottingSources | None = None,
) -> GlossSources:
    """Return the results of the runs, which the paths of their files name.

    Raises SignloomError with the name of a run that lacks a file.
    """
    lines = {run_name(path, path.parent.name): path for path in epochs}
    scores = {run_name(path, path.stem): path for path in metrics}
    answers = {run_name(path, path.stem): path for path in predictions}
    for run in scores:
        for name, files in (("gloss_epochs", lines), ("gloss_predictions", answers)):
            if run not in files:
                raise SignloomError(f"report: --input {name}=... has no file of run {run}")
    return GlossSources(
        metrics={run: read_json(path) for run, path in scores.items()},
        epochs=pd.concat([_epochs(run, lines[run]) for run in scores], ignore_index=True),
        predictions={run: read_table(answers[run]) for run in scores},
        ablation=ablation,
        says=says,
        backbones=_backbones(clip_index),
        alignment=alignment,
        spotting=spotting,
    )


def _epochs(run: str, path: Path) -> pd.DataFrame:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if not rows:
        raise SignloomError(f"{path}: no epoch; run stage train_gloss again")
    table = pd.DataFrame(rows)
    figures = {column: "float64" for column in table.columns.drop("epoch")}
    return table.astype(figures).assign(run=run, variant=variant_of(run))


def _backbones(clip_index: Sequence[Path]) -> pd.DataFrame:
    """Return the distinct networks that made clip features; none without clips."""
    columns = ["backbone", "weights", "weights_sha256", "mode"]
    tables = [pd.read_parquet(path, columns=columns) for path in clip_index]
    found = pd.concat([pd.DataFrame(columns=columns, dtype="str"), *tables]).astype("str")
    return found.drop_duplicates().sort_values(columns, ignore_index=True)
