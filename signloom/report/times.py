"""Stage times: what a build's jobs took, from Snakemake's benchmark files."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.params.runs import RunsParams
from signloom.report.tables import DASH, Table


@dataclass(frozen=True)
class Built:
    """What a build has: jobs that stages are split into (shards, gloss variants), stages, and runs.

    `stages` is None if nobody says which there are. Without `runs`, there is the plain run alone.
    """

    jobs: set[str]
    stages: set[str] | None = None
    runs: RunsParams | None = None

    def places(self, folder: Path) -> list[Path]:
        """Return the folders of all runs; that of the plain run is `folder`."""
        if self.runs is None:
            return [folder]
        folds = ["", *(f"folds/{name}" for name in self.runs.folds)]
        variants = ["", *(f"variants/{name}" for name in self.runs.sign2text_variants)]
        seeds = ["", *(f"seeds/{seed}" for seed in self.runs.more_seeds)]
        return [
            folder.joinpath(fold, variant, seed)
            for fold, variant, seed in itertools.product(folds, variants, seeds)
            if self.runs.seeds_of_folds or not (fold and seed)
        ]

    def has(self, stage: str) -> bool:
        """Return whether the stage is of this build."""
        return self.stages is None or stage in self.stages


def stage_times(folder: Path, built: Built) -> Table:
    """Return time and peak memory of each stage from Snakemake's benchmark files under `folder`.

    The files are `<stage>.tsv`, or `<stage>/<job>.tsv`, in the folder of their run. What an earlier build
    left there is not listed. `s` is in seconds, `max_rss` in MiB. The report itself is not listed, because it
    is still running.
    """
    found = []
    for place in built.places(folder):
        single = [(path.stem, path) for path in sorted(place.glob("*.tsv")) if path.stem != "report"]
        many = [(path.parent.name, path) for path in sorted(place.glob("*/*.tsv")) if path.stem in built.jobs]
        found += [(stage, *_benchmark(path)) for stage, path in single + many if built.has(stage)]
    table = pd.DataFrame(found, columns=["stage", "seconds", "memory"])
    rows = []
    for stage, part in sorted(table.groupby("stage"), key=lambda item: -item[1]["seconds"].sum()):
        seconds, peak = part["seconds"], part["memory"].max()
        # a job may end before its memory is measured for the first time
        memory = f"{peak:,.0f} MiB" if np.isfinite(peak) and peak > 0 else DASH
        rows.append((stage, f"{len(part):,}", duration(seconds.sum()), duration(seconds.max()), memory))
    columns = ["Stage", "Jobs", "Time, all jobs", "Longest job", "Peak memory of a job"]
    return Table("times", "Time and peak memory of every stage, slowest first", columns, rows)


def _benchmark(path: Path) -> tuple[float, float]:
    """Return seconds and peak memory of one job (the mean if it was run several times)."""
    table = pd.read_csv(path, sep="\t", na_values=["-"])
    if "s" not in table or "max_rss" not in table:
        raise SignloomError(f"{path}: expected Snakemake's benchmark columns s and max_rss; delete the file")
    return float(table["s"].mean()), float(table["max_rss"].mean())


def duration(seconds: float) -> str:
    """Format a time span: `3.2 s`, `4 min 05 s`, `2 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
