"""`signloom export-landmarks` writes what a build holds, and pose-format and pandas read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json
from pose_format import Pose

from signloom.__main__ import main
from signloom.features.pose.pose_files import read_pose, write_pose
from signloom.features.pose.raw_clip import RawClip
from signloom.features.shards import FeatureShards
from tests.bodies import as_tracked, moving_body
from workflow_scripts import landmarks, pose_features

FPS = 25.0


@pytest.fixture(scope="module")
def clip() -> RawClip:
    times = np.arange(75) / FPS
    raw = as_tracked(moving_body(3 * times), times)
    raw.rows[:10, 132:195] = np.nan
    return raw


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, clip: RawClip) -> Path:
    """A build with the clips s1/a and b, and the clip bad, which was rejected."""
    folder = tmp_path_factory.mktemp("built")
    for name in ("a", "b"):
        write_pose(folder / f"{name}.pose", clip, FPS)
    rows = [f"s1/a,{folder}/a.pose,,,h", f"b,{folder}/b.pose,1,2.5,h", f"bad,{folder}/bad.pose,,,h"]
    shard = folder / "0.csv"
    shard.write_text("\n".join(["clip_id,video_path,start_s,end_s,video_hash", *rows, ""]))
    for name in ("landmarks", "pose_features"):
        (folder / name).mkdir()
    tracked = [f"npy={folder}/landmarks/0.npy", f"parquet={folder}/landmarks/0.parquet"]
    more = [
        "--params",
        params_json({"landmarks": {"max_fps": 12.5}, "dataset": {}}),
        "--scratch",
        str(folder / "scratch"),
    ]
    assert landmarks.main(["--input", f"shard={shard}", "--output", *tracked, *more]) == 0
    outputs = [f"{kind}={folder}/pose_features/0.{end}" for kind, end in
               (("npy", "npy"), ("mask", "mask.npy"), ("parquet", "parquet"))]  # fmt: skip
    given = params_json({"pose": {}, "quality": {"min_frames": 4}})
    assert pose_features.main(["--input", *tracked, "--output", *outputs, "--params", given]) == 0
    pd.DataFrame({"clip_id": ["s1/a", "b", "bad"], "consent": ""}).to_parquet(folder / "manifest.parquet")
    return folder


def export(built: Path, *more: str) -> int:
    return main(["export-landmarks", "--build", str(built), *more])


def test_every_clip_becomes_a_pose_file_and_rejected_ones_are_named(
    built: Path, clip: RawClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(built, "--output", str(tmp_path)) == 0
    said = capsys.readouterr()
    assert said.out == f"2 files in {tmp_path}\n"
    assert "left out: bad: unreadable" in said.err
    files = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.pose"))]
    assert files == ["b.pose", "s1/a.pose"]
    pose = Pose.read((tmp_path / "s1/a.pose").read_bytes())
    assert pose.body.fps == pytest.approx(12.5)  # of the rows, of which every second was taken
    np.testing.assert_allclose(pose.body.data[:, 0, 11] / (640, 480, 1), clip.rows[::2, 44:47], atol=1e-6)
    np.testing.assert_allclose(read_pose(tmp_path / "s1/a.pose").raw.rows, clip.rows[::2], atol=1e-6)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_table_has_a_row_for_each_point_that_was_found(
    form: str, built: Path, clip: RawClip, tmp_path: Path
) -> None:
    assert export(built, "b", "--form", form, "--output", str(tmp_path)) == 0
    (path,) = tmp_path.iterdir()
    table = pd.read_csv(path) if form == "csv" else pd.read_parquet(path)
    assert path.name == f"b.{form}" and set(table["clip_id"]) == {"b"}
    assert table["frame_index"].unique().tolist() == list(range(25, 63, 2))
    wrist = table[(table["part"] == "pose") & (table["point"] == "LEFT_WRIST")].iloc[3]
    assert wrist["time_s"] == pytest.approx(6 / FPS)
    np.testing.assert_allclose(wrist[["x", "y", "z", "visibility"]].tolist(), clip.rows[31, 60:64], atol=1e-6)
    assert len(table) == 19 * (33 + 2 * 21 + 468)
    assert table.loc[table["part"] == "face", "visibility"].isna().all()


def test_a_part_that_was_not_found_has_no_row(built: Path, tmp_path: Path) -> None:
    assert export(built, "s1/a", "--form", "csv", "--output", str(tmp_path)) == 0
    table = pd.read_csv(tmp_path / "s1/a.csv")
    assert table.loc[table["part"] == "left_hand", "frame_index"].min() == 10
    assert table.loc[table["part"] == "right_hand", "frame_index"].min() == 0


def test_features_come_out_as_they_are(built: Path, tmp_path: Path) -> None:
    shards = FeatureShards([built / "pose_features/0.npy"], [built / "pose_features/0.parquet"])
    rows = shards.clip("b")
    assert export(built, "b", "--features", "--output", str(tmp_path)) == 0
    pose = Pose.read((tmp_path / "b.pose").read_bytes())
    np.testing.assert_allclose(pose.body.data[:, 0, 16], rows[:, 64:67], atol=1e-6)
    face = [number for number, part in enumerate(pose.header.components) if part.name == "FACE_LANDMARKS"]
    assert pose.header.components[face[0]].points[:3] == ["0", "5", "10"]
    np.testing.assert_allclose(pose.body.data[:, 0, 33:127].reshape(len(rows), -1), rows[:, 258:], atol=1e-6)
    assert export(built, "b", "--features", "--form", "parquet", "--output", str(tmp_path)) == 0
    table = pd.read_parquet(tmp_path / "b.parquet")
    fifth = table[(table["part"] == "face") & (table["point"] == "5")]
    np.testing.assert_allclose(fifth[["x", "y", "z"]], rows[:, 261:264], atol=1e-6)


def test_a_clip_that_the_build_lacks_and_a_folder_without_a_build_are_one_line(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(built, "a", "--output", str(tmp_path / "out")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no clip 'a'" in line and "s1/a" in line
    assert export(tmp_path, "--output", str(tmp_path / "out")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}/landmarks has no shard" in line
    assert not (tmp_path / "out").exists()


def test_clips_whose_features_may_not_be_shared_are_left_out_and_named(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = Path(shutil.copytree(built, tmp_path / "built"))
    clips = pd.DataFrame(
        {"clip_id": ["s1/a", "b", "bad"], "consent": ["train pictures", "train features", ""]}
    )
    clips.to_parquet(shared / "manifest.parquet")
    assert export(shared, "--output", str(tmp_path / "out")) == 0
    assert [path.name for path in (tmp_path / "out").rglob("*.pose")] == ["b.pose"]
    assert "left out: s1/a: the consent does not allow" in capsys.readouterr().err
    (shared / "manifest.parquet").unlink()
    assert export(shared, "--output", str(tmp_path / "out")) == 2
    assert "what may be shared is not known" in capsys.readouterr().err


@pytest.mark.parametrize("clip_id", ["/elsewhere/a", "../a"])
def test_a_clip_whose_name_leads_out_of_the_folder_is_refused(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], clip_id: str
) -> None:
    shutil.copytree(built, tmp_path / "built")
    for name in ("landmarks/0", "manifest"):
        path = tmp_path / "built" / f"{name}.parquet"
        table = pd.read_parquet(path)
        table.assign(clip_id=table["clip_id"].replace("b", clip_id)).to_parquet(path)
    assert export(tmp_path / "built", "--output", str(tmp_path / "out"), clip_id) == 2
    assert f"clip {clip_id!r} would be written outside" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_clip_is_named_in_either_spelling_of_unicode(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "built")
    for name in ("landmarks/0", "manifest"):
        path = tmp_path / "built" / f"{name}.parquet"
        table = pd.read_parquet(path)
        table.assign(clip_id=table["clip_id"].replace("b", "Zoe\u0308")).to_parquet(path)
    assert export(tmp_path / "built", "--output", str(tmp_path / "out"), "Zo\u00eb") == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_two_clips_that_a_disk_takes_for_one_file_do_not_overwrite_each_other(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.pose").symlink_to(tmp_path / "s1/a.pose")  # as A and a where letter case does not count
    assert export(built, "s1/a", "b", "--output", str(tmp_path)) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "is the file of clip 's1/a' on this disk, and of 'b'" in line


def test_a_clip_that_was_set_aside_stays_in_its_shard_and_is_not_written(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = shutil.copytree(built, tmp_path / "build")
    pd.read_parquet(build / "manifest.parquet").iloc[:1].to_parquet(build / "manifest.parquet")
    assert export(build, "--output", str(tmp_path / "out")) == 0
    assert [path.name for path in (tmp_path / "out").rglob("*.pose")] == ["a.pose"]
    assert export(build, "b", "--output", str(tmp_path / "out")) == 2
    assert "has no clip 'b'" in capsys.readouterr().err
