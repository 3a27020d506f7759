"""A long recording is cut into passages, and their answers become ELAN tiers and subtitles."""

from __future__ import annotations

import html
import itertools
import json
import tracemalloc
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pysubs2
import pytest
from demo_params import section
from pympi.Elan import Eaf

from signloom.__main__ import main
from signloom.cli import predict
from signloom.dataset.importers import load_table
from signloom.errors import SignloomError
from signloom.features.pose.layout import RAW_PARTS
from signloom.inference.annotations import AnsweredPassage, glosses, write_eaf, write_subtitles
from signloom.inference.answer import Answer, Match
from signloom.inference.passages import Passage, Passages, hands_rest
from signloom.inference.video import TrackedFrame
from signloom.params.dataset import ElanTiers
from signloom.params.features import PoseParams, QualityParams
from signloom.video.decode import VideoUnreadable
from tests.stream_films import SEQ_LEN, Film, ListeningEngine, finals

FPS = 25.0


def cut(film: Film, longest: int = SEQ_LEN, split: bool = True) -> tuple[list[Passage], int]:
    """The passages of a film, and the most frames that were kept."""
    pose = section(PoseParams, fps=FPS, max_gap=5, smoothing=0.2)
    passages = Passages(pose, section(QualityParams), longest, split=split)
    found, most = [], 0
    for number, (row, time_s) in enumerate(zip(film.raw.rows, film.times, strict=True)):
        ended = passages.push(TrackedFrame(row, float(time_s), number), (480, 640, 3))
        most = max(most, len(passages.rows))
        if ended:
            assert len(passages.window(ended.start_s, ended.end_s).rows) <= longest
            found.append(ended)
    return found, most


def test_passages_between_pauses_are_found_within_a_third_of_a_second() -> None:
    moving = [(1.0, 2.2), (3.5, 4.5), (6.0, 7.2)]
    found, _ = cut(Film(9, moving))
    assert [passage.ended for passage in found] == ["pause"] * 3
    for passage, (start, end) in zip(found, moving, strict=True):
        assert abs(passage.start_s - start) < 0.33 and abs(passage.end_s - end) < 0.33


def test_a_passage_that_is_too_long_is_cut_without_a_gap_where_it_moves_least() -> None:
    film = Film(9.5, [(0.0, 8.0)])
    found, most = cut(film)
    assert [passage.ended for passage in found] == [*["long"] * (len(found) - 1), "pause"]
    assert len(found) >= 4
    for before, after in pairwise(found):
        assert before.end_s == after.start_s
        assert before.end_s - before.start_s >= SEQ_LEN / FPS / 2 - 0.1
    assert found[-1].end_s == pytest.approx(8.0, abs=0.25)
    assert most <= 2 * SEQ_LEN  # whatever the length of the recording
    # a short rest, too short for a pause, is where the cut goes
    rest, _ = cut(Film(5, [(0.0, 1.3), (1.6, 4.0)]))
    assert 1.3 <= rest[0].end_s <= 1.75


def test_before_the_first_frame_the_window_is_empty() -> None:
    window = Passages(section(PoseParams, fps=FPS), section(QualityParams), SEQ_LEN).window()
    assert (window.rows.shape, len(window.times), window.width, window.height) == ((0, 1662), 0, 0, 0)


@pytest.mark.parametrize("pre_roll_s", [0.2, 2.0, 20.0])
def test_a_passage_is_cut_in_its_second_half_however_long_the_pre_roll(pre_roll_s: float) -> None:
    film = Film(6, [(2.0, 2.3), (2.6, 6.0)])
    pose = section(PoseParams, fps=FPS, max_gap=5, smoothing=0.2)
    passages = Passages(pose, section(QualityParams), SEQ_LEN, split=True, pre_roll_s=pre_roll_s)
    for number, (row, time_s) in enumerate(zip(film.raw.rows, film.times, strict=True)):
        if ended := passages.push(TrackedFrame(row, float(time_s), number), (480, 640, 3)):
            window = passages.window(ended.start_s, ended.end_s)
            assert ended.ended == "long" and SEQ_LEN / 2 <= len(window.rows) <= SEQ_LEN


