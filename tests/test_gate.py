"""The gate for files that users name: what is no file or folder below the root becomes a rejected row."""

from __future__ import annotations

import os
import socket
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer

from signloom.dataset import probe
from signloom.dataset.probe import files_of, frame_times, length_s, why_unreadable
from signloom.gate import MISSING, is_there, why_shut
from signloom.media import open_media
from tests.manifests import build
from tests.videos import write_frames, write_video


@pytest.mark.timeout(60)
def test_what_must_not_be_opened_is_a_rejected_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos, elsewhere = tmp_path / "corpus/videos", tmp_path / "elsewhere"
    write_video(videos / "good.mp4")
    write_video(elsewhere / "secret.mp4", seed=1)
    write_frames(elsewhere / "pictures", seed=2)
    os.mkfifo(videos / "pipe.mp4")
    (videos / "null.mp4").symlink_to("/dev/zero")
    (videos / "link.mp4").symlink_to(elsewhere / "secret.mp4")
    (videos / "folder").symlink_to(elsewhere / "pictures")
    (videos / "mixed").mkdir()
    (videos / "mixed/1.png").symlink_to(elsewhere / "pictures/images0001.png")
    (videos / "loop.mp4").symlink_to(videos / "loop.mp4")
    names = ["pipe.mp4", "null.mp4", "link.mp4", "folder", "mixed", "loop.mp4", "x" * 300 + ".mp4"]
    monkeypatch.chdir(tmp_path / "corpus")
    table = "video,sentence\ngood.mp4,One.\n" + "".join(f"{name},One.\n" for name in names)
    manifest = build(tmp_path / "corpus", table)
    assert manifest.clips["clip_id"].tolist() == ["good"]
    assert set(manifest.rejects["reason"]) == {"unreadable"}
    details = dict(zip(names, manifest.rejects["detail"], strict=True))
    assert details["pipe.mp4"] == details["null.mp4"] == "is no regular file but a pipe, a device or a socket"
    assert details["link.mp4"].startswith(f"is a link to {elsewhere}/secret.mp4, outside ")
    assert details["folder"].startswith(f"is a link to {elsewhere}/pictures, outside ")
    assert "mixed/1.png is a link to " in details["mixed"]
    assert details["loop.mp4"] == "cannot be opened: Too many levels of symbolic links"
    assert details["x" * 300 + ".mp4"] == "cannot be opened: File name too long"


def test_links_inside_the_project_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "cache/00/ab.mp4")
    (tmp_path / "videos/a.mp4").symlink_to(tmp_path / "cache/00/ab.mp4")
    monkeypatch.chdir(tmp_path)
    assert why_shut(Path("videos/a.mp4"), Path("videos")) is None


def test_the_gate_names_every_kind(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert why_shut(tmp_path / "s") == "is no regular file but a pipe, a device or a socket"
    assert why_shut(tmp_path) is None
    assert why_shut(tmp_path / "absent") == MISSING
    assert why_shut(tmp_path / "absent/below") == MISSING
    assert why_shut(Path("a\0b")) == "cannot be opened: embedded null byte"
    assert [is_there(path) for path in (tmp_path, tmp_path / ("x" * 300), Path("a\0b"))] == [
        True,
        False,
        False,
    ]


def late_video(path: Path, times_ms: list[int]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times_ms:
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_the_manifest_says_the_longest_pause_and_rejects_a_damaged_time(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    late_video(tmp_path / "videos/late.mkv", [0, 40, 80, 36_000_000])
    late_video(tmp_path / "videos/slow.mkv", [0, 40, 2040, 2080])
    rows = ["late.mkv,One.,,", "slow.mkv,One.,,", "slow.mkv,One.,0,1", "late.mkv,One.,0,1"]
    table = "\n".join(["video,sentence,start_s,end_s", *rows, ""])
    manifest = build(tmp_path, table)
    gaps = manifest.clips.set_index("clip_id")["largest_gap_s"]
    assert gaps.to_dict() == {
        "late@0-1": pytest.approx(0.04),
        "slow": pytest.approx(2.0),
        "slow@0-1": pytest.approx(0.04),
    }
    (row,) = manifest.rejects.to_dict("records")
    assert (row["reason"], row["detail"]) == (
        "bad_times",
        "35999.9 s between two frames; a pause is 60 s at most",
    )


def test_lost_and_doubled_pictures_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (0, 1, 3):
        write_frames(tmp_path / "videos/named", count=1, seed=10 + number)
        (tmp_path / "videos/named/images0001.png").rename(tmp_path / f"videos/named/a1_fn{number:06d}-0.png")
    for seed, name in enumerate(("whole", "lost", "second", "twice")):
        write_frames(tmp_path / "videos" / name, count=6, seed=seed)
    (tmp_path / "videos/whole/._images0001.png").write_bytes(b"left by another system")
    (tmp_path / "videos/lost/images0003.png").unlink()
    for number in (2, 4, 6):
        (tmp_path / f"videos/second/images{number:04d}.png").unlink()
    (tmp_path / "videos/twice/images0006.png").rename(tmp_path / "videos/twice/images5.png")
    table = "video,sentence\n" + "".join(
        f"{name},One.\n" for name in ("whole", "lost", "second", "twice", "named")
    )
    manifest = build(tmp_path, table)
    assert sorted(manifest.clips["clip_id"]) == ["lost", "named", "second", "whole"]
    assert len(files_of(tmp_path / "videos/whole")) == 6
    assert manifest.rejects["detail"].tolist() == [
        "pictures images0005.png and images5.png have the same number"
    ]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert line == (
        "warning: 2 folders of pictures lack numbers, so times are wrong; "
        f"first: no picture 3 in {tmp_path}/videos/lost"
    )


@pytest.mark.parametrize(("slow", "is_read"), [(1, True), (2, False)])
def test_a_file_is_asked_again_when_its_answer_took_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: int, is_read: bool
) -> None:
    """The clock goes on while a process is stopped; a disk that does not answer fails twice."""
    path = write_video(tmp_path / "a.mp4")
    asked = (
        lambda: why_unreadable(path) is None,
        lambda: len(frame_times(path)) == 5,
        lambda: length_s(path),
    )
    for ask in asked:
        left = [av.ExitError(0, "Immediate exit requested")] * slow

        def answer(path: Path, timeout_s: float, left: list[Exception] = left) -> InputContainer:
            if left:
                raise left.pop()
            return open_media(path, timeout_s)

        monkeypatch.setattr(probe, "open_media", answer)
        assert bool(ask()) == is_read


def test_the_folder_above_a_linked_one_is_where_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project/videos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    Path("videos/all").symlink_to(tmp_path / "project")
    assert "outside" in str(why_shut(Path("videos/all/.."), Path("videos")))
