"""`signloom check`: what a build of a preset will do and need, and whether anything stops it."""

import math
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from signloom.console import number_of
from signloom.dataset.findings import Finding
from signloom.dataset.fitness import Facts, read_facts
from signloom.dataset.hashes import HashCache
from signloom.dataset.split_choice import SPLITS, are_isolated
from signloom.errors import SignloomError
from signloom.features.backbones.registry import BACKBONES, misfits
from signloom.features.pose.landmark_files import holds_landmarks
from signloom.features.pose.layout import FEATURE_DIM, PARTS, RAW_DIM
from signloom.features.pose.people import about_people
from signloom.features.pose.tracker import HolisticTracker
from signloom.gate import FOLDER_FPS
from signloom.native_stderr import only_errors
from signloom.params.features import LandmarksParams
from signloom.params.inputs import missing_inputs, reads_windows
from signloom.params.presets import load_presets
from signloom.params.schema import Params
from signloom.params.variants import VARIANTS
from signloom.processors import usable_cores
from signloom.video.decode import VideoUnreadable, read_frames

_FLOAT = 4  # bytes of a float32
_WARM_FRAMES, _MEASURE_S = 3, 1.5
_SHOWN = 5
_TRIED = 5  # videos, until one can be read


def check(presets: str) -> int:
    """Print what a build of `presets` will do; return 0 if it is fit to run, else 1.

    Raises SignloomError if a preset does not exist or holds a wrong key.
    """
    names = [name for name in presets.split(",") if name]
    params = load_presets(names)
    build = Path("build") / "-".join(names)
    try:
        facts, findings = read_facts(params, HashCache(build / "scratch/video_hashes.json"), FOLDER_FPS)
    except SignloomError as error:
        print(f"must be mended: {error}")
        return 1
    print("\n".join(about_corpus(facts, params)))
    needed = bytes_needed(facts.clips, params)
    free = shutil.disk_usage(build if build.exists() else Path()).free
    print(f"disk      {_size(needed)} for landmarks and features, {_size(free)} free", flush=True)
    if needed > free:
        findings.append(Finding(True, f"the disk has too little room below {build}; free {_size(needed)}"))
    misfit = misfits(params.clip_features) if reads_windows(params) else ()
    findings += [Finding(True, said) for said in (*missing_inputs(params), *misfit)]
    if not params.dataset.holds_features:
        print(f"time      {about_time(facts.clips, params)}", flush=True)
        line, looked = about_people(facts.clips, params, build / "landmarks")
        print(f"people    {line}")
        findings += looked
    for finding in sorted(findings, key=lambda one: not one.stops):
        print(f"{'must be mended' if finding.stops else 'look at'}: {finding.text}")
    fit = not any(finding.stops for finding in findings)
    print("fit to run" if fit else "not fit to run")
    return 0 if fit else 1


def about_corpus(facts: Facts, params: Params) -> list[str]:
    """Return lines about clips, people, texts, lengths, splits and pictures."""
    clips = facts.clips
    signed = clips[clips["sentence_id"] >= 0]
    kind = "signs" if are_isolated(signed) else "sentences"
    signers = len(set(signed["signer_id"].str.strip()) - {""})
    per_class = signed["sentence_id"].value_counts()
    known = clips["seconds"].dropna()
    quantiles = "/".join(f"{value:.2f}" for value in known.quantile([0, 0.05, 0.5, 0.95, 1]))
    reasons = Counter(facts.rejects["reason"])
    rejected = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return [
        f"clips     {len(clips)} of {facts.rows} rows, {known.sum() / 3600:.2f} hours",
        *([f"rejected  {rejected}"] if rejected else []),
        *([f"unsigned  {len(clips) - len(signed)}"] if len(signed) < len(clips) else []),
        f"signers   {signers or 'not named'}",
        f"{kind:<9} {len(per_class)}, {(per_class == 1).sum()} of them with only one clip",
        f"lengths   {quantiles} s: shortest, 5 %, median, 95 %, longest"
        if len(known)
        else "lengths   unknown",
        *about_splits(signed, params, kind),
        f"rates     {_counted([f'{fps:.4g} fps' for fps in clips['fps'].dropna()])}",
        about_rows(clips)
        if params.dataset.holds_features
        else f"pictures  {_counted([size for size in clips['size'] if size])}",
    ]


