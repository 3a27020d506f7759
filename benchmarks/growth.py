"""Measure what a larger corpus costs: generated clips of ready rows, built up to statistics and splits.

    python -m benchmarks.growth WORK --clips 10000

WORK is a new folder, or that of an earlier call, whose build is gone on with. The lines are rows of a
Markdown table: the build and the peak memory of each stage; Snakemake when nothing is left to do, beside its
bare start; DVC when nothing is left to do, beside the same stages and files with empty commands; the jobs and
the time after 1 % more clips.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from signloom.params.load import overlay, read_yaml
from signloom.processors import usable_cores

ROOT = Path(__file__).parent.parent
CODE = (
    *("Snakefile", "rules", "workflow_scripts", "signloom", "engines"),
    *("config", "profiles", "environment.yml", "LICENSE"),  # a bundle holds the licence
)
TARGETS = ("build/global_stats.npz", "build/processed_metadata.parquet", "build/splits.csv")
STAGES = ("sources", "manifest", "pose_features", "stats_pose", "metadata", "splits")
ROWS, COLUMNS, SIGNERS, WORDS = 24, 16, 10, 30


def write_corpus(work: Path, clips: int, shards: int) -> None:
    """Write code, parameters and a table of `clips`, and the files that are missing."""
    work.mkdir(exist_ok=True)
    for name in CODE:
        if not (work / name).exists():
            (work / name).symlink_to(ROOT / name)
    dataset = {"importer": "csv", "table": "data/own/clips.csv", "videos": "data/own/rows", "features": True}
    changes = {"dataset": dataset | {"variations": None}, "gloss": {"variants": ["hybrid_pose"]}}
    if not (work / "params.yaml").exists():
        changes |= {"shards": {"count": shards}, "tcn": {"input": "pose"}}
        params = overlay(read_yaml(ROOT / "params.yaml"), changes)
        (work / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    lines = ["video,sentence,signer_id,split"]
    for number in range(clips):
        name = f"s{number % SIGNERS}/{number}.npy"
        path = work / "data/own/rows" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = np.random.default_rng(number).normal(size=(ROWS, COLUMNS))
            np.save(path, rows.astype(np.float32))
        split = "test" if number % SIGNERS == SIGNERS - 1 else "train"
        words = f"word{number % WORDS} word{number // WORDS % WORDS}"
        lines.append(f"{name},{words},s{number % SIGNERS},{split}")
    (work / "data/own/clips.csv").write_text("\n".join([*lines, ""]), "utf-8")


def timed(work: Path, *command: str) -> tuple[float, str]:
    """Run a command in `work`; return its seconds and output. If it fails, the program ends."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - begun, done.stdout + done.stderr


def build(work: Path) -> tuple[float, int]:
    """Build up to statistics and splits; return seconds and the number of jobs."""
    seconds, said = timed(work, "snakemake", "--cores", str(usable_cores()), "--", *TARGETS)
    return seconds, len(re.findall(r"^Job \d+:", said, re.MULTILINE))


def peaks(work: Path) -> dict[str, float]:
    """Return the peak memory of each stage in MB, of its shards the largest."""
    found: dict[str, float] = {}
    folder = work / "build/benchmarks"
    for file in sorted(folder.rglob("*.tsv")):
        stage = file.relative_to(folder).with_suffix("").parts[0]
        _, measured = csv.reader(file.read_text("utf-8").splitlines()[:2], delimiter="\t")
        found[stage] = max(found.get(stage, 0.0), float(measured[2]))  # max_rss
    return found


def start_dvc(work: Path) -> None:
    """Make `work` a repository of DVC that has recorded what is built."""
    if not (work / ".dvc").exists():
        timed(work, "dvc", "init", "--no-scm", "--quiet")
        timed(work, "dvc", "config", "core.analytics", "false")
    timed(work, sys.executable, "-m", "engines.dvc_yaml")
    timed(work, "dvc", "repro", "--single-item", "--quiet", "code")
    seconds, _ = timed(work, "dvc", "commit", "--force", "--quiet", *STAGES)
    print(f"| | `dvc commit` | {seconds:.0f} s |")


def empty_commands(work: Path) -> None:
    """Replace the commands of all stages, in dvc.yaml and dvc.lock, by ones that do nothing."""
    for name in ("dvc.yaml", "dvc.lock"):
        file = work / name
        # a long command goes on in lines that stand further in
        text = re.sub(r"^( +)cmd:.*(\n\1 .*)*", r"\1cmd: 'true'", file.read_text("utf-8"), flags=re.M)
        file.write_text(text, "utf-8")


def least(work: Path, *command: str) -> float:
    """Return the least of three times of a command."""
    return min(timed(work, *command)[0] for _ in range(3))


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=100)
    args = parser.parse_args()
    if shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None:
        raise SystemExit("snakemake is not installed beside this Python: run `make setup`")
    work, clips = args.work.resolve(), args.clips
    write_corpus(work, clips, args.shards)
    seconds, jobs = build(work)
    bare = least(work, "snakemake", "--version")
    nothing = least(work, "snakemake", "-n", "--quiet", "--", *TARGETS)
    print(f"| {clips} clips in {args.shards} shards | the build, {jobs} jobs | {seconds:.0f} s |")
    print("| | peak memory |", ", ".join(f"{name} {mb:.0f}" for name, mb in peaks(work).items()), "MB |")
    print(f"| | `snakemake -n` with nothing left, and `snakemake --version` | {nothing:.1f}, {bare:.1f} s |")
    start_dvc(work)
    ours = least(work, "dvc", "status", "--quiet", *STAGES)
    kept = (work / "dvc.yaml").read_text("utf-8"), (work / "dvc.lock").read_text("utf-8")
    empty_commands(work)
    plain = least(work, "dvc", "status", "--quiet", *STAGES)
    print(f"| | `dvc status` with nothing left, and with empty commands | {ours:.1f}, {plain:.1f} s |")
    for name, text in zip(("dvc.yaml", "dvc.lock"), kept, strict=True):
        (work / name).write_text(text, "utf-8")
    write_corpus(work, clips + max(1, clips // 100), args.shards)
    seconds, jobs = build(work)
    print(f"| | after 1 % more clips: {jobs} jobs | {seconds:.0f} s |")


if __name__ == "__main__":
    main()
