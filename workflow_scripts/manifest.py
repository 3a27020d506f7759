"""Check every row of the annotation table and whether the clips can be split; write manifest and shard lists.

Inputs: rows (of stage sources), variations and review (the files that dataset names, if any).
Outputs: manifest, rejects, shards (one list per shard), metrics.
Parameters: dataset, manifest, shards, splits and, if sign2text is trained, sign2text.task.
"""

import sys

import pandas as pd

from signloom.dataset.hashes import HashCache
from signloom.dataset.manifest import build_manifest
from signloom.dataset.probes import Probes
from signloom.dataset.shard_names import shard_names
from signloom.dataset.split_choice import odd_signs, unfit_task
from signloom.dataset.splits import check_table
from signloom.errors import SignloomError
from signloom.files import write_csv, write_parquet
from signloom.metrics.metric_files import write_metrics
from signloom.params.dataset import DatasetParams, ManifestParams, ShardsParams
from signloom.params.sign2text import Sign2TextParams
from signloom.params.splits import SplitsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    count = job.section("shards", ShardsParams).count
    if len(job.output_list("shards")) != count:
        raise SignloomError(f"manifest: shards.count is {count}; give that many outputs shards=FILE")
    probes = Probes(job.scratch_root / "probes.json")
    try:
        manifest = build_manifest(
            pd.read_parquet(job.input("rows")),
            job.section("dataset", DatasetParams),
            job.section("manifest", ManifestParams),
            HashCache(job.scratch_root / "video_hashes.json"),
            probes,
        )
    finally:  # a table with too many bad rows is put right and read again
        probes.save()
    for reject in manifest.rejects.itertuples():
        print(f"rejected row {reject.row}: {reject.reason}: {reject.detail}", file=sys.stderr)
    # before hours of landmarks
    check_table(manifest.clips, job.section("splits", SplitsParams))
    task = job.value("sign2text.task", Sign2TextParams) if "sign2text" in job.params else None
    if task and (unfit := unfit_task(manifest.clips, task)):
        print(f"warning: manifest: {unfit}", file=sys.stderr)
    if odd := odd_signs(manifest.clips):
        print(f"warning: manifest: {odd}", file=sys.stderr)
    for name, path in zip(shard_names(count), job.output_list("shards"), strict=True):
        write_csv(path, manifest.shard(name, count))
    write_csv(job.output("rejects"), manifest.rejects)
    write_metrics(job.output("metrics"), {"all": manifest.counts()})
    write_parquet(job.output("manifest"), manifest.clips)


main = entry_point(work)
