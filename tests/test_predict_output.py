"""What `signloom predict` writes where, and which videos of a folder it answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from exported import Exported

from signloom.__main__ import main
from signloom.cli import picture
from signloom.cli.predict import videos_in
from signloom.inference.engine import SignEngine
from tests.demo_params import PARAMS
from tests.videos import write_frames, write_video


def test_pictures_beside_videos_do_not_make_a_folder_one_clip(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        write_video(tmp_path / "videos" / name)
    write_frames(tmp_path / "videos", count=2)
    (tmp_path / "videos/._a.mp4").write_bytes(b"0" * 99)
    assert [video.name for video in videos_in(tmp_path / "videos")] == ["a.mp4", "b.mp4"]
    pictures = write_frames(tmp_path / "pictures", count=2)
    assert videos_in(pictures) == [pictures]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--eaf", "folder"], "folder is a folder; name a file"),
        (["--eaf", "same", "--vtt", "same"], "same: expected a name that ends in .eaf"),
        (["--picture", "folder.png"], "folder.png is a folder"),
        (["--vtt", "own.vtt"], "--vtt: own.vtt exists; move it, or choose another name"),
        (["--srt", "own.srt"], "--srt: own.srt exists; move it, or choose another name"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "folder.png"):
        Path(name).mkdir()
    for name in ("own.vtt", "own.srt"):
        Path(name).touch()
    assert main(["predict", "none.mp4", *given]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_clip_in_which_nothing_is_seen_shows_nobody(exported: Exported, value: float) -> None:
    engine = SignEngine.load(exported.folder)
    features = np.full((30, 540), value, np.float32)
    answer = engine.answer(features, np.zeros((30, 4), np.int8))
    assert not answer.accepted and answer.reason == "no_person"


@pytest.mark.parametrize("count", ["0", "-1", "99999", "two"])
def test_a_number_of_threads_that_cannot_be_is_refused(
    exported: Exported, capsys: pytest.CaptureFixture[str], count: str
) -> None:
    from signloom.inference.command import main as answer

    with pytest.raises(SystemExit):
        answer(exported.folder, ["a.npz", "--threads", count])
    assert "expected 1 to" in capsys.readouterr().err


def test_threads_and_check_count_the_processors_that_a_job_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from signloom.cli.check import about_time
    from signloom.inference.command import _threads

    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 5}, raising=False)
    monkeypatch.setattr("signloom.cli.check.measured_rate", lambda video, params: 10.0)
    assert _threads("2") == 2
    with pytest.raises(argparse.ArgumentTypeError, match="expected 1 to 2"):
        _threads("3")
    clips = pd.DataFrame({"video_path": ["a.mp4"], "seconds": [10.0], "fps": [25.0]})
    assert "less with several of 2 processors" in about_time(clips, PARAMS)


def test_letters_that_no_font_has_are_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert picture._families("small flowers, petites fleurs") == ["sans-serif"]
    assert capsys.readouterr().err == ""
    families = picture._families("\U0001fbf9 \u4f60\u597d")
    (said,) = capsys.readouterr().err.splitlines() or [""]
    assert families[0] == "sans-serif" and (not said or "letters of the picture are in no font" in said)


def test_letters_of_two_scripts_are_drawn_with_two_fonts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # a slanted font often has fewer scripts than the upright one of its family
    fonts = {"Han": "你好a", "Geez": "ሰላም", "Geez Oblique": "abc", "Usual": "abc "}
    listed = [SimpleNamespace(name=name.removesuffix(" Oblique"), fname=name) for name in fonts]
    monkeypatch.setattr(picture.font_manager, "findfont", lambda _: "Usual")
    monkeypatch.setattr(picture.font_manager.fontManager, "ttflist", listed)
    monkeypatch.setattr(picture, "_letters_of", lambda file: set(fonts[file]))
    assert picture._families("a 你好 ሰላ") == ["sans-serif", "Geez", "Han"]
    assert capsys.readouterr().err == ""
    assert picture._families("你 ሰላ\u0e01") == ["sans-serif", "Geez", "Han"]
    assert "1 letter of the picture is in no font of this machine, first 'ก'" in capsys.readouterr().err


def test_lines_of_wide_letters_are_half_as_long() -> None:
    lines = [picture._Line(letter * 100, "", 11) for letter in ("a", "\u4f60")]
    assert [picture._per_line(line) for line in lines] == [picture.LETTERS, picture.LETTERS // 2]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["predict", "a.eaf", "--eaf", "a.eaf"], "a.eaf is a.eaf itself; give another name"),
        (["predict", "a.mp4", "--eaf", "a.mp4"], "a.mp4: expected a name that ends in .eaf"),
        (["predict", "--stream", "a.mp4", "--srt", "link.srt"], "link.srt is a.mp4 itself"),
        (["predict", "a.mp4", "--picture", "a.jpg"], "a.jpg: expected a name that ends in .png, or a folder"),
        (["align", "a.mp4", "--glosses", "GO", "--eaf", "a.mp4"], "a.mp4: expected a name that ends in .eaf"),
        (["compare", "a", "b", "--html", "a.mp4/page.html"], "a.mp4 is no folder"),
        (["export-landmarks", "--output", "a.mp4"], "a.mp4 is no folder"),
    ],
)
def test_no_answer_replaces_what_it_was_made_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "a.eaf"):
        Path(name).write_bytes(b"precious")
    Path("link.srt").symlink_to("a.mp4")
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert Path("a.mp4").read_bytes() == Path("a.eaf").read_bytes() == b"precious"
