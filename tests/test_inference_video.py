"""A video is answered as the pipeline's own stages would have its features answered."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from demo_params import params_json
from exported import Exported

from signloom.__main__ import main
from signloom.cli import align, predict, spot
from signloom.features.pose.layout import RAW_PARTS
from signloom.features.pose.pose_features import landmarks_to_features
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.tracker import HolisticTracker
from signloom.features.shards import FeatureShards
from signloom.inference.answer import Answer
from signloom.inference.answer_text import clip_table
from signloom.inference.engine import SignEngine
from signloom.inference.gates import Thresholds
from signloom.inference.video import (
    VideoAnswer,
    answer_landmarks,
    answer_video,
    bundle_landmarks,
    bundle_params,
    bundle_tracker,
    track_video,
)
from signloom.video.decode import VideoUnreadable, read_frames
from tests.bodies import as_tracked, moving_body
from workflow_scripts import landmarks, pose_features


@pytest.fixture(scope="module")
def clip(root: Path) -> Path:
    return root / "data" / "demo" / "videos" / "bad" / "too_few_frames.mp4"


@pytest.fixture(scope="module")
def engine(exported: Exported) -> SignEngine:
    return SignEngine.load(exported.bundle)


@pytest.fixture(scope="module")
def tracker(engine: SignEngine) -> Iterator[HolisticTracker]:
    with bundle_tracker(engine) as shared:
        yield shared


@pytest.fixture(scope="module")
def seen(engine: SignEngine, tracker: HolisticTracker, clip: Path) -> VideoAnswer:
    return answer_video(engine, clip, tracker=tracker)


def rows_of(raw: RawClip, rows: np.ndarray) -> RawClip:
    return RawClip(rows, raw.times[: len(rows)], raw.frame_index[: len(rows)], raw.width, raw.height)


def test_a_video_is_answered_as_the_features_that_the_stages_make_of_it(
    engine: SignEngine, seen: VideoAnswer, clip: Path, tmp_path: Path
) -> None:
    shard = tmp_path / "list.csv"
    table = pd.DataFrame(
        [("a", clip, None, None, "h")], columns=["clip_id", "video_path", "start_s", "end_s", "video_hash"]
    )
    table.to_csv(shard, index=False)
    raw = [tmp_path / "raw.npy", tmp_path / "raw.parquet"]
    made = [tmp_path / "0.npy", tmp_path / "0.mask.npy", tmp_path / "0.parquet"]
    sections = {name: engine.config[name] for name in ("landmarks", "pose", "quality")}
    params = params_json(sections | {"dataset": {}})
    common = ["--params", params, "--scratch", str(tmp_path / "scratch")]
    tracked = ["--input", f"shard={shard}", "--output", f"npy={raw[0]}", f"parquet={raw[1]}"]
    assert landmarks.main([*tracked, *common]) == 0
    turned = ["--input", f"npy={raw[0]}", f"parquet={raw[1]}", "--output"]
    turned += [f"npy={made[0]}", f"mask={made[1]}", f"parquet={made[2]}"]
    assert pose_features.main([*turned, *common]) == 0
    shards = FeatureShards([made[0]], [made[2]], [made[1]])
    motion = float(shards.index["motion_mean"][0])
    by_rows = engine.answer(np.array(shards.clip("a")), np.array(shards.mask("a")), motion)
    assert by_rows.gloss_spans and replace(seen.answer, gloss_spans=by_rows.gloss_spans) == by_rows
    assert seen.answer.matches and seen.answer.motion_mean == motion
    np.testing.assert_array_equal(seen.raw.rows, np.load(raw[0]))


def seconds_of(raw: RawClip, answer: Answer) -> np.ndarray:
    begins, length = raw.times[0], raw.times[-1] - raw.times[0]
    return begins + length * np.array(answer.gloss_spans)


def test_glosses_are_as_late_as_the_person_who_signs_them(engine: SignEngine, seen: VideoAnswer) -> None:
    raw, late_s = seen.raw, 0.4
    frames = round(late_s / float(np.median(np.diff(raw.times))))
    nobody = np.full((frames, raw.rows.shape[1]), np.nan, np.float32)
    times = np.concatenate([np.arange(frames) * late_s / frames, raw.times + late_s])
    late = RawClip(np.concatenate([nobody, raw.rows]), times, np.arange(len(times)), raw.width, raw.height)
    early, answer = answer_landmarks(engine, raw), answer_landmarks(engine, late)
    assert answer.glosses == early.glosses and answer.frames == early.frames
    # smoothed features are late, and nothing is signed before the first frame
    found = np.clip(seconds_of(late, answer) - late_s, raw.times[0], None)
    np.testing.assert_allclose(found, seconds_of(raw, early), atol=1e-6)


@pytest.mark.parametrize("begins_s", [-30.0, -0.4, 7.0])
def test_gloss_times_do_not_depend_on_where_times_begin(
    engine: SignEngine, seen: VideoAnswer, begins_s: float
) -> None:
    moved = answer_landmarks(engine, replace(seen.raw, times=seen.raw.times + begins_s))
    np.testing.assert_allclose(moved.gloss_spans, seen.answer.gloss_spans, atol=1e-6)


def test_the_frames_that_max_fps_leaves_are_those_that_the_stage_tracks(
    engine: SignEngine, tracker: HolisticTracker, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.config["landmarks"], "max_fps", 12.5)
    seen = answer_video(engine, clip, 0, 0.8, tracker=tracker).raw
    assert seen.frame_index.tolist() == list(range(0, 20, 2))
    shard, raw = tmp_path / "list.csv", [tmp_path / "raw.npy", tmp_path / "raw.parquet"]
    columns = ["clip_id", "video_path", "start_s", "end_s", "video_hash"]
    pd.DataFrame([("a", clip, 0, 0.8, "h")], columns=columns).to_csv(shard, index=False)
    outputs = [f"npy={raw[0]}", f"parquet={raw[1]}"]
    params = [
        "--params",
        params_json({"landmarks": {"max_fps": 12.5}, "dataset": {}}),
        "--scratch",
        str(tmp_path / "scratch"),
    ]
    assert landmarks.main(["--input", f"shard={shard}", "--output", *outputs, *params]) == 0
    np.testing.assert_array_equal(seen.rows, np.load(raw[0]))
    assert pd.read_parquet(raw[1])["frame_index"][0].tolist() == seen.frame_index.tolist()


def test_a_folder_of_its_pictures_is_answered_like_the_file(
    engine: SignEngine, tracker: HolisticTracker, seen: VideoAnswer, clip: Path, tmp_path: Path
) -> None:
    for frame in read_frames(clip):
        cv2.imwrite(str(tmp_path / f"{frame.number:04d}.png"), frame.image[..., ::-1])
    assert answer_video(engine, tmp_path, tracker=tracker).answer == seen.answer


def test_every_command_takes_folders_of_pictures_at_the_rate_of_training(
    engine: SignEngine,
    tracker: HolisticTracker,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for frame in itertools.islice(read_frames(clip), 20):
        cv2.imwrite(str(tmp_path / f"{frame.number:04d}.png"), frame.image[..., ::-1])
    monkeypatch.delitem(engine.config, "dataset")
    assert answer_video(engine, tmp_path, tracker=tracker).raw.times[-1] == pytest.approx(19 / 25)
    monkeypatch.setitem(engine.config, "dataset", {"frame_rate": 50.0})
    answered = answer_video(engine, tmp_path, 0.1, tracker=tracker).raw
    assert (answered.frame_index[0], answered.times[-1]) == (5, pytest.approx(14 / 50))
    assert spot.see(engine, tracker, tmp_path).length_s == pytest.approx(20 / 50)
    (gloss,) = align.align_clip(engine, tracker, align.Line(tmp_path, ("APPLE",)))
    assert 0 < gloss.end_s <= 20 / 50
    monkeypatch.setattr(predict, "load_engine", lambda *given, **named: engine)
    (tmp_path / "bundle.zip").touch()
    assert main(["predict", "--stream", str(tmp_path), "--bundle", f"{tmp_path}/bundle.zip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["end_s"] == pytest.approx(19 / 50)


def test_start_and_end_choose_the_frames_and_a_tracker_is_built_where_none_is_given(
    engine: SignEngine, tracker: HolisticTracker, clip: Path
) -> None:
    part = answer_video(engine, clip, 0.4, 0.8)
    assert part.raw.frame_index.tolist() == list(range(10, 20))
    assert part.raw.times[0] == pytest.approx(0)
    assert part.answer == answer_video(engine, clip, 0.4, 0.8, tracker=tracker).answer
    assert part.answer.frames <= 10


def test_what_was_seen_in_a_video_can_be_answered_again(engine: SignEngine, seen: VideoAnswer) -> None:
    assert answer_landmarks(engine, seen.raw) == seen.answer
    silent = answer_landmarks(engine, seen.raw, decode=False)
    assert silent.text is None and silent.matches == seen.answer.matches
    assert answer_landmarks(engine, seen.raw, rerank=True).matches[0].dtw_score is not None


@pytest.mark.parametrize("frames", [0, 1, 3, 40])
def test_frames_without_a_pose_are_no_person_even_where_they_show_a_hand(
    engine: SignEngine, frames: int
) -> None:
    times = np.arange(frames) / 25
    raw = as_tracked(moving_body(times), times)
    hand_alone = raw.rows.copy()
    hand_alone[:, RAW_PARTS["pose"]] = np.nan
    for rows in (np.full_like(raw.rows, np.nan), hand_alone):
        answer = answer_landmarks(engine, rows_of(raw, rows))
        assert (answer.accepted, answer.reason, answer.frames, answer.matches) == (False, "no_person", 0, ())
        assert answer.motion_mean is None


def spoilt(reason: str) -> RawClip:
    """A clip that training rejects for `reason`, or keeps if it is ""."""
    times = np.arange(4 if reason == "too_few_frames" else 60) / 25
    raw = as_tracked(moving_body(np.zeros(len(times)) if reason == "low_motion" else 3 * times), times)
    if reason == "low_detection":
        raw.rows[20:] = np.nan
    return raw


@pytest.mark.parametrize("reason", ["low_detection", "too_few_frames", "low_motion"])
def test_a_clip_that_training_would_have_rejected_is_refused_for_the_same_reason(
    engine: SignEngine, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.config, "quality", engine.config["quality"] | {"min_seconds": 0.2})
    raw, params = spoilt(reason), bundle_params(engine)
    assert landmarks_to_features(raw, *params).verdict.reason == reason
    answer = answer_landmarks(engine, raw)
    assert (answer.accepted, answer.reason, answer.matches) == (False, reason, ())
    assert reason in clip_table("clip", answer)
    # a long rest before signing is no reason to give up
    assert ("cut the clip to the signing" in clip_table("clip", answer)) == (reason == "low_motion")
    # what training only flagged is answered too
    monkeypatch.setitem(engine.config, "quality", engine.config["quality"] | {"keep_low": True})
    assert answer_landmarks(engine, raw).matches


def test_a_clip_that_training_kept_is_not_refused_by_its_gates(engine: SignEngine) -> None:
    raw = spoilt("")
    assert landmarks_to_features(raw, *bundle_params(engine)).verdict.reason == ""
    assert answer_landmarks(engine, raw).matches


def test_a_refused_video_whose_mirror_image_would_be_accepted_says_so(
    engine: SignEngine, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Signer:
        """In the tracker's place: somebody who moves only in pictures that are mirrored."""

        def restart(self) -> None:
            self.frames = 0

        def landmarks(self, image: np.ndarray) -> np.ndarray:
            self.frames += 1
            times = np.array([0.3 * self.frames if (image == mirrored[self.frames - 1]).all() else 0.0])
            return as_tracked(moving_body(times), times).rows[0]

    mirrored = [frame.image[:, ::-1] for frame in read_frames(clip)]
    monkeypatch.setitem(engine.config, "quality", engine.config["quality"] | {"keep_low": True})
    open_but_for_motion = Thresholds(-1, -1, -1, -1, motion_floor=0.4)
    monkeypatch.setattr(engine, "thresholds", open_but_for_motion)
    plain, checked = (answer_video(engine, clip, tracker=Signer(), check_mirror=on) for on in (False, True))
    assert (plain.answer.reason, plain.answer.mirrored) == ("low_motion", False)
    assert checked.answer == replace(plain.answer, mirrored=True)
    assert "its mirror image would be accepted" in clip_table("clip", checked.answer)
    assert "mirror" not in clip_table("clip", plain.answer)
    # an accepted video is not tracked twice, and a mirror image that is refused too is not named
    monkeypatch.setattr(engine, "thresholds", replace(open_but_for_motion, motion_floor=99.0))
    assert not answer_video(engine, clip, tracker=Signer(), check_mirror=True).answer.mirrored
    monkeypatch.setattr(engine, "thresholds", replace(open_but_for_motion, motion_floor=0.0))
    accepted = answer_video(engine, clip, tracker=Signer(), check_mirror=True).answer
    assert (accepted.accepted, accepted.mirrored) == (True, False)


