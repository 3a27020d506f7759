"""Compute raw MediaPipe Holistic landmarks for every frame of a shard's clips.

Inputs: shard (list of clips). Outputs: npy (rows, 1662), parquet (index), origin.
Parameters: landmarks, dataset.frame_rate, dataset.point_order, dataset.picture_size.
`--threads` is the number of worker processes; the result does not depend on it.
"""

from signloom.dataset.landmark_sources import Settings
from signloom.features.finished_shard import FinishedShard
from signloom.features.partial_shard import clip_tasks, join_clips, read_shard_list
from signloom.features.pose.landmarks import TRACKER, track_clips
from signloom.features.pose.layout import RAW_DIM
from signloom.files import remove_folder
from signloom.params.dataset import DatasetParams
from signloom.params.features import LandmarksParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    scratch = job.scratch()
    ready = Settings(
        job.value("dataset.point_order", DatasetParams),
        job.value("dataset.frame_rate", DatasetParams),
        job.value("dataset.picture_size", DatasetParams),
    )
    tasks = clip_tasks(read_shard_list(job.input("shard")), scratch, folder_fps=ready.frame_rate)
    finished = FinishedShard(job.kept(), job.setting(), tasks)
    finished.take_over()
    track_clips(tasks, job.section("landmarks", LandmarksParams), job.threads, ready)
    join_clips(tasks, job.output("npy"), job.output("parquet"), RAW_DIM, TRACKER)
    finished.keep(job.output("npy"))
    remove_folder(scratch)


main = entry_point(work)
