"""Build a small project on a SLURM cluster of two nodes while things go wrong, and compare its bytes.

    python -m tools.cluster_faults WORK [--seed N]

WORK is a new folder, or one of an earlier call. The project of `tools.small_project` is built in WORK/here by
this machine alone, and in WORK/there by the cluster of `tools.slurm_nodes`. There a running job is cancelled,
jobs of two stages get too little memory, a job hangs until its time is over, and a node dies and comes back.
The build is started again until it ends well, as a user would. It needs Debian's slurmctld, slurmd,
slurm-client and munge, and root.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.same_bytes import differences, products
from tools.slurm_nodes import Cluster, cluster
from tools.small_project import commit_all, environment, make_small

PROFILE = ("--workflow-profile", "profiles/slurm", "--max-threads", "2")
QUICK = ("--latency-wait", "10", "--slurm-init-seconds-before-status-checks", "5")
MOST_RUNS = 8
Fault = Callable[[Cluster, random.Random], None]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    rng = random.Random(args.seed)
    here, there = args.work / "here", args.work / "there"
    if not here.exists():
        make_small(here)
        commit_all(here)
    if not there.exists():
        subprocess.run(["git", "clone", "-q", str(here), str(there)], check=True)
    if build(here, args.work / "here.log", "--cores", "all"):
        raise SystemExit(f"the build without faults failed; see {args.work / 'here.log'}")
    shutil.rmtree(args.work / "slurm", ignore_errors=True)
    with cluster(args.work / "slurm") as nodes:
        faults: list[Fault] = [cancel, starve, hang, lose_node]
        for run in range(MOST_RUNS):
            fault = faults[run] if run < len(faults) else None
            code = disturbed(there, nodes, fault, rng)
            print(f"run {run + 1}: {fault.__name__ if fault else 'no fault'}: exit code {code}", flush=True)
            if code == 0 and run >= len(faults):
                break
        else:
            raise SystemExit(f"no build without a fault ended well; see {there.with_suffix('.log')}")
    one, two = products(here), products(there)
    different = differences(one, two)
    print(f"{len(one)} products here, {len(two)} from the cluster, {len(different)} different {different}")
    return 1 if different or not one else 0


def build(folder: Path, log: Path, *words: str) -> int:
    """Run Snakemake in `folder`, its output to `log`; return the exit code."""
    with log.open("ab") as file:
        return subprocess.run(
            ["snakemake", *words], cwd=folder, env=environment(folder), stdout=file, stderr=file, check=False
        ).returncode


def disturbed(there: Path, nodes: Cluster, fault: Fault | None, rng: random.Random) -> int:
    """Build on the cluster while `fault` happens; return the exit code of the build."""
    more = (*FORCED, *(STARVED if fault is starve else ())) if fault else ()
    with ThreadPoolExecutor(1) as pool:
        thrown = pool.submit(fault, nodes, rng) if fault else None
        code = build(there, there.with_suffix(".log"), *PROFILE, *QUICK, *more)
        if thrown:
            thrown.result()  # raises what the fault has raised
    return code


# so that there is something to disturb
FORCED = ("--forcerun", "landmarks", "clip_features", "train_gloss")
STARVED = ("--set-resources", "landmarks:mem_mb=60", "clip_features:mem_mb=60")


def cancel(nodes: Cluster, rng: random.Random) -> None:
    """Cancel a running job."""
    job = some_job(nodes, rng)
    nodes.ask("scancel", job)
    print(f"cancelled job {job}", flush=True)


def starve(nodes: Cluster, rng: random.Random) -> None:
    """Wait while SLURM kills the jobs that need more memory than they were given."""


def hang(nodes: Cluster, rng: random.Random) -> None:
    """Stop the processes of a running job, and let its time run out."""
    job = some_job(nodes, rng)
    nodes.ask("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    stopped = nodes.pids_of(job)
    for pid in stopped:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            continue
    print(f"stopped {len(stopped)} processes of job {job}", flush=True)


def lose_node(nodes: Cluster, rng: random.Random) -> None:
    """Kill a node with its jobs, and start it again after SLURM has noticed."""
    job = some_job(nodes, rng)
    name = nodes.node_of(job) or nodes.names[-1]
    nodes.kill_node(name)
    print(f"killed node {name} with job {job}", flush=True)
    time.sleep(40)
    nodes.start_node(name)


def some_job(nodes: Cluster, rng: random.Random) -> str:
    """Return a running job, a moment after it was seen; wait for one for at most five minutes."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if running := nodes.jobs():
            time.sleep(rng.uniform(2, 12))
            still = [job for job in running if job in nodes.jobs()]
            if still:
                return rng.choice(still)
        time.sleep(1)
    raise RuntimeError("no job ran for five minutes")


if __name__ == "__main__":
    sys.exit(main())
