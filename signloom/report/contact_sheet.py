"""The contact sheet: one frame of each selected clip, with its landmarks drawn over it."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset.consent import allows
from signloom.errors import SignloomError
from signloom.features.partial_shard import read_shard_list
from signloom.features.pose.landmark_files import holds_landmarks
from signloom.features.pose.layout import RAW_PARTS
from signloom.features.shards import FeatureShards
from signloom.report.overlay import draw_landmarks
from signloom.video.decode import VideoUnreadable, open_video

_MOST = 12
_SIDE = 360  # pixels of the longer side; two fit side by side on a phone
_QUALITY = 72
_NO_PICTURE = 60  # grey of a clip without a video, or whose pictures may not be published
WITHHELD = " The picture is left out, because publishing it was not allowed."
_KINDS = ("train", "val", "test", "not signing")


@dataclass(frozen=True)
class Videos:
    """The landmarks of the clips, and `video_path, start_s, end_s` of every clip.

    Of `withheld` clips no picture may be published, so their landmarks are drawn on grey.
    """

    landmarks: FeatureShards
    files: dict[str, dict[str, Any]]
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True)
class VideosFiles:
    """Every landmark array, its parquet and its shard list, and the manifest."""

    landmarks: Sequence[Path]
    landmarks_index: Sequence[Path]
    shards: Sequence[Path]
    manifest: Path


def read_videos(given: VideosFiles) -> Videos:
    """Return the landmark shards, memory-mapped, and the rows of the shard lists by clip.

    Withheld are clips that the manifest does not list, or whose pictures may not be published.
    """
    files = {clip["clip_id"]: clip for path in given.shards for clip in read_shard_list(path)}
    listed = pd.read_parquet(given.manifest, columns=["clip_id", "consent"])
    allowed = [allows(consent, "pictures") for consent in listed["consent"]]
    withheld = frozenset(files) - {*listed["clip_id"][allowed]}
    return Videos(FeatureShards(given.landmarks, given.landmarks_index), files, withheld)


def describe(videos: Videos, clips: pd.DataFrame, rejects: pd.DataFrame) -> dict[str, Any]:
    """Return the template's values: tiles of kept and of rejected clips, and reasons without a tile."""
    chosen = choose_rejected(rejects, videos)
    return {
        "kept": [_kept(videos, clip) for clip in choose_kept(clips)],
        "rejected": [_rejected(videos, clip) for clip in chosen if clip["seen"]],
        "unseen": [str(clip["reason"]) for clip in chosen if not clip["seen"]],
    }


def choose_kept(clips: pd.DataFrame, most: int = _MOST) -> list[dict[str, Any]]:
    """Return up to `most` clips, sorted by split, clips without signing last.

    Each choice is the clip whose pair of signer and split, and then whose sentence, was chosen least often so
    far; ties are broken by clip id.
    """
    kind = clips["split"].where(clips["sentence_id"] >= 0, "not signing")
    left: list[dict[str, Any]] = clips.assign(kind=kind).sort_values("clip_id").to_dict("records")
    taken: Counter[Any] = Counter()
    chosen: list[dict[str, Any]] = []

    def shown(row: Mapping[str, Any]) -> tuple[int, int]:
        signer, kind, sentence = (taken[group] for group in _groups(row))
        return signer + kind, sentence

    while left and len(chosen) < most:
        row = min(left, key=shown)
        left.remove(row)
        taken.update(_groups(row))
        chosen.append(row)
    return sorted(chosen, key=lambda row: _KINDS.index(row["kind"]))


def _groups(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, row.get(name)) for name in ("signer_id", "kind", "sentence_id")]


def choose_rejected(rejects: pd.DataFrame, videos: Videos) -> list[dict[str, Any]]:
    """Return one clip per reason, the first with a visible frame if there is one; `seen` tells which."""
    seen = [clip in videos.landmarks and videos.landmarks.length(clip) > 0 for clip in rejects["clip_id"]]
    ranked = rejects.assign(seen=seen).sort_values(["seen", "clip_id"], ascending=[False, True])
    first = ranked.groupby(["stage", "reason"], sort=True).head(1)
    rows: list[dict[str, Any]] = first.sort_values(["stage", "reason"]).to_dict("records")
    return rows


