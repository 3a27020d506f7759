"""Run a video network over frame windows of a shard's clips; each window gives one row.

Inputs: shard (list of clips). Outputs: npy (rows, dim), parquet (index), origin.
Parameters: clip_features, dataset.frame_rate.
"""

from signloom.features.clip.clip_features import write_clip_shard
from signloom.features.finished_shard import FinishedShard
from signloom.features.partial_shard import clip_tasks, read_shard_list
from signloom.files import remove_folder
from signloom.params.clips import ClipFeaturesParams
from signloom.params.dataset import DatasetParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    params = job.section("clip_features", ClipFeaturesParams)
    scratch = job.scratch()
    rate = job.value("dataset.frame_rate", DatasetParams)
    tasks = clip_tasks(read_shard_list(job.input("shard")), scratch, folder_fps=rate)
    finished = FinishedShard(job.kept(), job.setting(), tasks)
    finished.take_over()
    write_clip_shard(tasks, job.output("npy"), job.output("parquet"), params, job.stage, job.networks())
    finished.keep(job.output("npy"))
    remove_folder(scratch)


main = entry_point(work)
