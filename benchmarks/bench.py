"""Run the benchmarks of speed with small sizes, and compare their ratios with the committed table.

    python -m benchmarks.bench                # all, ten minutes or less on two cores
    python -m benchmarks.bench --only stats   # one of them
    python -m benchmarks.bench --accept       # the last run's ratios become the committed ones

The committed table is `benchmarks/table.csv`; a run writes `build/bench.csv`. A ratio says how many times
faster something is than a plain reference in the same run. It is the median of several runs, each in its own
process, on one thread and without a GPU. A ratio is `slower` if it lost more than 15 % of the committed one
and more than the spread (highest less lowest, as a share of the median) of either row. Rows of another kind
of processor are shown beside each other and not judged.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import processor, ratios
from signloom.processors import usable_cores
from signloom.progress import track

ROOT = Path(__file__).parent.parent
COMMITTED, MEASURED = ROOT / "benchmarks/table.csv", ROOT / "build/bench.csv"
LEAST_LOSS = 0.15
SLOWER, MISSING, NEW, OTHER = "slower", "missing", "new", "another processor"


class Benchmark(NamedTuple):
    """A script of this folder, its arguments and the number of its runs."""

    script: str
    arguments: str
    runs: int = 3


VIDEOS = "--videos data/demo/videos"
BENCHMARKS = (
    Benchmark("beam_search", "--batch 8 --samples 1"),
    Benchmark("landmarks", f"{VIDEOS} --clips 8", runs=2),
    Benchmark("training_data", "--clips 256"),
    Benchmark("shards", "--repeats 3"),
    Benchmark("cached_text", "--steps 3 --batch 4 --frames 32 --tokens 64"),
    Benchmark("stats", "--clips 100"),
    Benchmark("clip_features", f"{VIDEOS} --clips 3 --backbones i3d", runs=2),
    Benchmark("i3d", "--side 112"),
    Benchmark("gloss_decoding", "--batch 8 --samples 1"),
    Benchmark("inference", "--rounds 20"),
    Benchmark("training", "--family sentences --clips 8 --batch 8 --rounds 1", runs=2),
    Benchmark("training", "--family glosses --clips 8 --batch 8 --rounds 3"),
)
SCRIPTS = tuple(dict.fromkeys(benchmark.script for benchmark in BENCHMARKS))


class Row(NamedTuple):
    """A row of a table: the median of a ratio's runs, and where it was measured."""

    benchmark: str
    what: str
    ratio: float
    lowest: float
    highest: float
    runs: int
    processor: str
    commit: str

    @property
    def spread(self) -> float:
        """Highest less lowest, as a share of the median."""
        return (self.highest - self.lowest) / self.ratio


class Line(NamedTuple):
    """A ratio of both tables; None where a table lacks it."""

    what: str
    before: float | None
    now: float | None
    verdict: str


def run(benchmark: Benchmark) -> tuple[int, str]:
    """Return the exit code of a benchmark in its own process, and all that it printed, in order."""
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", f"benchmarks.{benchmark.script}", *benchmark.arguments.split()]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | own, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout


def measure(benchmarks: Sequence[Benchmark]) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of the benchmarks, and the last line of each script that failed, which has no rows."""
    kind = f"{processor()}, {usable_cores()} cores"
    commit = revision()
    found: dict[tuple[str, str], list[float]] = {}
    failed: dict[str, str] = {}
    # in rounds, so that the spread also covers what else the machine does meanwhile
    rounds = range(max(one.runs for one in benchmarks))
    turns = [one for number in rounds for one in benchmarks if number < one.runs]
    for benchmark in track(turns, "benchmarks", unit="run"):
        if benchmark.script in failed:
            continue
        code, output = run(benchmark)
        printed = ratios(output)
        if code or not printed:
            failed[benchmark.script] = (output.strip().splitlines() or ["it printed nothing"])[-1]
        for what, ratio in printed.items():
            found.setdefault((benchmark.script, what), []).append(ratio)
    order = sorted(found, key=lambda key: SCRIPTS.index(key[0]))
    rows = [
        Row(script, what, round(median(values), 3), min(values), max(values), len(values), kind, commit)
        for script, what in order
        if script not in failed
        for values in (found[script, what],)
    ]
    return rows, failed


def revision() -> str:
    """Return the commit of the checkout, with `+` if files differ from it; empty outside of Git."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def compare(committed: Iterable[Row], measured: Iterable[Row]) -> list[Line]:
    """Return a line for every ratio, in the order of the committed table, new ones last."""
    now = {(row.benchmark, row.what): row for row in measured}
    here = {row.processor for row in now.values()}
    lines = []
    for old in committed:
        new = now.pop((old.benchmark, old.what), None)
        if old.processor not in here:
            verdict = OTHER
        elif new is None:
            verdict = MISSING
        else:
            allowed = max(LEAST_LOSS, old.spread, new.spread)
            verdict = SLOWER if new.ratio < old.ratio * (1 - allowed) else ""
        lines.append(Line(f"{old.benchmark}: {old.what}", old.ratio, new and new.ratio, verdict))
    return lines + [Line(f"{row.benchmark}: {row.what}", None, row.ratio, NEW) for row in now.values()]


def merge(committed: Iterable[Row], measured: Sequence[Row]) -> list[Row]:
    """Return the measured rows, and the committed ones of benchmarks that were not run but still exist."""
    run_now = {row.benchmark for row in measured}
    kept = [row for row in committed if row.benchmark in SCRIPTS and row.benchmark not in run_now]
    return sorted([*measured, *kept], key=lambda row: SCRIPTS.index(row.benchmark))


def read_table(path: Path) -> list[Row]:
    """Return the rows of a table; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(benchmark, what, float(ratio), float(lowest), float(highest), int(runs), kind, commit)
            for benchmark, what, ratio, lowest, highest, runs, kind, commit in list(csv.reader(file))[1:]
        ]


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a table."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([Row._fields, *rows])


def shown(lines: Sequence[Line]) -> str:
    """Return the comparison as a Markdown table."""
    table = ["| what | committed | now | change | |", "|---|---|---|---|---|"]
    for what, before, now, verdict in lines:
        change = f"{now / before - 1:+.0%}" if before and now else ""
        both = " | ".join("" if value is None else f"{value:.2f}x" for value in (before, now))
        table.append(f"| {what} | {both} | {change} | {verdict} |")
    return "\n".join(table)


def main(argv: list[str] | None = None) -> int:
    """Measure and compare, or accept; return 1 if a benchmark failed, got slower or lacks a ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--only", choices=SCRIPTS, metavar="NAME", help=", ".join(SCRIPTS))
    either.add_argument("--accept", action="store_true", help="measures nothing")
    args = parser.parse_args(argv)
    committed = read_table(COMMITTED)
    if args.accept:
        measured = read_table(MEASURED)
        if not measured:
            parser.error(f"{MEASURED.relative_to(ROOT)} has no rows; run `make bench` first")
        write_table(COMMITTED, merge(committed, measured))
        return 0
    chosen = [one for one in BENCHMARKS if args.only in (None, one.script)]
    measured, failed = measure(chosen)
    write_table(MEASURED, measured)
    # of a benchmark that failed nothing is known; of one that is no longer run, every ratio is missing
    asked = [row for row in committed if args.only in (None, row.benchmark) and row.benchmark not in failed]
    lines = compare(asked, measured)
    print(shown(lines))
    for script, line in failed.items():
        print(f"{script} failed: {line}")
    return 1 if failed or any(line.verdict in (SLOWER, MISSING) for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
