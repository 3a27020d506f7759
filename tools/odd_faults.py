"""Build a small project while odd things happen to its processes, folder or clock, and compare its bytes.

    python -m tools.odd_faults WORK [FAULT ...] [--seed N]

WORK is a new folder, or one of an earlier call. WORK/reference is built once without a fault, by Snakemake.
Each fault gets a clone of its own, WORK/FAULT, and happens under Snakemake and DVC while they build as far as
one trained network, from which on nothing new happens to processes and files. In the end all products have
the bytes of the reference, or what was refused was said without a traceback. The faults:

    stopped       engine and jobs get SIGSTOP and SIGCONT at random moments; one stop is of 45 s
    stopped_jobs  jobs alone get them
    two_engines   a second engine starts while another builds: all four pairs
    clock         the times of all files are what they would be had the clock gone back a day in the middle
                  of the build, and forward after it
    other_user    a user who may not write the folder builds and asks (root without its rights, in a folder
                  that it does not own)
    full_tmp      the folder for temporary files is on a full disk

The last two need root. The engines print to WORK/FAULT.logs.
"""

import argparse
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tools.full_disk import fill
from tools.many_kills import start_anew
from tools.same_bytes import differences, products
from tools.small_project import commit_all, environment, make_small

GOAL = "build/models/gloss/tcn_ctc/best.pth"
ENGINES = {
    "snakemake": ["snakemake", "--cores", "all", GOAL],
    "dvc": ["dvc", "repro", "train_gloss-tcn_ctc"],
}
DAY = 86400
NOBODY = 65534
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
Fault = Callable[[Path, dict[str, str], random.Random], list[str]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("faults", nargs="*", metavar="FAULT", default=[*FAULTS])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    work = args.work.resolve()
    reference = work / "reference"
    if not reference.exists():
        make_small(reference)
        commit_all(reference)
    run(reference, "snakemake", "--cores", "all")
    whole, bad = products(reference), 0
    for name in args.faults:
        folder = work / name
        for old in (folder, folder.with_suffix(".logs")):
            shutil.rmtree(old, ignore_errors=True)
        subprocess.run(["git", "clone", "-q", str(reference), str(folder)], check=True)
        wrong = FAULTS[name](folder, whole, random.Random(f"{args.seed} {name}"))
        bad += bool(wrong)
        print(f"{name}: {'; '.join(wrong) or 'well'}", flush=True)
    return 1 if bad else 0


def stopped(folder: Path, whole: dict[str, str], rng: random.Random) -> list[str]:
    return _stopped(folder, whole, rng, lambda engine: True)


def stopped_jobs(folder: Path, whole: dict[str, str], rng: random.Random) -> list[str]:
    return _stopped(folder, whole, rng, is_job)


def _stopped(
    folder: Path, whole: dict[str, str], rng: random.Random, which: Callable[[psutil.Process], bool]
) -> list[str]:
    """Stop those processes of each build that `which` takes: first for 45 s while videos are read."""
    wrong = []
    for name, command in ENGINES.items():
        start_anew(folder)
        engine, stops = start(folder, *command), 0
        while engine.poll() is None:
            # the state of the first clip that was read
            reading = [*(folder / "build/scratch").glob("landmarks/*/*")]
            if stops or reading:
                time.sleep(rng.uniform(1, 12) if stops else 0)
                stop(engine, which, rng.uniform(0.5, 6) if stops else 45)
                stops += 1
            time.sleep(0.2)
        print(f"{name}: stopped {stops} times, exit code {engine.returncode}", flush=True)
        wrong += [f"{name} failed"] * bool(engine.returncode) + differing(folder, whole, name)
    return wrong


def stop(engine: subprocess.Popen[bytes], which: Callable[[psutil.Process], bool], seconds: float) -> None:
    """Send SIGSTOP to the processes of `engine` that `which` takes, and SIGCONT after `seconds`."""
    try:
        engine_process = psutil.Process(engine.pid)
        family = [engine_process, *engine_process.children(recursive=True)]
        held = [process for process in family if which(process)]
    except psutil.NoSuchProcess:
        return
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in held:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        time.sleep(seconds if number == signal.SIGSTOP and held else 0)


def is_job(process: psutil.Process) -> bool:
    """Return whether `process` is the Python program of a stage."""
    called: list[str] = process.cmdline()
    return called[1:2] == ["-m"] and called[2].startswith("workflow_scripts.")


def two_engines(folder: Path, whole: dict[str, str], rng: random.Random) -> list[str]:
    """Start a second engine again and again while the first builds; one of them must end well."""
    wrong, refused = [], 0
    for first, second in itertools.product(ENGINES, repeat=2):
        start_anew(folder)
        pair = f"{first} and {second}"
        engine, codes, wait = start(folder, *ENGINES[first]), [], 0.0
        # two of a kind start in the same moment; elsewhere the faster one would always be the first
        while first != second and not (folder / "build/logs/landmarks").exists() and engine.poll() is None:
            time.sleep(0.5)
        while engine.poll() is None:
            time.sleep(wait)
            code, said = run(folder, *ENGINES[second], ok=False)
            wait = rng.uniform(1, 15)
            refused += code != 0
            codes.append(code)
            if code and "Traceback" in said:
                wrong.append(f"{pair}: a traceback")
        print(f"{pair}: exit code {engine.returncode}, and of the second {codes}", flush=True)
        # the second may have been the one that got in first
        if engine.returncode and 0 not in codes:
            wrong.append(f"{pair}: none ended well")
        wrong += differing(folder, whole, pair)
    return wrong if refused else [*wrong, "nothing was refused"]


def clock(folder: Path, whole: dict[str, str], rng: random.Random) -> list[str]:
    """Move the times of all files as a clock would that goes back a day in a build, and forward after it."""
    wrong = []
    for name, command in ENGINES.items():
        start_anew(folder)
        engine = start(folder, *command)
        with suppress(subprocess.TimeoutExpired):
            engine.wait(rng.uniform(30, 60))
        move_times(folder, DAY)
        first = engine.wait()
        wrong += unclear(newest_log(folder).read_text("utf-8")) if first else []
        second, said = run(folder, *command, ok=False)
        wrong += [f"{name} did not go on"] * bool(second) + unclear(said) * bool(second)
        move_times(folder, -2 * DAY)
        wrong += differing(folder, whole, name)
        for last in (ENGINES["snakemake"] + ["-n"], *[[*command, "--dry"]] * (name == "dvc")):
            if not re.search("Nothing to be done|up to date", said := run(folder, *last)[1]):
                wrong.append(f"after {name} work is left: {said[-300:]}")
        print(f"{name}: exit code {first} with the clock a day back in the middle, then {second}", flush=True)
    return wrong


def move_times(folder: Path, seconds: float) -> None:
    """Add `seconds` to the times of the products and of the engines' records in `folder`."""
    for top in ("build", "metrics", ".snakemake", "dvc.lock"):
        for path in (folder / top, *(folder / top).rglob("*")):
            with suppress(FileNotFoundError):  # the build goes on meanwhile
                when = path.stat().st_mtime + seconds
                os.utime(path, (when, when))


def other_user(folder: Path, whole: dict[str, str], rng: random.Random) -> list[str]:
    """Build and ask as a user who may read the folder; there is a line and no traceback."""
    start_anew(folder)
    home = folder.with_name("home")
    home.mkdir(exist_ok=True)
    own(folder, NOBODY)
    wrong, before = [], products(folder)
    for command, place in itertools.product(ASKED, (home, folder)):
        if command[0] == "snakemake" and place == folder:
            continue  # Snakemake ends before it reads the Snakefile where it has no place for its cache
        code, said = run(folder, *POWERLESS, *command, ok=False, HOME=str(place))
        print(
            f"{' '.join(command)}, home {place.name}: exit code {code}, {len(said.splitlines())} lines",
            flush=True,
        )
        wrong += [f"{' '.join(command)}, home {place.name}: {line}" for line in unclear(said)] if code else []
    own(folder, os.getuid())
    return wrong + [f"{path} was written" for path in differences(before, products(folder))]


def own(folder: Path, user: int) -> None:
    """Make `user` the owner of `folder` and of all in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


ASKED = (
    *ENGINES.values(),
    ["snakemake", "-n"],
    ["dvc", "status"],
    [sys.executable, "-m", "signloom", "init", "data/demo"],
    [sys.executable, "-m", "signloom", "check", "demo"],
    [sys.executable, "-m", "engines.verify"],
)


def full_tmp(folder: Path, whole: dict[str, str], rng: random.Random) -> list[str]:
    """Build with the folder for temporary files on a full disk."""
    wrong = []
    for name, command in ENGINES.items():
        start_anew(folder)
        with full_disk(folder.with_name("disk")) as disk:
            code, said = run(folder, *command, ok=False, TMPDIR=str(disk))
        print(f"{name}: exit code {code}", flush=True)
        wrong += unclear(said) if code else differing(folder, whole, name)
    return wrong


@contextmanager
def full_disk(place: Path) -> Iterator[Path]:
    """Mount at `place` a disk that has no space left."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", str(place)], check=True)
    try:
        fill(place / "ballast")
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (stopped, stopped_jobs, two_engines, clock, other_user, full_tmp)
}


