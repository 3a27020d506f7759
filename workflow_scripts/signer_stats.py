"""Compute mean and deviation of every signer's columns, by which import_features standardises their clips.

Built with positions.normalise_by: signer alone. Inputs: manifest. Outputs: stats (.npz).
Parameters: positions, dataset.frame_rate, pose.fps.
"""

from typing import Any

import pandas as pd

from signloom.features.signer_stats import write_signer_stats
from signloom.params.dataset import DatasetParams
from signloom.params.features import PoseParams, PositionsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    fps = job.value("dataset.frame_rate", DatasetParams) or job.value("pose.fps", PoseParams)
    columns = ["clip_id", "video_path", "start_s", "end_s", "signer_id"]
    table = pd.read_parquet(job.input("manifest"))[columns].astype(object)
    clips: list[dict[str, Any]] = table.where(table.notna(), None).to_dict("records")
    write_signer_stats(clips, job.section("positions", PositionsParams), fps, job.output("stats"))


main = entry_point(work)
