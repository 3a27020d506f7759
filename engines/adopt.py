"""Record Snakemake's products in DVC with `dvc commit`, if none is left to build and none has changed since.

python -m engines.adopt [--preset NAME]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from engines import code_digests
from engines.dvc_files import target
from engines.dvc_stage import say_if_old
from engines.restored import remember
from engines.verify import states
from signloom.errors import PRESETS, SignloomError
from signloom.preset_names import folder_of
from signloom.products import Build, State


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", metavar="NAME", help=f"a preset of {PRESETS} that has its own dvc.yaml")
    preset = parser.parse_args(argv).preset
    try:
        left = snakemake_jobs_left(preset)
        changed = [] if left else states([Build(folder_of(preset))])[State.CHANGED]
    except SignloomError as error:
        print(error, file=sys.stderr)
        return 2
    if left:
        print(f"error: Snakemake has work left, so DVC records nothing; build first\n{left}", file=sys.stderr)
        return 1
    if changed:
        print(
            "error: products have changed since, so DVC records nothing", *changed, sep="\n", file=sys.stderr
        )
        return 1
    # committing stale files would make DVC treat them as up to date
    file = target(Path(), preset).as_posix()
    if say_if_old(preset):
        return 2
    code_digests.refresh(preset)
    commit = [sys.executable, "-m", "dvc", "commit", "--force", file]
    done = subprocess.run(commit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        remember(preset or "")
    else:
        # `dvc commit --quiet` would hide the reason
        print(f"error: DVC could not record the products of {file}\n{done.stdout}", file=sys.stderr)
    return done.returncode


def snakemake_jobs_left(preset: str | None = None) -> str:
    """Return Snakemake's list of jobs that a build would run, empty if there are none.

    Raises SignloomError with what Snakemake said if it cannot read the workflow.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"]
    command += ["--config", f"preset={preset}"] if preset else []
    result = subprocess.run(command, capture_output=True, text=True)
    output = result.stdout + result.stderr
    if result.returncode:
        # what Snakemake says before it reads the workflow is of no use here
        raise SignloomError(output[max(output.find("error: "), 0) :].strip())
    return "" if "Nothing to be done" in output else output


if __name__ == "__main__":
    sys.exit(main())