def start(folder: Path, *command: str, **more: str) -> subprocess.Popen[bytes]:
    """Start `command` in `folder` in a process group of its own; it prints to a new file in the logs."""
    variables = environment(folder) | more
    with newest_log(folder, 1).open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True
        )


def newest_log(folder: Path, more: int = 0) -> Path:
    """Return the file to which the last command in `folder` printed; with `more` 1, the file of the next."""
    logs = folder.with_suffix(".logs")
    logs.mkdir(exist_ok=True)
    return logs / f"{len([*logs.iterdir()]) + more}.log"


def run(folder: Path, *command: str, ok: bool = True, **more: str) -> tuple[int, str]:
    """Run `command` in `folder`; return its exit code and what it printed."""
    process = start(folder, *command, **more)
    log = newest_log(folder)
    code, said = process.wait(), log.read_text("utf-8", "replace")
    if ok and code:
        raise SystemExit(f"{' '.join(command)} failed in {folder}; see {log}:\n{said[-3000:]}")
    return code, said


def unclear(said: str) -> list[str]:
    """Return what is wrong with what a program said when it failed."""
    if "Traceback" in said:
        return ["a traceback"]
    return [] if any("error" in line.lower() for line in said.splitlines()) else ["no error is named"]


def differing(folder: Path, whole: dict[str, str], after: str) -> list[str]:
    """Return a line that names the products that differ from the reference, or that there are none."""
    now = {path: digest for path, digest in products(folder).items() if not path.endswith(".gitignore")}
    wrong = [path for path in differences(whole, now) if path in now or path == GOAL]
    return [f"after {after} {len(wrong)} of {len(now)} products differ: {wrong[:5]}"] if wrong else []


if __name__ == "__main__":
    sys.exit(main())
