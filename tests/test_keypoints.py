"""OpenPose and COCO-WholeBody points go in in place of videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_params import section

from signloom.augment.landmark_rows import augment
from signloom.dataset.landmark_sources import Settings
from signloom.errors import SignloomError
from signloom.features.pose.keypoints import to_rows
from signloom.features.pose.landmark_files import read_landmarks
from signloom.features.pose.layout import FEATURE_PARTS, RAW_PARTS
from signloom.features.pose.point_names import POSE_NAMES
from signloom.features.stats import Stats, write_pose_stats
from signloom.params.sign2text import AugmentParams
from signloom.training.sentences.data import pad
from tests.bodies import as_tracked, moving_body
from tests.landmark_stages import made_of
from tests.row_stages import splits_in, to_splits, write_table

FPS, SIZE = 25.0, (640, 480)
# the points of each model in its order, as its documentation names them
HEAD, ARMS = (
    ["REye", "LEye", "REar", "LEar"],
    ["RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"],
)
LEGS = ["RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle"]
FEET = ["LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel"]
BODY_25 = ["Nose", "Neck", *ARMS, "MidHip", *LEGS, *HEAD, *FEET]
COCO_18 = ["Nose", "Neck", *ARMS, *LEGS, *HEAD]
PAIRS = ["Eye", "Ear", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"]
COCO_17 = ["Nose", *(side + pair for pair in PAIRS for side in "LR")]
NOT_OURS = {"Neck", "MidHip", "LBigToe", "LSmallToe", "RBigToe", "RSmallToe"}


def ours(name: str) -> str:
    """Return MediaPipe's name of a point, such as RIGHT_WRIST for RWrist."""
    return {"L": "LEFT_", "R": "RIGHT_"}[name[0]] + name[1:].upper() if name != "Nose" else "NOSE"


def body(seconds: float = 3.0) -> np.ndarray:
    """Return raw rows; the left hand is missing at first."""
    times = np.arange(round(seconds * FPS)) / FPS
    raw = as_tracked(moving_body(3 * times), times).rows
    raw[:10, RAW_PARTS["left_hand"]] = np.nan
    return raw


def pixels(row: np.ndarray, part: str, confidence: float = 0.8) -> np.ndarray:
    """Return x, y and confidence (points, 3) of a part; 0 if it is missing."""
    values = row[RAW_PARTS[part]].reshape(-1, 4 if part == "pose" else 3)[:, :2] * SIZE
    there = np.isfinite(values[0, 0])
    return (
        np.column_stack([values, np.full(len(values), confidence)]) if there else np.zeros((len(values), 3))
    )


def model(row: np.ndarray, names: list[str], absent: tuple[str, ...] = ()) -> np.ndarray:
    """Return the points of a model's body; those that MediaPipe has not lie at (9, 9)."""
    pose = pixels(row, "pose")
    points = [(9.0, 9.0, 0.8) if name in NOT_OURS else pose[POSE_NAMES.index(ours(name))] for name in names]
    return np.array(
        [(0.0, 0.0, 0.0) if name in absent else point for name, point in zip(names, points, strict=True)]
    )


def face(row: np.ndarray, points: int) -> np.ndarray:
    """Return a face of 68 or 70 points with the corners of the mouth at their places."""
    found = np.full((points, 3), (50.0, 50.0, 0.8))
    pose = pixels(row, "pose")
    found[48], found[54] = pose[POSE_NAMES.index("MOUTH_RIGHT")], pose[POSE_NAMES.index("MOUTH_LEFT")]
    return found


