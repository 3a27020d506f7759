"""Compute clip features of augmented copies of a shard's training clips, named `<clip_id>#<copy>`.

Inputs: shard (list of clips), splits. Outputs: npy (rows, dim), parquet (index), origin.
Parameters: clip_features, frames. If frames.copies is 0, the shard is empty.
"""

import shutil

from signloom.features.backbones.backbone import load_backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.features.clip.clip_copies import augmented_frames, clips_to_copy
from signloom.features.clip.clip_features import extract, made_by, one_thread
from signloom.features.clip.clip_shard import write_clip_shard
from signloom.features.partial_shard import clip_tasks, read_shard_list
from signloom.params.clips import ClipFeaturesParams, FramesParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    params, frames = job.section("clip_features", ClipFeaturesParams), job.section("frames", FramesParams)
    npy, index = job.output("npy"), job.output("parquet")
    splits = read_splits(job.input("splits"))
    clips = clips_to_copy(read_shard_list(job.input("shard")), splits)
    if not frames.copies or not clips:
        write_clip_shard([], npy, index, BACKBONES[params.backbone].dim, {})
        return
    one_thread()
    backbone = load_backbone(params)
    scratch = job.scratch()
    tasks = clip_tasks(clips, scratch, range(1, frames.copies + 1))
    extract(tasks, backbone, params, "clip_features_augmented", augmented_frames(frames))
    write_clip_shard(tasks, npy, index, backbone.spec.dim, made_by(backbone, params))
    shutil.rmtree(scratch)


main = entry_point(work)