@pytest.mark.parametrize("pause_s", [0.5, np.inf])
@pytest.mark.parametrize("split", [False, True])
def test_a_long_gap_between_frames_ends_a_passage_and_costs_no_memory(split: bool, pause_s: float) -> None:
    film = Film(4, [(0.5, 4.0)])
    pose = section(PoseParams, fps=FPS, max_gap=5, smoothing=0.2)
    passages = Passages(pose, section(QualityParams), 100, split=split, pause_s=pause_s)
    found, windows = [], []
    tracemalloc.start()
    for number, (row, time_s) in enumerate(zip(film.raw.rows, film.times, strict=True)):
        shown_s = float(time_s) + (1e9 if number >= 50 else 0.0)
        if ended := passages.push(TrackedFrame(row, shown_s, number), (480, 640, 3)):
            found.append((number, ended))
            windows.append(passages.window(ended.start_s, ended.end_s).frame_index)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    ((number, passage),) = found
    assert (number, passage.ended, passage.end_s) == (50, "pause", film.times[49])
    assert windows[0][-1] == 49 and abs(passage.start_s - 0.5) < 0.33
    assert passages.begun_s is not None and passages.begun_s >= 1e9 + 1.7
    assert passages.rows[0].number == 50 and passages.rows[-1].number == 99


def test_hands_that_rest_at_the_hips_do_not_sign() -> None:
    film = Film(4, [(0.0, 4.0)])
    assert not any(hands_rest(row) for row in film.raw.rows)
    pose = film.raw.rows[:, RAW_PARTS["pose"]].reshape(-1, 33, 4)
    hips = pose[:, [23, 24], 1].mean(axis=1)
    pose[40:, [15, 16], 1] = hips[40:, None]  # a view: the hands go down while the body goes on
    assert all(hands_rest(row) for row in film.raw.rows[40:])
    (passage,), _ = cut(film)
    assert passage.ended == "pause" and passage.end_s == pytest.approx(40 / FPS, abs=0.1)
    assert not hands_rest(np.full(1662, np.nan, np.float32))


def test_one_hand_at_the_hips_does_not_hide_the_other_that_signs() -> None:
    film = Film(3, [(0.5, 1.7)])
    pose = film.raw.rows[:, RAW_PARTS["pose"]].reshape(-1, 33, 4)
    pose[:, 15, 1] = pose[:, [23, 24], 1].mean(axis=1)
    assert not any(hands_rest(row) for row in film.raw.rows)
    (passage,), _ = cut(film)
    assert passage.ended == "pause" and passage.end_s == pytest.approx(1.7, abs=0.33)


def test_a_stream_that_is_cut_has_one_final_answer_for_every_part_that_moves() -> None:
    # it fits into one window, and is still not answered as a whole after its first passage
    pushed, ended = Film(1.9, [(0.1, 0.5), (1.3, 1.9)]).stream(cut=True)
    spans = [event.span_s for event in finals(pushed) + ended]
    assert [event.kind for event in finals(pushed) + ended] == ["pause", "end"]
    assert spans[0][1] < spans[1][0]
    # without a pause it is one clip, as without the cut
    (whole,) = Film(1.9, [(0.3, 1.9)]).stream(cut=True)[1]
    assert whole.span_s == (0.0, pytest.approx(1.88))
    # a passage that is too long is answered in parts that leave nothing out
    pushed, ended = Film(5, [(0.0, 5.0)]).stream(cut=True)
    spans = [event.span_s for event in finals(pushed) + ended]
    assert len(spans) >= 3 and spans[0][0] == 0 and spans[-1][1] == pytest.approx(4.96)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def answer(sentence: str, glosses: str | None = None, *, accepted: bool = True, spans: Any = None) -> Answer:
    match = Match(1, "a", "a.mp4", 1, sentence, "", 0.9, 0.9, 0.8, None, None)
    return Answer(
        accepted, "ok" if accepted else "low_similarity", (match,), 1.0, 30, sentence, glosses, spans
    )


