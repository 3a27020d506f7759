"""Who is in the clips of a corpus: several people, or a signer who uses the other hand, as if mirrored.

A few frames of a few clips are looked at, for seconds in all.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from signloom.console import number_of
from signloom.dataset.findings import Finding
from signloom.dataset.landmark_sources import Settings
from signloom.dataset.shard_names import shard_names
from signloom.features.pose.faces import FaceFinder, first_company
from signloom.features.pose.hands import hand_share, left_handed, other_handed
from signloom.features.pose.landmark_files import holds_landmarks, read_landmarks
from signloom.features.pose.tracker import HolisticTracker
from signloom.features.shards import FeatureShards
from signloom.native_stderr import only_errors
from signloom.params.schema import Params
from signloom.progress import track
from signloom.video.decode import VideoUnreadable, open_video
from signloom.video.thinning import thinned

_CLIPS, _SIGNERS, _FRAMES = 24, 6, 6
_PART_S = 4.0  # of a clip, its first seconds
_LIMIT_S = 10.0
_SHOWN = 5


class Seen(NamedTuple):
    """What a look at a clip showed: whether several people, and `hands.hand_share`, NaN if not known."""

    several: bool
    share: float


def about_people(clips: pd.DataFrame, params: Params, landmarks: Path) -> tuple[str, list[Finding]]:
    """Return a line about the clips that were looked at, and what looks wrong with the people in them.

    `clips` are those of `fitness.Facts`. Where the folder `landmarks` holds shards that are built already,
    they say which hand signs, for all of their clips. The look ends after about ten seconds.
    """
    signed = clips[clips["sentence_id"] >= 0]
    # shards of another shards.count may lie beside them
    files = [landmarks / f"{name}.npy" for name in shard_names(params.shards.count)]
    shards = [file for file in files if file.exists() and file.with_suffix(".parquet").exists()]
    begun = time.perf_counter()
    built = FeatureShards(shards, [file.with_suffix(".parquet") for file in shards])
    shares = _built_shares(built, _as_built(signed, landmarks.parent / "manifest.parquet"))
    findings: list[Finding] = []
    chosen = spread(signed)
    seen = _look(chosen, params, not shares, begun, findings)
    several = [clip for clip, look in seen.items() if look.several]
    if several:
        findings.append(
            Finding(
                False,
                f"{len(several)} of {len(seen)} clips looked at show more than one face, first "
                f"{_named(several)}; one person is read in each: cut the picture to the signer",
            )
        )
    shares = shares or {clip: look.share for clip, look in seen.items()}
    known = signed.assign(share=signed["clip_id"].map(shares).astype(float))
    findings += _about_hands(known)
    hands = f", hands in the landmarks of {len(shares)} clips" if shards else ""
    line = f"{len(seen)} of {len(chosen)} clips looked at{hands}, in {time.perf_counter() - begun:.1f} s"
    if left := left_handed(known):
        line += f"; left-handed, or all videos mirrored: {_named(left)}"
    return line, findings


def _about_hands(known: pd.DataFrame) -> list[Finding]:
    """Return what looks wrong with the hands of clips, whose `share` is known or NaN."""
    odd = [f"{clip} ({hand})" for clip, hand in other_handed(known)]
    if not odd:
        return []
    text = (
        f"{number_of(len(odd), 'clip is', 'clips are')} signed with another hand than their signer's "
        f"other clips, first {_named(odd)}; the video may be mirrored, or the person signs with either hand"
    )
    return [Finding(False, text)]


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN])


def spread(clips: pd.DataFrame) -> pd.DataFrame:
    """Return at most 24 of `clips`: as many of each of at most six signers, the signers in turn.

    Several clips of a signer are needed to say which of them differ.
    """
    signers = [part for _, part in clips.groupby(clips["signer_id"].str.strip())]
    signers = [signers[number] for number in _even(len(signers), _SIGNERS)]
    each = _CLIPS // max(len(signers), 1)
    chosen = [part.iloc[_even(len(part), each)].assign(turn=range(min(len(part), each))) for part in signers]
    return pd.concat(chosen).sort_values("turn", kind="stable") if chosen else clips


def _even(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` numbers below `count`, evenly spaced from the first to the last."""
    numbers: list[int] = np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()
    return numbers


def _as_built(clips: pd.DataFrame, manifest: Path) -> pd.DataFrame:
    """Return those of `clips` whose content is still that of the last build."""
    if not manifest.exists():
        return clips[:0]
    return clips.merge(pd.read_parquet(manifest, columns=["clip_id", "video_hash"]))


def _built_shares(shards: FeatureShards, signed: pd.DataFrame) -> dict[str, float]:
    """Return `hand_share` of every clip of `signed` that is in `shards`, from a few of its frames."""
    if shards.index.empty:
        return {}
    built = shards.index[shards.index["clip_id"].isin(signed["clip_id"]) & (shards.index["length"] > 0)]
    shares = {}
    columns = (built[name] for name in ("clip_id", "width", "height"))
    for clip_id, width, height in track(zip(*columns, strict=True), "hands", total=len(built)):
        rows = shards.clip(clip_id)
        shares[clip_id] = hand_share(rows[_even(len(rows), 2 * _FRAMES)], width, height)
    return shares


def _look(
    clips: pd.DataFrame, params: Params, hands: bool, begun: float, findings: list[Finding]
) -> dict[str, Seen]:
    """Look at `clips` one after another until the time is over; a clip that cannot be read is a finding.

    Without `hands` nothing is tracked.
    """
    seen: dict[str, Seen] = {}
    with (
        only_errors(),
        FaceFinder() as faces,
        HolisticTracker(params.landmarks) if hands else nullcontext() as tracker,
    ):
        for clip in track(list(clips.itertuples()), "people"):
            if time.perf_counter() - begun > _LIMIT_S:
                break
            try:
                seen[clip.clip_id] = _look_at(clip, params, faces, tracker)
            except VideoUnreadable as error:
                findings.append(Finding(False, f"{clip.clip_id} cannot be read: {error}; correct its file"))
    return seen


def _look_at(clip: Any, params: Params, faces: FaceFinder, tracker: HolisticTracker | None) -> Seen:
    """Look at six frames of the first seconds of `clip`, a row of the clips; landmarks show no faces."""
    path, nothing = Path(clip.video_path), float("nan")
    start_s = 0.0 if pd.isna(clip.start_s) else float(clip.start_s)
    part_s = min(_PART_S, _PART_S if pd.isna(clip.seconds) else float(clip.seconds))
    fps, end_s = _FRAMES / part_s, start_s + part_s
    if holds_landmarks(path):
        raw, _ = read_landmarks(path, start_s, end_s, fps, Settings.of(params.dataset))
        return Seen(False, hand_share(raw.rows, raw.width, raw.height))
    if tracker:
        tracker.restart()
    counts, rows, shape = [], [], (0, 0, 0)
    with open_video(path, params.dataset.frame_rate) as video:
        for frame in thinned(video.frames(start_s or None, end_s), fps):
            counts.append(faces.count(frame.image))
            if tracker:
                rows.append(tracker.landmarks(frame.image))
            shape = frame.image.shape
    share = hand_share(np.array(rows), shape[1], shape[0]) if rows else nothing
    return Seen(first_company(counts) is not None, share)
