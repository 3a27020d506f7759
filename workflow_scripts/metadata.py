"""Write the metadata of all kept clips, and all rejects with their stage and reason.

Too many rejects stop the build; their table is then `rejects.csv` in the scratch folder.

Inputs: manifest, rejects (of the manifest), features (every pose-feature index). Outputs: parquet, csv,
rejects, metrics. Parameters: quality.
"""

import pandas as pd

from signloom.dataset.reject_words import REVIEWED
from signloom.errors import SignloomError
from signloom.features.pose.metadata import (
    all_rejects,
    count_features,
    join_clips,
    processed_metadata,
    read_indexes,
    too_many_rejects,
    warn_of_harsh_gates,
)
from signloom.files import read_csv, write_csv, write_parquet
from signloom.metrics.metric_files import write_metrics
from signloom.params.features import QualityParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    quality = job.section("quality", QualityParams)
    rejected_rows = read_csv(job.input("rejects"), dtype=str, keep_default_na=False)
    files = job.input_list("features")
    index = read_indexes(files, [job.name_of(path) for path in files])
    set_aside = rejected_rows["clip_id"][rejected_rows["reason"] == REVIEWED]
    index = index[~index["clip_id"].isin(set_aside)]  # their shards keep them
    clips = join_clips(pd.read_parquet(job.input("manifest")), index)
    rejects = all_rejects(rejected_rows, clips)
    if problem := too_many_rejects(clips, quality):
        # an engine removes the outputs of a failed job
        stays = job.scratch_root / "rejects.csv"
        write_csv(stays, rejects)
        raise SignloomError(f"metadata: {problem}; {stays} lists them")
    warn_of_harsh_gates(clips, job.output("rejects"))
    kept = processed_metadata(clips)
    write_csv(job.output("rejects"), rejects)
    write_metrics(job.output("metrics"), {"all": count_features(clips, quality)})
    write_csv(job.output("csv"), kept)
    write_parquet(job.output("parquet"), kept)


main = entry_point(work)
