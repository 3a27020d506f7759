"""List the clips by how much they deserve a look: labels that do not fit, bad tracking, copies, odd lengths.

Inputs: manifest, rejects (of the manifest), rows (of stage sources), metadata; features, mask, index (one of
each per shard), stats. If sign2text was built: embeddings and map of every run. If people have reviewed
clips: reviewed (their table). If clips are videos: landmarks, landmarks_index and shards, as for the report.
Outputs: table (the clips to look at, then the decisions), page, metrics. Parameters: positions.
"""

import pandas as pd

from signloom.dataset.clip_ids import clip_ids
from signloom.dataset.reviewed import settled
from signloom.evaluation import review
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.misfit import trajectories
from signloom.evaluation.oddities import odd_hands, odd_lengths, poorly_found
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.files import read_csv, write_csv, write_text
from signloom.metrics.metric_files import write_metrics
from signloom.params.features import PositionsParams
from signloom.report.contact_sheet import VideosFiles, read_videos
from signloom.report.review import Movements, render
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    hashes = pd.read_parquet(job.input("manifest"), columns=["clip_id", "video_hash"])
    clips = pd.read_parquet(job.input("metadata")).merge(hashes, on="clip_id", validate="one_to_one")
    shards = FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask"))
    signed, stats = clips[clips["sentence_id"] >= 0], Stats.read(job.input("stats"))
    fit, by_neighbours, odd = review.neighbours(
        signed, trajectories(shards, stats, signed["clip_id"].tolist())
    )
    evidence = [by_neighbours]
    if "embeddings" in job.inputs:
        files = zip(job.input_list("embeddings"), job.input_list("map"), strict=True)
        evidence.append(review.held_out(signed, [EmbeddedClips(*pair) for pair in files]))
    rows = pd.read_parquet(job.input("rows"))
    rejects = read_csv(job.input("rejects"), dtype=str, keep_default_na=False)
    odd += review.twice_in_table(signed, rejects, rows)
    odd += [*odd_lengths(signed), *poorly_found(clips)]
    videos = read_videos(job.input_files(VideosFiles)) if "landmarks" in job.inputs else None
    if videos:
        odd += odd_hands(clips, videos.landmarks)
    table = review.queue(clips, evidence, odd, fit)
    known = {*clip_ids(rows)}  # a withdrawn clip may stand in a review that nobody could edit
    done = settled(clips, job.input("reviewed")) if "reviewed" in job.inputs else []
    done = [it for it in done if it.clip_id in known]
    table = review.without(table, [it.clip_id for it in done])
    counts = review.count_reasons(table, len(done))
    write_csv(job.output("table"), review.with_decisions(table, done))
    movements = Movements(shards, job.section("positions", PositionsParams), videos)
    labels = dict(zip(clips["clip_id"], clips["sentence"], strict=True))
    write_text(job.output("page"), render(table, labels, counts, movements))
    write_metrics(job.output("metrics"), {"all": counts})


main = entry_point(work)
