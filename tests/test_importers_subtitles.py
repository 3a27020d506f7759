"""Subtitles beside videos, alone (.srt, .vtt) and with spotted glosses (BOBSL)."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_stages import read_corpus

from signloom.dataset.importers import load_table
from signloom.errors import SignloomError
from tests.form_files import SRT, bobsl, values, write, write_videos

VTT = "WEBVTT\n\nNOTE made by hand\n\nfirst\n00:00.500 --> 00:01.000 align:start position:0%\n"
VTT += "<v Anna>Hello <b>you</b>\n\n00:00:01.000 --> 00:00:02.000\n\n00:00:02.000 --> 00:00:03.000\nBye.\n\n"
VTT += "01:00:04.125 --> 02:46:40.001\nLate.\n"


def test_cues_of_srt_and_webvtt_are_clips_of_the_video_of_that_name(tmp_path: Path) -> None:
    table = write(tmp_path / "t", **{"srf__2020-03-13__srt": SRT, "talk__en-GB__vtt": VTT})
    videos = write_videos(
        tmp_path / "v", "srf.2020-03-13.mp4", "deep/talk.webm.mp4", "deep/talk.mp4", seconds=4
    )
    read = read_corpus(tmp_path, "subtitles", table, videos, mode="clip")
    assert values(read.clips, "clip_id", "sentence") == [
        ["deep/talk@0.5-1", "Hello you"],
        ["deep/talk@2-3", "Bye."],
        ["srf.2020-03-13@0-1.5", "Grüezi miteinander & so"],
        ["srf.2020-03-13@2-3.25", "Schnee."],
    ]
    assert read.rejects["reason"].tolist() == ["past_end"]


def test_the_milliseconds_of_a_long_video_are_kept(tmp_path: Path) -> None:
    rows = load_table("subtitles", write(tmp_path, a__vtt=VTT) / "a.vtt", tmp_path)
    assert values(rows, "start_s", "end_s")[-1] == ["3604.125", "10000.001"]


def test_subtitles_beside_their_videos_are_one_folder(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "v", "a.mp4", seconds=4)
    write(videos, a__srt=SRT, gone__srt=SRT)
    read = read_corpus(tmp_path, "subtitles", videos, videos, mode="clip")
    assert read.clips["clip_id"].tolist() == ["a@0-1.5", "a@2-3.25"]
    assert values(read.rejects, "row", "reason") == [["gone.srt:1", "missing"], ["gone.srt:2", "missing"]]


def test_of_two_videos_of_one_name_the_one_beside_the_subtitles_is_meant(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "v", "red/1.mp4", "green/1.mp4", seconds=4)
    write(videos / "red", **{"1__srt": SRT})
    rows = load_table("subtitles", videos, videos)
    assert rows["video"].tolist() == ["red/1.mp4", "red/1.mp4"]
    with pytest.raises(SignloomError, match=r"green/1\.mp4 and red/1\.mp4 are both called 1;"):
        load_table("subtitles", write(tmp_path / "t", **{"1__srt": SRT}), videos)


@pytest.mark.parametrize(
    "text",
    [
        "<c.japanese><ruby>東<rt>とう</rt>京<rt>きょう</rt></ruby>へ</c>",
        "<ruby>東<rp>(</rp><rt>とう</rt><rp>)</rp>京<rt>きょう</ruby>へ",
        "<ruby>東京<RT class='x'>とうきょう\n</RT></ruby>へ",
    ],
)
def test_how_characters_are_read_is_no_part_of_a_sentence(tmp_path: Path, text: str) -> None:
    table = write(tmp_path, a__vtt=f"WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n")
    assert load_table("subtitles", table, tmp_path)["sentence"].tolist() == ["東京へ"]


def test_subtitles_in_another_encoding_are_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    write(tmp_path, a__srt=SRT.encode("cp1252", "ignore"))
    with pytest.raises(SignloomError, match=r"a\.srt: it is no UTF-8 text; save it as UTF-8$"):
        load_table("subtitles", tmp_path / "a.srt", tmp_path)


def test_bobsl_puts_spotted_glosses_into_subtitles_by_their_times(tmp_path: Path) -> None:
    table = bobsl(tmp_path / "t")
    videos = write_videos(tmp_path / "v", "5085.mp4", "52.mp4", seconds=4)
    read = read_corpus(tmp_path, "bobsl", table, videos)
    assert values(read.clips, "clip_id", "sentence", "gloss", "split") == [
        # the same sign, spotted by two methods, counts once; an aligned file is preferred
        ["5085@0-2", "New times.", "tree come_here", "train"],
        ["5085@2-4", "It snows.", "tree", "train"],
        ["52@0-2", "A.", "", "val"],
        ["52@2-4", "It snows.", "tree", "val"],
    ]
    assert set(read.clips["gloss_times"]) == {""}
    assert list(read.splits.values()) == ["train", "train", "val", "val"]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("mouthing", '{"train": {"tree": {"names": ["5085"]}}}', r"train\.tree\.global_times is missing"),
        ("mouthing", '{"train": {"tree": 3}}', r"train\.tree: .*, found 3"),
        (
            "mouthing",
            '{"train": {"tree": {"names": ["5085"], "global_times": []}}}',
            r"train\.tree: .*as many",
        ),
        (
            "mouthing",
            '{"train": {"tree": {"names": ["5085"], "global_times": ["x"]}}}',
            r".*global_times\[0\]: .*'x'$",
        ),
        ("subset2episode", '{"train": 3}', "train: .*, found 3$"),
        ("subset2episode", '["5085"]', "the file: .*found "),
        (
            "subset2episode",
            '{"train": ["5085"], "public_test": ["5085"]}',
            "episode 5085 is in train and in test",
        ),
    ],
)
def test_json_of_another_structure_is_named_with_its_place(
    tmp_path: Path, file: str, content: str, said: str
) -> None:
    table = bobsl(tmp_path)
    folder = "spottings" if file == "mouthing" else "metadata"
    write(table / folder, **{f"{file}__json": content})
    with pytest.raises(SignloomError, match=rf"{file}\.json: {said}"):
        load_table("bobsl", table, tmp_path)


def test_an_episode_may_be_a_number(tmp_path: Path) -> None:
    table = bobsl(tmp_path)
    write(table / "metadata", subset2episode__json='{"train": [5085]}')
    assert set(load_table("bobsl", table, tmp_path)["video"]) == {"5085.mp4"}


BLOCKS = """WEBVTT
Kind: captions