def test_a_bundle_that_counts_frames_is_read_as_seconds(
    engine: SignEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {name: value for name, value in engine.config["quality"].items() if name != "min_seconds"}
    monkeypatch.setitem(engine.config, "quality", old | {"min_frames": 48})
    assert bundle_params(engine)[1].min_seconds == 48 / 25


def test_a_file_that_is_no_video_is_unreadable(
    engine: SignEngine, tracker: HolisticTracker, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video\n")
    for path, reason in ((text, "cannot be decoded"), (tmp_path / "none.mp4", "does not exist")):
        with pytest.raises(VideoUnreadable, match=reason):
            answer_video(engine, path, tracker=tracker)


def test_every_clip_is_tracked_afresh_and_its_frames_can_be_watched(
    tracker: HolisticTracker, clip: Path
) -> None:
    watched = []

    def watch(frames):
        for frame in frames:
            watched.append(frame.number)
            yield frame

    first = track_video(tracker, clip, 0.8, 1.2, watch)
    track_video(tracker, clip, 0, 0.2)
    again = track_video(tracker, clip, 0.8, 1.2)
    assert watched == list(range(20, 30))
    assert first.rows.tobytes() == again.rows.tobytes()


def test_a_bundle_is_tracked_by_its_own_engine_and_an_older_one_by_the_graph(engine: SignEngine) -> None:
    assert bundle_landmarks(engine).engine == engine.config["landmarks"]["engine"]
    older = copy.copy(engine)
    named = {name: value for name, value in engine.config["landmarks"].items() if name != "engine"}
    older.config = engine.config | {"landmarks": named}
    assert bundle_landmarks(older).engine == "mediapipe"
