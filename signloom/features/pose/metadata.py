"""Stage metadata: list the clips that have features, and the rejected clips with reasons."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from signloom.dataset.consent import count_uses
from signloom.dataset.reject_words import place_of
from signloom.errors import SignloomError
from signloom.features.pose.layout import FEATURE_DIM
from signloom.features.pose.motion import MOTION
from signloom.features.pose.reject_reasons import GATES, REJECT_REASONS
from signloom.params.features import QualityParams

COLUMNS = [
    "clip_id",
    "video_file",
    "feature_path",
    "feature_offset",
    "num_frames",
    "frame_feature_dim",
    "detection_ratio",
    "mean_visibility",
    *MOTION,
    "sentence_id",
    "sentence",
    "gloss",
    "category",
    "signer_id",
    "quality_flag",
    "text_variations",
    "split",
    "gloss_times",
    "consent",
]
REJECT_COLUMNS = ["clip_id", "video_path", "stage", "reason", "detail", "motion_mean"]
_QUANTILES = (0.05, 0.5, 0.95)


def read_indexes(indexes: Sequence[Path], names: Sequence[Path]) -> pd.DataFrame:
    """Return the pose-feature indexes as one table; `feature_path` is the .npy file of each row.

    `names` are the names of the indexes among the products; a file may be a copy elsewhere.
    """
    tables = [
        pd.read_parquet(path).assign(feature_path=name.with_suffix(".npy").as_posix())
        for path, name in zip(indexes, names, strict=True)
    ]
    return pd.concat(tables, ignore_index=True).drop(columns=["frame_index", "time_s"], errors="ignore")


def join_clips(manifest: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Return every row of `manifest`, in its order, joined with the clip's row of `index`.

    Raises SignloomError if a clip is missing from either table or is in `index` twice.
    """
    if index["clip_id"].duplicated().any():
        raise SignloomError(
            f"metadata: clip {index['clip_id'][index['clip_id'].duplicated()].iloc[0]!r} is in the feature "
            "shards twice; build the shards again"
        )
    strangers = sorted(set(index["clip_id"]) ^ set(manifest["clip_id"]))
    if strangers:
        raise SignloomError(
            f"metadata: {len(strangers)} clips are only in the manifest or only in the feature shards "
            f"(first: {strangers[0]!r}); build again: the shards whose lists changed are made anew"
        )
    return manifest.merge(index, on="clip_id", how="left", validate="one_to_one")


def processed_metadata(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the kept rows of `clips` with the columns `COLUMNS` of the processed metadata.

    Landmark features are 540 wide; the index of ready-made features gives their width in the column `dim`.
    """
    kept = clips[clips["status"] == "ok"].rename(
        columns={"video_path": "video_file", "offset": "feature_offset", "length": "num_frames"}
    )
    return kept.assign(frame_feature_dim=kept.get("dim", FEATURE_DIM))[COLUMNS].reset_index(drop=True)


def all_rejects(manifest_rejects: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """Return the rejects of both stages; `motion_mean` is empty if no motion was measured."""
    early = manifest_rejects.assign(
        stage="manifest",
        detail=[
            f"{place_of(row)}: {detail}"
            for row, detail in zip(manifest_rejects["row"], manifest_rejects["detail"], strict=True)
        ],
        motion_mean=np.nan,
    )
    late = clips[clips["status"] != "ok"].assign(stage="pose_features")
    parts = [table[REJECT_COLUMNS] for table in (early, late) if len(table)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=REJECT_COLUMNS)


def count_features(clips: pd.DataFrame, quality: QualityParams) -> dict[str, Any]:
    """Return the figures for the key `all` of metrics/features.json.

    The mean of no values is null, with the reason.
    """
    kept = clips[clips["status"] == "ok"]
    rejected = clips[clips["status"] != "ok"]["reason"].value_counts()
    flagged = kept.loc[kept["quality_flag"] != "ok", "quality_flag"].value_counts()
    tracked = clips[clips["reason"] != "unreadable"]
    return {
        "clips": len(clips),
        "kept": len(kept),
        "rejected": {reason: int(rejected.get(reason, 0)) for reason in REJECT_REASONS},
        "flagged": flagged.sort_index().to_dict(),
        "source_frames": int(clips["total_frames"].sum()),
        "frames": int(kept["length"].sum()),
        **_known("detection_ratio_mean", tracked["detection_ratio"], "mean", "no clip could be read"),
        **_known("mean_visibility_mean", kept["mean_visibility"], "mean", "no clip was kept"),
        **_known("motion_mean", kept["motion_mean"], "mean", "no clip was kept"),
        **_known("motion_mean_lowest_kept", kept["motion_mean"], "min", "no clip was kept"),
        "motion_floor": quality.motion_floor,
        **({"consent": consents} if (consents := count_uses(kept["consent"])) else {}),
    }


def too_many_rejects(clips: pd.DataFrame, quality: QualityParams) -> str:
    """Return why the build must stop, or "" if no more than `quality.max_reject_ratio` are rejected.

    The text names the most frequent reason, the parameter that decides it and quantiles of what it judges.
    """
    rejected = clips[clips["status"] != "ok"]
    if len(rejected) <= quality.max_reject_ratio * len(clips):
        return ""
    counts = rejected["reason"].value_counts()
    reason = str(counts.index[0])
    problem = (
        f"{len(rejected)} of {len(clips)} clips are rejected, more than quality.max_reject_ratio "
        f"{quality.max_reject_ratio:g}; {counts.iloc[0]} of them for {reason}"
    )
    if reason not in GATES:
        first = rejected[rejected["reason"] == reason].iloc[0]
        return f"{problem}, the first is {first['clip_id']}: {first['detail']}"
    gate = GATES[reason]
    values = clips[gate.diagnostic].dropna().quantile(_QUANTILES)
    found = gate.words.format("/".join(f"{value:.2f}" for value in values))
    limit = getattr(quality, gate.parameter)
    return f"{problem}: quality.{gate.parameter} is {limit:g}; quantiles 5/50/95 % of all clips: {found}"


def warn_of_harsh_gates(clips: pd.DataFrame, rejects: Path) -> None:
    """Print a warning for every gate that removed more than half of the clips that reached it.

    `rejects` is the table that lists them.
    """
    reaching = len(clips)
    counts = clips["reason"].value_counts()
    for reason in REJECT_REASONS:
        removed = int(counts.get(reason, 0))
        if removed * 2 > reaching:
            print(
                f"warning: metadata: {reason} rejected {removed} of the {reaching} clips that reached it; "
                f"see {rejects} and section quality of the parameters",
                file=sys.stderr,
            )
        reaching -= removed


def _known(name: str, values: pd.Series, figure: Literal["mean", "min"], reason: str) -> dict[str, Any]:
    """Return `name`, a figure of the known `values`; null with `name_reason` if there are none.

    `reason` says why there may be no values at all.
    """
    known = values.dropna()
    if len(known):
        return {name: float(known.agg(figure))}
    return {name: None, f"{name}_reason": "only rows of pose features have it" if len(values) else reason}
