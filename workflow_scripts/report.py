"""Write one self-contained page about a build: scores, corpus, curves, examples, times, provenance.

Inputs: metrics (manifest, features, splits, runs .json), metadata, rejects, splits, index (every pose-feature
parquet). If clips are videos: manifest, landmarks, landmarks_index and shards (every landmark array, its
parquet, and shard list). If the landmarks-to-sentence family was built: metrics (sign2text, retrieval .json),
history (history.csv), epochs (metrics.jsonl), predictions (sign2text.csv, retrieval.csv), embeddings and map.
If it was calibrated: curve, thresholds and metrics (calibration.json). If it was exported: metrics
(inference.json), predictions (inference.csv), bundle (export_manifest.json), latency (latency.json). If the
gloss family was built: metrics (ablation.json), ablation (ablation.csv), ablation_text, gloss_metrics,
gloss_epochs and gloss_predictions (one file per run each), clip_index (every clip-feature parquet, if a run
reads them). If glosses were aligned: metrics (alignment.json), alignment (its times). If they were
spotted: metrics (spotting.json), spotting (its places). recipes: tables of recipes (CSV). Output: html.
Parameters: the sections that the page shows, and `stages`, the list of the build's stages. Without the list,
every stage counts. Snakemake's benchmark files are read from the folder `benchmarks` beside the folder of
html if they exist. They are not a dependency, because `dvc pull` does not bring them.
"""

from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.files import read_csv, write_text
from signloom.params.runs import RunsParams
from signloom.report import sources
from signloom.report.contact_sheet import VideosFiles, read_videos
from signloom.report.page import render
from signloom.report.times import Built
from workflow_scripts.job import Job, entry_point

# the page shows no checksums of indexes and of these: they are too many, or made with a file that it shows
_HIDDEN = {"latency", "manifest", "landmarks", "shards", "epochs", "embeddings", "map", "ablation_text"}


def work(job: Job) -> None:
    if "history" not in job.inputs and "gloss_metrics" not in job.inputs:
        raise SignloomError("report: no model family was given; add --input history=... or gloss_metrics=...")
    index = job.input_list("index")
    shown = [name for name in job.inputs if name not in _HIDDEN and not name.endswith("index")]
    glosses = _glosses(job) if "gloss_metrics" in job.inputs else None
    html = job.output("html")
    benchmarks = html.parent.parent / "benchmarks"
    page = render(
        sources.Sources(
            metrics=sources.read_metrics(job.input_list("metrics"), ("manifest", "features", "splits")),
            clips=sources.read_clips(job.input("metadata"), job.input("splits")),
            rejects=sources.read_table(job.input("rejects")),
            index=sources.read_diagnostics(index),
            built=_built(job, index, glosses),
            benchmarks=benchmarks,
            files=[path for name in shown for path in job.input_list(name)],
            page=html,
            params={name: section for name, section in job.params.items() if name != "stages"},
            videos=read_videos(job.input_files(VideosFiles)) if "landmarks" in job.inputs else None,
            sentences=_sentences(job) if "history" in job.inputs else None,
            inference=_inference(job) if "curve" in job.inputs else None,
            glosses=glosses,
            recipes={path: read_csv(path) for path in _recipes(job)},
        )
    )
    write_text(html, page)


def _built(job: Job, index: list[Path], glosses: sources.GlossSources | None) -> Built:
    variants = {sources.variant_of(run) for run in glosses.metrics} if glosses else set()
    return Built(
        jobs={path.stem for path in index} | variants,
        stages=set(job.params["stages"]) if "stages" in job.params else None,
        runs=job.section("runs", RunsParams) if "runs" in job.params else None,
    )


def _recipes(job: Job) -> list[Path]:
    return job.input_list("recipes") if "recipes" in job.inputs else []


def _sentences(job: Job) -> sources.SentenceSources:
    metrics = sources.read_metrics(job.input_list("metrics"), ("sign2text", "retrieval"))
    predictions = sources.by_name("predictions", job.input_list("predictions"), ("sign2text", "retrieval"))
    return sources.SentenceSources(
        scores=metrics["sign2text"],
        ranks=metrics["retrieval"],
        history=sources.read_history(job.input("history"), job.input("epochs")),
        translations=sources.read_table(predictions["sign2text"]),
        retrieval=sources.read_table(predictions["retrieval"], ["rank", "similarity"]),
        space=EmbeddedClips(job.input("embeddings"), job.input("map"))
        if "embeddings" in job.inputs
        else None,
        signs=job.params.get("sign2text", {}).get("task") == "signs",
    )


def _inference(job: Job) -> sources.InferenceSources:
    metrics = sources.read_metrics(job.input_list("metrics"), ("calibration",))
    predictions = sources.by_name("predictions", job.input_list("predictions"), ())
    return sources.InferenceSources(
        calibration=metrics["calibration"],
        curve=sources.read_table(job.input("curve"), ["false_accept_rate", "accepted_and_right", "chosen"]),
        thresholds=sources.read_json(job.input("thresholds")),
        scores=metrics.get("inference"),
        answers=sources.read_table(predictions["inference"]) if "inference" in predictions else None,
        bundle=sources.read_json(job.input("bundle")) if "bundle" in job.inputs else None,
        latency=sources.read_json(job.input("latency")) if "latency" in job.inputs else None,
    )


def _glosses(job: Job) -> sources.GlossSources:
    return sources.read_glosses(
        job.input_list("gloss_metrics"),
        job.input_list("gloss_epochs"),
        job.input_list("gloss_predictions"),
        sources.read_metrics(job.input_list("metrics"), ("ablation",))["ablation"],
        job.input("ablation_text").read_text("utf-8"),
        job.input_list("clip_index") if "clip_index" in job.inputs else [],
        _alignment(job) if "alignment" in job.inputs else None,
        _spotting(job) if "spotting" in job.inputs else None,
    )


def _alignment(job: Job) -> sources.AlignmentSources:
    scores = sources.read_metrics(job.input_list("metrics"), ("alignment",))["alignment"]
    return sources.AlignmentSources(scores, pd.read_parquet(job.input("alignment")))


def _spotting(job: Job) -> sources.SpottingSources:
    scores = sources.read_metrics(job.input_list("metrics"), ("spotting",))["spotting"]
    return sources.SpottingSources(scores, pd.read_parquet(job.input("spotting")))


main = entry_point(work)
