"""Compute raw MediaPipe Holistic landmarks for every frame of a shard's clips.

Inputs: shard (list of clips). Outputs: npy (rows, 1662), parquet (index). Parameters: landmarks.
`--threads` is the number of worker processes; the result does not depend on it.
"""

from __future__ import annotations

import shutil
import sys

from signloom.features.pose.landmarks import read_tasks, track_clips, write_landmark_shard
from signloom.params.features import LandmarksParams
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    """Track the clips that an interrupted run left undone, then join all into one shard."""
    scratch = job.scratch()
    tasks = read_tasks(job.input("shard"), scratch)
    track_clips(tasks, job.section("landmarks", LandmarksParams), job.threads)
    write_landmark_shard(tasks, job.output("npy"), job.output("parquet"))
    shutil.rmtree(scratch)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; see --help."""
    return run_stage("landmarks", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
