"""Measure what `dvc repro` takes by itself: the stages of the demo with commands that only copy.

    python -m benchmarks.dvc_floor --built ../signloom

`--built` is a checkout with a complete build (`make demo`). A clone of it gets the same stages and files, and
commands that copy the products from there. The script prints the time of `dvc repro` in that clone, so with
everything to do, and once more with nothing left.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from engines.dvc_yaml import dump


def copying(stage: dict[str, Any], built: Path) -> str:
    """Return a command that copies the outputs of `stage` from the checkout `built`."""
    outs = [*stage.get("outs", []), *(path for entry in stage.get("metrics", []) for path in entry)]
    # DVC fills in `${item.shard}`, so a path must not be quoted as a whole
    return " && ".join(
        f"mkdir -p {Path(out).parent} && cp -R {shlex.quote(str(built))}/{out} {out}" for out in outs
    )


def main() -> None:
    """Clone, replace the commands, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--built", type=Path, required=True)
    built = parser.parse_args().built.resolve()
    if not (built / "build/report/index.html").exists():
        raise SystemExit(f"{built}: no build; run `make demo` there")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "-q", built, folder], check=True)
        file = Path(folder, "dvc.yaml")
        tree = YAML(typ="safe").load(file)
        for stage in tree["stages"].values():
            stage["cmd"] = copying(stage, built)
        file.write_text(dump(tree), "utf-8")
        for what in ("everything to do", "nothing left"):
            begun = time.perf_counter()
            subprocess.run(["dvc", "repro", "--quiet"], cwd=folder, env=environment, check=True)
            print(f"dvc repro, {what}: {time.perf_counter() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    main()
