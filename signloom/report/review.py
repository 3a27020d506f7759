"""The page of the review queue: the first clips with their reasons, beside the clips that they are like."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from signloom.features.pose.layout import FEATURE_DIM, WRISTS
from signloom.features.shards import FeatureShards
from signloom.letters import columns
from signloom.params.features import PositionsParams
from signloom.report.contact_sheet import WITHHELD, Videos, drawn_frames, webp
from signloom.report.drawing import SERIES, picture
from signloom.report.page import shows_people, template

_MOST = 40  # clips with pictures
_MOMENTS = (0.25, 0.5, 0.75)  # of a clip, shown as frames
_SIDE = 240  # pixels of the longer side of a frame
_LINES = 2  # points or columns that are drawn
_WIDTH, _HEIGHT = 2.2, 2.4  # inches of one clip's paths
_LETTERS = 28  # of a title per line
_LOOKS = ("-", "--")

Paths = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Movements:
    """What shows a clip: its video, or else the paths of its feature rows, which `positions` names."""

    shards: FeatureShards
    positions: PositionsParams
    videos: Videos | None = None


def render(
    queue: pd.DataFrame, labels: Mapping[str, str], counts: Mapping[str, Any], movements: Movements
) -> str:
    """Return the page; `queue` is the table of `evaluation.review.queue`, `counts` those of its reasons.

    `labels` are those of all clips, of reviewed ones too.
    """
    shown = queue[queue["reasons"] != ""].head(_MOST).to_dict("records")
    drawn = _drawn_columns(movements, [clip["clip_id"] for clip in shown])
    return template("review.html.j2").render(
        clips=[_entry(clip, labels, movements, drawn) for clip in shown],
        counts=counts,
        signed=bool((queue["label"] != "").any()),
        videos=movements.videos is not None,
        people=movements.videos is not None
        and shows_people(clip["video_path"] for clip in movements.videos.files.values()),
    )


def _entry(
    clip: Mapping[Any, Any], labels: Mapping[str, str], movements: Movements, drawn: Sequence[str]
) -> dict[str, Any]:
    """Return the template's values for one clip: what the queue says, and its pictures."""
    beside = [
        (title, clip[name])
        for title, name in (
            ("nearest of another label", "like_other"),
            ("nearest of its own label", "like_own"),
        )
        if clip[name]
    ]
    pictures = [("this clip", clip["clip_id"]), *beside]
    titles = [(title, clip_id, labels.get(clip_id, "")) for title, clip_id in pictures]
    show = _strips if movements.videos else _paths
    file = movements.videos.files[clip["clip_id"]]["video_path"] if movements.videos else ""
    return {**clip, "video": str(file), "pictures": show(titles, movements, drawn, int(clip["rank"]))}


def _strips(
    titles: Sequence[tuple[str, str, str]], movements: Movements, drawn: Sequence[str], rank: int
) -> list[dict[str, Any]]:
    """Return a strip of frames of every clip."""
    assert movements.videos
    strips = []
    for title, clip_id, label in titles:
        last = movements.videos.landmarks.length(clip_id) - 1
        frames = drawn_frames(movements.videos, clip_id, [round(part * last) for part in _MOMENTS], _SIDE)
        alt = f"Frames at a quarter, half and three quarters of clip {clip_id}, with its landmarks."
        alt += WITHHELD if clip_id in movements.videos.withheld else ""
        strips.append(
            {"title": title, "clip": clip_id, "label": label, "alt": alt, **webp(np.hstack(frames))}
        )
    return strips


def _paths(
    titles: Sequence[tuple[str, str, str]], movements: Movements, drawn: Sequence[str], rank: int
) -> list[dict[str, Any]]:
    """Return one picture of the paths of every clip, side by side on the same axes."""
    paths = [paths_of(movements.shards.clip(clip_id), movements.positions) for _, clip_id, _ in titles]
    plane = bool(movements.positions.points) or movements.shards.clip(titles[0][1]).shape[1] == FEATURE_DIM

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(paths), sharex=True, sharey=True, squeeze=False)[0]
        for axes, its, (title, clip_id, label) in zip(panels, paths, titles, strict=True):
            axes.set_title("\n".join(map(_wrapped, (title, label, clip_id))), fontsize=9)
            for name, colour, line in zip(drawn, SERIES, _LOOKS, strict=False):
                points = its[name]
                across, up = (points[:, 0], points[:, 1]) if plane else (range(len(points)), points[:, 0])
                axes.plot(across, up, line, color=colour, label=name)
                axes.plot(across[0], up[0], "o", color=colour)
            if plane:
                axes.set_aspect("equal", adjustable="box")
                axes.locator_params(nbins=3)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=_LINES)

    what = "Paths, from the dot on, of" if plane else "Values over time of"
    caption = f"{what} {' and '.join(name.replace('_', ' ') for name in drawn)}."
    alt = f"{caption} " + " ".join(f"{title}: {clip_id}, {label}." for title, clip_id, label in titles)
    return [{"svg": picture(f"clip-{rank}", caption, alt, draw, _HEIGHT, _WIDTH * len(paths))}]


def _wrapped(text: str) -> str:
    """Return `text` in at most three lines that fit above the paths of a clip."""
    letters = _LETTERS * len(text) // max(1, columns(text))  # those of East Asia are twice as wide
    return textwrap.fill(text, max(3, letters), max_lines=3, placeholder=" …")


def paths_of(rows: NDArray[np.float32], positions: PositionsParams) -> Paths:
    """Return the paths by name that feature `rows` (T, D) hold: (T, 2) points, upwards, or (T, 1) columns."""
    if rows.shape[1] == FEATURE_DIM:
        wrists = {side.replace("hand", "wrist"): 4 * joint for side, joint in WRISTS.items()}
        return {name: rows[:, column : column + 2] * (1, -1) for name, column in wrists.items()}
    if positions.points:
        named = [point.name for point in positions.points if point.name != positions.centre]
        wide = len(positions.points[0].columns)
        return {name: rows[:, wide * place : wide * place + 2] for place, name in enumerate(named)}
    return {f"column {column}": rows[:, column : column + 1] for column in range(rows.shape[1])}


def _drawn_columns(movements: Movements, clips: Sequence[str]) -> list[str]:
    """Return the names of the paths to draw, in the order of the rows: both hands, or what goes furthest."""
    if movements.videos or not clips:
        return []
    way: dict[str, float] = {}
    for clip_id in clips:
        for name, points in paths_of(movements.shards.clip(clip_id), movements.positions).items():
            steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
            way[name] = way.get(name, 0.0) + float(np.nansum(steps))
    hands = [name for name in ("left_hand", "right_hand") if name in way]
    furthest = hands or sorted(way, key=lambda name: (-way[name], name))[:_LINES]
    return [name for name in way if name in furthest]
