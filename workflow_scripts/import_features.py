"""Import given feature rows of a dataset without videos.

A clip is a file of rows (.npy, .npz or text), or the rows of one clip in a table. With positions.groups, the
table has hand and nose positions, and the rows are made of them. With positions.normalise_by, clips are
standardised by their signer.

Inputs: shard (list of clips), signers (of stage signer_stats; optional).
Outputs: npy (rows, dim), mask (rows, 4), parquet (index), origin.
Parameters: quality, positions, dataset.frame_rate, pose.fps.
"""

from signloom.features.partial_shard import read_shard_list
from signloom.features.pose.imported import write_ready_shard
from signloom.features.signer_stats import SignerStats
from signloom.params.dataset import DatasetParams
from signloom.params.features import GateParams, PoseParams, PositionsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    outputs = (job.output("npy"), job.output("mask"), job.output("parquet"))
    quality, positions = job.section("quality", GateParams), job.section("positions", PositionsParams)
    fps = job.value("dataset.frame_rate", DatasetParams) or job.value("pose.fps", PoseParams)
    signers = SignerStats.read(job.input("signers")) if "signers" in job.inputs else None
    standardise = signers.standardise if signers else None
    write_ready_shard(read_shard_list(job.input("shard")), outputs, quality, positions, fps, standardise)


main = entry_point(work)
