"""What 1 % more clips of video cost: processor time of the jobs that run again, beside a build of all clips.

Usage: python -m benchmarks.more_clips WORK [--engine dvc]

WORK is a copy of a folder where `make demo` has run. Cuts of its first clips are added to its table, 1 % of
them, and the stages that run shard by shard are brought up to date. Prints a row for each stage.
"""

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

STAGES = ("landmarks", "pose_features", "clip_features", "clip_features_augmented")
CUT_S = 1.9


def processor_seconds(work: Path, stage: str, since: float = 0.0) -> list[float]:
    """Return the processor time of each job of `stage` that ended after `since`."""
    files = sorted((work / "build/benchmarks" / stage).rglob("*.tsv"))
    new = [file for file in files if file.stat().st_mtime > since]
    rows = [list(csv.DictReader(file.read_text("utf-8").splitlines(), delimiter="\t"))[-1] for file in new]
    return [float(row["cpu_time"]) for row in rows]


def add_clips(table: Path) -> int:
    """Add cuts of the first clips that sign, 1 % of all, and return how many."""
    lines = table.read_text("utf-8").splitlines()
    whole = [line for line in lines[1:] if not line.startswith("bad/") and line.endswith(",")]
    more = [f"{line}{CUT_S}" for line in whole[: max(1, len(lines) // 100)]]
    table.write_text("\n".join([*lines, *more, ""]), "utf-8")
    return len(more)


def call(work: Path, engine: str) -> list[str]:
    """Return the command that brings the sharded stages up to date."""
    if engine == "dvc":
        stages = [f"{stage}*@*" for stage in ("landmarks", "pose_features", "clip_features")]
        return [sys.executable, "-m", "dvc", "repro", "--glob", *stages]
    arrays = [file for stage in STAGES for file in sorted((work / "build" / stage).glob("*.npy"))]
    targets = [file.relative_to(work).as_posix() for file in arrays if not file.name.endswith(".mask.npy")]
    return [sys.executable, "-m", "snakemake", "--cores", "2", "--", *targets]


def main() -> None:
    """Add clips, build and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--engine", choices=["snakemake", "dvc"], default="snakemake")
    args = parser.parse_args()
    before = {stage: processor_seconds(args.work, stage) for stage in STAGES}
    if not all(before.values()):
        raise SystemExit(f"{args.work}: run `make demo` there first")
    added = add_clips(args.work / "data/demo/clips.csv")
    started = time.time()
    done = subprocess.run(call(args.work, args.engine), cwd=args.work, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    print(f"{added} clips more, {time.time() - started:.0f} s with {args.engine}")
    for stage in STAGES:
        again, all_clips = processor_seconds(args.work, stage, started), sum(before[stage])
        share = f"{100 * sum(again) / all_clips:.1f} %"
        print(f"| {stage} | {len(again)} jobs | {sum(again):.1f} of {all_clips:.1f} s | {share} |")


if __name__ == "__main__":
    main()
