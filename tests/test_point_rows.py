"""Rows of landmarks in a named order, and MP_Data folders, go in in place of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signloom.errors import SignloomError
from signloom.features.pose.layout import RAW_PARTS
from tests.landmark_stages import FPS, in_mp_data_order, made_of, rows, write_mp_data
from tests.row_stages import splits_in, to_splits, write_table

SIZE = {"frame_rate": FPS, "picture_size": [640, 480]}


def test_rows_in_both_orders_and_all_files_become_the_same_landmarks(tmp_path: Path) -> None:
    raw, videos = rows(), tmp_path / "videos"
    videos.mkdir()
    theirs = in_mp_data_order(raw)
    np.save(videos / "a.npy", theirs)
    np.savez(videos / "b.npz", theirs.astype(np.float64) + 0.0, np.zeros(3))
    named = ",".join(f"x{n}" for n in range(1662))
    np.savetxt(videos / "c.csv", theirs[:60], delimiter=",", header=named, comments="")
    np.savetxt(videos / "d.csv", theirs[:59], delimiter=",", fmt="%.9g")
    made = made_of(tmp_path, ["a.npy", "b.npz,0.4,1.0", "c.csv", "d.csv"], point_order="mp_data", **SIZE)
    assert made.manifest.rejects.empty
    assert made.manifest.clips["clip_id"].tolist() == ["a", "b@0.4-1.0", "c", "d"]
    tracked = made.landmarks
    np.testing.assert_array_equal(tracked.clip("a"), raw)
    np.testing.assert_array_equal(tracked.clip("b@0.4-1.0"), raw[10:25])
    np.testing.assert_array_equal(tracked.clip("c"), raw[:60])
    np.testing.assert_allclose(tracked.clip("d"), raw[:59], rtol=1e-6)
    row = tracked.index.set_index("clip_id").loc["b@0.4-1.0"]
    assert (row["fps"], row["width"], row["height"], row["frame_index"][0]) == (FPS, 640, 480, 10)
    np.testing.assert_allclose(row["time_s"], np.arange(15) / FPS, atol=1e-9)
    ours = tmp_path / "ours"
    (ours / "videos").mkdir(parents=True)
    np.save(ours / "videos/a.npy", raw)
    np.testing.assert_array_equal(
        made_of(ours, ["a.npy"], point_order="signloom", **SIZE).landmarks.clip("a"), raw
    )


def test_rows_and_mp_data_reach_the_splits(tmp_path: Path) -> None:
    bodies = [in_mp_data_order(rows(0.8)) * (1 - 0.01 * number) for number in range(8)]
    for number, body in enumerate(bodies):
        np.save(tmp_path / f"{number}.npy", body)
    dataset = write_table(tmp_path, [f"{number}.npy" for number in range(8)])
    found = to_splits(tmp_path / "out", dataset | {"point_order": "mp_data", **SIZE})
    assert list(splits_in(found).values()) == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    videos = tmp_path / "MP_Data"
    for number, body in enumerate(bodies[:4]):
        write_mp_data(videos, {"hello": body, "thank you": body[::-1]}, first=number, copies=1)
    dataset |= {"importer": "folders", "table": str(videos), "videos": str(videos)}
    found = to_splits(tmp_path / "signs", dataset | {"point_order": "mp_data", **SIZE}, mode="clip")
    parts = splits_in(found)
    assert len(parts) == 8 and set(parts.values()) == {"train", "val", "test"}


def test_what_is_zero_stays_missing_in_the_features(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    np.save(tmp_path / "videos/a.npy", in_mp_data_order(rows()))
    features = made_of(tmp_path, ["a.npy"], point_order="mp_data", **SIZE).features
    assert features.index["status"].tolist() == ["ok"]
    mask = features.mask("a")
    assert not mask[:4, 1].any() and mask[-4:, 1].all() and not mask[-4:, 3].any() and mask[:, 0].all()
    assert np.isnan(features.clip("a")[0, RAW_PARTS["left_hand"]]).all()


def test_rows_without_the_face_need_no_order(tmp_path: Path) -> None:
    raw = rows()
    (tmp_path / "videos").mkdir()
    np.save(tmp_path / "videos/a.npy", np.nan_to_num(raw[:, :258]))
    found = made_of(tmp_path, ["a.npy"], **SIZE).landmarks.clip("a")
    np.testing.assert_array_equal(found[:, :258], raw[:, :258])
    assert np.isnan(found[:, 258:]).all()


def test_hands_alone_get_a_body_that_stands_still_and_is_not_seen(tmp_path: Path) -> None:
    raw = rows()[:, 132:258]
    raw[20] = np.nan
    (tmp_path / "videos").mkdir()
    np.save(tmp_path / "videos/a.npy", np.nan_to_num(raw))
    made = made_of(tmp_path, ["a.npy"], **SIZE)
    found = made.landmarks.clip("a")
    np.testing.assert_array_equal(found[:, 132:258], raw)
    assert np.isnan(found[20]).all()
    pose = found[np.arange(75) != 20, :132].reshape(74, 33, 4)
    assert (pose[..., 3] == 0).all() and (np.ptp(pose, axis=0) == 0).all()
    # in pixels, not in shares, so that the shape of the picture does not bend it
    across, down = pose[0, 11, 0] - pose[0, 12, 0], pose[0, 23, 1] - pose[0, 11, 1]
    assert across * 640 / (down * 480) == pytest.approx(0.65, rel=1e-5)
    features = made.features
    assert features.index["status"].tolist() == ["ok"]
    assert (np.ptp(features.clip("a")[:, :132], axis=0) < 1e-5).all()
    assert (np.nanstd(features.clip("a")[:, 195:258:3], axis=0) > 0.01).all()


def test_an_mp_data_folder_is_a_folder_for_each_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = rows(1.2)
    write_mp_data(
        tmp_path / "videos", {"hello": in_mp_data_order(raw), "thank you": in_mp_data_order(raw[::-1])}
    )
    (tmp_path / "videos/hello/0/7.npy").unlink()
    made = made_of(tmp_path, [], "folders", point_order="mp_data", **SIZE)
    clips = made.manifest.clips
    assert clips["clip_id"].tolist() == ["hello/0", "hello/1", "thank you/0", "thank you/1"]
    assert clips["gloss"].tolist() == ["hello", "hello", "thank_you", "thank_you"]
    assert clips["video_hash"].nunique() == 4
    expected = raw.copy()
    expected[7] = np.nan
    np.testing.assert_array_equal(made.landmarks.clip("hello/0"), expected)
    # 10 comes after 9, not after 1
    np.testing.assert_array_equal(made.landmarks.clip("thank you/0"), raw[::-1])
    assert "hello/0: 1 of 30 frames have no file; they stay missing" in capsys.readouterr().err
    assert made.features.index["status"].tolist() == ["ok"] * 4


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "dataset.frame_rate"),
        ({"frame_rate": 30.0}, "dataset.picture_size"),
        (SIZE, r"dataset.point_order: .* set it to signloom \(pose, .*\) or mp_data \(pose, face"),
    ],
)
def test_what_rows_do_not_say_must_be_given(tmp_path: Path, given: dict, line: str) -> None:
    (tmp_path / "videos").mkdir()
    np.save(tmp_path / "videos/a.npy", rows())
    with pytest.raises(SignloomError, match=line):
        made_of(tmp_path, ["a.npy"], **given)


def test_files_that_hold_no_rows_are_rejected_one_by_one(tmp_path: Path) -> None:
    videos, good = tmp_path / "videos", np.nan_to_num(rows()[:, :258])
    videos.mkdir()
    np.save(videos / "good.npy", good)
    np.save(videos / "wide.npy", np.ones((9, 300)))
    np.save(videos / "flat.npy", np.ones(258))
    np.save(videos / "none.npy", np.ones((0, 258)))
    np.save(videos / "object.npy", np.array([[{}]]), allow_pickle=True)
    np.savez(videos / "object.npz", np.array([[{}]]), allow_pickle=True)
    (videos / "empty.npy").touch()
    (videos / "empty.csv").touch()
    (videos / "empty.npz").touch()
    (videos / "cut.npy").write_bytes((videos / "good.npy").read_bytes()[:-500])
    np.savez(videos / "whole.npz", good)
    (videos / "cut.npz").write_bytes((videos / "whole.npz").read_bytes()[:-500])
    (videos / "whole.npz").unlink()
    (videos / "words.csv").write_text("never,\nnumbers,1\n")
    (videos / "mp").mkdir()
    (videos / "mp/0.npy").write_bytes((videos / "cut.npy").read_bytes())
    (videos / "nameless").mkdir()
    np.save(videos / "nameless/first.npy", good[0])
    names = sorted(path.name for path in videos.iterdir())
    made = made_of(tmp_path, names, **SIZE)
    assert made.manifest.clips["clip_id"].tolist() == ["good"]
    found = dict(zip(made.manifest.rejects["clip_id"], made.manifest.rejects["detail"], strict=True))
    assert set(made.manifest.rejects["reason"]) == {"unreadable"} and len(found) == len(names) - 1
    assert "rows have 300 numbers; expected 1662 (pose, hands and face), 258" in found["wide"]
    assert "array of shape (258,)" in found["flat"] and "array of shape (0, 258)" in found["none"]
    assert "first.npy has no number" in found["nameless"]
    assert "the file is empty" in found["empty.csv"]


def test_rows_that_turn_out_to_be_broken_are_rejected_by_the_stage(tmp_path: Path) -> None:
    videos, good = tmp_path / "videos", np.nan_to_num(rows()[:, :258])
    videos.mkdir()
    np.save(videos / "good.npy", good)
    for name, value in (("hole", np.nan), ("far", np.inf)):
        bad = good.copy()
        bad[30, 140] = value
        np.save(videos / f"{name}.npy", bad)
    (videos / "ragged.csv").write_text(",".join(["1"] * 258) + "\n" + ",".join(["1"] * 200) + "\n")
    for folder, frames in {
        "mixed": {0: good[0], 1: good[1, 132:]},
        "apart": {5: good[0], 20240101: good[1]},
    }.items():
        (videos / folder).mkdir()
        for number, row in frames.items():
            np.save(videos / folder / f"{number}.npy", row)
    made = made_of(tmp_path, ["good.npy", "hole.npy", "far.npy", "ragged.csv", "mixed", "apart"], **SIZE)
    index = made.landmarks.index.set_index("clip_id")
    assert index["status"].to_dict() == {"good": "ok"} | dict.fromkeys(
        ["far", "hole", "mixed", "ragged"], "rejected"
    )
    assert index["detail"]["hole"].startswith("row 30: left hand has a value that is no finite number")
    assert index["detail"]["far"].startswith("row 30: left hand")
    assert "0.npy has 258 and 1.npy has 126" in index["detail"]["mixed"]
    (apart,) = made.manifest.rejects["detail"]
    assert "2 frames are numbered from 5 to 20240101" in apart


def test_pixels_in_place_of_shares_are_refused(tmp_path: Path) -> None:
    raw, videos = rows(), tmp_path / "videos"
    videos.mkdir()
    body = raw[:, RAW_PARTS["pose"]].reshape(len(raw), -1, 4)
    body[..., :2] *= (640, 480)
    np.save(videos / "a.npy", raw)
    made = made_of(tmp_path, ["a.npy"], point_order="signloom", **SIZE)
    row = made.landmarks.index.iloc[0]
    assert row["status"] == "rejected" and "pose: x and y are shares of the picture" in row["detail"]


def test_a_file_under_the_name_of_another_kind_is_a_reject(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    np.save(videos / "a.npy", rows())
    (videos / "a.npy").rename(videos / "a.npz")
    np.save(videos / "b.npy", rows())
    made = made_of(tmp_path, ["a.npz", "b.npy"], point_order="signloom", **SIZE)
    assert made.manifest.clips["clip_id"].tolist() == ["b"]
    assert "this is an .npy file; rename it to end in .npy" in made.manifest.rejects["detail"].iloc[0]


def test_a_part_that_is_never_seen_is_missing(tmp_path: Path) -> None:
    raw, videos = rows(), tmp_path / "videos"
    videos.mkdir()
    raw[:, RAW_PARTS["left_hand"]] = 0
    np.save(videos / "a.npy", raw)
    made = made_of(tmp_path, ["a.npy"], point_order="signloom", **SIZE)
    assert np.isnan(made.landmarks.clip("a")[:, RAW_PARTS["left_hand"]]).all()
