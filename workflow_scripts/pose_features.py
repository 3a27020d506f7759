"""Turn raw landmarks into 540 features per frame, and reject clips that fail a quality gate.

Inputs: npy, parquet (of landmarks). Outputs: npy (rows, 540), mask (rows, 4), parquet (index).
Parameters: pose, quality.
"""

from __future__ import annotations

import sys

from signloom.features.pose.pose_shard import write_pose_shard
from signloom.features.shards import FeatureShards
from signloom.params.features import PoseParams, QualityParams
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    """Turn one landmark shard into one feature shard."""
    landmarks = FeatureShards(job.input_list("npy"), job.input_list("parquet"))
    outputs = (job.output("npy"), job.output("mask"), job.output("parquet"))
    write_pose_shard(
        landmarks, outputs, job.section("pose", PoseParams), job.section("quality", QualityParams)
    )


def main(argv: list[str] | None = None) -> int:
    """Run the stage; see --help."""
    return run_stage("pose_features", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
