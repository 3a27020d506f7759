"""The demo corpus as it lies in ``data/demo``, and the closed forms that made it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"
HEADER = [
    "video",
    "sentence_id",
    "sentence",
    "gloss",
    "gloss_times",
    "category",
    "signer_id",
    "split",
    "end_s",
]
REASONS = {"unreadable", "no_person", "low_detection", "too_few_frames", "low_motion"}


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    return pd.read_csv(DEMO / "clips.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def signed(clips: pd.DataFrame) -> pd.DataFrame:
    return clips[~clips["category"].isin(["unsigned", "bad"])]


@pytest.fixture(scope="module")
def frame_counts(clips: pd.DataFrame) -> dict[str, tuple[int, float]]:
    """Frames and frame rate of every readable video, from its container."""
    import av

    counts = {}
    for video in clips["video"]:
        if video == "bad/unreadable.mp4":
            continue
        with av.open(str(DEMO / "videos" / video)) as container:
            stream = container.streams.video[0]
            counts[video] = (int(stream.frames), float(stream.average_rate))
    return counts


def test_the_corpus_has_the_promised_counts_and_stays_small(
    clips: pd.DataFrame, signed: pd.DataFrame, frame_counts: dict[str, tuple[int, float]]
) -> None:
    assert list(clips.columns) == HEADER
    assert clips["video"].tolist() == sorted(clips["video"])
    assert len({g for line in signed["gloss"] for g in line.split()}) >= 24
    assert signed["sentence"].nunique() >= 60
    assert signed["signer_id"].nunique() == 6
    assert len(clips) >= 180
    assert sum(frames for frames, _ in frame_counts.values()) <= 12_000
    assert sum(p.stat().st_size for p in DEMO.rglob("*") if p.is_file()) <= 16_000_000
    assert {rate for _, rate in frame_counts.values()} == {25.0, 30.0}
    assert set(signed["gloss"].str.split().str.len()) == {2, 3, 4, 5}


def test_every_video_of_the_table_is_there_and_no_other(clips: pd.DataFrame) -> None:
    there = {p.relative_to(DEMO / "videos").as_posix() for p in (DEMO / "videos").rglob("*.mp4")}
    assert there == set(clips["video"])


def test_no_two_videos_have_the_same_bytes(clips: pd.DataFrame) -> None:
    assert len({(DEMO / "videos" / v).read_bytes() for v in clips["video"]}) == len(clips)


def test_every_clip_that_is_to_be_kept_lasts_56_frames_at_25_a_second(
    clips: pd.DataFrame, frame_counts: dict[str, tuple[int, float]]
) -> None:
    kept = clips[clips["category"] != "bad"]
    assert min(25 * frame_counts[v][0] / frame_counts[v][1] for v in kept["video"]) >= 56


def test_no_signer_of_validation_or_test_appears_elsewhere(signed: pd.DataFrame) -> None:
    signers = signed.groupby("split")["signer_id"].agg(set)
    assert len(signers["val"]) == len(signers["test"]) == 1
    assert len(signers["train"]) == 4
    assert not signers["val"] & signers["test"] | (signers["val"] | signers["test"]) & signers["train"]


def test_every_training_sentence_has_two_clips_by_different_signers(signed: pd.DataFrame) -> None:
    train = signed[signed["split"] == "train"].groupby("sentence_id")["signer_id"]
    assert train.nunique().min() >= 2


def test_val_and_test_each_have_sentences_of_their_own_and_shared_ones(signed: pd.DataFrame) -> None:
    ids = signed.groupby("split")["sentence_id"].agg(set)
    assert len(ids["val"] - ids["train"]) >= 6
    assert len(ids["test"] - ids["train"]) >= 12
    assert not (ids["val"] - ids["train"]) & (ids["test"] - ids["train"])
    assert len(ids["val"] & ids["train"]) >= 12
    assert len(ids["test"] & ids["train"]) >= 30


def test_every_gloss_of_an_unseen_sentence_occurs_often_in_training(signed: pd.DataFrame) -> None:
    train = signed[signed["split"] == "train"]
    counts = pd.Series([g for line in train["gloss"] for g in line.split()]).value_counts()
    elsewhere = {g for line in signed.loc[signed["split"] != "train", "gloss"] for g in line.split()}
    assert elsewhere <= set(counts.index)
    assert counts.min() >= 8


def test_no_unseen_sentence_equals_a_training_sentence(signed: pd.DataFrame) -> None:
    assert signed.groupby("gloss")["sentence_id"].nunique().max() == 1
    assert signed.groupby("sentence_id")["gloss"].nunique().max() == 1


def test_each_reject_reason_has_exactly_one_clip_in_training(clips: pd.DataFrame) -> None:
    bad = clips[clips["category"] == "bad"]
    assert {Path(v).stem for v in bad["video"]} == REASONS
    assert len(bad) == len(REASONS)
    assert set(bad["split"]) == {"train"}
    assert (bad["sentence"] != "").all()
    assert clips.set_index("video")["end_s"].replace("", None).dropna().to_dict() == {
        "bad/too_few_frames.mp4": "0.4"
    }


def test_a_dozen_clips_show_people_who_move_but_do_not_sign(clips: pd.DataFrame) -> None:
    unsigned = clips[clips["category"] == "unsigned"]
    assert len(unsigned) == 12
    assert set(unsigned["split"]) == {"val", "test"}
    assert (unsigned["sentence_id"] == -1).all()
    assert (unsigned["gloss"] == "").all()


def test_variations_start_with_the_canonical_sentence_and_differ(signed: pd.DataFrame) -> None:
    texts = json.loads((DEMO / "sentence_variations.json").read_text())
    for row in signed.drop_duplicates("sentence_id").itertuples():
        line = texts[str(row.sentence_id)]
        assert line[0] == row.sentence
        assert 3 <= len(line) <= 4
        assert len(set(line)) == len(line)


def test_mediapipe_finds_the_pose_and_the_signing_hand() -> None:
    table = pd.read_csv(DEMO / "detection.csv", keep_default_na=False)
    whole = table[table["scope"] == "all"].iloc[0]
    assert float(whole["pose_rate"]) >= 0.99
    assert float(whole["signing_hand_rate"]) >= 0.90
    clip = table[(table["scope"] == "clip") & (table["kind"] != "bad")]
    assert clip["pose_rate"].astype(float).min() >= 0.85


def test_the_leaving_person_is_found_in_some_frames_but_too_few() -> None:
    table = pd.read_csv(DEMO / "detection.csv").set_index("clip_id")
    row = table.loc["bad/low_detection"]
    assert 0 < row["pose_or_hand_frames"] / row["frames"] < 0.45
    assert table.loc["bad/no_person", "pose_frames"] == 0
    assert table.loc["bad/low_motion", "pose_frames"] == table.loc["bad/low_motion", "frames"] >= 60


def test_gloss_times_follow_the_gloss_line_and_lie_inside_the_clip(
    signed: pd.DataFrame, frame_counts: dict[str, tuple[int, float]]
) -> None:
    times = pd.read_csv(DEMO / "truth" / "gloss_times.csv")
    lines = signed.set_index("video")["gloss"]
    assert times["clip_id"].nunique() == len(lines)
    for clip_id, rows in times.groupby("clip_id"):
        video = f"{clip_id}.mp4"
        assert " ".join(rows["gloss"]) == lines[video]
        frames, rate = frame_counts[video]
        assert (rows["end_s"] > rows["start_s"]).all()
        assert all(a <= b for a, b in pairwise(rows[["start_s", "end_s"]].to_numpy().ravel()))
        assert rows["start_s"].iloc[0] > 0
        assert rows["end_s"].iloc[-1] < frames / rate


def test_true_joints_have_a_row_for_every_second_frame_and_lie_in_the_picture(
    clips: pd.DataFrame, frame_counts: dict[str, tuple[int, float]]
) -> None:
    about = json.loads((DEMO / "truth" / "joint_names.json").read_text())
    step, names = about["frame_step"], about["joints"]
    with np.load(DEMO / "truth" / "joints.npz", allow_pickle=False) as joints:
        kept = clips.loc[clips["category"] != "bad", "video"]
        assert set(joints.files) == {v.removesuffix(".mp4").replace("/", "__") for v in kept}
        for key in joints.files[::7]:
            values = joints[key]
            frames, _ = frame_counts[key.replace("__", "/") + ".mp4"]
            assert values.shape == (-(-frames // step), len(names), 5)
            hands = [i for i, n in enumerate(names) if n.endswith("_tip")]
            assert values[:, hands, :2].min() >= 0
            assert values[:, hands, 0].max() <= 560
            assert values[:, hands, 1].max() <= 480
    assert (DEMO / "truth" / "joints.npz").stat().st_size < 4_000_000


def test_an_elbow_keeps_the_lengths_of_the_arm_and_reaches_no_farther() -> None:
    from demo_corpus import ik

    rng = np.random.default_rng(0)
    shoulder, wrist, pole = rng.normal(0, 0.2, (3, 50, 3))
    elbow, reached = ik.elbow(shoulder, wrist, 0.28, 0.25, pole)
    np.testing.assert_allclose(np.linalg.norm(elbow - shoulder, axis=1), 0.28, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(reached - elbow, axis=1), 0.25, atol=1e-9)
    assert np.linalg.norm(reached - shoulder, axis=1).max() <= ik.REACH * 0.53 + 1e-9


def test_a_swing_carries_one_direction_to_the_other_and_twist_is_what_remains() -> None:
    from demo_corpus import ik

    rng = np.random.default_rng(1)
    a, b = ik.unit(rng.normal(size=(20, 3))), ik.unit(rng.normal(size=(20, 3)))
    swing = ik.swing(a, b)
    np.testing.assert_allclose((swing @ a[..., None])[..., 0], b, atol=1e-9)
    np.testing.assert_allclose(ik.twist_angle(ik.turn(b, np.full(20, 0.7)), b), 0.7, atol=1e-9)


def test_every_sign_differs_from_every_other_in_handshape_place_or_movement() -> None:
    from demo_corpus.lexicon import SIGNS

    assert len({s.gloss for s in SIGNS}) == len(SIGNS) >= 24
    assert len({(s.handshape, s.place, s.movement, s.hands) for s in SIGNS}) == len(SIGNS)
    assert {s.hands for s in SIGNS} == {"one", "two", "base"}
    assert sum(bool(s.face) for s in SIGNS) >= 5


def test_the_committed_tables_are_what_the_code_says() -> None:
    from demo_corpus.build import clip_table, lexicon_table, read_times

    for name, table in (("clips.csv", clip_table(read_times(DEMO))), ("lexicon.csv", lexicon_table())):
        assert (DEMO / name).read_text() == table.to_csv(index=False, lineterminator="\n")


def test_the_hand_of_a_posed_figure_is_where_the_lexicon_puts_it() -> None:
    pytest.importorskip("anny")
    from demo_corpus.clothes import Body
    from demo_corpus.figure import Figure
    from demo_corpus.motion import signing
    from demo_corpus.signers import BY_ID

    signer = BY_ID["s3"]
    figure = Figure(Body(signer), signer)
    motion = signing(["SMALL", "HOUSE"], signer, figure.face_from_chest, np.random.default_rng(0))
    names, joints = figure.joints(figure.pose(motion))
    knuckle = joints[:, names.index("left_middle_1")]
    wanted = figure.chest + motion.hands["dominant"].place * figure.scale * np.array([1.0, -1.0, 1.0])
    assert np.median(np.linalg.norm(knuckle - wanted, axis=1)) < 0.005
