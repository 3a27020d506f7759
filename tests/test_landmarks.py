"""Landmarks are MediaPipe's own, fresh for every clip, whatever the workers and however a run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json, section
from mediapipe.python.solutions.holistic import Holistic

from signloom.features.pose.layout import RAW_PARTS
from signloom.features.pose.pose_features import landmarks_to_features
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.tracker import HolisticTracker
from signloom.features.shards import FeatureShards
from signloom.params.features import LandmarksParams, PoseParams, QualityParams
from signloom.params.load import load_params
from signloom.report.overlay import draw_landmarks
from signloom.video.decode import Frame, read_frames
from workflow_scripts import landmarks, pose_features


@pytest.fixture(scope="module")
def person(real_data: Path) -> Path:
    return real_data / "pose_format" / "test_video.mp4"


@pytest.fixture(scope="module")
def frames(person: Path) -> list[Frame]:
    return list(read_frames(person))


@pytest.fixture(scope="module")
def tracker() -> Iterator[HolisticTracker]:
    with HolisticTracker(section(LandmarksParams)) as shared:
        yield shared


def track(tracker: HolisticTracker, frames: list[Frame]) -> np.ndarray:
    return np.stack([tracker.landmarks(frame.image) for frame in frames])


def write_list(path: Path, clips: list[tuple[str, Path, float | None, float | None]]) -> Path:
    table = pd.DataFrame(clips, columns=["clip_id", "video_path", "start_s", "end_s"])
    table.assign(video_hash="h").to_csv(path, index=False)
    return path


def arguments(shard: Path, folder: Path, threads: int = 1) -> list[str]:
    argv = ["--input", f"shard={shard}", "--output", f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    return [
        *argv,
        "--params",
        params_json({"landmarks": {"max_fps": None}, "dataset": {}}),
        "--threads",
        str(threads),
        "--scratch",
        f"{folder}/scratch",
    ]


def parts_of(video: Path, count: int) -> list[tuple[str, Path, float | None, float | None]]:
    """Clips of six frames each, cut from one file."""
    return [(f"clip{n}", video, n * 0.2, n * 0.2 + 0.17) for n in range(count)]


def test_a_restarted_tracker_gives_the_bytes_of_a_new_one(
    tracker: HolisticTracker, frames: list[Frame]
) -> None:
    second = [*frames[30:38]]
    tracker.restart()
    track(tracker, frames[5:13])
    tracker.restart()
    restarted = track(tracker, second)
    with HolisticTracker(section(LandmarksParams)) as new:
        fresh = track(new, second)
    assert restarted.tobytes() == fresh.tobytes()
    # and it matters: without the restart the first clip leaks into the second
    track(tracker, frames[5:13])
    assert track(tracker, second).tobytes() != fresh.tobytes()


def test_a_row_holds_what_mediapipe_said_of_every_part(frames: list[Frame]) -> None:
    params = section(LandmarksParams, engine="mediapipe")
    with HolisticTracker(params) as tracker:
        rows = track(tracker, frames[10:22])
    with Holistic(
        model_complexity=params.model_complexity,
        min_detection_confidence=params.min_detection_confidence,
        min_tracking_confidence=params.min_tracking_confidence,
    ) as graph:
        found = [graph.process(frame.image) for frame in frames[10:22]]
    for row, said in zip(rows, found, strict=True):
        assert row[44:48].tolist() == pytest.approx(
            [getattr(said.pose_landmarks.landmark[11], axis) for axis in ("x", "y", "z", "visibility")]
        )
        assert row[258 + 3 * 467 :].tolist() == pytest.approx(
            [getattr(said.face_landmarks.landmark[467], axis) for axis in ("x", "y", "z")]
        )
        assert np.isnan(row[RAW_PARTS["right_hand"]]).all() == (said.right_hand_landmarks is None)
    assert rows.dtype == np.float32 and rows.shape == (12, 1662)


def test_a_model_that_mediapipe_comes_without_is_not_fetched_and_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # somebody may have put the real one there, as the error says
    monkeypatch.setattr("signloom.features.pose.mediapipe_graph._MODELS", {2: "absent.tflite"})
    video = next((root / "data/demo/videos").rglob("*.mp4"))
    argv = arguments(write_list(tmp_path / "0.csv", [("a", video, None, None)]), tmp_path)
    given = {"engine": "mediapipe", "model_complexity": 2}
    argv[argv.index("--params") + 1] = params_json({"landmarks": given, "dataset": {}})
    assert landmarks.main(argv) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: landmarks.model_complexity 2: MediaPipe comes without its model; set it")
    assert said.endswith("modules/pose_landmark/absent.tflite")


def test_an_empty_picture_has_no_part(tracker: HolisticTracker) -> None:
    tracker.restart()
    assert np.isnan(tracker.landmarks(np.full((120, 160, 3), 128, np.uint8))).all()


def test_a_real_person_is_found_in_nearly_every_frame_and_the_hand_hangs_on_its_wrist(
    person: Path, tmp_path: Path
) -> None:
    shard = write_list(tmp_path / "0.csv", [("a", person, None, None)])
    assert landmarks.main(arguments(shard, tmp_path)) == 0
    rows = FeatureShards([tmp_path / "0.npy"], [tmp_path / "0.parquet"]).clip("a")
    assert len(rows) == 58
    assert np.isfinite(rows[:, 0]).mean() >= 0.95
    hand = np.isfinite(rows[:, 195])
    assert hand.sum() >= 10
    right, left = rows[hand][:, 4 * 16 : 4 * 16 + 2], rows[hand][:, 4 * 15 : 4 * 15 + 2]
    wrist = rows[hand][:, 195:197]
    assert (
        np.linalg.norm(wrist - right, axis=1).max() < 0.15 < 0.5 < np.linalg.norm(wrist - left, axis=1).min()
    )

    outputs = [f"npy={tmp_path}/f.npy", f"mask={tmp_path}/f.mask.npy", f"parquet={tmp_path}/f.parquet"]
    gates = {"motion_keep": 0.5, "motion_floor": 0.3, "min_seconds": 0.96}
    argv = ["--input", f"npy={tmp_path}/0.npy", f"parquet={tmp_path}/0.parquet", "--output", *outputs]
    assert (
        pose_features.main([*argv, "--params", params_json({"pose": {"fps": 25.0}, "quality": gates})]) == 0
    )
    shards = FeatureShards([tmp_path / "f.npy"], [tmp_path / "f.parquet"], [tmp_path / "f.mask.npy"])
    assert shards.index["status"].tolist() == ["ok"]
    assert shards.mask("a")[:, 0].all() and shards.mask("a")[:, 3].all()
    assert np.nanmax(np.abs(shards.clip("a"))) < 20


def test_the_motion_floor_lies_over_the_jitter_of_a_frozen_person(
    tracker: HolisticTracker, frames: list[Frame]
) -> None:
    moving = [frame.image for frame in frames[13:43]]
    motion = []
    for images in (moving, [moving[7]] * 30):
        tracker.restart()
        rows = np.stack([tracker.landmarks(image) for image in images])
        raw = RawClip(rows, np.arange(30) / 25, np.arange(30), 540, 720)
        gates = section(QualityParams, motion_keep=0.7, motion_floor=0.45, min_seconds=0.8)
        found = landmarks_to_features(raw, section(PoseParams, fps=25.0), gates)
        motion.append((found.diagnostics["motion_mean"], found.verdict.reason))
    assert motion[0][0] > 0.8 and motion[0][1] == ""
    assert motion[1][0] < 0.2 and motion[1][1] == "low_motion"


def test_the_committed_motion_floor_rejects_the_frozen_demo_clip_and_keeps_the_slowest_signed_one(
    tracker: HolisticTracker, root: Path
) -> None:
    params = load_params(root / "params.yaml")
    reasons = []
    for name in ("bad/low_motion", "s5/001_1"):
        clip = list(read_frames(root / f"data/demo/videos/{name}.mp4"))
        tracker.restart()
        times = np.array([frame.time_s for frame in clip])
        height, width = clip[0].image.shape[:2]
        raw = RawClip(track(tracker, clip), times, np.arange(len(clip)), width, height)
        reasons.append(landmarks_to_features(raw, params.pose, params.quality).verdict.reason)
    assert reasons == ["low_motion", ""]


def test_workers_do_not_change_the_result_and_bad_clips_become_rows(person: Path, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(b"no video")
    clips = [*parts_of(person, 3), ("bad", garbage, None, None), ("late", person, 60.0, 61.0)]
    results = []
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        folder.mkdir()
        assert landmarks.main(arguments(write_list(folder / "0.csv", clips), folder, threads)) == 0
        results.append([(folder / name).read_bytes() for name in ("0.npy", "0.parquet")])
        assert not any((folder / "scratch").rglob("*.f32"))
    assert results[0] == results[1]
    table = pd.read_parquet(tmp_path / "2" / "0.parquet")
    assert table["tracker"].tolist() == [section(LandmarksParams).engine] * 3 + [""] * 2
    assert table["clip_id"].tolist() == [clip[0] for clip in clips]
    assert table["status"].tolist() == ["ok"] * 3 + ["rejected"] * 2
    assert table["reason"].tolist() == [""] * 3 + ["unreadable"] * 2
    assert table["length"].tolist() == [6, 6, 6, 0, 0]
    assert table["offset"].tolist() == [0, 6, 12, 18, 18]
    assert table["frame_index"].iloc[1].tolist() == [6, 7, 8, 9, 10, 11]
    assert "no frame between 60 s and 61 s" in table["detail"].iloc[4]


def test_a_killed_run_takes_its_workers_along_and_the_next_goes_on(
    person: Path, tmp_path: Path, tracker: HolisticTracker
) -> None:
    shard = write_list(tmp_path / "0.csv", parts_of(person, 7))
    command = [sys.executable, "-m", "workflow_scripts.landmarks", *arguments(shard, tmp_path, 2)]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: any((tmp_path / "scratch").rglob("*.json")), 60)
    workers = children_of(run.pid)
    assert len(workers) >= 2
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not any(is_alive(worker) for worker in workers), 20)
    finished = len(list((tmp_path / "scratch").rglob("*.json")))
    assert not (tmp_path / "0.npy").exists()

    command[command.index("--threads") + 1] = "1"
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"landmarks: {finished} clips are already finished" in again.stderr
    shards = FeatureShards([tmp_path / "0.npy"], [tmp_path / "0.parquet"])
    for clip_id, path, start, end in parts_of(person, 7):
        tracker.restart()
        expected = track(tracker, list(read_frames(path, start, end)))
        np.testing.assert_array_equal(shards.clip(clip_id), expected)


def test_a_shard_without_clips_is_a_valid_shard(tmp_path: Path) -> None:
    assert landmarks.main(arguments(write_list(tmp_path / "0.csv", []), tmp_path)) == 0
    outputs = [f"npy={tmp_path}/f.npy", f"mask={tmp_path}/f.mask.npy", f"parquet={tmp_path}/f.parquet"]
    argv = ["--input", f"npy={tmp_path}/0.npy", f"parquet={tmp_path}/0.parquet", "--output", *outputs]
    assert pose_features.main([*argv, "--params", params_json({"pose": {}, "quality": {}})]) == 0
    assert np.load(tmp_path / "f.npy").shape == (0, 540)
    assert np.load(tmp_path / "f.mask.npy").shape == (0, 4)
    assert len(pd.read_parquet(tmp_path / "f.parquet")) == 0


def test_the_overlay_marks_what_was_found_and_nothing_where_nothing_was(
    tracker: HolisticTracker, frames: list[Frame]
) -> None:
    image = frames[20].image
    nothing = np.full(1662, np.nan, np.float32)
    np.testing.assert_array_equal(draw_landmarks(image, nothing), image)
    tracker.restart()
    row = track(tracker, frames[15:21])[-1]
    drawn = draw_landmarks(image, row)
    hand = row[RAW_PARTS["right_hand"]].reshape(21, 3)[:, :2] * (image.shape[1], image.shape[0])
    assert np.isfinite(hand).all()
    for x, y in np.rint(hand[[4, 8, 12]]).astype(int):
        assert (drawn[y, x] != image[y, x]).any()
    assert (drawn[:40] == image[:40]).all()


def children_of(pid: int) -> list[int]:
    """The Python workers that `pid` started, from the process table."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    # a worker whose parent is gone may wait as a zombie for a first process that reaps nobody
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_until(condition: object, seconds: float) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_a_turkish_locale_where_the_capital_of_i_is_another_letter_changes_nothing() -> None:
    code = (
        "import locale, sys\n"
        "try: locale.setlocale(locale.LC_ALL, 'tr_TR.UTF-8')\n"
        "except locale.Error: sys.exit(77)\n"
        "from signloom.features.pose.tracker import HolisticTracker\n"
        "from tests.demo_params import PARAMS\n"
        "import numpy as np\n"
        "with HolisticTracker(PARAMS.landmarks) as tracker:\n"
        "    tracker.restart()\n"
        "    assert np.isnan(tracker.landmarks(np.zeros((64, 64, 3), np.uint8))).all()\n"
        "assert locale.setlocale(locale.LC_CTYPE) == 'tr_TR.UTF-8'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this machine has no Turkish locale")
    assert done.returncode == 0, done.stderr
