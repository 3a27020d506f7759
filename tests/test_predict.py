"""`signloom predict` answers what it can, says why not, and its exit code tells."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from exported import Exported, clip_of
from small_corpus import SEQ_LEN

from signloom.__main__ import main
from signloom.cli.commands import BUNDLE
from signloom.cli.given import keep_out
from signloom.cli.predict import picture_paths, stream_line, videos_in
from signloom.errors import SignloomError
from signloom.features.pose.pose_files import write_pose
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.reject_reasons import GATES as QUALITY_GATES
from signloom.inference import command
from signloom.inference.answer import Answer, Match, Refusal
from signloom.inference.answer_text import MEASURED, REASONS, clip_table, decision
from signloom.inference.engine import SignEngine
from signloom.inference.gates import GATES as MINIMA
from signloom.inference.gates import REASONS as GATES
from signloom.inference.stream import StreamEvent
from signloom.inference.video import answer_video
from signloom.video.camera import camera_frames
from signloom.video.decode import Frame, read_frames
from tests.videos import write_frames, write_video

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def bundle(exported: Exported) -> Path:
    return exported.bundle


@pytest.fixture(scope="module")
def videos(root: Path) -> Path:
    return root / "data" / "demo" / "videos"


@pytest.fixture
def short(videos: Path) -> str:
    return str(videos / "bad" / "too_few_frames.mp4")


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.mp4"
    path.write_text("no video\n")
    return str(path)


def match(rank: int, dtw: float | None = None) -> Match:
    similarity = 0.8 / rank if dtw is None else dtw
    about = ("s1/001_1", "a.mp4", 1, "the dog sleeps", "home")
    return Match(rank, *about, similarity, 0.8 / rank, 0.5, None, dtw)


def test_every_gate_has_its_words() -> None:
    assert set(REASONS) == {*GATES, *QUALITY_GATES}
    refused = Answer(False, "no_person", (), None, 0, None, None)
    assert decision(refused) == "refused: nobody is in the picture (no_person)"
    assert clip_table("a.mp4", refused).splitlines()[1:] == [
        f"  {decision(refused)}",
        "  0 frames, motion unknown",
    ]


def test_a_refusal_by_a_threshold_shows_the_value_and_the_threshold() -> None:
    assert set(MEASURED) == {gate.minimum for gate in MINIMA}
    refusal = Refusal("min_dtw_score", 0.7, 0.6123)
    answer = Answer(False, "low_similarity", (match(1),), 1.0, 60, None, None, unit="sign", refusal=refusal)
    assert decision(answer) == (
        "refused: no known sign is similar enough (low_similarity): "
        "warping 0.612 is below min_dtw_score 0.700"
    )


def test_the_table_is_aligned_and_shows_only_what_is_known() -> None:
    plain = clip_table(
        "a", Answer(True, "ok", (match(1), match(2)), 1.25, 60, "a dog", "DOG SLEEP")
    ).splitlines()
    assert plain[1:5] == [
        "  accepted",
        "  60 frames, motion 1.25 shoulder widths/s",
        "  decoded: a dog",
        "  glosses: DOG SLEEP",
    ]
    assert plain[5].split() == ["rank", "confidence", "similarity", "most", "similar", "clip", "sentence"]
    places = {line.index("the dog sleeps") for line in plain[6:]}
    assert places == {plain[5].index("sentence")}
    ranked = clip_table(
        "a", Answer(True, "ok", (match(1, 0.7), match(2, 0.6)), 1.25, 60, None, None)
    ).splitlines()
    assert ranked[3].split()[:5] == ["rank", "confidence", "similarity", "cosine", "warping"]
    assert ranked[4].split()[:5] == ["1", "0.50", "0.700", "0.800", "0.700"]


def test_the_table_is_aligned_whatever_letters_the_names_of_clips_have() -> None:
    # of 18 columns in a terminal, but for the third one, which has 6
    names = [
        "most_similar_clips",
        "\u9ad8\u91d1\u91d1\u82b1\u6c34\u6c34\u6c34\u6c34\u6c34",
        "e\u0301te\u0301/01",
    ]
    names += ["\u1112\u1161\u11ab" * 9, "\u0e17\u0e35\u0e48" * 18]  # Korean as a disk may write it, and Thai
    found = tuple(replace(match(place), clip_id=name) for place, name in enumerate(names, 1))
    lines = clip_table("a", Answer(True, "ok", found, 1.0, 9, None, None)).splitlines()[3:]
    padded = [line[: line.index("the dog sleeps")] for line in lines[1:]]
    spaces = [len(line) - len(line.rstrip()) for line in padded]
    assert spaces == [2, 2, 2 + 18 - 6, 2, 2] and lines[0].endswith("most similar clip   sentence")


def test_good_videos_are_answered_and_bad_ones_named(
    bundle: Path, short: str, text: str, videos: Path, capsys: Capture
) -> None:
    nobody = str(videos / "bad" / "no_person.mp4")
    code = main(["predict", text, short, "none.mp4", nobody, "--bundle", str(bundle), "--top", "2"])
    said = capsys.readouterr()
    assert code == 2
    assert said.err.splitlines() == [
        f"error: {text}: cannot be decoded: Invalid data found when processing input",
        "error: none.mp4: file does not exist",
    ]
    first, second = said.out.split("\n\n")
    assert first.splitlines()[0] == short
    ranks = [line.split()[0] for line in first.splitlines()[-3:]]
    assert ranks == ["rank", "1", "2"]
    assert second.splitlines()[:2] == [nobody, "  refused: nobody is in the picture (no_person)"]


def test_json_is_one_object_a_line_with_every_field(bundle: Path, short: str, capsys: Capture) -> None:
    assert main(["predict", short, "--bundle", str(bundle), "--json", "--rerank", "--int8"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert set(found) == {"video", *Answer.__dataclass_fields__}
    assert set(found["matches"][0]) == set(Match.__dataclass_fields__)
    assert (found["video"], found["frames"]) == (short, 30)
    assert found["matches"][0]["dtw_score"] is not None


def test_features_are_answered_as_the_bundle_itself_answers_them(
    exported: Exported, tmp_path: Path, capsys: Capture
) -> None:
    features, mask = clip_of(exported, "b/train1")
    clip = tmp_path / "clip.NPZ"
    with clip.open("wb") as file:
        np.savez(file, features=features, mask=mask, motion_mean=1.5)
    asked = [str(clip), "--json", "--rerank", "--int8"]
    assert main(["predict", *asked, "--bundle", str(exported.bundle)]) == 0
    answered = capsys.readouterr().out
    assert command.main(exported.bundle, asked) == 0
    assert answered == capsys.readouterr().out
    assert main(["predict", str(clip), "--json", "--top", "1", "--bundle", str(exported.bundle)]) == 0
    assert len(json.loads(capsys.readouterr().out)["matches"]) == 1


def test_an_opencv_that_lacks_its_libraries_is_one_line_that_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    # as the one with windows fails on a server
    (tmp_path / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2")
    assert main(["predict", "a.mp4"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "libGL.so.1" in line and "pip install --force-reinstall --no-deps opencv-python-headless" in line


def test_a_folder_stands_for_its_videos_and_a_folder_of_pictures_for_one(tmp_path: Path) -> None:
    for name in ("b/2.mp4", "b/10.MKV", "a.webm", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert videos_in(tmp_path) == [tmp_path / "a.webm", tmp_path / "b/10.MKV", tmp_path / "b/2.mp4"]
    (tmp_path / "c").mkdir()
    (tmp_path / "c/0.png").touch()
    assert videos_in(tmp_path / "c") == [tmp_path / "c"]
    (tmp_path / "empty").mkdir()
    assert videos_in(tmp_path / "empty") == [tmp_path / "empty"]


@pytest.mark.parametrize("name", ["0.npz", "0.npy", "a b/0.pose"])
def test_a_folder_of_features_or_landmarks_is_answered_with_the_names_to_give(
    exported: Exported, tmp_path: Path, capsys: Capture, name: str
) -> None:
    file = tmp_path / "rows" / name
    file.parent.mkdir(parents=True)
    np.save(file, np.zeros((40, 540))) if file.suffix == ".npy" else file.touch()
    assert main(["predict", str(tmp_path / "rows"), "--bundle", str(exported.bundle)]) == 2
    place = shlex.quote(str(file.parent))
    assert "rows holds no video. Name files of features and .pose files" in (err := capsys.readouterr().err)
    assert err.endswith(f"signloom predict {place}/*{file.suffix}\n")
    (tmp_path / "rows/0.png").touch()
    assert videos_in(tmp_path / "rows") == [tmp_path / "rows"]


def test_a_folder_of_landmarks_of_frames_is_no_folder_of_features(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", np.zeros(1662))
    assert videos_in(tmp_path) == [tmp_path]


@pytest.mark.parametrize("option", ["--vtt", "--stream"])
def test_a_folder_of_landmarks_is_not_cut_into_passages(
    bundle: Path, tmp_path: Path, option: str, capsys: Capture
) -> None:
    (tmp_path / "clip").mkdir()
    for number in range(3):
        np.save(tmp_path / f"clip/{number}.npy", np.zeros(1662))
    clip = str(tmp_path / "clip")
    given = [option, clip] if option == "--stream" else [clip, option, str(tmp_path / "a.vtt")]
    assert main(["predict", *given, "--bundle", str(bundle)]) == 2
    assert f"{option} works for a video, and {clip} has landmarks alone" in capsys.readouterr().err


def test_pictures_are_named_as_far_up_as_tells_them_apart() -> None:
    target = Path("out")
    assert picture_paths(target, [Path("v/1.mp4"), Path("v/2.mp4")]) == [
        target / "1.mp4.png",
        target / "2.mp4.png",
    ]
    assert picture_paths(target, [Path("v/a/1.mp4"), Path("v/b/1.mp4")]) == [
        target / "a/1.mp4.png",
        target / "b/1.mp4.png",
    ]
    assert picture_paths(target, [Path("/1.mp4"), Path("/v/1.mp4")]) == [
        target / "1.mp4.png",
        target / "v/1.mp4.png",
    ]
    assert picture_paths(target, [Path("v/1.mp4")] * 2) == [target / "1.mp4.png"] * 2
    assert picture_paths(Path("a.png"), [Path("v/1.mp4")]) == [Path("a.png")]
    with pytest.raises(SignloomError, match="expected a folder for 2 videos"):
        picture_paths(Path("a.png"), [Path("1.mp4"), Path("2.mp4")])


def test_a_picture_shows_the_frames_and_equal_runs_give_equal_bytes(
    bundle: Path, short: str, tmp_path: Path, capsys: Capture
) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        assert main(["predict", short, "--bundle", str(bundle), "--picture", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    image = cv2.imread(str(paths[0]))
    frame = next(read_frames(Path(short))).image
    height, width = image.shape[:2]
    assert width == 1600
    # the frames' row: five pictures of this shape, less margins and gaps
    assert height > width / 5.5 * frame.shape[0] / frame.shape[1]
    # the left upper corner of the first frame has the colour of the video's, and the margin is white
    corner = image[90:110, 40:60, ::-1].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(corner, frame[10:30, 5:25].reshape(-1, 3).mean(0), atol=12)
    assert (image[:, :20] == 255).all()


def test_a_stream_prints_partial_and_final_answers(bundle: Path, videos: Path, capsys: Capture) -> None:
    clip = str(videos / "s6" / "001_1.mp4")
    assert main(["predict", "--stream", clip, "--bundle", str(bundle), "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events[-2:]] == ["partial", "end"]
    assert events[-1]["end_s"] == pytest.approx(2.24)
    assert events[-1]["frames"] == events[-2]["frames"] == SEQ_LEN
    assert events[-1]["text"] is not None and events[-2]["text"] is None
    assert all(event["latency_s"] > 0 for event in events)


def test_a_line_of_a_stream_says_when_what_and_whether_to_believe_it() -> None:
    raw = RawClip(np.empty((2, 1662), np.float32), np.array([1.2, 2.8]), np.arange(2), 640, 480)
    answer = Answer(False, "low_similarity", (match(1),), 1.0, 40, "a dog", None)
    partial = stream_line(StreamEvent("partial", answer, raw, 0.0512))
    assert partial.split() == ["1.20-2.80", "s", "partial", "51", "ms", "0.50", "the", "dog", "sleeps"]
    final = stream_line(StreamEvent("pause", answer, raw, 0.0512))
    assert final == f"{partial.replace('partial', 'final  ')}  [{decision(answer)}; decoded: a dog]"
    nobody = Answer(False, "no_person", (), None, 0, None, None)
    assert stream_line(StreamEvent("end", nobody, raw, 0.1)).endswith(f"-  [{decision(nobody)}]")


def test_ctrl_c_ends_a_camera_like_its_last_frame(
    bundle: Path, short: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def camera(number: int) -> Iterator[Frame]:
        yield from itertools.islice(read_frames(Path(short)), number)
        raise KeyboardInterrupt

    monkeypatch.setattr("signloom.cli.predict.camera_frames", camera)
    monkeypatch.setattr("signloom.cli.predict.FaceFinder", None)  # half a second, to look at no frame
    assert main(["predict", "--camera", "8", "--bundle", str(bundle), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["event"], found["end_s"]) == ("end", pytest.approx(7 / 25))
    assert main(["predict", "--camera", "0", "--bundle", str(bundle)]) == 0
    assert capsys.readouterr().err == "no answer: nobody was seen moving\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give videos, --stream VIDEO or --camera"),
        (["a.mp4", "--camera"], "give videos, --stream VIDEO or --camera"),
        (["a.mp4", "--top", "0"], "expected 1 or more"),
        (["--camera", "--picture", "a.png"], "--picture works for videos"),
        (["a.npz", "--picture", "a.png"], "--picture works for videos"),
        (["a.pose", "--picture", "a.png"], "a.pose has landmarks alone"),
        (["a.npz", "a.mp4"], "videos or features (.npz, .npy), not both"),
        (["a.mp4", "--bundle", "none.zip"], "none.zip does not exist"),
    ],
)
def test_what_does_not_go_together_or_is_not_there_is_one_line(
    given: list[str], said: str, capsys: Capture
) -> None:
    assert main(["predict", *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ") and said in line


def test_a_table_of_clips_is_no_clip_of_landmarks(
    exported: Exported, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "clips.csv").write_text("video,gloss\na.mp4,A\n")
    assert main(["predict", str(tmp_path / "clips.csv"), "--bundle", str(exported.bundle)]) == 2
    assert "it is no video, but a table or rows of landmarks; give videos or" in capsys.readouterr().err


def test_a_bundle_that_was_not_built_is_said_with_the_command_that_builds_it(
    new_project: Path, capsys: Capture
) -> None:
    def said(*given: str) -> str:
        assert main(["predict", "a.mp4", *given]) == 2
        return capsys.readouterr().err

    plain, mine = BUNDLE, Path("build/mine/export/sign_encoder_bundle.zip")
    assert said() == f"error: {plain} does not exist; build it first: snakemake --cores all\n"
    command = "snakemake --cores all --config preset=mine"
    assert said("--bundle", str(mine)) == f"error: {mine} does not exist; build it first: {command}\n"
    joined = Path("build/two-words/export/sign_encoder_bundle.zip")
    assert said("--bundle", str(joined)).endswith("preset=two,words\n")
    preset = new_project / "config/presets/two-words.yaml"
    preset.parent.mkdir(parents=True, exist_ok=True)
    preset.touch()
    assert said("--bundle", str(joined)).endswith("preset=two-words\n")
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert said().endswith(f"or give --bundle {mine}\n")
    # the bundle is empty: a video that is not there is said before it is opened
    assert said("--bundle", str(mine)) == "error: a.mp4: file does not exist\n"
    assert main(["predict", f"{'a' * 300}.mp4", "--bundle", str(mine)]) == 2
    assert "a.mp4: cannot be opened: File name too long\n" in capsys.readouterr().err  # as without the right
    (new_project / "params.yaml").unlink()
    assert said() == f"error: {plain} does not exist here; give --bundle ZIP, or go to the project's folder\n"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([""], "argument CLIP: expected a path, found ''"),
        (["--stream", " "], "argument --stream: expected a path, found ' '"),
        (["--camera", "-1"], "argument --camera: expected the number of a camera from 0, found '-1'"),
        (["--camera", "99999999999"], "argument --camera: expected the number of a camera from 0"),
        (["a.mp4", "--picture", "file/below.png"], "--picture: {}/file is no folder; name another place"),
        (["a.mp4", "--eaf", "file/a.eaf"], "--eaf: {}/file is no folder; name another place"),
    ],
)
def test_what_can_be_no_path_and_no_camera_is_refused_before_any_work(
    wrong: list[str], said: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(SystemExit):  # argparse ends the program itself
        main(["predict", *wrong])
    assert said.format(tmp_path) in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.timeout(120)
def test_a_pipe_is_named_and_never_opened(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for given in ([str(tmp_path / "pipe.mp4")], ["--stream", str(tmp_path / "pipe.mp4")]):
        assert main(["predict", *given, "--bundle", str(bundle)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("pipe.mp4: is no regular file but a pipe, a device or a socket")


def test_a_garbled_bundle_a_stream_that_is_no_video_and_a_missing_camera_are_one_line(
    bundle: Path, text: str, tmp_path: Path, capsys: Capture
) -> None:
    garbled = tmp_path / "garbled.zip"
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    garbled.write_bytes(content)
    good = ["--bundle", str(bundle)]
    for given in ([text, "--bundle", str(garbled)], ["--stream", text, *good], ["--camera", "77", *good]):
        assert main(["predict", *given]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("error: ") and any(name in line for name in ("garbled.zip", text, "camera 77"))


def test_a_camera_gives_its_pictures_upright_in_colour_and_in_time(tmp_path: Path) -> None:
    video = write_video(tmp_path / "noise.mp4", frames=5)
    frames = list(camera_frames(str(video)))
    files = list(read_frames(video))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    times = [frame.time_s for frame in frames]
    assert times[0] == 0 and times == sorted(times)
    for frame, file in zip(frames, files, strict=True):
        assert frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - file.image).mean() < 3


def test_the_command_runs_as_people_type_it(root: Path, bundle: Path, short: str, tmp_path: Path) -> None:
    copy = tmp_path / "clip with a space.mp4"
    shutil.copy(short, copy)
    command = [sys.executable, "-m", "signloom", "predict"]
    done = subprocess.run([*command, copy, "--bundle", bundle], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == str(copy)
    shown = subprocess.run([*command, "--help"], cwd=root, capture_output=True, text=True)
    assert shown.returncode == 0 and "--picture" in shown.stdout


def test_a_pose_file_is_answered_as_the_video_that_it_was_made_from(
    bundle: Path, short: str, tmp_path: Path, capsys: Capture
) -> None:
    engine = SignEngine.load(bundle)
    seen = answer_video(engine, Path(short))
    write_pose(tmp_path / "a.pose", seen.raw, fps=1 / float(np.diff(seen.raw.times).mean()))
    assert main(["predict", str(tmp_path / "a.pose"), "--bundle", str(bundle), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["accepted"], said["frames"]) == (seen.answer.accepted, seen.answer.frames)
    assert said["matches"][0]["sentence"] == seen.answer.matches[0].sentence
    assert said["matches"][0]["raw_similarity"] == pytest.approx(
        seen.answer.matches[0].raw_similarity, abs=1e-3
    )


@pytest.mark.parametrize("given", [("--picture", "frames/9.png"), ("--picture", "frames")])
def test_nothing_is_written_between_the_frames_of_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, given: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "frames", 3)
    (tmp_path / "b.zip").touch()
    assert main(["predict", "frames", "--bundle", "b.zip", *given]) == 2
    assert "frames holds the frames of a clip; name another folder" in capsys.readouterr().err
    (tmp_path / "frames/a.mp4").touch()  # beside a video, pictures are no frames
    keep_out("--picture", Path("frames"), Path("frames"))
