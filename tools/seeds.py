"""Train and score the model of params.yaml with several seeds; print mean and spread of the headline metrics.

    python -m tools.seeds 42 43 44 45 46

It needs a finished build, whose features, statistics and texts it reads. Products go to build/seeds/<seed>/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from tools.engine import workflow

RULES = ["train_sign2text", "embed", "evaluate_sign2text", "evaluate_retrieval"]
SHOWN = {
    "sign2text": ["wer", "nearest_wer", "bleu4", "chrf", "exact", "pos_sim", "neg_sim"],
    "retrieval": ["ret_top1", "ret_top1_low", "ret_mrr"],
}
DATA = ["test", "test_unseen_sentences", "val"]


def commands() -> list[str]:
    """Return the command lines of the stages that depend on the seed, in order."""
    with workflow(Path(), dag=True) as flow:
        jobs = {job.rule.name: job for job in flow.dag.jobs}
        return [
            f"{job.params.call} --params {shlex.quote(job.params.given)} --threads {job.threads}"
            for job in (jobs[name] for name in RULES)
        ]


def moved(command: str, seed: int) -> str:
    """Return `command` with training seed `seed` and products under build/seeds/<seed>/."""
    command = re.sub(r'("sign2text": {.*?"seed": )\d+', rf"\g<1>{seed}", command)
    folder = f"build/seeds/{seed}"
    for top in ("models", "embeddings", "predictions"):
        command = command.replace(f"build/{top}/", f"{folder}/{top}/")
    return command.replace("=metrics/", f"={folder}/metrics/")


def main(argv: list[str] | None = None) -> int:
    seeds = [int(seed) for seed in (sys.argv[1:] if argv is None else argv)]
    if not seeds:
        print(__doc__, file=sys.stderr)
        return 2
    lines = commands()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for seed in seeds:
        for line in lines:
            subprocess.run(moved(line, seed), shell=True, check=True, env=environment)
    print("| metric | " + " | ".join(DATA) + " |\n|---|" + "---|" * len(DATA))
    for file, metrics in SHOWN.items():
        scores = [
            json.loads(Path(f"build/seeds/{seed}/metrics/{file}.json").read_text("utf-8")) for seed in seeds
        ]
        for metric in metrics:
            cells = [_spread([score.get(name, {}).get(metric) for score in scores]) for name in DATA]
            print(f"| {metric} | " + " | ".join(cells) + " |")
    return 0


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    deviation = statistics.stdev(known) if len(known) > 1 else 0.0
    return f"{statistics.mean(known):.3f} ± {deviation:.3f}"


if __name__ == "__main__":
    sys.exit(main())
