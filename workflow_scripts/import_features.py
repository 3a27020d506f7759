"""Import ready-made pose features of a dataset without videos.

A clip is one .npy file of shape (T, 540). With positions.groups, it is the rows of one clip in a table of
hand and nose positions.

Inputs: shard (list of clips). Outputs: npy (rows, dim), mask (rows, 4), parquet (index), origin.
Parameters: quality, positions, pose.fps.
"""

import pandas as pd

from signloom.features.pose.imported import write_ready_shard
from signloom.params.features import GateParams, PoseParams, PositionsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    clips = pd.read_csv(job.input("shard"), dtype={"clip_id": str, "video_path": str}, keep_default_na=False)
    outputs = (job.output("npy"), job.output("mask"), job.output("parquet"))
    quality, positions = job.section("quality", GateParams), job.section("positions", PositionsParams)
    write_ready_shard(clips, outputs, quality, positions, job.value("pose.fps", PoseParams))


main = entry_point(work)
