"""Kill builds of a small project at random moments, under both engines, and compare every byte.

    python -m tools.many_kills WORK [--kills 200] [--seed N] [--longest S]

WORK/reference is built once without a kill, by Snakemake. WORK/killed is built again and again, in turn by
Snakemake and by DVC, from nothing to the end; up to S seconds after each start, the engine and all its jobs
get SIGKILL. After every kill each file with a final name must equal the reference byte for byte, and at the
end of a build all must be there. What was done is in WORK/kills.csv, so the next call goes on there. The
engines print to WORK/engines.log.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from signloom.files import read_csv, write_csv
from tools.same_bytes import differences, products
from tools.small_project import commit_all, environment, make_small

ENGINES = {
    "snakemake": ["snakemake", "--cores", "all"],
    "dvc": ["dvc", "repro"],
}
# what DVC says of a file that it had not written to the end
CUT_OFF = {"dvc.lock": "dvc.lock' ", ".dvc/tmp/rwlock": "JSON structure is corrupted"}
COLUMNS = ["what", "engine", "seconds", "newest_log", "products"]  # what: kill, or end of a build


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=40, metavar="S")
    args = parser.parse_args(argv)
    reference, killed, done = args.work / "reference", args.work / "killed", args.work / "kills.csv"
    if not done.exists():
        prepare(args.work, reference, killed)
        write_csv(done, pd.DataFrame(columns=COLUMNS))
    whole, rows = products(reference), read_csv(done)
    while (kills := int((rows["what"] == "kill").sum())) < args.kills:
        # every run has its own seed, so that a call that goes on draws what one call would have drawn
        rng = random.Random(f"{args.seed} {len(rows)}")
        engine = [*ENGINES][int((rows["what"] == "end").sum()) % len(ENGINES)]
        seconds = round(rng.uniform(0.5, args.longest), 2)
        ended = run_and_kill(killed, engine, seconds, args.work / "engines.log")
        demand_whole(killed, whole, engine, ended)
        what = "end" if ended else "kill"
        rows.loc[len(rows)] = [what, engine, seconds, newest_log(killed), len(products(killed))]
        if ended:
            start_anew(killed)
        write_csv(done, rows)
        print(f"{kills} kills; {what} of {engine} after {seconds:g} s, at {rows.iloc[-1, 3]}", flush=True)
    ends = int((rows["what"] == "end").sum())
    print(f"{kills} kills, {ends} builds ended, {len(whole)} products; 0 half-written or differing files")
    return 0


def prepare(work: Path, reference: Path, killed: Path) -> None:
    """Make and build the reference, and a clone of it under both engines."""
    make_small(reference)
    commit_all(reference)
    subprocess.run(["git", "clone", "-q", str(reference), str(killed)], check=True)
    start_anew(killed)
    with (work / "engines.log").open("ab") as log:
        subprocess.run(
            ENGINES["snakemake"],
            cwd=reference,
            env=environment(reference),
            check=True,
            stdout=log,
            stderr=log,
        )


def start_anew(killed: Path) -> None:
    """Remove all that was built, the engines' records and caches included."""
    for name in ("build", "metrics", ".snakemake", ".dvc", "dvc.lock", "dvc.yaml"):
        path = killed / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for command in (["dvc", "init", "-q"], [sys.executable, "-m", "engines.dvc_yaml"]):
        subprocess.run(command, cwd=killed, env=environment(killed), check=True)


def run_and_kill(killed: Path, engine: str, seconds: float, log: Path) -> bool:
    """Start `engine`, and kill it and its jobs after `seconds`; return whether it had ended by then."""
    with log.open("ab") as file:
        # DVC's stages are Snakemake's too; a kill leaves its lock
        unlock = ["snakemake", "--cores", "1", "--unlock"]
        subprocess.run(unlock, cwd=killed, env=environment(killed), check=True, stdout=file, stderr=file)
        process = subprocess.Popen(
            ENGINES[engine],
            cwd=killed,
            env=environment(killed),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
    if code == 0:
        return True
    if cut_off := removed_by_the_user(killed, log):
        print(f"a kill cut off {' and '.join(cut_off)}", flush=True)
        return run_and_kill(killed, engine, seconds, log)
    raise SystemExit(f"{engine} failed with exit code {code}; see {log}")


def removed_by_the_user(killed: Path, log: Path) -> list[str]:
    """Delete files of DVC's that a kill cut off while DVC wrote them, as docs/running.md tells users to."""
    said = log.read_text("utf-8", "replace")[-1000:]
    files = [name for name, words in CUT_OFF.items() if words in said and (killed / name).exists()]
    for name in files:
        (killed / name).unlink()
    return files


def demand_whole(killed: Path, whole: dict[str, str], engine: str, ended: bool) -> None:
    """Exit with an error for a file that differs from the reference, or lacks at the end of a build."""
    now = {path: digest for path, digest in products(killed).items() if not path.endswith(".gitignore")}
    wrong = [path for path in differences(whole, now) if ended or path in now]
    if wrong:
        raise SystemExit(f"after {engine}: {len(wrong)} files differ from the reference: {wrong[:10]}")


def newest_log(killed: Path) -> str:
    """Return the stage whose log was written last, "" if there is none."""
    logs = [path for path in (killed / "build/logs").rglob("*.log") if path.is_file()]
    newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
    recent = newest is not None and time.time() - newest.stat().st_mtime < 60
    return newest.relative_to(killed / "build/logs").as_posix() if newest and recent else ""


if __name__ == "__main__":
    sys.exit(main())