STYLE
::cue { color: white }

name 1
00:01.000 --> 00:02.000 align:start
Good {very} <i>evening</i>.
It is
2020

NOTE this cue is unsure
and so is this

name 2
00:03.000 --> 00:03.500
{\\an8}Bye.
4
00:03.600 --> 00:03.900
Again.
"""


def test_names_notes_and_styles_are_no_text_and_a_text_keeps_its_words(tmp_path: Path) -> None:
    rows = load_table("subtitles", write(tmp_path, a__vtt=BLOCKS) / "a.vtt", tmp_path)
    assert values(rows, "start_s", "end_s", "sentence") == [
        ["1", "2", "Good {very} evening. It is 2020"],
        ["3", "3.5", "Bye."],
        ["3.6", "3.9", "Again."],
    ]


def test_no_cue_is_lost_however_its_times_are_written(tmp_path: Path) -> None:
    times = ["00:00:00,500 --> 00:00:01", "00:00:01 -> 00:00:02.5", "0:03 --> 0:04 line:-1"]
    times += ["00:00:05,0 --> 00:00:06,0  X1:40 Y1: 20"]
    text = "\n".join(f"{number}\n{line}\nText {number}\n" for number, line in enumerate(times))
    (tmp_path / "a.srt").write_bytes(text.replace("\n", "\r\r\n").encode())
    rows = load_table("subtitles", tmp_path / "a.srt", tmp_path)
    assert values(rows, "start_s", "end_s", "sentence") == [
        ["0.5", "1", "Text 0"],
        ["1", "2.5", "Text 1"],
        ["3", "4", "Text 2"],
        ["5", "6", "Text 3"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("00:00:01 --> later\nHello\n", "a.srt: line 1: '00:00:01 --> later' has no two times"),
        ("Hello\nworld\n", "a.srt: it has no line of times such as 00:00:03,000"),
    ],
)
def test_a_file_whose_cues_nobody_can_read_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, a__srt=text)
    with pytest.raises(SignloomError, match=said):
        load_table("subtitles", tmp_path / "a.srt", tmp_path)


def test_music_and_dots_are_no_sentences(tmp_path: Path) -> None:
    said = ["♪♪", "...", "- 好", "नमस्ते", "3!", "\U00040001\U00040d31"]
    text = "\n\n".join(f"00:00:0{n},0 --> 00:00:0{n + 1},0\n{one}" for n, one in enumerate(said))
    rows = load_table("subtitles", write(tmp_path, a__srt=text) / "a.srt", tmp_path)
    assert rows["sentence"].tolist() == said[2:]


def test_only_tags_are_no_text(tmp_path: Path) -> None:
    text = "1\n00:00:01,0 --> 00:00:02,0\nHello<br>world, <i>I</i> <3 you and > <00:00:01.500>me\n"
    rows = load_table("subtitles", write(tmp_path, a__srt=text) / "a.srt", tmp_path)
    assert rows["sentence"].tolist() == ["Hello world, I <3 you and > me"]


def test_files_in_hidden_folders_are_not_read(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "v", "a.mp4", ".trash/a.mp4", seconds=4)
    write(videos, a__srt=SRT)
    write(videos / ".trash", a__srt=SRT)
    rows = load_table("subtitles", videos, videos)
    assert {*rows["video"]} == {"a.mp4"} and len(rows) == 2


@pytest.mark.parametrize(
    "text", ["WEBVTT\nKind: captions\n\n", "WEBVTT\n\nNOTE of old --> new\n", "", "WEBVTT\n\nSTYLE\na\n"]
)
def test_a_file_without_a_cue_does_not_keep_the_others_from_being_read(tmp_path: Path, text: str) -> None:
    rows = load_table("subtitles", write(tmp_path, a__srt=SRT, b__vtt=text), tmp_path)
    assert len(rows) == 2


def test_what_looks_like_times_within_a_text_is_text(tmp_path: Path) -> None:
    text = "1\n00:00:01,000 --> 00:00:03,000\ngo --> left from\n10:30 -> 11:00 open\n10:30 -> 11:00\n"
    rows = load_table("subtitles", write(tmp_path, a__srt=text) / "a.srt", tmp_path)
    assert rows["sentence"].tolist() == ["go --> left from 10:30 -> 11:00 open 10:30 -> 11:00"]
