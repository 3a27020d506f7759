"""Compute raw MediaPipe Holistic landmarks for every frame of a shard's clips.

Inputs: shard (list of clips). Outputs: npy (rows, 1662), parquet (index), origin.
Parameters: landmarks.
`--threads` is the number of worker processes; the result does not depend on it.
"""

from __future__ import annotations

import shutil

from signloom.features.pose.landmarks import read_tasks, track_clips, write_landmark_shard
from signloom.params.features import LandmarksParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    scratch = job.scratch()
    tasks = read_tasks(job.input("shard"), scratch)
    track_clips(tasks, job.section("landmarks", LandmarksParams), job.threads)
    write_landmark_shard(tasks, job.output("npy"), job.output("parquet"))
    shutil.rmtree(scratch)


main = entry_point(work)
