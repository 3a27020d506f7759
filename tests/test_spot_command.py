"""`python -m signloom spot` lists where an example occurs in videos, or says in one line why it cannot."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.__main__ import main
from signloom.errors import SignloomError
from signloom.inference.engine import SignEngine
from signloom.video.decode import read_frames

Capture = pytest.CaptureFixture[str]
CLIP, OTHER = "s6/001_1.mp4", "s6/003_1.mp4"
LENGTH_S = 2.36


@pytest.fixture(scope="module")
def videos(root: Path) -> Path:
    return root / "data" / "demo" / "videos"


def test_an_example_is_found_in_its_own_video_first(
    exported: Exported, videos: Path, capsys: Capture
) -> None:
    given = [str(videos / CLIP), "--start", "1.2", "--end", "2.0", "--bundle", str(exported.bundle)]
    searched = [str(videos / OTHER), str(videos / CLIP)]
    assert main(["spot", *given, *searched, "--json", "--top", "3"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 3
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    first = found[0]
    assert first["video"] == searched[1] and first["score"] > 0.95
    assert 1.1 < (first["start_s"] + first["end_s"]) / 2 < 2.1 and first["end_s"] <= LENGTH_S
    # a video that cannot be read does not stop the others
    broken = exported.bundle.parent / "broken.mp4"
    broken.write_text("no video")
    assert main(["spot", *given, str(broken), searched[1], "--top", "1"]) == 2
    out, err = capsys.readouterr()
    assert out.rstrip().endswith(searched[1]) and "broken.mp4" in err


def test_an_example_may_be_at_the_end_of_its_video(exported: Exported, videos: Path, capsys: Capture) -> None:
    # features are late, so no row shows these times
    given = [str(videos / CLIP), "--start", str(LENGTH_S - 0.08), "--bundle", str(exported.bundle)]
    assert main(["spot", *given, str(videos / CLIP), "--json", "--top", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] > 0.5


def test_a_video_too_short_for_the_example_is_named(
    exported: Exported, videos: Path, tmp_path: Path, capsys: Capture
) -> None:
    for frame in itertools.islice(read_frames(videos / CLIP), 6):
        cv2.imwrite(str(tmp_path / f"{frame.number:04d}.png"), frame.image[..., ::-1])
    assert main(["spot", str(videos / CLIP), str(tmp_path), "--bundle", str(exported.bundle)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and f"{tmp_path}: the frames that show a person are fewer than half" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["clip.mp4", "clip.mp4", "--start", "2", "--end", "1"], "--end 1 is not after --start 2"),
        (["clip.mp4", "clip.mp4", "--start", "-1"], "--start -1: expected seconds"),
        (["clip.mp4", "clip.mp4", "--start", "nan"], "--start nan: expected seconds"),
        (["clip.mp4", "clip.mp4", "--start", "inf"], "--start inf: expected seconds"),
        (["clip.mp4", "clip.mp4", "--top", "0"], "--top 0: expected 1 or more"),
        (["clip.mp4", "none.mp4"], "none.mp4: file does not exist"),
        (["none.mp4", "clip.mp4"], "none.mp4: file does not exist"),
        (["clip.mp4", "clip.mp4", "--bundle", "none.zip"], "none.zip does not exist"),
        (
            ["DEMO", "clip.mp4", "--start", "1.3", "--end", "178"],
            "--end 178 is after the end of the video, 2.",
        ),
        (["DEMO", "clip.mp4", "--start", "9"], "no frame shows a person between --start and --end"),
    ],
)
def test_what_cannot_be_followed_is_one_line(
    exported: Exported,
    videos: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_text("no video")
    bundle = [] if "--bundle" in given else ["--bundle", str(exported.bundle)]
    assert main(["spot", *(str(videos / CLIP) if one == "DEMO" else one for one in given), *bundle]) == 2
    out, err = capsys.readouterr()
    (line,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert said in line
    assert out == ""


def test_a_long_clip_has_a_row_for_each_of_its_rows(exported: Exported) -> None:
    engine = SignEngine.load(exported.bundle)
    features, mask = clip_of(exported, "b/train1")
    long = (np.tile(features, (9, 1)), np.tile(mask, (9, 1)))
    rows = engine.sign_rows(long)
    assert len(rows) == len(long[0]) > engine.config["seq_len"]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert len(engine.sign_rows((features[:0], mask[:0]))) == 0
    with pytest.raises(SignloomError, match="shape"):
        engine.sign_rows((features[:, :5], mask))
    engine.config["gloss"] = None
    with pytest.raises(SignloomError, match=r"no gloss network.*pipeline\.families.*hybrid_pose"):
        engine.sign_rows((features, mask))


@pytest.mark.parametrize("option", ["--start", "--end"])
def test_a_decimal_comma_is_told_the_point(option: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["spot", "a.mp4", "b.mp4", option, "1,35"])
    assert f"{option}: expected seconds with a point, such as 1.35, found '1,35'" in capsys.readouterr().err
