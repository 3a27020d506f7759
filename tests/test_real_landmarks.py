"""Real `.pose` files and a real video go from the manifest to `.pose` files of the same landmarks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pose_format import Pose
from pose_format.utils.holistic import load_holistic

from signloom.__main__ import main
from signloom.features.pose.layout import RAW_PARTS
from signloom.video.decode import read_frames
from tests.landmark_stages import Made, made_of

NAMES = {
    "pose": "POSE_LANDMARKS",
    "face": "FACE_LANDMARKS",
    "left_hand": "LEFT_HAND_LANDMARKS",
    "right_hand": "RIGHT_HAND_LANDMARKS",
}


def exported(source: Path, names: list[str], folder: Path) -> tuple[Made, dict[str, Pose]]:
    """Bring files `names` of `source` from the manifest to the features, and export their landmarks."""
    (folder / "videos").mkdir()
    for name in names:
        shutil.copy(source / name, folder / "videos" / name)
    made = made_of(folder, names)
    (folder / "build/landmarks").mkdir(parents=True)
    for suffix in ("npy", "parquet"):
        shutil.copy(folder / f"0.{suffix}", folder / "build/landmarks")
    made.manifest.clips.to_parquet(folder / "build/manifest.parquet")
    assert main(["export-landmarks", "--build", str(folder / "build"), "--output", str(folder / "out")]) == 0
    stems = [Path(name).stem for name in names]
    return made, {stem: Pose.read((folder / f"out/{stem}.pose").read_bytes()) for stem in stems}


def part_of(pose: Pose, part: str, names: list[str] | None = None) -> tuple[np.ma.MaskedArray, np.ndarray]:
    """Return x and y as shares, z (frames, points, 3) and confidence of `names`, or all points of a part."""
    (component,) = (found for found in pose.header.components if found.name == NAMES[part])
    points = [pose.header.get_point_index(NAMES[part], name) for name in names or component.points]
    size = pose.header.dimensions
    return pose.body.data[:, 0, points] / (size.width, size.height, 1), pose.body.confidence[:, 0, points]


def points_of(pose: Pose, part: str) -> list[str]:
    return next(list(found.points) for found in pose.header.components if found.name == NAMES[part])


def check_rows(pose: Pose, rows: np.ndarray) -> None:
    """Compare what pose-format reads with raw rows."""
    assert len(pose.body.data) == len(rows)
    for part in NAMES:
        places, confidence = part_of(pose, part)
        raw = rows[:, RAW_PARTS[part]].reshape(len(rows), -1, 4 if part == "pose" else 3)
        np.testing.assert_allclose(places.filled(np.nan), raw[..., :3], rtol=0, atol=1e-6)
        if part == "pose":
            np.testing.assert_allclose(confidence, np.nan_to_num(raw[..., 3]), rtol=0, atol=1e-6)


def test_real_pose_files_come_out_with_the_landmarks_that_went_in(real_data: Path, tmp_path: Path) -> None:
    source, names = real_data / "pose_format", ["mediapipe", "mediapipe_long"]
    made, out = exported(source, [f"{name}.pose" for name in names], tmp_path)
    assert made.features.index["status"].tolist() == ["ok", "ok"]
    for name in names:
        check_rows(out[name], made.landmarks.clip(name))
        given = Pose.read((source / f"{name}.pose").read_bytes())
        assert out[name].body.fps == given.body.fps
        # the files have 8 points of the pose, and of the face too few for a face
        assert np.ma.getmaskarray(part_of(out[name], "face")[0]).all()
        for part in ("pose", "left_hand", "right_hand"):
            shared = points_of(given, part)
            (theirs, sure), (ours, as_sure) = (part_of(pose, part, shared) for pose in (given, out[name]))
            np.testing.assert_array_equal(np.ma.getmaskarray(ours), np.ma.getmaskarray(theirs))
            np.testing.assert_allclose(as_sure, sure, rtol=0, atol=1e-6)
            moved = (theirs - ours).filled(np.nan)
            seen = np.isfinite(moved[:, 0, 0])
            assert seen.any() == (part != "left_hand")
            np.testing.assert_allclose(moved[seen, :, :2], 0, rtol=0, atol=1e-6)
            # their depth was moved by 625, where a float32 has steps of 6e-5, and comes back to its origin
            assert (np.ptp(moved[seen, :, 2], axis=1) < 2e-4).all()


@pytest.mark.long
def test_a_real_video_has_the_landmarks_of_pose_formats_own_loader_in_all_frames(
    real_data: Path, tmp_path: Path
) -> None:
    source = real_data / "pose_format"
    made, out = exported(source, ["test_video.mp4"], tmp_path)
    assert made.features.index["status"].tolist() == ["ok"]
    ours = out["test_video"]
    check_rows(ours, made.landmarks.clip("test_video"))
    frames = [frame.image for frame in read_frames(source / "test_video.mp4")]
    height, width = frames[0].shape[:2]
    theirs = load_holistic(frames, fps=25.0, width=width, height=height)
    assert len(frames) == 58 == len(ours.body.data)
    for part in NAMES:
        points = points_of(ours, part)
        (expected, sure), (found, as_sure) = (part_of(pose, part, points) for pose in (theirs, ours))
        np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        np.testing.assert_allclose(found.filled(0), expected.filled(0), rtol=0, atol=1e-6)
        np.testing.assert_allclose(as_sure, sure, rtol=0, atol=1e-6)
    assert not np.ma.getmaskarray(part_of(ours, "pose")[0]).any()
