"""Turn raw landmarks into 540 features per frame, and reject clips that fail a quality gate.

Inputs: npy, parquet (of landmarks). Outputs: npy (rows, 540), mask (rows, 4), parquet (index), origin.
Parameters: pose, quality.
"""

from signloom.features.pose.pose_shard import write_pose_shard
from signloom.features.shards import FeatureShards
from signloom.params.features import GateParams, PoseParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    landmarks = FeatureShards(job.input_list("npy"), job.input_list("parquet"))
    outputs = (job.output("npy"), job.output("mask"), job.output("parquet"))
    write_pose_shard(landmarks, outputs, job.section("pose", PoseParams), job.section("quality", GateParams))


main = entry_point(work)
