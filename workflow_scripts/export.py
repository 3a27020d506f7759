"""Export networks, gallery and texts in formats that others read, each checked against what was trained."""

from __future__ import annotations

import sys

import torch

from signloom.export.export import export
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, and the bytes must not
    export(job)


def main(argv: list[str] | None = None) -> int:
    return run_stage("export", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
