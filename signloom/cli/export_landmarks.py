"""`signloom export-landmarks`: write landmarks or features of a build in forms that other programs read."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset.consent import allows
from signloom.dataset.forms.texts import spelled
from signloom.errors import SignloomError
from signloom.features.pose.layout import FEATURE_DIM, RAW_DIM
from signloom.features.pose.point_names import long_table
from signloom.features.pose.pose_files import write_feature_pose, write_pose
from signloom.features.pose.raw_clip import RawClip
from signloom.features.shards import FeatureShards
from signloom.files import write_csv, write_parquet
from signloom.progress import track

Rows = NDArray[np.float32]


def export_landmarks(args: argparse.Namespace) -> int:
    """Write one file for each clip that `args` names and that may be shared; return the exit code.

    Raises SignloomError if the build has no landmarks or features, or lacks a clip.
    """
    shards = read_shards(args.build / ("pose_features" if args.features else "landmarks"))
    width = shards.clip(shards.index["clip_id"].iloc[0]).shape[1] if len(shards.index) else FEATURE_DIM
    if width not in (RAW_DIM, FEATURE_DIM):
        raise SignloomError(
            f"export-landmarks: the build {args.build} has rows of {width} columns, which are no landmarks; "
            "read its .npy files with NumPy"
        )
    manifest = read_manifest(args.build)
    listed = shards.index[shards.index["clip_id"].isin(manifest["clip_id"])]  # the others were set aside
    clips = listed.set_index("clip_id", drop=False)
    wanted = spelled(args.clips, clips.index)
    if unknown := [clip_id for clip_id in wanted if clip_id not in clips.index]:
        raise SignloomError(
            f"export-landmarks: {args.build} has no clip {unknown[0]!r}; "
            f"expected ids such as {manifest['clip_id'].iloc[0]!r}, which processed_metadata.csv there lists"
        )
    chosen = clips.loc[list(dict.fromkeys(wanted))] if wanted else clips
    private, written = withheld(manifest), dict[tuple[int, int], str]()
    for clip in track(chosen.to_dict("records"), "export"):
        if clip["status"] != "ok":
            print(f"left out: {clip['clip_id']}: {clip['reason']}", file=sys.stderr)
            continue
        if clip["clip_id"] in private:
            print(
                f"left out: {clip['clip_id']}: the consent does not allow to share features", file=sys.stderr
            )
            continue
        # the name may have dots, so a suffix is added and never replaced
        path = args.output / f"{clip['clip_id']}.{args.form}"
        if Path(clip["clip_id"]).is_absolute() or ".." in Path(clip["clip_id"]).parts:
            raise SignloomError(
                f"export-landmarks: clip {clip['clip_id']!r} would be written outside {args.output}; "
                "give its video a path below dataset.videos"
            )
        # a disk may take A and a, or two spellings of é, for one name
        if path.exists() and (other := written.get(_place(path))):
            raise SignloomError(
                f"export-landmarks: {path} is the file of clip {other!r} on this disk, and of "
                f"{clip['clip_id']!r}; export one of them to another folder"
            )
        _WRITERS[args.form](path, clip, shards.clip(clip["clip_id"]))
        written[_place(path)] = clip["clip_id"]
    print(f"{len(written)} files in {args.output}")
    return 0


def read_manifest(build: Path) -> pd.DataFrame:
    """Return the clips of a build, without those that were rejected or set aside."""
    manifest = build / "manifest.parquet"
    if not manifest.exists():
        raise SignloomError(
            f"export-landmarks: {manifest} does not exist, so what may be shared is not known"
        )
    return pd.read_parquet(manifest)


def withheld(clips: pd.DataFrame) -> set[str]:
    """Return which of a build's clips have features that may not be shared."""
    consents = clips.get("consent", pd.Series("", clips.index))  # as in an earlier build
    return {*clips["clip_id"][[not allows(consent, "features") for consent in consents]]}


def _place(path: Path) -> tuple[int, int]:
    """Return what tells a file from all others, whatever its name."""
    found = path.stat()
    return found.st_dev, found.st_ino


def read_shards(folder: Path) -> FeatureShards:
    """Return the shards in `folder`; raise SignloomError if it has none."""
    index = sorted(folder.glob("*.parquet"))
    if not index:
        raise SignloomError(
            f"export-landmarks: {folder} has no shard; build it with snakemake, or give --build"
        )
    return FeatureShards([path.with_suffix(".npy") for path in index], index)


def _as_pose(path: Path, clip: dict[str, Any], rows: Rows) -> None:
    times = np.asarray(clip["time_s"], np.float64)
    # the rate of the rows, which may be fewer than the video's frames
    lasts = times[-1] - times[0]
    fps = float((len(times) - 1) / lasts) if lasts > 0 else float(clip["fps"])
    if "motion_mean" in clip:
        write_feature_pose(path, rows, fps)
        return
    numbers = np.asarray(clip["frame_index"], np.int64)
    write_pose(path, RawClip(rows, times, numbers, int(clip["width"]), int(clip["height"])), fps)


def _table(clip: dict[str, Any], rows: Rows) -> pd.DataFrame:
    numbers, times = np.asarray(clip["frame_index"], np.int64), np.asarray(clip["time_s"], np.float64)
    return long_table(clip["clip_id"], rows, numbers, times)


_WRITERS: dict[str, Callable[[Path, dict[str, Any], Rows], None]] = {
    "pose": _as_pose,
    "parquet": lambda path, clip, rows: write_parquet(path, _table(clip, rows)),
    "csv": lambda path, clip, rows: write_csv(path, _table(clip, rows)),
}
