"""Run a video network over frame windows of a shard's clips; each window gives one row.

Inputs: shard (list of clips). Outputs: npy (rows, dim), parquet (index), origin.
Parameters: clip_features.
"""

import shutil

from signloom.features.backbones.backbone import load_backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.features.clip.clip_features import extract, made_by, one_thread
from signloom.features.clip.clip_shard import write_clip_shard
from signloom.features.partial_shard import clip_tasks, read_shard_list
from signloom.params.clips import ClipFeaturesParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    params = job.section("clip_features", ClipFeaturesParams)
    npy, index = job.output("npy"), job.output("parquet")
    clips = read_shard_list(job.input("shard"))
    if not clips:
        write_clip_shard([], npy, index, BACKBONES[params.backbone].dim, {})
        return
    one_thread()
    backbone = load_backbone(params)
    scratch = job.scratch()
    tasks = clip_tasks(clips, scratch)
    extract(tasks, backbone, params, "clip_features")
    write_clip_shard(tasks, npy, index, backbone.spec.dim, made_by(backbone, params))
    shutil.rmtree(scratch)


main = entry_point(work)
