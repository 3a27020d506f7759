"""Export networks, gallery and texts for other programs, each checked against the trained original."""

from __future__ import annotations

import sys

import torch

from signloom.export.export import export
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    export(job)


def main(argv: list[str] | None = None) -> int:
    return run_stage("export", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
