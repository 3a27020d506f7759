"""Take ready-made .npy features of shape (T, 540) as pose features, where a dataset comes without videos.

Inputs: shard (list of feature files). Outputs: npy (rows, 540), mask (rows, 4), parquet (index).
"""

from __future__ import annotations

import sys

import pandas as pd

from signloom.features.ready import write_ready_shard
from signloom.params.features import QualityParams
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    """Turn one shard list into one feature shard."""
    clips = pd.read_csv(job.input("shard"), dtype={"clip_id": str}, keep_default_na=False)
    outputs = (job.output("npy"), job.output("mask"), job.output("parquet"))
    write_ready_shard(clips, outputs, job.section("quality", QualityParams))


def main(argv: list[str] | None = None) -> int:
    """Run the stage; see --help."""
    return run_stage("import_features", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