PASSAGES = [
    AnsweredPassage(1.0, 3.0, answer("Anna drinks tea & <milk>.", "ANNA TEA", spans=((0, 0.25), (0.25, 1)))),
    AnsweredPassage(4.0, 5.0, answer("Nobody said this.", "NO", accepted=False)),
    AnsweredPassage(5.5, 7.25, answer("Ärger über Öl.", "ÄRGER ÖL")),
    AnsweredPassage(8.0, 9.0, answer("Without glosses.")),
]
SENTENCES = [
    (1000, 3000, "Anna drinks tea & <milk>."),
    (5500, 7250, "Ärger über Öl."),
    (8000, 9000, "Without glosses."),
]


def test_pympi_reads_the_tiers_and_refused_passages_have_no_annotation(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a b.mp4").touch()
    path = tmp_path / "out/a.eaf"
    write_eaf(path, PASSAGES, tmp_path / "videos/a b.mp4", "sentence")
    eaf = Eaf(str(path))
    assert list(eaf.get_tier_names()) == ["sentence", "gloss"]
    assert sorted(eaf.get_annotation_data_for_tier("sentence")) == SENTENCES
    assert sorted(eaf.get_annotation_data_for_tier("gloss")) == [
        (1000, 1500, "ANNA"),
        (1500, 3000, "TEA"),
        (5500, 7250, "ÄRGER ÖL"),
    ]
    (media,) = eaf.media_descriptors
    assert media["RELATIVE_MEDIA_URL"] == "./../videos/a b.mp4" and media["MIME_TYPE"] == "video/mp4"
    write_eaf(path, [], None, "sentence")  # over the first one, and with nothing to say
    assert Eaf(str(path)).media_descriptors == []
    assert [file.name for file in path.parent.iterdir()] == ["a.eaf"]


def test_an_eaf_file_that_a_person_made_or_changed_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    write_eaf(path, PASSAGES, None, "sentence")
    saved = Eaf(str(path))  # as ELAN saves it, with other ids and a property of its own
    saved.add_property("URN", "urn:nl-mpi-tools-elan-eaf:1")
    saved.to_file(str(path))
    write_eaf(path, PASSAGES, None, "sentence")
    changed = Eaf(str(path))
    changed.add_annotation("sentence", 10_000, 11_000, "By hand.")
    changed.to_file(str(path))
    own = tmp_path / "own.eaf"
    Eaf(author="Anna").to_file(str(own))
    (tmp_path / "broken.eaf").write_text("<x")
    for file in (path, own, tmp_path / "broken.eaf"):
        before = file.read_bytes()
        with pytest.raises(SignloomError, match=rf"{file.name} exists, and Signloom did not write it, or"):
            write_eaf(file, PASSAGES, None, "sentence")
        assert file.read_bytes() == before


def test_predict_ends_before_its_work_where_an_eaf_file_would_be_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").touch()
    Eaf(author="Anna").to_file(str(tmp_path / "a.eaf"))
    given = ["predict", str(tmp_path / "a.mp4"), "--eaf", str(tmp_path / "a.eaf")]
    assert main([*given, "--bundle", str(tmp_path / "a.mp4")]) == 2  # not even the bundle is read
    assert "a.eaf exists, and Signloom did not write it" in capsys.readouterr().err


# the order of elements below the root, and the attributes that each must have, in ELAN's schema 2.8
ORDER = ["LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT"]
REQUIRED = {
    "ANNOTATION_DOCUMENT": {"DATE", "AUTHOR", "VERSION"},
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE"},
    "TIME_SLOT": {"TIME_SLOT_ID"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"},
    "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID"},
    "CONSTRAINT": {"STEREOTYPE"},
    "PROPERTY": set(),
}


def test_the_eaf_file_keeps_the_rules_of_elans_schema(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    write_eaf(tmp_path / "a.eaf", PASSAGES, tmp_path / "a.mp4", "sentence")
    root = ElementTree.parse(tmp_path / "a.eaf").getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    places = [ORDER.index(child.tag) for child in root]
    assert places == sorted(places)
    for tag, names in REQUIRED.items():
        for element in root.iter(tag):
            assert names <= set(element.attrib), tag
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "-1")) for slot in root.iter("TIME_SLOT")}
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    assert len(annotations) == 6
    for annotation in annotations:
        assert [child.tag for child in annotation] == ["ANNOTATION_VALUE"]
        first, last = (slots[annotation.get(f"TIME_SLOT_REF{end}")] for end in (1, 2))
        assert 0 <= first < last
    ids = [annotation.get("ANNOTATION_ID") for annotation in annotations]
    assert len({*ids, *slots}) == len(ids) + len(slots)
    assert all(tier.get("LINGUISTIC_TYPE_REF") in types for tier in root.iter("TIER"))


