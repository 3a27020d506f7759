"""Score the gloss variants of a preset by cross-validation on its training clips; no test clip is read.

    python -m tools.cross_validate --preset boston104 --folds 5 --jobs 2

It needs a finished build of the preset, whose features and metadata it reads. Each fold uses its share of the
training clips for validation and trains on the rest. Products go to build/<preset>/seeds/fold-<k>/. The table
pools the clips of all folds: the errors of all over the reference words of all.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.gloss import error_stats
from signloom.params.variants import VARIANTS
from tools.engine import workflow

BEFORE = ["splits", "stats_pose", "stats_clip", "text"]
EACH = ["train_gloss", "evaluate_gloss"]
KEPT = {"data", "clip_id", "signer_id", "sentence_id", "seen", "reference", "blank_frames", "frames"}


def folder_of(preset: str | None) -> str:
    """Return the folder of the products of `preset`; a list of presets has one folder."""
    return f"build/{preset.replace(',', '-')}" if preset else "build"


def commands(preset: str | None, folds: int) -> list[tuple[list[str], list[list[str]]]]:
    """Return for every fold the command lines before training, and those of each variant's first seed."""
    with workflow(Path(), preset, dag=True) as flow:
        jobs = [job for job in flow.dag.jobs if job.rule.name in BEFORE + EACH]
    if not any(job.rule.name == "train_gloss" for job in jobs):
        raise SignloomError(f"preset {preset!r} trains no gloss variant; choose one with gloss.variants")
    root = folder_of(preset)
    plan = []
    for fold in range(folds):
        first = [moved(job, root, folds, fold) for name in BEFORE for job in jobs if job.rule.name == name]
        # the folds already show the variance that more seeds would show
        runs = sorted({job.wildcards.run for job in jobs if job.rule.name in EACH} & set(VARIANTS))
        each = [
            [
                moved(job, root, folds, fold)
                for name in EACH
                for job in jobs
                if job.rule.name == name and job.wildcards.run == run
            ]
            for run in runs
        ]
        plan.append((first, each))
    return plan


def moved(job: Any, root: str, folds: int, fold: int) -> str:
    """Return the command line of `job` for one fold, with the fold's splits and product folders."""
    given: dict[str, Any] = json.loads(job.params.given)
    if "splits" in given:
        given["splits"] |= {"folds": folds, "fold": fold}
    line = f"{job.params.call} --params {shlex.quote(json.dumps(given))} --threads {job.threads}"
    there = f"{root}/seeds/fold-{fold}"
    for product in ("splits.csv", "global_stats.npz", "clip_stats.npz", "text/", "models/", "predictions/"):
        line = line.replace(f"={root}/{product}", f"={there}/{product}")
    return re.sub(r"=metrics/(?:[\w-]+/)*?(gloss/|splits)", rf"={there}/metrics/\1", line)


def run(lines: list[str]) -> None:
    """Run command lines one after another; if one fails, print its output and exit."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(line, shell=True, env=environment, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def table(root: str, folds: int) -> pd.DataFrame:
    """Return the pooled WER of every run and decoder, the spread over folds, and the number of clips."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    clips: dict[str, int] = {}
    for fold in range(folds):
        for file in sorted(Path(f"{root}/seeds/fold-{fold}/predictions/gloss").glob("*.csv")):
            answers = pd.read_csv(file, keep_default_na=False, dtype=str)
            answers = answers[answers["data"].str.startswith("val")]
            clips[file.stem] = clips.get(file.stem, 0) + len(answers)
            for decoder in [column for column in answers if column not in KEPT]:
                lines = ([line.split() for line in answers[name]] for name in ("reference", decoder))
                *errors, words = error_stats(*lines).sum(0)
                found.setdefault((file.stem, decoder), []).append((sum(errors), words))
    rows = []
    for (name, decoder), counts in found.items():
        errors, words = (sum(column) for column in zip(*counts, strict=True))
        spread = pd.Series([e / w for e, w in counts]).std()
        rows.append((name, decoder, errors / words, spread, clips[name]))
    return pd.DataFrame(rows, columns=["run", "decoder", "wer", "spread over folds", "clips"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="number of folds or runs at a time")
    args = parser.parse_args(argv)
    plan = commands(args.preset, args.folds)
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(run, [first for first, _ in plan]))
        list(pool.map(run, [lines for _, each in plan for lines in each]))
    print(table(folder_of(args.preset), args.folds).round(4).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
