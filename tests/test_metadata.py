"""The processed metadata holds the kept clips, the rejects all others, and every number is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json

from workflow_scripts import metadata

COLUMNS = [
    *("clip_id", "video_file", "feature_path", "feature_offset", "num_frames", "frame_feature_dim"),
    *("detection_ratio", "mean_visibility", "motion_mean", "motion_p50", "motion_p95", "motion_max"),
    *("sentence_id", "sentence", "gloss", "category", "signer_id", "quality_flag", "text_variations"),
]


def manifest_of(clip_ids: list[str]) -> pd.DataFrame:
    rows = [
        {
            "clip_id": clip_id,
            "video_path": f"videos/{clip_id}.mp4",
            "start_s": float("nan"),
            "end_s": float("nan"),
            "sentence_id": number,
            "sentence": f"Sentence, with a comma, {number}",
            "gloss": "A B",
            "gloss_times": "[[0.0, 0.5], [0.5, 1.25]]" if number else "",
            "category": "",
            "signer_id": "s1",
            "split": "train",
            "text_variations": '["Another"]',
            "consent": "",
            "video_hash": "h",
            "n_bytes": 10,
        }
        for number, clip_id in enumerate(clip_ids)
    ]
    return pd.DataFrame(rows)


def index_of(clips: dict[str, str], flags: dict[str, str]) -> pd.DataFrame:
    """`clips`: id to reason, empty for kept ones."""
    rows: list[dict[str, Any]] = []
    offset = 0
    for clip_id, reason in clips.items():
        length = 0 if reason else 60
        unreadable = reason == "unreadable"
        row = {"clip_id": clip_id, "offset": offset, "length": length, "fps": 25.0, "width": 64, "height": 48}
        row |= {
            "frame_index": list(range(length)),
            "status": "rejected" if reason else "ok",
            "reason": reason,
        }
        row |= {"time_s": [n / 25 for n in range(length)], "detail": f"because {reason}" if reason else ""}
        row |= {"detection_ratio": 0.0 if unreadable else 0.9, "mean_visibility": 0.8}
        row |= dict.fromkeys(("motion_p50", "motion_p95", "motion_max"), 1.5)
        row |= {"motion_mean": float("nan") if unreadable else 1.25}
        row |= {"total_frames": 0 if unreadable else 70}
        row |= {"kept_seconds": float("nan") if unreadable else 1.0 if reason else 2.0}
        row |= {"quality_flag": "" if reason else flags.get(clip_id, "ok")}
        rows.append(row)
        offset += length
    return pd.DataFrame(rows)


def run(
    folder: Path,
    shards: list[dict[str, str]],
    in_manifest: list[str] | None = None,
    early: str = "",
    flags: dict[str, str] | None = None,
    most: float = 1.0,
    options: tuple[str, ...] = (),
    **more: Any,
) -> int:
    """Run the stage on `shards`, whose index files have the columns `more` too; `most` may be rejected."""
    clip_ids = sorted(clip_id for shard in shards for clip_id in shard)
    manifest_of(clip_ids if in_manifest is None else in_manifest).to_parquet(folder / "manifest.parquet")
    (folder / "manifest_rejects.csv").write_text("clip_id,video_path,row,reason,detail\n" + early)
    names = []
    for number, clips in enumerate(shards):
        index_of(clips, flags or {}).assign(**more).to_parquet(folder / f"0{number}.parquet")
        names.append(f"features={folder}/0{number}.parquet")
    outputs = ["parquet=out.parquet", "csv=out.csv", "rejects=rejects.csv", "metrics=features.json"]
    argv = [
        "--input",
        f"manifest={folder}/manifest.parquet",
        f"rejects={folder}/manifest_rejects.csv",
        *names,
    ]
    argv += ["--output", *(name.replace("=", f"={folder}/") for name in outputs)]
    quality = {"motion_floor": 0.3, "min_seconds": 1.92, "max_reject_ratio": most}
    params = params_json({"quality": quality})
    return metadata.main([*argv, "--params", params, "--scratch", f"{folder}/scratch", *options])


def test_the_path_of_features_is_their_name_where_copies_of_a_store_are_read(tmp_path: Path) -> None:
    assert run(tmp_path, [{"a": ""}], options=("--stored", str(tmp_path))) == 0
    assert pd.read_parquet(tmp_path / "out.parquet")["feature_path"].tolist() == ["00.npy"]


def test_kept_clips_have_every_column_and_point_at_their_rows(tmp_path: Path) -> None:
    assert run(tmp_path, [{"b": "", "a": ""}, {"c": "low_motion", "d": ""}]) == 0
    table = pd.read_parquet(tmp_path / "out.parquet")
    # the table's own split travels along for stage splits, the times of glosses for stage text
    assert list(table.columns) == [*COLUMNS, "split", "gloss_times", "consent"]
    assert table["gloss_times"].tolist() == ["", *["[[0.0, 0.5], [0.5, 1.25]]"] * 2]
    assert table["clip_id"].tolist() == ["a", "b", "d"]
    assert table["feature_path"].tolist() == [f"{tmp_path}/00.npy"] * 2 + [f"{tmp_path}/01.npy"]
    assert table["feature_offset"].tolist() == [60, 0, 0]
    assert table["num_frames"].tolist() == [60, 60, 60]
    assert set(table["frame_feature_dim"]) == {540}
    assert table.loc[0, ["video_file", "sentence_id", "text_variations"]].tolist() == [
        "videos/a.mp4",
        0,
        '["Another"]',
    ]
    again = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_rejects_of_both_stages_stand_in_one_table(tmp_path: Path) -> None:
    early = "x,videos/x.mp4,7,missing,videos/x.mp4 does not exist\n"
    assert (
        run(tmp_path, [{"a": "", "b": "low_motion", "c": "unreadable", "d": "", "e": ""}], early=early) == 0
    )
    rejects = pd.read_csv(tmp_path / "rejects.csv", keep_default_na=False)
    assert list(rejects.columns)[:5] == ["clip_id", "video_path", "stage", "reason", "detail"]
    assert rejects.to_numpy().tolist() == [
        ["x", "videos/x.mp4", "manifest", "missing", "row 7: videos/x.mp4 does not exist", ""],
        ["b", "videos/b.mp4", "pose_features", "low_motion", "because low_motion", "1.25"],
        ["c", "videos/c.mp4", "pose_features", "unreadable", "because unreadable", ""],
    ]


def test_no_reject_leaves_a_table_with_its_columns(tmp_path: Path) -> None:
    assert run(tmp_path, [{"a": ""}]) == 0
    assert (tmp_path / "rejects.csv").read_text() == "clip_id,video_path,stage,reason,detail,motion_mean\n"


def test_metrics_count_every_reason(tmp_path: Path) -> None:
    clips = {"a": "", "b": "low_motion", "c": "unreadable", "d": "low_motion", "e": "", "f": ""}
    assert run(tmp_path, [clips], flags={"f": "low_detection"}) == 0
    assert json.loads((tmp_path / "features.json").read_text())["all"] == {
        "clips": 6,
        "kept": 3,
        "rejected": {
            "unreadable": 1,
            "no_person": 0,
            "low_detection": 0,
            "too_few_frames": 0,
            "low_motion": 2,
        },
        "flagged": {"low_detection": 1},
        "source_frames": 350,
        "frames": 180,
        "detection_ratio_mean": pytest.approx(0.9),
        "mean_visibility_mean": pytest.approx(0.8),
        "motion_mean": pytest.approx(1.25),
        "motion_mean_lowest_kept": 1.25,
        "motion_floor": 0.3,
    }


def test_a_gate_that_removes_over_half_of_what_reaches_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harsh = {"a": "unreadable", "b": "unreadable", "c": "low_motion", "d": "low_motion", "e": ""}
    assert run(tmp_path, [harsh]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert "low_motion rejected 2 of the 3 clips that reached it" in warnings[0]
    assert f"see {tmp_path}/rejects.csv" in warnings[0]


def test_too_many_rejects_stop_the_build_and_are_listed_in_a_file_that_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {f"short{number:02d}": "too_few_frames" for number in range(19)}
    clips = short | {"still": "low_motion", "good": ""}
    assert run(tmp_path, [clips], most=0.9) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "error: metadata: 20 of 21 clips are rejected, more than quality.max_reject_ratio 0.9; "
        "19 of them for too_few_frames: quality.min_seconds is 1.92; "
        "quantiles 5/50/95 % of all clips: 1.00/1.00/1.00 s kept; "
        f"{tmp_path}/scratch/rejects.csv lists them"
    )
    assert len(pd.read_csv(tmp_path / "scratch/rejects.csv")) == 20
    assert not (tmp_path / "out.parquet").exists() and not (tmp_path / "rejects.csv").exists()
    assert run(tmp_path, [clips], most=0.96) == 0


def test_a_build_of_unreadable_clips_stops_with_one_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, [{"a": "unreadable", "b": "", "c": "unreadable"}], most=0.5) == 2
    said = capsys.readouterr().err
    assert "2 of them for unreadable, the first is a: because unreadable; " in said


def test_half_is_not_over_half_and_nobody_left_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, [{"a": "low_motion", "b": ""}]) == 0
    assert "warning" not in capsys.readouterr().err
    assert run(tmp_path, [{"a": "unreadable"}]) == 0
    metrics = json.loads((tmp_path / "features.json").read_text())["all"]
    assert metrics["motion_mean"] is None and metrics["detection_ratio_mean"] is None
    assert metrics["motion_mean_reason"] == "no clip was kept"
    assert metrics["detection_ratio_mean_reason"] == "no clip could be read"
    assert "unreadable rejected 1 of the 1" in capsys.readouterr().err


@pytest.mark.parametrize("in_manifest", [["a", "b", "c"], ["a"]])
def test_shards_of_another_manifest_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_manifest: list[str]
) -> None:
    assert run(tmp_path, [{"a": "", "b": ""}], in_manifest) == 2
    assert "1 clips are only in the manifest or only in the feature shards" in capsys.readouterr().err


def test_a_clip_in_two_shards_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [{"a": ""}, {"a": ""}], ["a"]) == 2
    assert "clip 'a' is in the feature shards twice" in capsys.readouterr().err


def test_ready_made_rows_of_another_width_have_no_motion_and_say_so(tmp_path: Path) -> None:
    unknown = ["mean_visibility", "motion_mean", "motion_p50", "motion_p95", "motion_max"]
    assert run(tmp_path, [{"a": "", "b": "unreadable"}], dim=14, **dict.fromkeys(unknown, np.nan)) == 0
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["frame_feature_dim"].tolist() == [14]
    assert table[unknown].isna().all(axis=None)
    metrics = json.loads((tmp_path / "features.json").read_text())["all"]
    means = ("mean_visibility_mean", "motion_mean", "motion_mean_lowest_kept")
    assert [metrics[name] for name in means] == [None, None, None]
    assert {metrics[f"{name}_reason"] for name in means} == {"only rows of pose features have it"}
    assert metrics["kept"] == 1 and metrics["detection_ratio_mean"] == 0.9