def about_rows(clips: pd.DataFrame) -> str:
    """Return a line about the feature rows of all clips."""
    count = round((clips["seconds"] * clips["fps"]).sum())
    return f"rows      {count} of {clips['columns'].max()} columns"


def about_splits(signed: pd.DataFrame, params: Params, kind: str) -> list[str]:
    """Return a line for each part that the clips are divided into."""
    lines = []
    for name in SPLITS:
        part = signed[signed["split"] == name]
        unseen = part[part["seen"] == 0]["sentence_id"].nunique() if name != "train" else 0
        lines.append(
            f"{name:<9} {number_of(len(part), 'clip', 'clips')}, "
            + number_of(part["sentence_id"].nunique(), kind.removesuffix("s"), kind)
            + (f" ({unseen} not in training)" if unseen else "")
            + f", {number_of(len(set(part['signer_id']) - {''}), 'named signer', 'named signers')}"
        )
    return [f"splits    {params.splits.mode}", *lines]


def bytes_needed(clips: pd.DataFrame, params: Params) -> int:
    """Return about how many bytes landmarks and features take, from the bytes of their rows."""
    seconds = clips["seconds"].fillna(0.0)
    if params.dataset.holds_features:
        return int((seconds * clips["fps"] * (clips["columns"] * _FLOAT + len(PARTS))).sum())
    rows = seconds.sum() * params.pose.fps
    total = rows * (FEATURE_DIM * _FLOAT + len(PARTS))
    total += tracked_frames(clips, params) * RAW_DIM * _FLOAT
    if "gloss" in params.pipeline.families:
        reads = [VARIANTS[name].features(params.tcn.input) for name in params.gloss.variants]
        clip = params.clip_features
        windows = ((seconds * clip.extraction_fps - clip.stack_size).clip(lower=0) / clip.step_size).map(
            math.ceil
        ) + 1
        row = BACKBONES[clip.backbone].dim * _FLOAT
        total += windows.sum() * row * any("clip" in kinds for kinds in reads)
        copied = windows[clips["split"] == "train"].sum() * params.frames.copies
        total += copied * row * any("copies" in kinds for kinds in reads)
    return int(total)


def tracked_frames(clips: pd.DataFrame, params: Params) -> int:
    """Return the number of frames that stage landmarks tracks or copies."""
    rate = clips["fps"].clip(upper=params.landmarks.max_fps or math.inf)
    return int((clips["seconds"] * rate).fillna(0.0).sum())


def about_time(clips: pd.DataFrame, params: Params) -> str:
    """Return how long landmarks take here, from a measured rate."""
    clips = clips[[not holds_landmarks(Path(path)) for path in clips["video_path"]]]
    if clips.empty:
        return "landmarks are copied and nothing is tracked; training comes after"
    frames = tracked_frames(clips, params)
    for path in clips["video_path"].unique()[:_TRIED]:
        try:
            rate = measured_rate(Path(path), params.landmarks)
            break
        except VideoUnreadable as error:
            print(f"warning: {path}: {error}; this clip will be rejected", file=sys.stderr)
    else:
        return f"{frames} frames to track; no video could be read to measure how fast"
    return (
        f"{frames} frames to track, {rate:.1f} a second measured here in one process: about "
        f"{_duration(frames / rate)}, less with several of {usable_cores()} processors; training comes after"
    )


def measured_rate(video: Path, params: LandmarksParams) -> float:
    """Return how many frames of `video` a second are decoded and tracked, after the first few."""
    with only_errors(), HolisticTracker(params) as tracker:
        begun, tracked = time.perf_counter(), 0
        for number, frame in enumerate(read_frames(video)):
            tracker.landmarks(frame.image)
            if number < _WARM_FRAMES:
                begun = time.perf_counter()
                continue
            tracked += 1
            if time.perf_counter() - begun > _MEASURE_S:
                break
        return max(tracked, 1) / max(time.perf_counter() - begun, 1e-6)


def _counted(values: Sequence[str]) -> str:
    """Return each value with its number of clips, the most frequent first."""
    counts = Counter(values).most_common()
    shown = ", ".join(f"{value}: {count}" for value, count in counts[:_SHOWN]) or "unknown"
    return shown + (f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else "")


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{max(seconds / 60, 0.1):.1f} min"