def person(row: np.ndarray, names: list[str] = BODY_25, absent: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a person as OpenPose writes it."""
    return {
        "person_id": [-1],
        "pose_keypoints_2d": model(row, names, absent).ravel().tolist(),
        "face_keypoints_2d": face(row, 70).ravel().tolist(),
        "hand_left_keypoints_2d": pixels(row, "left_hand").ravel().tolist(),
        "hand_right_keypoints_2d": pixels(row, "right_hand").ravel().tolist(),
        "pose_keypoints_3d": [],
    }


def write_openpose(folder: Path, frames: dict[int, list[dict[str, Any]]]) -> None:
    folder.mkdir(parents=True)
    for number, people in frames.items():
        document = {"version": 1.3, "people": people}
        (folder / f"talk_2_{number:012d}_keypoints.json").write_text(json.dumps(document))


def whole_body(row: np.ndarray, sure: float = 0.8) -> np.ndarray:
    """Return the 133 points of COCO-WholeBody; a hand that is missing is guessed with confidence 0.1."""
    hands = [pixels(row, "left_hand"), pixels(row, "right_hand")]
    hands = [hand if hand.any() else np.full((21, 3), (300.0, 300.0, 0.1)) for hand in hands]
    points = np.concatenate([model(row, [*COCO_17, *FEET]), face(row, 68), *hands])
    points[points[:, 2] == 0.8, 2] = sure
    return points


def check(found: np.ndarray, raw: np.ndarray, points: list[str]) -> None:
    """Compare the landmarks of a clip with the body that its points were made from."""
    np.testing.assert_allclose(found[:, RAW_PARTS["face"]], np.nan)
    for part in ("left_hand", "right_hand"):
        hand, expected = (rows[:, RAW_PARTS[part]].reshape(-1, 21, 3) for rows in (found, raw))
        np.testing.assert_allclose(hand[..., :2], expected[..., :2], atol=1e-6)
        assert (hand[np.isfinite(hand[..., 2]), 2] == 0).all()
    pose, expected = (rows[:, RAW_PARTS["pose"]].reshape(-1, 33, 4) for rows in (found, raw))
    places = [POSE_NAMES.index(name) for name in points]
    np.testing.assert_allclose(pose[:, places, :2], expected[:, places, :2], atol=1e-6)
    np.testing.assert_allclose(pose[:, places, 3], 0.8, atol=1e-6)
    assert (pose[..., 2] == 0).all()


PEOPLE = '{"instance_info": [{"frame_id": 1, "instances": [[1, 2]]}]}'
MOUTH = ["MOUTH_LEFT", "MOUTH_RIGHT"]


@pytest.mark.parametrize("names", [BODY_25, COCO_18])
def test_openpose_points_are_where_they_were_in_both_of_its_models(tmp_path: Path, names: list[str]) -> None:
    raw = body()
    write_openpose(tmp_path / "videos/a", {n: [person(row, names)] for n, row in enumerate(raw)})
    made = made_of(tmp_path, ["a", "a,0.4,1.0"], frame_rate=FPS, picture_size=list(SIZE))
    assert made.manifest.rejects.empty
    taken = [ours(name) for name in names if name not in NOT_OURS]
    check(made.landmarks.clip("a"), raw, taken + MOUTH)
    check(made.landmarks.clip("a@0.4-1.0"), raw[10:25], taken + MOUTH)
    row = made.landmarks.index.set_index("clip_id").loc["a"]
    assert (row["fps"], row["width"], row["height"]) == (FPS, *SIZE)
    assert made.features.index["status"].tolist() == ["ok", "ok"]
    assert not made.features.mask("a")[:4, 1].any() and not made.features.mask("a")[:, 3].any()


def test_the_features_of_pixels_do_not_depend_on_the_size_of_the_picture(tmp_path: Path) -> None:
    raw, features = body(), []
    for name, size in (("given", [1920, 1080]), ("found", None)):
        folder = tmp_path / name
        write_openpose(folder / "videos/a", {n: [person(row)] for n, row in enumerate(raw)})
        made = made_of(folder, ["a"], frame_rate=FPS, picture_size=size)
        features.append(made.features.clip("a"))
    np.testing.assert_allclose(features[0], features[1], atol=1e-4)
    row = made.landmarks.index.iloc[0]
    # the smallest picture that holds all points
    wide = np.nanmax(raw[:, RAW_PARTS["right_hand"]][:, 0::3]) * SIZE[0]
    assert row["width"] >= int(wide) and row["width"] < SIZE[0]


def test_frames_without_a_person_or_a_file_are_missing_and_the_largest_of_two_people_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = body()
    frames = {n + 7: [person(row)] for n, row in enumerate(raw)}
    frames[12] = []
    del frames[13]
    frames[20].insert(0, person(raw[13] * 0.5))
    write_openpose(tmp_path / "videos/a", frames)
    found = made_of(tmp_path, ["a"], frame_rate=FPS, picture_size=list(SIZE)).landmarks.clip("a")
    assert np.isnan(found[[5, 6]]).all()
    there = np.delete(np.arange(len(raw)), [5, 6])
    check(found[there], raw[there], [ours(name) for name in BODY_25 if name not in NOT_OURS])
    said = capsys.readouterr().err
    assert said.count("up to 2 people in a frame; the largest is read") == 1
    assert "videos/a: 1 of 75 frames are not there; they stay missing" in said


def test_hips_below_the_picture_and_a_lost_wrist_do_not_lose_the_person(tmp_path: Path) -> None:
    raw = body()
    absent = ("MidHip", "RHip", "LHip", "RKnee", "LKnee")
    frames = {
        n: [person(row, absent=(*absent, "RWrist") if 20 <= n < 24 else absent)] for n, row in enumerate(raw)
    }
    write_openpose(tmp_path / "videos/a", frames)
    made = made_of(tmp_path, ["a"], frame_rate=FPS, picture_size=list(SIZE))
    pose = made.landmarks.clip("a")[:, :132].reshape(-1, 33, 4)
    assert (pose[:, [23, 24], 3] == 0).all()
    width = np.linalg.norm((pose[0, 11, :2] - pose[0, 12, :2]) * SIZE)
    below = (pose[:, 23:25, 1].mean(axis=1) - pose[:, 11:13, 1].mean(axis=1)) * SIZE[1]
    np.testing.assert_allclose(below, 1.5 * width, rtol=1e-5)
    assert (pose[:, 23, 0] > pose[:, 24, 0]).all()  # the person's left is on the right of the picture
    # the wrist goes straight from where it was to where it is again, and does not count as seen
    expected = np.linspace(raw[19, 64:66], raw[24, 64:66], 6)[1:-1]
    np.testing.assert_allclose(pose[20:24, 16, :2], expected, atol=1e-6)
    assert (pose[20:24, 16, 3] == 0).all() and (pose[24:, 16, 3] > 0).all()
    assert made.features.index["status"].tolist() == ["ok"]
    assert np.isfinite(made.features.clip("a")[:, :132]).all()


def test_training_data_of_points_in_pixels_are_finite_and_what_they_lack_stays_0(tmp_path: Path) -> None:
    for name, part in (("a", slice(None)), ("b", slice(None, None, -1))):
        write_openpose(tmp_path / f"videos/{name}", {n: [person(row)] for n, row in enumerate(body()[part])})
    shards = made_of(tmp_path, ["a", "b"], frame_rate=FPS).features
    write_pose_stats(["a", "b"], shards, tmp_path / "stats.npz")
    mean, std = Stats.read(tmp_path / "stats.npz")
    import torch

    strong = section(AugmentParams)
    views = [augment(*shards.read(name), strong, np.random.default_rng(0)) for name in ("a", "b")]
    inputs, valid = pad(views).inputs(torch.from_numpy(mean), torch.from_numpy(std))
    values = inputs[valid].numpy()
    assert np.isfinite(values).all() and np.abs(values).max() < 50
    lacking = [*range(2, 132, 4), *range(134, 258, 3), *range(258, 540)]  # depth, and the face
    lacking += [4 * 20, 4 * 20 + 1]  # RIGHT_INDEX is a point that OpenPose has not
    assert (values[:, lacking] == 0).all()
    assert (values[:, FEATURE_PARTS["right_hand"]].reshape(len(values), -1, 3)[..., :2].std(axis=0) > 0).all()


def test_whole_body_points_come_from_mmpose_and_from_coco(tmp_path: Path) -> None:
    raw, videos = body(), tmp_path / "videos"
    videos.mkdir()
    points = [whole_body(row) for row in raw]
    frames = [
        {
            "frame_id": n + 1,
            "instances": [
                {"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist(), "bbox": [[0, 0, 9, 9]]}
            ],
        }
        for n, p in enumerate(points)
    ]
    mmpose = {"meta_info": {"dataset_name": "coco_wholebody"}, "instance_info": frames}
    (videos / "a.json").write_text(json.dumps(mmpose))
    coco = [
        {"image_id": f"{n:06d}.jpg", "category_id": 1, "keypoints": p.ravel().tolist(), "score": 0.9}
        for n, p in enumerate(points)
        if n != 30
    ]
    (videos / "b.json").write_text("\ufeff" + json.dumps(coco[::-1]), "utf-8")
    made = made_of(tmp_path, ["a.json", "b.json"], frame_rate=FPS, picture_size=list(SIZE))
    assert made.manifest.rejects.empty
    taken = [ours(name) for name in [*COCO_17, *FEET] if name not in NOT_OURS]
    check(made.landmarks.clip("a"), raw, taken + MOUTH)
    found = made.landmarks.clip("b")
    assert np.isnan(found[30]).all()
    there = np.delete(np.arange(len(raw)), 30)
    check(found[there], raw[there], taken + MOUTH)
    assert made.features.index["status"].tolist() == ["ok", "ok"]


def test_folders_of_openpose_and_files_of_whole_body_points_reach_the_splits(tmp_path: Path) -> None:
    raw = body(0.8)
    for number in range(8):
        bodies = [row * (1 - 0.01 * number) for row in raw]
        write_openpose(tmp_path / f"{number}", {n: [person(row)] for n, row in enumerate(bodies)})
        people = [
            {"image_id": n, "keypoints": whole_body(row).ravel().tolist()} for n, row in enumerate(bodies)
        ]
        (tmp_path / f"{number}.json").write_text(json.dumps(people))
    for suffix in ("", ".json"):
        dataset = write_table(tmp_path, [f"{number}{suffix}" for number in range(8)])
        found = to_splits(tmp_path / f"out{suffix}", dataset | {"frame_rate": FPS})
        assert list(splits_in(found).values()) == ["train"] * 4 + ["val"] * 2 + ["test"] * 2


def test_files_that_cannot_be_read_are_rejected_with_the_reason(tmp_path: Path) -> None:
    raw, videos = body(), tmp_path / "videos"
    good = {n: [person(row)] for n, row in enumerate(raw)}
    write_openpose(videos / "good", good)
    short, wrong, hole = (dict(good) for _ in range(3))
    short[3] = [person(raw[3]) | {"hand_left_keypoints_2d": [1.0] * 60}]
    wrong[3] = [person(raw[3]) | {"pose_keypoints_2d": ["x"] * 75}]
    hole[3] = [person(raw[3]) | {"hand_right_keypoints_2d": [float("nan")] * 63}]
    shares = {n: [person(row * [*np.full(1662, 1 / 640)])] for n, row in enumerate(raw)}
    for name, frames in {"short": short, "wrong": wrong, "hole": hole, "shares": shares, "cut": good}.items():
        write_openpose(videos / name, frames)
    last = max((videos / "cut").iterdir())
    last.write_text(last.read_text()[:-40])
    write_openpose(videos / "list", {0: []})
    (videos / "list/talk_2_000000000000_keypoints.json").write_text("[]")
    for name, text in {"empty": "", "text": "hello", "other": '{"a": 1}', "list2": PEOPLE}.items():
        (videos / f"{name}.json").write_text(text)
    seventeen = [{"image_id": n, "keypoints": [100.0] * 51} for n in range(9)]
    (videos / "seventeen.json").write_text(json.dumps(seventeen))
    made = made_of(tmp_path, sorted(path.name for path in videos.iterdir()), frame_rate=FPS)
    rejects = made.manifest.rejects
    early = dict(zip(rejects["clip_id"], rejects["detail"], strict=True))
    assert set(early) == {"empty", "text", "list", "other", "list2"}
    assert "empty.json: not JSON" in early["empty"] and "list `people`" in early["list"]
    assert "MMPose's `instance_info`" in early["other"] and "a person is no object" in early["list2"]
    index = made.landmarks.index.set_index("clip_id")
    late = index[index["status"] == "rejected"]["detail"]
    assert set(late.index) == {"short", "wrong", "hole", "shares", "cut", "seventeen"}
    assert "000000000003_keypoints.json: hand_left_keypoints_2d has 60 numbers, expected 63" in late["short"]
    assert "pose_keypoints_2d" in late["wrong"] and "no finite number" in late["hole"]
    assert "coordinates are at most" in late["shares"] and "in pixels" in late["shares"]
    assert "000000000074_keypoints.json: not JSON" in late["cut"]
    assert "frame 0: keypoints has 51 numbers, expected 399" in late["seventeen"]


def test_points_need_a_rate(tmp_path: Path) -> None:
    write_openpose(tmp_path / "videos/a", {0: []})
    with pytest.raises(SignloomError, match=r"dataset.frame_rate: .*/a says no rate"):
        made_of(tmp_path, ["a"])


def test_a_hand_that_is_never_seen_is_missing_and_a_clip_of_nobody_has_no_landmarks(tmp_path: Path) -> None:
    raw = body()
    raw[:, RAW_PARTS["left_hand"]] = np.nan
    write_openpose(tmp_path / "one", {number: [person(row)] for number, row in enumerate(raw)})
    settings = Settings(None, FPS, list(SIZE))
    found, _ = read_landmarks(tmp_path / "one", settings=settings)
    check(found.rows, raw, [ours(name) for name in BODY_25 if name not in NOT_OURS])
    write_openpose(tmp_path / "none", {number: [] for number in range(5)})
    nobody, _ = read_landmarks(tmp_path / "none", settings=settings)
    assert np.isnan(nobody.rows).all() and len(nobody.rows) == 5


def points_of(rows: np.ndarray) -> np.ndarray:
    """Return pose and hands (frames, 75, 3) of raw rows in pixels."""
    parts = ("pose", "left_hand", "right_hand")
    return np.stack([np.concatenate([pixels(row, part, 0.9) for part in parts]) for row in rows])


def test_a_hand_with_one_point_lost_is_missing_in_that_frame() -> None:
    points = points_of(body(0.2))
    points[1, -1] = 0.0
    hand = to_rows(points, SIZE, 0.5)[:, RAW_PARTS["right_hand"]]
    assert np.isfinite(hand).all(axis=1).tolist() == [True, False, True, True, True]
    assert np.isnan(hand[1]).all()


def test_a_frame_without_a_shoulder_has_no_pose_and_does_not_count_for_the_width() -> None:
    points = points_of(body(0.2))
    width = np.linalg.norm(points[0, 11, :2] - points[0, 12, :2])
    points[:, [23, 24]] = 0.0
    points[1:4, 11] = 0.0
    points[1:4, 12, 0] -= 100
    pose = to_rows(points, SIZE, 0.5)[:, RAW_PARTS["pose"]].reshape(-1, 33, 4)
    assert np.isnan(pose[1:4]).all() and np.isfinite(pose[[0, 4]]).all()
    below = (pose[:, [23, 24], 1].mean(axis=1) - pose[:, [11, 12], 1].mean(axis=1)) * SIZE[1]
    np.testing.assert_allclose(below[[0, 4]], 1.5 * width, rtol=1e-5)
