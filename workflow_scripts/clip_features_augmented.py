"""Compute clip features of augmented copies of a shard's training clips, named `<clip_id>#<copy>`.

Inputs: shard (list of clips), splits. Outputs: npy (rows, dim), parquet (index), origin.
Parameters: clip_features, frames, dataset.frame_rate. If frames.copies is 0, the shard is empty.
"""

from signloom.features.clip.clip_copies import augmented_frames, clips_to_copy
from signloom.features.clip.clip_features import write_clip_shard
from signloom.features.finished_shard import FinishedShard
from signloom.features.partial_shard import clip_tasks, read_shard_list
from signloom.files import remove_folder
from signloom.params.clips import ClipFeaturesParams, FramesParams
from signloom.params.dataset import DatasetParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    params, frames = job.section("clip_features", ClipFeaturesParams), job.section("frames", FramesParams)
    npy, index = job.output("npy"), job.output("parquet")
    clips = clips_to_copy(read_shard_list(job.input("shard")), read_splits(job.input("splits")))
    scratch = job.scratch()
    rate = job.value("dataset.frame_rate", DatasetParams)
    tasks = clip_tasks(clips, scratch, range(1, frames.copies + 1), rate)
    finished = FinishedShard(job.kept(), job.setting(), tasks)
    finished.take_over()
    write_clip_shard(tasks, npy, index, params, job.stage, job.networks(), augmented_frames(frames))
    finished.keep(job.output("npy"))
    remove_folder(scratch)


main = entry_point(work)
