"""`signloom init` and `signloom check` know landmarks in place of videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from signloom.cli import check as check_command
from signloom.features.pose.pose_files import write_pose
from signloom.features.pose.raw_clip import RawClip
from tests.form_files import write
from tests.landmark_stages import FPS, in_mp_data_order, rows, write_mp_data

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_command, "measured_rate", None)


def mp_data(folder: Path, signs: int = 3) -> None:
    """Write signs of ten clips of 30 frames each."""
    raw = in_mp_data_order(rows(1.2))
    for sign in range(signs):
        for clip in range(10):
            write_mp_data(
                folder, {f"sign {sign}": raw * (1 - 0.01 * clip - 0.001 * sign)}, first=clip, copies=1
            )


def test_init_and_check_take_mp_data_as_it_is(root: Path, new_project: Path, said: Said) -> None:
    mp_data(new_project / "data/mine/MP_Data")
    code, out, err = said("init", "data/mine")
    assert code == 0, err
    assert "folders named after signs" in out and "clips     30" in out
    assert (
        "assumed   frame_rate 30.0, point_order mp_data, picture_size [640, 480]: the files do not say it"
        in out
    )
    given = yaml.safe_load(Path("config/presets/mine.yaml").read_text("utf-8"))
    assert given["dataset"] == {
        "importer": "folders",
        "table": "data/mine/MP_Data",
        "videos": "data/mine",
        "frame_rate": 30.0,
        "point_order": "mp_data",
        "picture_size": [640, 480],
        "variations": None,
    }
    page = (root / "docs/annotation-forms.md").read_text("utf-8").partition("### MP_Data")[2]
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    shown["dataset"]["videos"] = given["dataset"]["videos"]
    assert given == shown
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "clips     30 of 30 rows" in out and "signs     3," in out
    assert "lengths   1.00/1.00/1.00/1.00/1.00 s" in out and "rates     30 fps: 30" in out
    assert "time      landmarks are copied and nothing is tracked" in out
    # 30 frames of 1662 numbers, and 25 of 540 and a mask
    assert f"disk      {(30 * 30 * 1662 * 4 + 30 * 25 * (540 * 4 + 4)) / 1e6:.1f} MB" in out


def test_init_takes_pose_files_in_folders_of_signs_and_in_tables(new_project: Path, said: Said) -> None:
    raw = RawClip(rows(2.0), np.arange(50) / FPS, np.arange(50), 640, 480)
    for number in range(20):
        write_pose(new_project / f"data/signs/sign {number % 2}/{number}.pose", raw, FPS + number)
        write_pose(new_project / f"data/told/poses/{number}.pose", raw, FPS + number)
    code, out, err = said("init", "data/signs")
    assert code == 0, err
    assert "clips     20" in out and "assumed" not in out
    assert "frame_rate" not in yaml.safe_load(Path("config/presets/signs.yaml").read_text("utf-8"))["dataset"]
    lines = [f"poses/{n}.pose,we go {n % 3},WE GO{n % 3},s{n % 5}" for n in range(20)]
    write(new_project / "data/told", clips__csv="\n".join(["video,sentence,gloss,signer_id", *lines]) + "\n")
    code, out, err = said("init", "data/told")
    assert code == 0, err
    given = yaml.safe_load(Path("config/presets/told.yaml").read_text("utf-8"))
    # without pixels there are no clip features
    assert given["gloss"] == {"variants": ["tcn_ctc", "hybrid_pose"]} and "clip_features" not in given
    code, out, _ = said("check", "told")
    assert "must be mended" not in out, out


def test_check_asks_for_the_order_before_it_does_anything(new_project: Path, said: Said) -> None:
    mp_data(new_project / "data/mine", signs=1)
    dataset = {"importer": "folders", "table": "data/mine", "videos": "data/mine", "variations": None}
    dataset |= {"frame_rate": 30.0, "picture_size": [640, 480]}
    Path("config/presets/other.yaml").write_text(yaml.safe_dump({"dataset": dataset}))
    code, out, _ = said("check", "other")
    assert code == 1
    assert out.startswith("must be mended: dataset.point_order: data/mine/sign 0/0 has rows of 1662 numbers")


def test_check_reads_lengths_of_every_form_and_refuses_variants_that_need_videos(
    new_project: Path, said: Said
) -> None:
    videos, raw = new_project / "data/mine/videos", rows(2.0)
    write_pose(videos / "a.pose", RawClip(raw, np.arange(50) / FPS, np.arange(50), 640, 480), 50.0)
    np.save(videos / "b.npy", np.nan_to_num(raw[:40, :258]))
    np.savetxt(videos / "c.csv", np.nan_to_num(raw[:30, :258]), delimiter=",")
    people = [{"image_id": n, "keypoints": [9.0] * 399} for n in (3, 22)] * 2
    (videos / "d.json").write_text(json.dumps([*people, *({"image_id": n} for n in range(4, 22))]))
    for number in range(10):
        write(videos / "e", **{f"x_{number:03d}_keypoints__json": '{"people": []}'})
    (videos / "f.json").write_text('[{"keypoints": []}]')
    names = ["a.pose", "b.npy", "c.csv", "d.json", "e", "f.json"]
    lines = [f"{name},We go {n % 2}.,WE GO{n % 2},s{n},train,," for n, name in enumerate(names)]
    lines.append("a.pose,We go 0.,WE GO0,s0,test,0.2,9")
    head = "video,sentence,gloss,signer_id,split,start_s,end_s"
    write(new_project / "data/mine", clips__csv="\n".join([head, *lines]) + "\n")
    dataset = {"table": "data/mine/clips.csv", "videos": "data/mine/videos", "variations": None}
    dataset |= {"frame_rate": 20.0, "picture_size": [640, 480]}
    tree = {"dataset": dataset, "manifest": {"max_reject_ratio": 0.5}}
    Path("config/presets/mine.yaml").write_text(yaml.safe_dump(tree))
    code, out, _ = said("check", "mine")
    assert code == 1
    assert "clips     6 of 7 rows" in out and "rejected  unreadable 1" in out
    assert "lengths   0.50/" in out and "/2.00 s" in out
    assert "rates     20 fps: 4, 50 fps: 2" in out
    assert "1 clip ends after its video, first a@0.2-9 at 9 s of 1.00 s" in out
    assert (
        "must be mended: gloss.variants names hybrid_clip, which reads videos, and 6 clips are landmarks"
        in out
    )
