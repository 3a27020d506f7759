"""Write the metadata of all kept clips, and all rejects with their stage and reason.

Inputs: manifest, rejects (of the manifest), features (every pose-feature index). Outputs: parquet, csv,
rejects, metrics. Parameters: quality.
"""

import pandas as pd

from signloom.features.pose.metadata import (
    all_rejects,
    count_features,
    join_clips,
    processed_metadata,
    read_indexes,
    warn_of_harsh_gates,
)
from signloom.files import write_csv, write_parquet
from signloom.metrics.metric_files import write_metrics
from signloom.params.features import QualityParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    quality = job.section("quality", QualityParams)
    rejected_rows = pd.read_csv(job.input("rejects"), dtype=str, keep_default_na=False)
    index = read_indexes(job.input_list("features"))
    clips = join_clips(pd.read_parquet(job.input("manifest")), index)
    warn_of_harsh_gates(clips)
    kept = processed_metadata(clips)
    write_csv(job.output("rejects"), all_rejects(rejected_rows, clips))
    write_metrics(job.output("metrics"), {"all": count_features(clips, quality)})
    write_csv(job.output("csv"), kept)
    write_parquet(job.output("parquet"), kept)


main = entry_point(work)
