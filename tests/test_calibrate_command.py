"""`python -m signloom calibrate` changes a bundle's thresholds and nothing else, or says why it cannot."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.__main__ import main
from signloom.cli.calibrate import TableClip, read_clips
from signloom.errors import SignloomError
from signloom.evaluation.outofset import IN_SET
from signloom.evaluation.recalibration import AskedClip, Recalibrated, kind_of, recalibrate
from signloom.export.package import write_recalibrated
from signloom.inference.answer import Answer
from signloom.inference.bundle import MANIFEST, Bundle
from signloom.inference.engine import SignEngine

Capture = pytest.CaptureFixture[str]
NOBODY = Answer(False, "no_person", (), None, 0, None, None)


@pytest.fixture(scope="module")
def engine(exported: Exported) -> SignEngine:
    return SignEngine.load(exported.bundle)


@pytest.fixture(scope="module")
def videos(root: Path) -> Path:
    return root / "data" / "demo" / "videos"


def table(folder: Path, *rows: str, header: str = "video,sentence_id,start_s,end_s") -> Path:
    path = folder / "clips.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def asked_clips(exported: Exported, engine: SignEngine) -> list[AskedClip]:
    """Noisy gallery clips, each also without its sentence, and clips of noise, as the engine answers them."""
    rng = np.random.default_rng(0)
    own = {"a/train0": 0, "a/train1": 1, "b/train0": 0, "b/train1": 1, "b/train3": 3}
    asked = []
    for clip_id, sentence in own.items():
        features, mask = clip_of(exported, clip_id)
        clip = features + rng.normal(0, 0.05, features.shape).astype(np.float32), mask
        for kind, barred in ((IN_SET, None), ("left_out", sentence)):
            (answer,) = engine.answer_batch([clip], [1.0], decode=False, left_out=[barred])
            asked.append(AskedClip(kind, sentence, answer))
    for frames in (1, 3, 20, 20):
        clip = rng.normal(size=(frames, 540)).astype(np.float32), np.ones((frames, 4), np.uint8)
        asked.append(AskedClip("unsigned", -1, engine.answer(*clip, 0.5, decode=False)))
    return asked


@pytest.fixture(scope="module")
def asked(exported: Exported, engine: SignEngine) -> list[AskedClip]:
    return asked_clips(exported, engine)


@pytest.fixture(scope="module")
def found(engine: SignEngine, asked: list[AskedClip]) -> Recalibrated:
    return recalibrate(engine, asked, 0.25)


def test_the_figures_are_those_of_a_bundle_with_the_new_thresholds(
    exported: Exported, asked: list[AskedClip], found: Recalibrated, tmp_path: Path
) -> None:
    new = tmp_path / "new.zip"
    write_recalibrated(exported.bundle, new, found.thresholds)
    for bundle, figures in ((exported.bundle, found.before), (new, found.after)):
        again = asked_clips(exported, SignEngine.load(bundle))
        assert [one.answer.matches for one in again] == [one.answer.matches for one in asked]
        out = [one.answer.accepted for one in again if one.kind != IN_SET]
        right = [
            one.answer.accepted and one.answer.matches[0].sentence_id == one.sentence_id
            for one in again
            if one.kind == IN_SET
        ]
        assert (figures["n_in"], figures["n_out"]) == (len(right), len(out)) == (5, 9)
        assert figures["false_accept_rate"] == pytest.approx(np.mean(out))
        assert figures["accepted_and_right"] == pytest.approx(np.mean(right))
    assert found.after["false_accept_rate"] <= 0.25 < found.before["false_accept_rate"]
    assert found.after["accepted_and_right"] > 0


def test_thresholds_are_written_as_stage_calibrate_writes_them(
    engine: SignEngine, found: Recalibrated
) -> None:
    assert list(found.thresholds) == [
        "min_similarity",
        "min_margin",
        "min_proto_similarity",
        "min_dtw_score",
        "motion_floor",
        "max_false_accept_rate",
        "false_accept_rate",
        "accepted_and_right",
        "n_in",
        "n_out",
    ]
    assert found.thresholds["motion_floor"] == engine.thresholds.motion_floor
    assert found.thresholds["max_false_accept_rate"] == 0.25


def test_a_clip_without_its_sentence_is_answered_with_another(asked: list[AskedClip]) -> None:
    left_out = [one for one in asked if one.kind == "left_out"]
    assert len(left_out) == 5
    assert all(one.answer.matches[0].sentence_id != one.sentence_id for one in left_out)


def test_clips_that_show_nobody_count_as_refused(
    engine: SignEngine, asked: list[AskedClip], found: Recalibrated
) -> None:
    more = [AskedClip("unsigned", -1, NOBODY), AskedClip(IN_SET, 0, NOBODY)]
    now = recalibrate(engine, [*more, *asked], 0.25)
    assert (now.after["n_in"], now.after["n_out"]) == (6, 10)
    # a quarter of ten is no clip more than a quarter of nine
    for gate in ("min_similarity", "min_margin", "min_proto_similarity", "min_dtw_score"):
        assert now.thresholds[gate] == found.thresholds[gate]
    assert now.after["accepted_and_right"] * 6 == pytest.approx(found.after["accepted_and_right"] * 5)
    assert now.after["false_accept_rate"] * 10 == pytest.approx(found.after["false_accept_rate"] * 9)


@pytest.mark.parametrize(("kept", "lacking"), [(IN_SET, "to be refused"), ("unsigned", "of the gallery")])
def test_clips_of_one_sort_that_show_somebody_are_not_enough(
    engine: SignEngine, asked: list[AskedClip], kept: str, lacking: str
) -> None:
    nobody = [AskedClip(kind, 0, NOBODY) for kind in (IN_SET, "unsigned")]
    with pytest.raises(SignloomError, match=f"no clip .*{lacking} .*shows anybody"):
        recalibrate(engine, [*nobody, *(one for one in asked if one.kind == kept)], 0.05)


def test_what_the_gallery_lacks_ought_to_be_refused(engine: SignEngine) -> None:
    assert [kind_of(engine, sentence) for sentence in (0, 3, -1, 2)] == [
        IN_SET,
        IN_SET,
        "unsigned",
        "unseen_sentence",
    ]


def test_nothing_but_the_thresholds_and_their_entry_changes(
    exported: Exported, found: Recalibrated, tmp_path: Path
) -> None:
    new, again = tmp_path / "new.zip", tmp_path / "again.zip"
    digest = write_recalibrated(exported.bundle, new, found.thresholds)
    assert digest == hashlib.sha256(new.read_bytes()).hexdigest()
    assert (tmp_path / "new.zip.sha256").read_text() == f"{digest}  new.zip\n"
    with zipfile.ZipFile(exported.bundle) as before, zipfile.ZipFile(new) as after:
        assert before.namelist() == after.namelist()
        changed = {name for name in before.namelist() if before.read(name) != after.read(name)}
        assert changed == {"thresholds.json", MANIFEST}
        assert json.loads(after.read("thresholds.json")) == found.thresholds
        manifests = [json.loads(file.read(MANIFEST)) for file in (before, after)]
    assert [list(manifest["files"]) for manifest in manifests[1:]] == [list(manifests[0]["files"])]
    entries = [manifest["files"].pop("thresholds.json") for manifest in manifests]
    assert entries[0] != entries[1] and manifests[0] == manifests[1]
    assert write_recalibrated(new, again, found.thresholds) == digest
    assert again.read_bytes() == new.read_bytes()


def test_a_bundle_half_written_never_has_its_name(
    exported: Exported, found: Recalibrated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("signloom.export.package.write_zip", stop)
    with pytest.raises(KeyboardInterrupt):
        write_recalibrated(exported.bundle, tmp_path / "new.zip", found.thresholds)
    assert list(tmp_path.iterdir()) == []


def test_clips_of_ones_own_camera_give_a_bundle_that_answers(
    exported: Exported, videos: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "text.mp4").write_text("no video\n")
    clips = table(
        tmp_path,
        "bad/too_few_frames.mp4,0,,",
        "bad/too_few_frames.mp4,1,,0.6",
        "bad/too_few_frames.mp4,,0.6,1.2",
        "s6/001_1.mp4,2,0.2,0.8",
        "bad/no_person.mp4,-1,0,0.4",
        f"{tmp_path / 'text.mp4'},0,,",
    )
    new = tmp_path / "made" / "new.zip"
    given = [str(clips), "--videos", str(videos), "--bundle", str(exported.bundle), "--output", str(new)]
    given.append("--insist")
    assert main(["calibrate", *given, "--max-false-accept-rate", "0.5"]) == 0
    said = capsys.readouterr()
    unreadable = [line for line in said.err.splitlines() if line.startswith("error")]
    assert unreadable == [
        f"error: {tmp_path / 'text.mp4'}: cannot be decoded: Invalid data found when processing input"
    ]
    rows = [line.rsplit(maxsplit=3)[:2] for line in said.out.splitlines()[1:6]]
    assert [(label.strip(), count) for label, count in rows] == [
        ("signed, accepted with their sentence", "2"),
        ("to be refused, but accepted", "5"),
        ("without a sentence_id", "2"),
        ("with a sentence_id that the bundle lacks", "1"),
        ("signed clips without their sentence in the gallery", "2"),
    ]
    assert "1 of these clips show nobody, are too short or hardly move" in said.out
    assert "videos left out because they could not be read: 1" in said.out
    thresholds = Bundle(new).json("thresholds.json")
    assert asdict(SignEngine.load(new).thresholds).items() <= thresholds.items()
    assert (thresholds["n_in"], thresholds["n_out"], thresholds["max_false_accept_rate"]) == (2, 5, 0.5)
    assert thresholds["false_accept_rate"] <= 0.5
    digest = hashlib.sha256(new.read_bytes()).hexdigest()
    assert said.out.splitlines()[-1] == f"{new}: sha256 {digest}"


def test_without_a_clip_that_is_not_signed_there_is_a_warning(
    exported: Exported, videos: Path, tmp_path: Path, capsys: Capture
) -> None:
    clips = table(tmp_path, "bad/too_few_frames.mp4,3,,0.4", "bad/no_person.mp4,,,0.2")
    given = [str(clips), "--videos", str(videos), "--bundle", str(exported.bundle), "--insist"]
    assert main(["calibrate", *given, "--output", str(tmp_path / "new.zip")]) == 0
    said = capsys.readouterr()
    warnings = [line for line in said.err.splitlines() if line.startswith("warning")]
    assert "no clip shows a person who does not sign" in warnings[0]
    right = said.out.splitlines()[1].split()[-1]
    assert len(warnings) == (1 if right == "1" else 2)
    assert Bundle(tmp_path / "new.zip").json("thresholds.json")["max_false_accept_rate"] == 0.05


def test_clips_that_cannot_be_read_leave_nothing_to_choose_by(
    exported: Exported, tmp_path: Path, capsys: Capture
) -> None:
    clips, new = table(tmp_path, "none.mp4,0,,", "gone.mp4,,,"), tmp_path / "new.zip"
    given = [str(clips), "--bundle", str(exported.bundle), "--output", str(new), "--insist"]
    assert main(["calibrate", *given]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert errors[:2] == [
        f"error: {tmp_path / name}: file does not exist" for name in ("none.mp4", "gone.mp4")
    ]
    assert len(errors) == 3 and "no clip of a sentence of the gallery shows anybody" in errors[2]
    assert not new.exists()


SIGNED = [f"signed{number}.mp4,0,," for number in range(5)]


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        (SIGNED[:1], "gallery: 1, that ought to be refused: 0"),
        ([*SIGNED[:4], "b.mp4,,,"], "gallery: 4, that ought to be refused: 1"),
        (SIGNED, "gallery: 5, that ought to be refused: 0"),
        ([*SIGNED[:4], "b.mp4,2,,", "c.mp4,,,"], "gallery: 4, that ought to be refused: 2"),
    ],
)
def test_too_few_clips_are_refused_before_a_video_is_read(
    exported: Exported, tmp_path: Path, capsys: Capture, rows: list[str], counts: str
) -> None:
    clips, new = table(tmp_path, *rows), tmp_path / "new.zip"
    given = ["calibrate", str(clips), "--bundle", str(exported.bundle), "--output", str(new)]
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()  # a video that was looked for would be an error of its own
    assert line.startswith(f"error: {clips}: rows with a sentence of the") and counts in line
    assert "--insist" in line and not new.exists()
    assert main([*given, "--insist"]) == 2  # goes on to the videos, which are not there
    assert "signed0.mp4: file does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["a sentence", "none"])
def test_clips_that_cannot_be_read_do_not_count(
    exported: Exported, videos: Path, tmp_path: Path, capsys: Capture, kind: str
) -> None:
    shown = [f"bad/too_few_frames.mp4,0,,0.{end}" for end in range(1, 5 if kind == "a sentence" else 6)]
    more = ["gone.mp4,0,,", "bad/no_person.mp4,,,0.2"] if kind == "a sentence" else ["gone.mp4,,,"]
    clips, new = table(tmp_path, *shown, *more), tmp_path / "new.zip"
    given = [str(clips), "--videos", str(videos), "--bundle", str(exported.bundle), "--output", str(new)]
    assert main(["calibrate", *given]) == 2
    *_, said = capsys.readouterr().err.splitlines()
    counts = "4, that ought to be refused: 1" if kind == "a sentence" else "5, that ought to be refused: 0"
    assert f"readable clips with a sentence of the gallery: {counts}" in said and not new.exists()


def test_rows_are_read_as_spreadsheets_write_them(tmp_path: Path) -> None:
    clips = table(tmp_path, "a.mp4, 3 ,Anna", "b.mp4,-1,", "b.mp4,,", header="\ufeffvideo,sentence_id,signer")
    with pytest.raises(SignloomError, match="line 4: repeats the clip of line 3"):
        read_clips(clips, tmp_path)
    table(tmp_path, "a.mp4, 3 ,Anna", "b.mp4,-1,", "c.mp4,,", header="\ufeffvideo,sentence_id,signer")
    assert read_clips(clips, tmp_path / "v") == [
        TableClip(tmp_path / "v" / "a.mp4", None, None, 3),
        TableClip(tmp_path / "v" / "b.mp4", None, None, -1),
        TableClip(tmp_path / "v" / "c.mp4", None, None, -1),
    ]
    timed = table(tmp_path, "a.mp4,3,0.5,2", "a.mp4,3,,0.5")
    assert [clip[1:3] for clip in read_clips(timed, tmp_path)] == [(0.5, 2.0), (None, 0.5)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a.mp4,x,,"], "line 2: sentence_id 'x'"),
        (["a.mp4,0,,", "b.mp4,1.5,,"], "line 3: sentence_id '1.5'"),
        (["a.mp4,-2,,"], "line 2: sentence_id '-2'"),
        ([",0,,"], "line 2: video is empty"),
        (["a.mp4,0,nan,"], "line 2: start_s 'nan'"),
        (["a.mp4,0,-1,"], "line 2: start_s '-1'"),
        (["a.mp4,0,1_2,"], "line 2: start_s '1_2'"),
        (["a.mp4,1_2,,"], "line 2: sentence_id '1_2'"),
        (['a.mp4,0,"0,5",'], "of the video; write 0.5, with a point"),
        (["a.mp4,0,2,1.5"], "line 2: end_s 1.5 is not after start_s 2"),
        (["a.mp4,0,,0"], "line 2: end_s 0 is not after start_s 0"),
        (["a.mp4,0,,,,"], "line 2 has 6 fields"),
        (["a.mp4,0,,", "b.mp4"], "line 3 has 1 field but"),
        (["a.mp4,,,", "b.mp4,2,,"], "no row has the sentence_id of a sentence"),
        ([], "no row has the sentence_id of a sentence"),
    ],
)
def test_a_bad_row_is_one_line_that_names_it(
    exported: Exported, tmp_path: Path, capsys: Capture, rows: list[str], said: str
) -> None:
    given = [str(table(tmp_path, *rows)), "--bundle", str(exported.bundle)]
    assert main(["calibrate", *given, "--output", str(tmp_path / "new.zip")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line and "clips.csv" in line


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--output": "bundle.zip"}, "is the bundle itself"),
        ({"--output": "link.zip"}, "is the bundle itself"),
        ({"--output": "new.txt"}, "expected the name of a .zip file"),
        ({"--output": "text.zip/new.zip"}, "text.zip is no folder; name another place"),
        ({"--bundle": "none.zip"}, "none.zip does not exist"),
        ({"--bundle": "."}, "give the zip file in it"),
        ({"--bundle": "text.zip"}, "not a complete zip file"),
        ({"--videos": "none"}, "--videos none: expected a folder"),
        ({"--max-false-accept-rate": "1.5"}, "expected 0 to 1"),
        ({"": "none.csv"}, "none.csv: expected a table file"),
        ({"": "columns.csv"}, "column 'sentence_id' is missing"),
    ],
)
def test_what_cannot_be_followed_is_one_line_and_writes_nothing(
    exported: Exported,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(exported.bundle, "bundle.zip")
    Path("link.zip").symlink_to("bundle.zip")
    Path("text.zip").write_text("no bundle\n")
    Path("columns.csv").write_text("video,sentence\na.mp4,0\n")
    table(tmp_path, *SIGNED, "b.mp4,,,")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    given = {"": "clips.csv", "--bundle": "bundle.zip", "--output": "new.zip"} | changed
    arguments = [part for name, value in given.items() for part in (name, value) if part]
    assert main(["calibrate", *arguments]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ") and said in line and captured.out == ""
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