@pytest.mark.parametrize("form", ["vtt", "srt"])
def test_pysubs2_reads_the_subtitles(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{form}"
    write_subtitles(path, PASSAGES, form)
    read = pysubs2.load(str(path), encoding="utf-8")
    assert [(event.start, event.end, event.plaintext) for event in read][1:] == SENTENCES[1:]
    text = path.read_text("utf-8")
    assert text.startswith("WEBVTT") == (form == "vtt")
    assert "00:00:05" in text and "Ärger über Öl." in text and "Nobody" not in text
    write_subtitles(path, [], form)
    assert list(pysubs2.load(str(path), encoding="utf-8", format_=form)) == []


@pytest.mark.parametrize("form", ["vtt", "srt"])
@pytest.mark.parametrize("text", ["{laugh} hello", "INDEX{1} GO", "C:\\new\\hello", "a < b & c > d"])
def test_subtitles_keep_what_looks_like_markup(form: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{form}"
    write_subtitles(path, [AnsweredPassage(0.0, 1.0, answer(text, "", accepted=True))], form)
    line = path.read_text("utf-8").replace("\u2060", "").split("-->")[1].splitlines()[1]
    assert (html.unescape(line) if form == "vtt" else line) == text
    assert form == "srt" or "<" not in line


@pytest.mark.parametrize("form", ["vtt", "srt"])
def test_a_text_of_several_lines_makes_no_cue_of_its_own(form: str, tmp_path: Path) -> None:
    path, text = tmp_path / f"a.{form}", "One.\r\n\n00:00:05.000 --> 00:00:09.000\nTwo."
    write_subtitles(path, [AnsweredPassage(0.0, 1.0, answer(text, "", accepted=True))], form)
    text = path.read_text("utf-8")
    assert text.count("-->") == 1
    assert "One. 00:00:05.000 --\u2060" in text


class SayingEngine(ListeningEngine):
    """In the engine's place: it accepts passages of more than 38 rows and names their length."""

    def answer(self, features: np.ndarray, *given: Any, **named: Any) -> Answer:
        return answer(f"This has {len(features)} rows.", "ROWS", accepted=len(features) > 38)


@pytest.fixture
def film(monkeypatch: pytest.MonkeyPatch) -> Film:
    """A recording with two passages, in the place of every video, and an engine that answers it."""
    film = Film(8, [(0.5, 1.5), (4.0, 5.5)])
    frames = [predict.Frame(n, float(time_s), film.picture(n)) for n, time_s in enumerate(film.times)]
    monkeypatch.setattr(predict, "read_frames", lambda video, folder_fps: iter(frames))
    monkeypatch.setattr(predict, "bundle_tracker", lambda engine: nullcontext(film))
    monkeypatch.setattr(predict, "load_engine", lambda *given, **named: SayingEngine())
    return film


def run(folder: Path, *source: str) -> int:
    files = [f"--{form}={folder}/a.{form}" for form in ("eaf", "vtt", "srt")]
    bundle = folder / "bundle.zip"
    bundle.touch()
    return main(["predict", *source, "--bundle", str(bundle), "--json", *files])


def test_what_was_answered_before_a_damaged_frame_is_written(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = predict.read_frames

    def damaged(video: Path, folder_fps: float | None) -> Iterator[predict.Frame]:
        yield from itertools.takewhile(lambda frame: frame.time_s < 7, read(video, folder_fps=folder_fps))
        raise VideoUnreadable("the frame at 7.00 s is damaged")

    monkeypatch.setattr(predict, "read_frames", damaged)
    (tmp_path / "a.mp4").touch()
    assert run(tmp_path, str(tmp_path / "a.mp4")) == 2
    assert "the frame at 7.00 s is damaged" in capsys.readouterr().err
    assert len(list(pysubs2.load(str(tmp_path / "a.vtt"), encoding="utf-8"))) >= 1


@pytest.mark.parametrize("option", [[], ["--stream"]])
@pytest.mark.usefixtures("film")
def test_predict_writes_every_accepted_passage_of_a_file_and_of_a_stream(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    assert run(tmp_path, *option, str(video)) == 0
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    assert any(event["event"] == "partial" for event in events) == bool(option)
    first, second = [event for event in events if event["event"] != "partial"]
    assert [event["accepted"] for event in (first, second)] == [False, True]
    start, end = (round(1000 * second[name]) for name in ("start_s", "end_s"))
    assert 3700 <= start <= 4000 and 5400 <= end <= 5800
    expected = [(start, end, second["matches"][0]["sentence"])]
    eaf = Eaf(str(tmp_path / "a.eaf"))
    assert eaf.get_annotation_data_for_tier("sentence") == expected
    assert eaf.get_annotation_data_for_tier("gloss") == [(start, end, "ROWS")]
    assert eaf.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./a.mp4"
    for form in ("vtt", "srt"):
        read = pysubs2.load(str(tmp_path / f"a.{form}"), encoding="utf-8")
        assert [(event.start, event.end, event.plaintext) for event in read] == expected
    assert f"{tmp_path}/a.vtt: 1 of 2 passages answered" in said.err


@pytest.mark.parametrize("option", [[], ["--stream"]])
@pytest.mark.usefixtures("film")
def test_whom_a_long_video_of_several_people_was_read_from_is_said_once(
    option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict.FaceFinder, "count", lambda self, image: 2)
    video = tmp_path / "a.mp4"
    video.touch()
    assert run(tmp_path, *option, str(video)) == 0
    said = capsys.readouterr()
    assert said.err.count("2 faces in the picture at 0.0 s; the person in the middle was read") == 1


@pytest.mark.usefixtures("film")
def test_files_of_answers_are_for_one_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "videos" / name).touch()
    for given, said in (
        (["a.mp4", "b.mp4"], "--eaf works for one video"),
        (["a.npz"], "--eaf works for a video, and a.npz has none"),
        (["a.pose"], "--eaf works for a video, and a.pose has none"),
        (["a.mp4", "--picture", "a.png"], "without --picture"),
        ([str(tmp_path / "videos")], "holds 2 videos"),
    ):
        assert run(tmp_path, *given) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (tmp_path / "a.eaf").exists()


@pytest.mark.parametrize(
    "name",
    [
        "my%20talk#1?.mp4",
        "Screen Recording at 10.02.03\u202fPM.mov",  # as macOS names them
        "می\u200cروم.mp4",
        "東京\u3000一.mp4",
    ],
)
def test_a_name_that_a_url_would_change_or_a_terminal_escape_is_found_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / name
    video.write_bytes(b"")
    write_eaf(tmp_path / "a.eaf", PASSAGES, video, "sentence")
    assert not capsys.readouterr().err
    rows = load_table("elan", tmp_path / "a.eaf", tmp_path, [ElanTiers(sentence="sentence", gloss=["gloss"])])
    assert {*rows["video"]} == {video.name}


def test_a_video_that_is_a_link_is_linked_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/0f3a.bin").touch()
    (tmp_path / "talk.mp4").symlink_to("store/0f3a.bin")
    write_eaf(tmp_path / "a.eaf", PASSAGES, tmp_path / "talk.mp4", "sentence")
    assert Eaf(str(tmp_path / "a.eaf")).media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./talk.mp4"


def test_a_recording_without_a_passage_has_the_tiers_of_its_bundle(tmp_path: Path) -> None:
    write_eaf(tmp_path / "a.eaf", [], None, "sign")
    assert list(Eaf(tmp_path / "a.eaf").get_tier_names()) == ["gloss"]


def test_a_sign_and_the_glosses_of_its_passage_do_not_overlap_in_one_tier() -> None:
    answer = replace(PASSAGES[0].answer, unit="sign", sign="TREE")
    assert answer.gloss_spans
    assert [one.text for one in glosses([PASSAGES[0]._replace(answer=answer)])] == ["TREE"]
