"""Convert the annotation table to one format, and record a digest of every file that it names.

Inputs: table, which the parameters name. Outputs: rows (parquet). Parameters: dataset.
"""

from signloom.dataset.hashes import HashCache
from signloom.dataset.sources import read_sources
from signloom.files import write_parquet
from signloom.params.dataset import DatasetParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    hashes = HashCache(job.scratch_root / "video_hashes.json")
    write_parquet(job.output("rows"), read_sources(job.section("dataset", DatasetParams), hashes))


main = entry_point(work)
