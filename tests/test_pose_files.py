"""`.pose` files go in in place of videos and come out again, as pose-format reads and writes them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json, section
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions
from pose_format.utils.holistic import load_holistic

from signloom.dataset.landmark_sources import UNSET, why_unreadable
from signloom.errors import SignloomError
from signloom.features.pose.landmark_files import read_landmarks
from signloom.features.pose.layout import RAW_PARTS
from signloom.features.pose.pose_files import read_pose, write_pose
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.tracker import HolisticTracker
from signloom.features.shards import FeatureShards
from signloom.params.features import LandmarksParams
from signloom.report import contact_sheet
from signloom.video.decode import VideoUnreadable, read_frames
from tests.bodies import as_tracked, moving_body
from tests.landmark_stages import made_of
from tests.manifests import build
from tests.row_stages import splits_in, to_splits, write_table
from workflow_scripts import landmarks, pose_features

FPS = 25.0


def clip(seconds: float = 3.0) -> RawClip:
    """A tracked body; the left hand is missing at first and the face at the end."""
    times = np.arange(round(seconds * FPS)) / FPS
    raw = as_tracked(moving_body(3 * times), times)
    raw.rows[:10, RAW_PARTS["left_hand"]] = np.nan
    raw.rows[-10:, RAW_PARTS["face"]] = np.nan
    return raw


def opened(path: Path) -> Pose:
    return Pose.read(path.read_bytes())


def saved(path: Path, pose: Pose) -> Path:
    with path.open("wb") as file:
        pose.write(file)
    return path


def points(pose: Pose, *names: str) -> np.ndarray:
    return np.concatenate([np.flatnonzero(owner(pose) == name) for name in names])


def owner(pose: Pose) -> np.ndarray:
    """The component of every point."""
    return np.concatenate([[part.name] * len(part.points) for part in pose.header.components])


def test_what_is_written_is_what_pose_format_reads(tmp_path: Path) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    pose = opened(tmp_path / "a.pose")
    assert pose.body.fps == FPS and pose.body.data.shape == (75, 1, 543, 3)
    assert (pose.header.dimensions.width, pose.header.dimensions.height) == (640, 480)
    said = pose.body.data[:, 0] / (640, 480, 1)
    shares = raw.rows[:, RAW_PARTS["pose"]].reshape(-1, 33, 4)
    np.testing.assert_allclose(said[:, points(pose, "POSE_LANDMARKS")], shares[..., :3], atol=1e-6)
    np.testing.assert_allclose(
        pose.body.confidence[:, 0, points(pose, "POSE_LANDMARKS")], shares[..., 3], atol=1e-6
    )
    left = said[:, points(pose, "LEFT_HAND_LANDMARKS")]
    assert left.mask[:10].all() and not left.mask[10:].any()
    assert said[:, points(pose, "FACE_LANDMARKS")].mask[-10:].all()
    joint = pose.header.get_point_index("LEFT_HAND_LANDMARKS", "INDEX_FINGER_TIP")
    hand = raw.rows[:, RAW_PARTS["left_hand"]].reshape(-1, 21, 3)
    np.testing.assert_allclose(said[20, joint], hand[20, 8], atol=1e-6)


def test_landmarks_that_go_out_and_in_again_are_the_same(tmp_path: Path) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    again, fps = read_pose(tmp_path / "a.pose")
    assert fps == FPS and (again.width, again.height) == (640, 480)
    np.testing.assert_allclose(again.rows, raw.rows, atol=1e-6)
    np.testing.assert_allclose(again.times, raw.times, atol=1e-6)


def test_a_cut_takes_the_frames_that_a_video_would_give_and_counts_times_from_its_start(
    tmp_path: Path,
) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    part, _ = read_pose(tmp_path / "a.pose", 0.4, 1.0)
    assert part.frame_index.tolist() == list(range(10, 25))
    np.testing.assert_allclose(part.times, np.arange(15) / FPS, atol=1e-6)
    np.testing.assert_allclose(part.rows, raw.rows[10:25], atol=1e-6)
    thin, _ = read_landmarks(tmp_path / "a.pose", 0.4, 1.0, max_fps=12.5)
    assert thin.frame_index.tolist() == list(range(10, 25, 2))
    with pytest.raises(VideoUnreadable, match="no frame between 9 s and 10 s"):
        read_pose(tmp_path / "a.pose", 9, 10)


def test_depth_in_pixels_and_moved_depth_come_back_to_mediapipes(tmp_path: Path) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    pose = opened(tmp_path / "a.pose")
    hips = raw.rows[:, RAW_PARTS["pose"]].reshape(-1, 33, 4)[:, [23, 24], 2].mean()
    assert abs(hips) < 1e-3  # as MediaPipe's
    pose.body.data[..., 2] *= 640
    np.testing.assert_allclose(read_pose(saved(tmp_path / "wide.pose", pose)).raw.rows, raw.rows, atol=1e-5)
    pose.body.data[..., 2] += 5 * 640
    moved = read_pose(saved(tmp_path / "moved.pose", pose)).raw.rows
    for part in ("pose", "left_hand", "right_hand"):
        np.testing.assert_allclose(moved[:, RAW_PARTS[part]], raw.rows[:, RAW_PARTS[part]], atol=1e-4)


def test_a_file_without_depth_has_depth_0(tmp_path: Path) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    pose = opened(tmp_path / "a.pose")
    flat = [
        PoseHeaderComponent(part.name, part.points, part.limbs, part.colors, "XYC")
        for part in pose.header.components
    ]
    body = NumPyPoseBody(FPS, pose.body.data.data[..., :2], pose.body.confidence)
    pose = Pose(PoseHeader(0.2, pose.header.dimensions, flat), body)
    rows = read_pose(saved(tmp_path / "flat.pose", pose)).raw.rows
    assert (rows[:, 2:132:4] == 0).all() and (rows[10:, 134:195:3] == 0).all()
    np.testing.assert_allclose(rows[:, 0:132:4], raw.rows[:, 0:132:4], atol=1e-6)


def test_irises_and_world_points_are_left_out_whatever_the_order_of_components(tmp_path: Path) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    pose = opened(tmp_path / "a.pose")
    extra = {"FACE_LANDMARKS": [str(number) for number in range(468, 478)]}
    components, columns = [], []
    order = ["RIGHT_HAND_LANDMARKS", "FACE_LANDMARKS", "POSE_LANDMARKS", "LEFT_HAND_LANDMARKS"]
    parts = {part.name: part for part in pose.header.components}
    for name in order:
        more = extra.get(name, [])
        components.append(PoseHeaderComponent(name, [*parts[name].points, *more], [], [], "XYZC"))
        columns += [*points(pose, name), *[0] * len(more)]
    components.append(
        PoseHeaderComponent("POSE_WORLD_LANDMARKS", parts["POSE_LANDMARKS"].points, [], [], "XYZC")
    )
    columns += [0] * 33
    header = PoseHeader(0.2, pose.header.dimensions, components)
    body = NumPyPoseBody(FPS, pose.body.data.data[:, :, columns], pose.body.confidence[:, :, columns])
    rows = read_pose(saved(tmp_path / "b.pose", Pose(header, body))).raw.rows
    np.testing.assert_allclose(rows, raw.rows, atol=1e-6)


def test_points_that_a_file_lacks_lie_in_the_torso_and_a_part_of_a_face_is_no_face(tmp_path: Path) -> None:
    raw = clip()
    write_pose(tmp_path / "a.pose", raw, FPS)
    pose = opened(tmp_path / "a.pose")
    names = [
        f"{side}_{joint}" for joint in ("SHOULDER", "ELBOW", "WRIST", "HIP") for side in ("LEFT", "RIGHT")
    ]
    few = pose.get_components(
        ["POSE_LANDMARKS", "FACE_LANDMARKS"], {"POSE_LANDMARKS": names, "FACE_LANDMARKS": ["0", "7"]}
    )
    few.body.confidence[5, 0, names.index("LEFT_WRIST")] = 0
    few.body.data.data[5, 0, names.index("LEFT_WRIST")] = 0
    rows = read_pose(saved(tmp_path / "few.pose", few)).raw.rows
    assert np.isnan(rows[:, 132:]).all()
    body, known = (array[:, RAW_PARTS["pose"]].reshape(-1, 33, 4) for array in (rows, raw.rows))
    np.testing.assert_allclose(
        body[:, [11, 12, 13, 14, 16, 23, 24]], known[:, [11, 12, 13, 14, 16, 23, 24]], atol=1e-6
    )
    middle = known[:, [11, 12, 23, 24], :3].mean(axis=1)
    np.testing.assert_allclose(body[:, 0, :3], middle, atol=1e-5)
    assert body[0, 0, 3] == pytest.approx(0.9, abs=1e-6)  # as visible as what the file has
    np.testing.assert_allclose(body[5, 15], [*middle[5], 0], atol=1e-5)  # not seen in this frame


def test_what_is_no_pose_file_of_holistic_landmarks_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.pose").write_text("no landmarks, but long enough to be read as numbers\n" * 9)
    (tmp_path / "empty.pose").touch()
    write_pose(tmp_path / "a.pose", clip(), FPS)
    whole = (tmp_path / "a.pose").read_bytes()
    (tmp_path / "half.pose").write_bytes(whole[: len(whole) // 2])
    other = PoseHeaderComponent("BODY_135", ["Nose"], [], [], "XYC")
    body = NumPyPoseBody(FPS, np.ones((3, 1, 1, 2), np.float32), np.ones((3, 1, 1), np.float32))
    saved(tmp_path / "openpose.pose", Pose(PoseHeader(0.2, PoseHeaderDimensions(9, 9), [other]), body))
    for name in ("text", "empty", "half"):
        with pytest.raises(VideoUnreadable, match=r"not a \.pose file that pose-format reads"):
            read_pose(tmp_path / f"{name}.pose")
    with pytest.raises(VideoUnreadable, match="it has BODY_135"):
        read_pose(tmp_path / "openpose.pose")
    assert "the file has BODY_135" in str(why_unreadable(tmp_path / "openpose.pose", UNSET))
    assert "not a .pose file" in str(why_unreadable(tmp_path / "text.pose", UNSET))
    assert why_unreadable(tmp_path / "a.pose", UNSET) is None


def run_stages(shard: Path, folder: Path) -> FeatureShards:
    """Stages landmarks and pose_features on the list `shard`."""
    argv = ["--input", f"shard={shard}", "--output", f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    given = {"landmarks": {"max_fps": None}, "dataset": {}}
    more = ["--params", params_json(given), "--threads", "2", "--scratch", f"{folder}/scratch"]
    assert landmarks.main([*argv, *more]) == 0
    outputs = [f"npy={folder}/f.npy", f"mask={folder}/f.mask.npy", f"parquet={folder}/f.parquet"]
    argv = ["--input", f"npy={folder}/0.npy", f"parquet={folder}/0.parquet", "--output", *outputs]
    assert pose_features.main([*argv, "--params", params_json({"pose": {}, "quality": {}})]) == 0
    return FeatureShards([folder / "f.npy"], [folder / "f.parquet"], [folder / "f.mask.npy"])


def test_a_file_that_claims_more_frames_than_it_holds_is_refused_at_once(tmp_path: Path) -> None:
    write_pose(tmp_path / "a.pose", clip(1.0), FPS)
    content = bytearray((tmp_path / "a.pose").read_bytes())
    frames = len(Pose.read(bytes(content)).body.data)
    # the number of frames stands behind the rate, in the head of the body
    place = content.index(struct.pack("<fI", FPS, frames)) + 4
    content[place : place + 4] = struct.pack("<I", 1_103_626_240)
    (tmp_path / "a.pose").write_bytes(content)
    with pytest.raises(VideoUnreadable, match="claims 1103626240 frames and is too short for them"):
        read_pose(tmp_path / "a.pose")


def first_version(path: Path, frames: int) -> bytes:
    """The bytes of the file `path` in version 0.1, which says that it has `frames` frames."""
    content, pose = path.read_bytes(), opened(path)
    counts = struct.pack("<3H", int(FPS), frames, 1)
    body = pose.body.data.data.astype("<f4").tobytes() + pose.body.confidence.astype("<f4").tobytes()
    header = content[: content.index(struct.pack("<fI", FPS, len(pose.body.data)))]
    return struct.pack("<f", 0.1) + header[4:] + counts + body


def test_a_file_of_the_first_version_that_was_cut_off_is_no_shorter_clip(tmp_path: Path) -> None:
    write_pose(tmp_path / "new.pose", clip(1.0), FPS)
    frames = len(opened(tmp_path / "new.pose").body.data)
    (tmp_path / "old.pose").write_bytes(first_version(tmp_path / "new.pose", frames))
    new, old = read_pose(tmp_path / "new.pose"), read_pose(tmp_path / "old.pose")
    np.testing.assert_array_equal(old.raw.rows, new.raw.rows)
    (tmp_path / "cut.pose").write_bytes((tmp_path / "old.pose").read_bytes()[:-99_999])
    with pytest.raises(VideoUnreadable, match=rf"says {frames} frames and holds \d+; copy it again"):
        read_pose(tmp_path / "cut.pose")


def test_a_table_of_pose_files_goes_through_the_stages_without_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = clip(10.0)
    write_pose(tmp_path / "videos/anna/a.pose", raw, FPS)
    write_pose(tmp_path / "videos/b.pose", clip(5.0), FPS)
    (tmp_path / "videos/bad.pose").write_text("no landmarks\n")
    table = (
        "video,sentence_id,sentence,start_s,end_s\nanna/a.pose,1,One.,0,5\nanna/a.pose,2,Two.,5,10\n"
        "b.pose,1,One.,,\nbad.pose,1,One.,,\n"
    )
    manifest = build(tmp_path, table)
    assert manifest.clips["clip_id"].tolist() == ["anna/a@0-5", "anna/a@5-10", "b"]
    assert manifest.rejects["reason"].tolist() == ["unreadable"]
    shard = tmp_path / "0.csv"
    manifest.clips.assign(video_hash="h")[["clip_id", "video_path", "start_s", "end_s", "video_hash"]].to_csv(
        shard, index=False
    )
    monkeypatch.setattr("signloom.features.pose.landmarks.HolisticTracker", None)
    monkeypatch.setattr("signloom.features.pose.landmarks.ProcessPoolExecutor", None)
    features = run_stages(shard, tmp_path)
    assert features.index["status"].tolist() == ["ok"] * 3
    tracked = FeatureShards([tmp_path / "0.npy"], [tmp_path / "0.parquet"])
    np.testing.assert_allclose(tracked.clip("anna/a@5-10"), raw.rows[125:], atol=1e-6)
    row = tracked.index.set_index("clip_id").loc["anna/a@5-10"]
    assert (row["fps"], row["width"], row["height"], row["frame_index"][0]) == (FPS, 640, 480, 125)
    assert row["tracker"] == "file"
    manifest.clips.to_parquet(tmp_path / "manifest.parquet")
    lists = ([tmp_path / "0.npy"], [tmp_path / "0.parquet"], [shard])
    sheet = contact_sheet.read_videos(contact_sheet.VideosFiles(*lists, tmp_path / "manifest.parquet"))
    shown = contact_sheet.describe(
        sheet,
        pd.DataFrame({"clip_id": ["b"], "split": ["train"], "sentence_id": [1], "sentence": ["One."]}),
        pd.DataFrame(columns=["clip_id", "stage", "reason"]),
    )
    assert (shown["kept"][0]["width"], shown["kept"][0]["height"]) == (360, 270)


def test_a_table_of_pose_files_reaches_the_splits(tmp_path: Path) -> None:
    for number in range(8):
        write_pose(tmp_path / f"{number}.pose", clip(1.2 + 0.04 * number), FPS)
    dataset = write_table(tmp_path, [f"{number}.pose" for number in range(8)])
    found = splits_in(to_splits(tmp_path / "out", dataset))
    assert list(found.values()) == ["train"] * 4 + ["val"] * 2 + ["test"] * 2


def test_multimodalhugs_tables_name_pose_files_whole_or_cut(tmp_path: Path) -> None:
    raw = clip(6.0)
    write_pose(tmp_path / "videos/poses/a.pose", raw, FPS)
    write_pose(tmp_path / "videos/poses/b.pose", clip(3.0), FPS)
    table = "signal\tsignal_start\tsignal_end\tencoder_prompt\tdecoder_prompt\toutput\n"
    for signal in ("poses/a.pose\t0\t0", "poses/a.pose\t2000\t4000", "poses/b.pose\t0\t0"):
        table += f"{signal}\t__dgs__\t__de__\tes regnet\n"
    (tmp_path / "videos/mine.tsv").write_text(table)
    made = made_of(tmp_path, [], "multimodalhugs", tmp_path / "videos/mine.tsv")
    assert made.manifest.rejects.empty
    clips = made.manifest.clips
    assert clips["clip_id"].tolist() == ["poses/a", "poses/a@2-4", "poses/b"]
    assert set(clips["sentence"]) == {"es regnet"}
    np.testing.assert_allclose(made.landmarks.clip("poses/a"), raw.rows, atol=1e-6)
    np.testing.assert_allclose(made.landmarks.clip("poses/a@2-4"), raw.rows[50:100], atol=1e-6)
    assert made.features.index["status"].tolist() == ["ok"] * 3


@pytest.mark.parametrize(
    ("count", "fps", "width", "said"),
    [
        (0, FPS, 640, "0 frames of 640x480 pixels at 25 frames/s"),
        (9, 0.0, 640, "9 frames of 640x480 pixels at 0 frames/s"),
        (9, np.nan, 640, "at nan frames/s"),
        (9, np.inf, 640, "at inf frames/s"),
        (9, FPS, 0, "9 frames of 0x480 pixels"),
    ],
)
def test_what_no_pose_file_can_hold_is_refused(
    tmp_path: Path, count: int, fps: float, width: int, said: str
) -> None:
    raw = clip()
    raw = RawClip(raw.rows[:count], raw.times[:count], raw.frame_index[:count], width, raw.height)
    with pytest.raises(SignloomError, match=f"a.pose: .*{said}.*; a .pose file needs more than 0 of each"):
        write_pose(tmp_path / "a.pose", raw, fps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mediapipe", "mediapipe_long"])
def test_real_pose_files_give_features(name: str, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "pose_format" / f"{name}.pose"
    pose, (raw, fps) = opened(path), read_pose(path)
    assert (fps, len(raw.rows), raw.width) == (24, len(pose.body.data), 1250)
    elbow = pose.header.get_point_index("POSE_LANDMARKS", "LEFT_ELBOW")
    np.testing.assert_allclose(
        raw.rows[:, 4 * 13 : 4 * 13 + 2], pose.body.data[:, 0, elbow, :2] / 1250, atol=1e-6
    )
    seen = ~pose.body.data.mask[:, 0, pose.header.get_point_index("RIGHT_HAND_LANDMARKS", "WRIST"), 0]
    np.testing.assert_array_equal(np.isfinite(raw.rows[:, 195]), seen)
    shard = tmp_path / "0.csv"
    shard.write_text(f"clip_id,video_path,start_s,end_s,video_hash\na,{path},,,h\n")
    features = run_stages(shard, tmp_path)
    assert features.index["status"].tolist() == ["ok"]
    assert features.mask("a")[:, 0].all() and not features.mask("a")[:, 3].any()
    assert np.nanmax(np.abs(features.clip("a"))) < 20
    write_pose(tmp_path / "again.pose", raw, fps)
    np.testing.assert_allclose(read_pose(tmp_path / "again.pose").raw.rows, raw.rows, atol=1e-6)


def test_a_video_has_the_landmarks_that_pose_formats_own_loader_finds(
    real_data: Path, tmp_path: Path
) -> None:
    frames = list(read_frames(real_data / "pose_format" / "test_video.mp4"))[:30]
    with HolisticTracker(section(LandmarksParams, engine="mediapipe")) as tracker:
        tracker.restart()
        ours = np.stack([tracker.landmarks(frame.image) for frame in frames])
    found = load_holistic([frame.image for frame in frames], fps=FPS, width=540, height=720)
    theirs = read_pose(saved(tmp_path / "theirs.pose", found)).raw
    assert np.isfinite(ours[:, 195]).any()
    np.testing.assert_allclose(theirs.rows, ours, atol=1e-6)
    np.testing.assert_allclose(theirs.times, [frame.number / FPS for frame in frames], atol=1e-6)
