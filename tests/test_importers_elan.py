"""ELAN files: tiers by parameters, both hands merged, nested tiers, slots without a time, media by name."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from form_stages import read_corpus

from signloom.dataset.importers import load_table
from signloom.errors import SignloomError
from signloom.inference.annotations import Annotation, write_tiers
from tests.form_files import aligned, eaf, english, linked, tiers, values, write_videos
from tests.videos import write_frames

ENGLISH = {"sentence": "English translation", "gloss": ["main gloss", "non-dominant hand gloss"]}
GERMAN = [
    {
        "sentence": f"Deutsche_Übersetzung_{person}",
        "gloss": [f"Lexem_Gebärde_r_{person}", f"Lexem_Gebärde_l_{person}"],
        "media": f"_1{person.lower()}1.mp4",
    }
    for person in "AB"
]


def referring(*notes: tuple[str, str], first: int) -> str:
    """Return annotations that refer to others, given with their text."""
    return "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a{number}" ANNOTATION_REF="{parent}">'
        f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        for number, (parent, text) in enumerate(notes, start=first)
    )


def test_the_glosses_of_both_hands_are_merged_by_start_and_keep_their_times(tmp_path: Path) -> None:
    table = english(tmp_path / "t")
    videos = write_videos(tmp_path / "v", "deep/story.mp4", seconds=4)
    read = read_corpus(tmp_path, "elan", table, videos, mode="clip", elan=[ENGLISH])
    assert values(read.clips, "clip_id", "sentence", "gloss", "signer_id") == [
        ["deep/story@0-1", "Come & see!", 'IX LOOK 5"come_here"', "anna"],
        # both hands make one sign: it counts once
        ["deep/story@1-2", "She goes.", "GO", "anna"],
    ]
    assert [json.loads(times) for times in read.clips["gloss_times"]] == [
        [[0.0, 0.5], [0.4, 0.9], [0.9, 1.0]],
        [[0.5, 0.9]],
    ]
    # an annotation without text says nothing about its clip
    assert values(read.rejects, "row", "reason") == [["story.eaf:English translation:3", "bad_row"]]


def test_two_persons_have_their_own_tiers_cameras_and_names(tmp_path: Path) -> None:
    slots = dict(zip("abcd", (240, 3500, 500, 620), strict=True))
    parts = []
    for number, person in enumerate("AB"):
        base = 100 * number
        parts += [
            (
                f'TIER_ID="Deutsche_Übersetzung_{person}" PARTICIPANT="ber-1{number}"',
                aligned(("a", "b", f"Satz {person}."), first=base + 1),
            ),
            (f'TIER_ID="Lexem_Gebärde_r_{person}"', aligned(("c", "d", "ZEIT5A*"), first=base + 2)),
            (f'TIER_ID="Lexem_Gebärde_l_{person}"', aligned(("d", "b", "$GEST-OFF^*"), first=base + 3)),
        ]
    (tmp_path / "t/deep").mkdir(parents=True)
    (tmp_path / "t/deep/1.eaf").write_text(eaf(slots, linked("1_1a1.mp4", "1_1b1.mp4"), *parts), "utf-8")
    videos = write_videos(tmp_path / "v", "1_1a1.mp4", "1_1b1.mp4", seconds=4)
    read = read_corpus(tmp_path, "elan", tmp_path / "t", videos, mode="signer", elan=GERMAN)
    assert values(read.clips, "clip_id", "sentence", "gloss", "signer_id") == [
        ["1_1a1@0.24-3.5", "Satz A.", "ZEIT5A* $GEST-OFF^*", "ber-10"],
        ["1_1b1@0.24-3.5", "Satz B.", "ZEIT5A* $GEST-OFF^*", "ber-11"],
    ]


def test_slots_without_a_time_divide_the_time_between_their_neighbours(tmp_path: Path) -> None:
    slots = {"a": 1000, "b": None, "c": None, "d": 4000, "e": 4000, "f": 5000123, "g": None}
    file = tmp_path / "x.eaf"
    notes = aligned(("a", "b", "A"), ("b", "c", "B"), ("c", "d", "C"), ("f", "g", "LOST"), first=10)
    sentence = aligned(("a", "d", "One."), ("f", "g", "Open."), first=1)
    file.write_text(eaf(slots, "", ('TIER_ID="s"', sentence), ('TIER_ID="g"', notes)))
    rows = load_table("elan", file, tmp_path, tiers({"sentence": "s", "gloss": ["g"], "signer": "eve"}))
    assert values(rows, "start_s", "end_s", "gloss", "signer_id") == [
        ["1", "4", "A B C", "eve"],
        # nothing says when it ends: the manifest rejects the row
        ["5000.123", "no time", "", "eve"],
    ]
    assert rows["gloss_times"][0] == ""  # nobody said when the glosses are signed
    assert rows["video"].tolist() == ["x", "x"]


def test_a_time_that_glosses_share_orders_them_and_is_no_time_of_theirs(tmp_path: Path) -> None:
    slots = {"a": 0, "b": 3000, "c": 4000}
    file = tmp_path / "x.eaf"
    text = eaf(
        slots,
        linked("x.mp4"),
        ('TIER_ID="utterance"', aligned(("a", "b", "u1"), ("b", "c", "u2"), first=1)),
        (
            'TIER_ID="translation" PARENT_REF="utterance"',
            referring(("a1", "Three."), ("a2", "One."), first=5),
        ),
        (
            'TIER_ID="words" PARENT_REF="utterance"',
            referring(("a1", "A"), ("a1", "B"), ("a1", "C"), ("a2", "D"), first=10),
        ),
        ('TIER_ID="gloss" PARENT_REF="words"', referring(("a10", "a"), ("a12", "c"), ("a13", "d"), first=20)),
    )
    file.write_text(text)
    rows = load_table("elan", file, tmp_path, tiers({"sentence": "translation", "gloss": ["gloss"]}))
    assert values(rows, "start_s", "end_s", "sentence", "gloss") == [
        ["0", "3", "Three.", "a c"],
        ["3", "4", "One.", "d"],
    ]
    # shares of a time are an order, and no times
    assert rows["gloss_times"].tolist() == ["", "[[0.0, 1.0]]"]


def test_a_tier_that_no_file_has_is_named_with_those_there_are(tmp_path: Path) -> None:
    file = english(tmp_path)
    wrong = tiers({"sentence": "English", "gloss": []})
    with pytest.raises(
        SignloomError, match=r"no file has the tier 'English'; the files have: English transl"
    ):
        load_table("elan", file, tmp_path, wrong)
    with pytest.raises(SignloomError, match=r"dataset\.elan: name the tiers"):
        load_table("elan", file, tmp_path)


def test_files_without_the_tiers_are_a_warning_of_the_stage_that_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        english(tmp_path / "t", f"{name}.eaf")
    for name, tier in (("b", "English translation"), ("c", "main gloss"), ("c", "non-dominant hand gloss")):
        file = tmp_path / f"t/{name}.eaf"
        file.write_text(file.read_text("utf-8").replace(f'"{tier}"', f'"{tier.upper()}"'), "utf-8")
    for n, name in enumerate("ac"):
        file = tmp_path / f"t/{name}.eaf"
        file.write_text(file.read_text("utf-8").replace("story.mp4", f"{n}.mp4"), "utf-8")
    videos = write_videos(tmp_path / "v", "0.mp4", "1.mp4", seconds=4)
    read_corpus(tmp_path, "elan", tmp_path / "t", videos, mode="clip", elan=[ENGLISH])
    assert [line for line in capsys.readouterr().err.splitlines() if " tier " in line] == [
        "warning: no tier 'English translation' in 1 of 3 ELAN files, which give no clip; first "
        f"{tmp_path}/t/b.eaf, which has: ENGLISH TRANSLATION, main gloss, non-dominant hand gloss",
        "warning: no tier 'main gloss' or 'non-dominant hand gloss' in 1 of 3 ELAN files, which give no "
        f"gloss; first {tmp_path}/t/c.eaf, which has: English translation, MAIN GLOSS, "
        "NON-DOMINANT HAND GLOSS",
    ]


def test_glosses_that_lie_in_no_sentence_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "x.eaf"
    sentence = ('TIER_ID="s"', aligned(("a", "b", "Hi."), first=1))
    glosses = ('TIER_ID="g"', aligned(("a", "b", "HI"), ("b", "c", "LATER"), ("c", "d", "MORE"), first=2))
    slots = {"a": 0, "b": 1500, "c": 2000, "d": 3000}
    file.write_text(eaf(slots, linked("x.mp4"), sentence, glosses), "utf-8")
    warnings: list[str] = []
    given = tiers({"sentence": "s", "gloss": ["g"]})
    rows = load_table("elan", file, tmp_path, given, warnings=warnings)
    assert rows["gloss"].tolist() == ["HI"]
    assert warnings == [
        f"2 glosses lie in no annotation of tier 's', so no clip has them; first {file} at 1.5 s"
    ]


def test_glosses_of_people_who_share_a_tier_are_in_the_sentences_of_one(tmp_path: Path) -> None:
    file = tmp_path / "x.eaf"
    one = ('TIER_ID="one"', aligned(("a", "b", "Hi."), first=1))
    two = ('TIER_ID="two"', aligned(("b", "c", "Later."), first=2))
    glosses = ('TIER_ID="g"', aligned(("a", "b", "HI"), ("b", "c", "LATER"), ("c", "d", "MORE"), first=3))
    slots = {"a": 0, "b": 1500, "c": 2000, "d": 3000}
    file.write_text(eaf(slots, linked("x.mp4"), one, two, glosses), "utf-8")
    warnings: list[str] = []
    given = tiers({"sentence": "one", "gloss": ["g"]}, {"sentence": "two", "gloss": ["g"]})
    rows = load_table("elan", file, tmp_path, given, warnings=warnings)
    assert rows["gloss"].tolist() == ["HI", "LATER"]
    assert [line.partition(" in no")[0] for line in warnings] == ["1 gloss lies"] * 2
    assert all(line.endswith("at 2 s") for line in warnings)


def test_a_video_that_is_taken_in_place_of_the_first_linked_one_is_named(tmp_path: Path) -> None:
    sentence = ('TIER_ID="s"', aligned(("a", "b", "Hi."), first=1))
    media = linked("sound.mp3", "front.mp4", "side.mp4")
    file = tmp_path / "x.eaf"
    file.write_text(eaf({"a": 0, "b": 1500}, media, sentence), "utf-8")
    write_videos(tmp_path, "side.mov")
    warnings: list[str] = []
    rows = load_table("elan", file, tmp_path, tiers({"sentence": "s"}), warnings=warnings)
    assert rows["video"].tolist() == ["side.mov"]
    assert warnings == [
        "1 ELAN file links a video that is not there, and another one is taken; "
        f"first {file}: side.mov in place of front.mp4"
    ]
    write_videos(tmp_path, "front.mov")
    load_table("elan", file, tmp_path, tiers({"sentence": "s"}), warnings=warnings)
    assert len(warnings) == 1


def test_two_files_for_one_part_of_a_video_are_an_error_that_names_both(tmp_path: Path) -> None:
    first, second = english(tmp_path / "t", "a.eaf"), english(tmp_path / "t", "a_corrected.eaf")
    videos = write_videos(tmp_path / "v", "story.mp4", seconds=4)
    said = r"a\.eaf and \S+/a_corrected\.eaf both have the tier 'English translation' of story\.mp4 at 0.04 s"
    corrected = second.read_text("utf-8").replace('"0"', '"40"').replace("Come &amp; see", "Come and see")
    second.write_text(corrected, "utf-8")
    with pytest.raises(SignloomError, match=said):
        load_table("elan", tmp_path / "t", videos, tiers(ENGLISH))
    # the file of another person
    second.write_text(corrected.replace('"anna"', '"ben"'), "utf-8")
    assert len(load_table("elan", tmp_path / "t", videos, tiers(ENGLISH))) == 6
    # the rest of the video, which begins a little before the end of the first part
    later = {str(time): str(time + 1900) for time in (0, 400, 500, 900, 1000, 1400, 1500, 1900, 2000, 3000)}
    text = re.sub(
        r'TIME_VALUE="(\d+)"', lambda found: f'TIME_VALUE="{later[found[1]]}"', first.read_text("utf-8")
    )
    second.write_text(text, "utf-8")
    assert len(load_table("elan", tmp_path / "t", videos, tiers(ENGLISH))) == 6


def test_landmarks_and_folders_of_pictures_are_found_as_videos_are(tmp_path: Path) -> None:
    (tmp_path / "v/deep").mkdir(parents=True)
    (tmp_path / "v/deep/talk.pose").touch()
    write_frames(tmp_path / "v/deep/walk")
    for name in ("talk.pose", "walk"):
        said = {"sentence": [Annotation(0, 1000, "Hi.")]}
        write_tiers(tmp_path / f"t/{Path(name).stem}.eaf", said, tmp_path / "v/deep" / name)
    given = tiers({"sentence": "sentence"})
    rows = load_table("elan", tmp_path / "t", tmp_path / "v", given)
    assert rows["video"].tolist() == ["deep/talk.pose", "deep/walk"]
    write_videos(tmp_path / "v", "talk.mp4", "walk.mp4")  # a video of the name comes first
    rows = load_table("elan", tmp_path / "t", tmp_path / "v", given)
    assert rows["video"].tolist() == ["deep/talk.pose", "walk.mp4"]


def test_several_landmarks_or_folders_of_a_name_are_no_video(tmp_path: Path) -> None:
    write_tiers(tmp_path / "t/walk.eaf", {"sentence": [Annotation(0, 1000, "Hi.")]}, tmp_path / "walk.mp4")
    write_frames(tmp_path / "v/one/walk")
    write_frames(tmp_path / "v/two/walk")
    given = tiers({"sentence": "sentence"})
    assert load_table("elan", tmp_path / "t", tmp_path / "v", given)["video"].tolist() == ["walk"]
    (tmp_path / "v/walk.pose").touch()
    assert load_table("elan", tmp_path / "t", tmp_path / "v", given)["video"].tolist() == ["walk.pose"]


def test_a_linked_video_that_was_converted_is_found_by_its_name(tmp_path: Path) -> None:
    file = english(tmp_path / "t", "session1_AB.eaf")
    file.write_text(file.read_text("utf-8").replace("story.mp4", "story.mpg"), "utf-8")
    videos = write_videos(tmp_path / "v", "deep/story.MP4", "other.mp4")
    assert set(load_table("elan", file, videos, tiers(ENGLISH))["video"]) == {"deep/story.MP4"}
    (videos / "deep/story.MP4").unlink()
    assert set(load_table("elan", file, videos, tiers(ENGLISH))["video"]) == {"story.mpg"}


def test_times_are_those_of_the_video_where_elan_shifts_it(tmp_path: Path) -> None:
    file = english(tmp_path)
    plain = load_table("elan", file, tmp_path, tiers(ENGLISH))
    text = file.read_text("utf-8")
    shifted = text.replace("<MEDIA_DESCRIPTOR ", '<MEDIA_DESCRIPTOR TIME_ORIGIN="1500" ')
    file.write_text(shifted, "utf-8")
    moved = load_table("elan", file, tmp_path, tiers(ENGLISH))
    for name in ("start_s", "end_s"):
        np.testing.assert_allclose(moved[name].astype(float), plain[name].astype(float) + 1.5)
    assert moved["gloss_times"].tolist() == plain["gloss_times"].tolist()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_tiers_match_whatever_way_their_letters_are_composed(tmp_path: Path, form: Any) -> None:
    other = "NFC" if form == "NFD" else "NFD"
    one, two = unicodedata.normalize(form, "Übersetzung"), unicodedata.normalize(other, "Übersetzung")
    hand, glosses = unicodedata.normalize(form, "Gebärde"), unicodedata.normalize(other, "Gebärde")
    sentence = (f'TIER_ID="{one}"', aligned(("a", "b", "Hi."), first=1))
    gloss = (f'TIER_ID="{hand}"', aligned(("a", "b", "HI"), first=2))
    (tmp_path / "x.eaf").write_text(eaf({"a": 0, "b": 1000}, linked("x.mp4"), sentence, gloss), "utf-8")
    given = tiers({"sentence": two, "gloss": [glosses]})
    rows = load_table("elan", tmp_path / "x.eaf", tmp_path, given)
    assert values(rows, "sentence", "gloss") == [["Hi.", "HI"]]


def test_two_videos_of_the_linked_name_are_an_error(tmp_path: Path) -> None:
    file = english(tmp_path / "t")
    videos = write_videos(tmp_path / "v", "a/story.mp4", "b/story.mp4")
    with pytest.raises(SignloomError, match=r"a/story\.mp4 and b/story\.mp4 are both called story\.mp4"):
        load_table("elan", file, videos, tiers(ENGLISH))


def test_a_file_that_names_no_schema_is_read(tmp_path: Path) -> None:
    file = english(tmp_path)
    whole = load_table("elan", file, tmp_path, tiers(ENGLISH))
    text, count = re.subn(r'xsi:noNamespaceSchemaLocation="[^"]*"', "", file.read_text("utf-8"))
    file.write_text(text, "utf-8")
    assert count == 1 and load_table("elan", file, tmp_path, tiers(ENGLISH)).equals(whole)


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.eaf").write_text("<ANNOTATION_DOCUMENT")
    with pytest.raises(SignloomError, match=r"x\.eaf: not a readable ELAN file") as error:
        load_table("elan", tmp_path / "x.eaf", tmp_path, tiers(ENGLISH))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        (
            referring(("a77", "q"), first=9),
            "tier 's': an annotation refers to 'a77', which the file does not",
        ),
        (aligned(("a", "z", "q"), first=9), "tier 's': an annotation refers to 'ts122', which the file does"),
        (referring(("a9", "q"), first=9), "tier 's': annotations refer to each other in a circle"),
    ],
)
def test_an_annotation_that_refers_to_nothing_is_named_with_its_tier(
    tmp_path: Path, notes: str, said: str
) -> None:
    file = tmp_path / "x.eaf"
    upper = ('TIER_ID="u"', aligned(("a", "b", "Hi"), first=1))
    file.write_text(eaf({"a": 0, "b": 1000}, linked("x.mp4"), upper, ('TIER_ID="s"', notes)))
    with pytest.raises(SignloomError, match=rf"x\.eaf: {said}") as error:
        load_table("elan", file, tmp_path, tiers({"sentence": "s"}))
    assert "\n" not in str(error.value)


def test_annotations_that_share_a_time_follow_their_chain_and_not_the_file(tmp_path: Path) -> None:
    notes = [("a13", "a12", "THIRD"), ("a11", "", "FIRST"), ("a12", "a11", "SECOND")]
    chain = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{key}" ANNOTATION_REF="a1"'
        + (f' PREVIOUS_ANNOTATION="{before}"' if before else "")
        + f"><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        for key, before, text in notes
    )
    whole = ('TIER_ID="English translation"', aligned(("s", "t", "All."), first=1))
    glosses = ('TIER_ID="main gloss" PARENT_REF="English translation"', chain)
    file = tmp_path / "a.eaf"
    file.write_text(eaf({"s": 0, "t": 3000}, linked("a.mp4"), whole, glosses), "utf-8")
    rows = load_table(
        "elan", file, tmp_path, tiers({"sentence": "English translation", "gloss": ["main gloss"]})
    )
    assert rows["gloss"].tolist() == ["FIRST SECOND THIRD"]
