"""Kill a build ten times with SIGKILL, five times each in landmarks and in training, and compare its bytes.

    python -m tools.kill_and_resume REFERENCE WORK [--seed N]

REFERENCE is a checkout with a complete, undisturbed build at one commit, because checkpoints record theirs.
WORK is a new folder: the commit of REFERENCE is cloned into it, built there and killed. After every kill,
each file with a final name must equal the reference byte for byte, and training must report that it resumes.
The output of the builds goes to WORK.log.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.same_bytes import differences, products

KILLS = 5
TRAINING_LOG = "build/logs/train_sign2text.log"
RESUMED = "going on after epoch"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    rng = random.Random(args.seed)
    subprocess.run(["git", "clone", "--quiet", str(args.reference), str(args.work)], check=True)
    presets = {file.stem for file in args.work.glob("config/presets/*.yaml")}
    for file in args.work.glob("metrics/**/*.json"):
        # metrics of presets are committed, and this build does not make them
        if not presets.intersection(file.relative_to(args.work).parts):
            file.unlink()
    reference = products(args.reference)
    for number in range(KILLS):
        kill_in(args.work, "build/logs/landmarks", rng.uniform(5, 25), f"landmarks {number + 1}", reference)
    for number in range(KILLS):
        kill_in(args.work, TRAINING_LOG, rng.uniform(2, 8), f"training {number + 1}", reference)
        if number:
            demand_resumed(args.work)
    build(args.work).wait()
    demand_resumed(args.work)
    different = differences(reference, products(args.work))
    print(f"{len(reference)} products after {2 * KILLS} kills, {len(different)} different {different}")
    return 1 if different else 0


def demand_resumed(work: Path) -> None:
    """Exit with an error unless the log of the last training run reports that it resumed."""
    if RESUMED not in (work / TRAINING_LOG).read_text("utf-8"):
        raise SystemExit("training started from the beginning instead of resuming")


def log_of(work: Path) -> Path:
    """Return the log file of the builds in `work`; an unread pipe would block them."""
    return work.with_name(work.name + ".log")


def build(work: Path) -> subprocess.Popen[bytes]:
    """Start a build in its own process group, after removing the lock that a kill left."""
    environment = {**os.environ, "PYTHONPATH": str(work)}
    subprocess.run(
        ["snakemake", "--cores", "1", "--unlock"], cwd=work, check=True, capture_output=True, env=environment
    )
    with log_of(work).open("ab") as log:
        return subprocess.Popen(
            ["snakemake", "--cores", "all"],
            cwd=work,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill_in(work: Path, sign: str, delay: float, name: str, reference: dict[str, str]) -> None:
    """Build until `sign` changes, wait `delay` seconds, kill the process group and check the products."""
    started = time.time()
    process = build(work)
    while process.poll() is None and not _touched_since(work / sign, started):
        time.sleep(0.2)
    time.sleep(delay)
    if process.poll() is not None:
        raise SystemExit(f"{name}: the build ended before it was killed; see {log_of(work)}")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    now = products(work)
    parts = [path for path in now if path.endswith(".part")]
    half = [path for path, digest in now.items() if path not in parts and reference.get(path) != digest]
    print(f"{name}: killed after {delay:.0f} s, {len(now) - len(parts)} products whole, half-written: {half}")
    if half:
        raise SystemExit(1)


def _touched_since(path: Path, start: float) -> bool:
    """Return whether the folder `path` has a new log, or the training log `path` is new and has an epoch."""
    if path.is_dir():
        return any(file.stat().st_mtime >= start for file in path.glob("*"))
    return path.exists() and path.stat().st_mtime >= start and "epoch " in path.read_text("utf-8")


if __name__ == "__main__":
    sys.exit(main())
