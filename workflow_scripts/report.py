"""Write one self-contained page about a build: scores, corpus, curves, examples, times, provenance.

Inputs: metrics (manifest, features, splits, runs .json), metadata, rejects, splits, index (every pose-feature
parquet). If clips are videos: landmarks, landmarks_index and shards (every landmark array, its parquet, and
shard list). If the landmarks-to-sentence family was built: metrics (sign2text, retrieval .json), history
(history.csv), epochs (metrics.jsonl), predictions (sign2text.csv, retrieval.csv), embeddings and map. If it
was calibrated: curve, thresholds and metrics (calibration.json). If it was exported: metrics
(inference.json), predictions (inference.csv), bundle (export_manifest.json). If the gloss family was built:
metrics (ablation.json), ablation (ablation.csv), ablation_text, gloss_metrics, gloss_epochs and
gloss_predictions (one file per run each), clip_index (every clip-feature parquet, if a run reads them).
Output: html.
Parameters: the sections that the page shows. Snakemake's benchmark files and latency.json are read from the
folder `benchmarks` beside the folder of html if they exist. They are not a dependency, because times differ
from run to run.
"""

from pathlib import Path

from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.files import write_text
from signloom.report.contact_sheet import Videos, read_videos
from signloom.report.page import render
from signloom.report.sources import (
    GlossSources,
    InferenceSources,
    SentenceSources,
    Sources,
    by_name,
    read_clips,
    read_diagnostics,
    read_glosses,
    read_history,
    read_json,
    read_metrics,
    read_table,
)
from workflow_scripts.job import Job, entry_point

# the page shows no checksums of indexes and of these: they are too many, or made with a file that it shows
_HIDDEN = {"landmarks", "shards", "epochs", "embeddings", "map", "ablation_text"}


def work(job: Job) -> None:
    if "history" not in job.inputs and "gloss_metrics" not in job.inputs:
        raise SignloomError("report: no model family was given; add --input history=... or gloss_metrics=...")
    index = job.input_list("index")
    shown = [name for name in job.inputs if name not in _HIDDEN and not name.endswith("index")]
    glosses = _glosses(job) if "gloss_metrics" in job.inputs else None
    html = job.output("html")
    benchmarks = html.parent.parent / "benchmarks"
    page = render(
        Sources(
            metrics=read_metrics(job.input_list("metrics"), ("manifest", "features", "splits")),
            clips=read_clips(job.input("metadata"), job.input("splits")),
            rejects=read_table(job.input("rejects")),
            index=read_diagnostics(index),
            jobs={path.stem for path in index} | set(glosses.metrics if glosses else ()),
            benchmarks=benchmarks,
            files=[path for name in shown for path in job.input_list(name)],
            params=job.params,
            videos=_videos(job) if "landmarks" in job.inputs else None,
            sentences=_sentences(job) if "history" in job.inputs else None,
            inference=_inference(job, benchmarks / "latency.json") if "curve" in job.inputs else None,
            glosses=glosses,
        )
    )
    write_text(html, page)


def _videos(job: Job) -> Videos:
    shards, index = job.input_list("shards"), job.input_list("landmarks_index")
    return read_videos(job.input_list("landmarks"), index, shards)


def _sentences(job: Job) -> SentenceSources:
    metrics = read_metrics(job.input_list("metrics"), ("sign2text", "retrieval"))
    predictions = by_name("predictions", job.input_list("predictions"), ("sign2text", "retrieval"))
    return SentenceSources(
        scores=metrics["sign2text"],
        ranks=metrics["retrieval"],
        history=read_history(job.input("history"), job.input("epochs")),
        translations=read_table(predictions["sign2text"]),
        retrieval=read_table(predictions["retrieval"], ["rank", "similarity"]),
        space=EmbeddedClips(job.input("embeddings"), job.input("map"))
        if "embeddings" in job.inputs
        else None,
    )


def _inference(job: Job, latency: Path) -> InferenceSources:
    metrics = read_metrics(job.input_list("metrics"), ("calibration",))
    predictions = by_name("predictions", job.input_list("predictions"), ())
    return InferenceSources(
        calibration=metrics["calibration"],
        curve=read_table(job.input("curve"), ["false_accept_rate", "accepted_and_right", "chosen"]),
        thresholds=read_json(job.input("thresholds")),
        scores=metrics.get("inference"),
        answers=read_table(predictions["inference"]) if "inference" in predictions else None,
        bundle=read_json(job.input("bundle")) if "bundle" in job.inputs else None,
        latency=read_json(latency) if latency.exists() else None,
    )


def _glosses(job: Job) -> GlossSources:
    return read_glosses(
        job.input_list("gloss_metrics"),
        job.input_list("gloss_epochs"),
        job.input_list("gloss_predictions"),
        read_metrics(job.input_list("metrics"), ("ablation",))["ablation"],
        job.input("ablation_text").read_text("utf-8"),
        job.input_list("clip_index") if "clip_index" in job.inputs else [],
    )


main = entry_point(work)