def parts_found(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether pose, left hand, right hand and face were found (T, 4) in raw rows (T, 1662)."""
    return np.stack([np.isfinite(rows[:, columns.start]) for columns in RAW_PARTS.values()], axis=1)


def fullest_row(found: NDArray[np.bool_]) -> int:
    """Return the row of `found` (T, 4) with the most parts; of several the one nearest to the middle."""
    parts = found.sum(1)
    rows = np.flatnonzero(parts == parts.max())
    return int(rows[np.abs(rows - (len(found) - 1) / 2).argmin()])


def _kept(videos: Videos, clip: Mapping[str, Any]) -> dict[str, Any]:
    found = parts_found(videos.landmarks.clip(clip["clip_id"]))
    signer = f", signer {clip['signer_id']}" if clip.get("signer_id") else ""
    said = clip["sentence"] or "not signing"
    return _tile(videos, clip["clip_id"], f"{clip['split']}{signer}", said, fullest_row(found))


def _rejected(videos: Videos, clip: Mapping[str, Any]) -> dict[str, Any]:
    middle = videos.landmarks.length(clip["clip_id"]) // 2
    return _tile(videos, clip["clip_id"], str(clip["reason"]), str(clip.get("detail") or ""), middle)


def _tile(videos: Videos, clip_id: str, about: str, said: str, row: int) -> dict[str, Any]:
    """Return one picture of the sheet: base64 WebP of `width` x `height` pixels, with its texts."""
    rows = videos.landmarks.clip(clip_id)
    drawn = drawn_frames(videos, clip_id, [row], _SIDE)[0]
    shown = zip(RAW_PARTS, parts_found(rows[row : row + 1])[0], strict=True)
    found = [name.replace("_", " ") for name, there in shown if there]
    alt = (
        f"Tracked frame {row + 1} of {len(rows)} of clip {clip_id}. "
        f"Landmarks drawn: {', '.join(found) if found else 'none, as none were found'}."
        + (WITHHELD if clip_id in videos.withheld else "")
    )
    return {"clip": clip_id, "about": about, "said": said, "alt": alt, **webp(drawn)}


def webp(image: NDArray[np.uint8]) -> dict[str, Any]:
    """Return an RGB `image` (height, width, 3) for a page: `picture`, base64 WebP, and its size in pixels."""
    ok, code = cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not ok:
        raise RuntimeError("OpenCV was built without WebP")
    height, width = image.shape[:2]
    return {"picture": base64.b64encode(code.tobytes()).decode(), "width": width, "height": height}


def drawn_frames(videos: Videos, clip_id: str, rows: Sequence[int], side: int) -> list[NDArray[np.uint8]]:
    """Return the RGB frames of a clip's landmark `rows` with the landmarks, at most `side` pixels long."""
    found = videos.landmarks.clip(clip_id)
    images = _frames(videos, clip_id, rows)
    return [draw_landmarks(shrink(image, side), found[row]) for image, row in zip(images, rows, strict=True)]


def _frames(videos: Videos, clip_id: str, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Return the RGB frames that landmark `rows` of a clip come from; grey ones where there is no picture."""
    clip, index = videos.files[clip_id], videos.landmarks.index
    path = Path(clip["video_path"])
    if holds_landmarks(path) or clip_id in videos.withheld:
        height, width = index.loc[index["clip_id"] == clip_id, ["height", "width"]].iloc[0]
        return [np.full((height, width, 3), _NO_PICTURE, np.uint8)] * len(rows)
    frame_index, fps = index.loc[index["clip_id"] == clip_id, ["frame_index", "fps"]].iloc[0]
    numbers = [int(frame_index[row]) for row in rows]
    found: dict[int, NDArray[np.uint8]] = {}
    try:
        with open_video(path, fps) as video:  # a folder of pictures does not say its rate
            for frame in video.frames(clip["start_s"], clip["end_s"]):
                if frame.number in numbers:
                    found[frame.number] = frame.image
                if len(found) == len(set(numbers)):
                    break
    except VideoUnreadable as error:
        raise SignloomError(f"report: {path}: {error}; build the manifest again") from error
    if len(found) < len(set(numbers)):
        raise SignloomError(f"report: {path} has fewer frames than its landmarks; build the manifest again")
    return [found[number] for number in numbers]


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return `image` (height, width, 3) with its longer side at most `side` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
