"""`signloom init` and tables as people keep them: what cannot be used is named, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.form_files import write, write_videos

Said = Callable[..., tuple[int, str, str]]
NAMES = [f"{person}/{number}.mp4" for person in ("anna", "ben", "cem", "dora") for number in range(3)]


@pytest.fixture
def folder(new_project: Path) -> Path:
    """Videos in a folder for each person, which are not the names of signs."""
    place = new_project / "data/own"
    write_videos(place, *NAMES)
    return place


def rows(*more: str, names: list[str] = NAMES) -> list[str]:
    head = "file;translation;participant"
    return [head, *(f"{name};I go {n % 3}.;{name[:3]}" for n, name in enumerate(names)), *more]


@pytest.mark.parametrize(
    ("lines", "encoding", "why"),
    [
        (
            rows("anna/0.mp4;Für dich.;ann"),
            "cp1252",
            "list.csv: line 14 is no UTF-8 text; save the file as CSV UTF-8",
        ),
        (rows(), "utf-16", "list.csv: line 1 is no UTF-8 text"),
        (rows(rows()[3]), "utf-8", "list.csv: line 14 names anna/2.mp4 again, as line 4 does"),
        (
            [line.replace("translation", "Satz") for line in rows()],
            "utf-8",
            "no column is called like a text; its columns are file, Satz, participant: call one sentence",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_the_reason(
    folder: Path, said: Said, lines: list[str], encoding: str, why: str
) -> None:
    (folder / "list.csv").write_bytes("\n".join([*lines, ""]).encode(encoding))
    code, _, err = said("init", "data/own")
    assert code == 2 and not Path("config/presets/own.yaml").exists()  # the folders are those of people
    assert f"init: data/own/list.csv: {why}".replace("list.csv: list.csv", "list.csv") in err
    assert "signs instead (anna, ben, cem, dora), move the file out of data/own" in err


def test_files_that_name_no_video_do_not_keep_folders_from_being_signs(folder: Path, said: Said) -> None:
    pd.DataFrame({"name": ["Ann"], "age": [33]}).to_excel(folder / "people.xlsx", index=False)
    write(folder, notes__csv="Notes of May\nAnn, 2, left-handed\n")
    write(folder, labels__csv="label,number\nanna,0\nben,1\ncem,2\ndora,3\n")  # the names of videos too
    (folder / "~$people.xlsx").write_bytes(b"\5Ann")  # as Excel marks a workbook that is open
    code, out, err = said("init", "data/own")
    assert code == 0 and "folders named after signs" in out and "not used" not in out, err


def test_numbers_of_takes_that_several_people_have_are_named(folder: Path, said: Said) -> None:
    write(folder, list__csv="\n".join(["person,take,Satz", *(f"p,{n % 3},Ich gehe." for n in range(9)), ""]))
    assert "list.csv: data/own: anna/0.mp4 and ben/0.mp4 are both called 0" in said("init", "data/own")[2]
    write(folder, list__csv="person,take,sentence\nanna,0,I go.\nben,1,You go.\n")
    code, _, err = said("init", "data/own")
    assert code == 2 and "list.csv: data/own: anna/0.mp4 and ben/0.mp4 are both called 0" in err


@pytest.mark.parametrize(
    "lines",
    [["nr;Satz", "0;Ich gehe.", "1;Du gehst."], ["Person;nr;Satz", "anna;0;Ich gehe.", "anna;1;Du gehst."]],
)
def test_a_short_table_of_texts_keeps_folders_of_people_from_being_signs(
    folder: Path, said: Said, lines: list[str]
) -> None:
    write(folder, list__csv="\n".join([*lines, ""]))
    code, _, err = said("init", "data/own")
    assert code == 2 and "list.csv: data/own: anna/0.mp4 and ben/0.mp4 are both called 0" in err
    assert "signs instead (anna, ben, cem, dora), move the file out of data/own" in err


def test_a_list_of_labels_in_any_language_leaves_folders_signs(folder: Path, said: Said) -> None:
    labels = ["anna;0;Gruß", "ben;1;Gruß", "cem;2;"]
    write(folder, labels__csv="\n".join(["Gebärde;Nummer;Beschreibung", *labels, ""]))
    code, out, err = said("init", "data/own")
    assert code == 0 and "folders named after signs" in out, err


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["id;name;age", "0;Ute;33", "1;Max;41"], 0),
        (["ID;Name;Age;Gender", "0;Ute;33;f", "1;Max;41;m"], 0),
        (["id;name;age", "0;anna;33", "1;ben;41"], 2),  # the folders are those of people
        (["nr;Satz;age", "0;Ich gehe.;33", "1;Du gehst.;41"], 2),
        (["nr;name", "0;Hallo", "1;Danke"], 2),
    ],
)
def test_a_list_of_people_is_no_table_of_texts(folder: Path, said: Said, lines: list[str], code: int) -> None:
    write(folder, signers__csv="\n".join([*lines, ""]))
    assert said("init", "data/own")[0] == code


def test_without_folders_the_reason_is_the_error(new_project: Path, said: Said) -> None:
    names = write_videos(new_project / "data/own", *(name.replace("/", "_") for name in NAMES)) and NAMES
    lines = rows(names=[name.replace("/", "_") for name in names])
    write(new_project / "data/own", list__csv="\n".join(lines).replace("translation", "Satz") + "\n")
    code, _, err = said("init", "data/own")
    assert code == 2 and "list.csv: no column is called like a text" in err


@pytest.mark.parametrize("change", [lambda name: name.replace("/", "\\"), lambda name: name])
def test_names_as_windows_writes_them_are_found(
    folder: Path, said: Said, change: Callable[[str], str]
) -> None:
    write(folder, list__csv="\n".join(rows(names=[change(name) for name in NAMES])) + "\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "columns   video = file, sentence = translation, signer_id = participant" in out
    assert "copied to data/own/clips.csv: from now on, correct that copy" in out
    assert pd.read_csv("data/own/clips.csv")["video"].tolist() == NAMES


@pytest.mark.parametrize(
    "change", [lambda name: "C:\\Ann\\" + name.replace("/", "\\"), lambda name: name[:-4]]
)
def test_of_videos_with_one_name_the_one_in_the_named_folder_is_found(
    new_project: Path, said: Said, change: Callable[[str], str]
) -> None:
    write_videos(new_project / "data/own/films/new", *NAMES)
    write(new_project / "data/own", list__csv="\n".join(rows(names=[change(name) for name in NAMES])) + "\n")
    code, _, err = said("init", "data/own")
    assert code == 0, err
    assert pd.read_csv("data/own/clips.csv")["video"].tolist() == [f"films/new/{name}" for name in NAMES]


def test_a_suffix_in_capitals_is_the_same_video(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/own", *(f"IMG_{n}.mp4" for n in range(9)))
    lines = ["file,sentence", *(f"IMG_{n}.MP4,I go {n % 3}." for n in range(9))]
    write(new_project / "data/own", list__csv="\n".join(lines) + "\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "clips     9" in out


def test_who_has_withdrawn_is_neither_counted_nor_copied(folder: Path, said: Said) -> None:
    write(folder, list__csv="\n".join(rows()) + "\n")
    write(folder, withdrawn__csv="clip_id,signer_id,video_hash,withdrawn_on\n,ann,,2026-01-01\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "clips     9" in out and "signers   3: ben, cem, dor" in out
    assert "ann" not in Path("data/own/clips.csv").read_text()


def test_empty_rows_of_a_spreadsheet_are_no_clips(folder: Path, said: Said) -> None:
    lines = [line.replace("file", "video").replace("translation", "sentence") for line in rows(";;", " ; ;")]
    write(folder, clips__csv="\n".join(lines).replace("participant", "signer_id") + "\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "clips     12" in out
    code, out, _ = said("check", "own")
    assert "clips     12 of 12 rows" in out


@pytest.mark.parametrize(("width", "features"), [(64, True), (258, False)])
def test_a_table_of_rows_below_it_gets_a_preset_that_check_takes(
    new_project: Path, said: Said, width: int, features: bool
) -> None:
    place = new_project / "data/own"
    (place / "rows").mkdir(parents=True)
    for n in range(12):
        np.save(place / f"rows/{n}.npy", np.random.default_rng(n).random((50, width), np.float32))
    lines = [f"{n}.npy,We go {n % 3}.,s{n % 4}" for n in range(12)]
    write(place, clips__csv="\n".join(["video,sentence,signer_id", *lines]) + "\n")
    code, out, err = said("init", "data/own")
    assert code == 0, err
    assert "videos data/own/rows" in out and "assumed   " in out
    assert ("features True" in out) == features
    assert "set dataset.features" not in said("check", "own")[1]


def test_a_withdrawn_person_does_not_come_back_with_another_copy_of_the_table(
    folder: Path, said: Said, new_project: Path
) -> None:
    write(folder, list__csv="\n".join(rows()) + "\n")
    assert said("init", "data/own", "--preset", "first")[0] == 0
    assert said("withdraw", "ann", "--preset", "first", "--yes")[0] == 0
    code, out, _ = said("init", "data/own", "--preset", "second")
    assert code == 0 and "not used  3 rows of withdrawn clips" in out
    assert not (pd.read_csv("data/second/clips.csv")["signer_id"] == "ann").any()


def test_a_column_of_numbers_does_not_hide_the_one_that_names_the_videos(folder: Path, said: Said) -> None:
    lines = ["file;label;take", *(f"{name};{'ABC'[n % 3]};{n % 3}" for n, name in enumerate(NAMES))]
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "video = file, gloss = label" in out


def test_clips_without_a_text_are_counted(folder: Path, said: Said) -> None:
    write(folder, list__csv="\n".join(rows()).replace("anna/1.mp4;I go 1.", "anna/1.mp4;") + "\n")
    assert "clips     12, 1 of them without a text" in said("init", "data/own")[1]


def test_a_review_beside_the_videos_is_no_corpus(folder: Path, said: Said) -> None:
    (folder / "list.csv").write_text("\n".join(rows()) + "\n")
    (folder / "review.csv").write_text("clip_id,content,action,new_label\nanna/0,h-1,keep,\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "sentence = translation" in out


def test_times_under_other_names_are_not_left_out(folder: Path, said: Said) -> None:
    lines = ["filename;label;start_time;end_time", *(f"{name};A;0.1;0.2" for name in NAMES)]
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    _, out, err = said("init", "data/own")
    assert "`start_time` is not read; did you mean `start_s`" in out + err


def write_list(folder: Path, names: str, cells: str) -> None:
    """A table of the videos with a label and further columns `names`, which hold `cells` in every row."""
    lines = [f"file;label;{names}", *(f"{name};{'ABC'[n % 3]};{cells}" for n, name in enumerate(NAMES))]
    (folder / "list.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        ("Begin Time - ss.msec;End Time - ss.msec", "0.1;0.9"),
        ("start_frame;end_frame", "3;21"),
        ("Onset;Offset", "0,1;0,9"),
        ("von;bis", "00:00:01.2;00:00:02"),
        ("clip_start;clip_end", "1;2"),
        ("starttime;endtime", "1;2"),
    ],
)
def test_times_of_any_name_are_named_and_not_left_out(
    folder: Path, said: Said, names: str, cells: str
) -> None:
    write_list(folder, names, cells)
    code, _, err = said("init", "data/own")
    begin, end = names.split(";")
    assert (
        code == 2 and f"list.csv: columns {begin!r} and {end!r} are not read, and look like the times" in err
    )
    assert not Path("data/own/clips.csv").exists()


def test_columns_that_are_not_taken_are_named(folder: Path, said: Said) -> None:
    head = "file;label;Informant;start_frame;end_frame;start_s"
    lines = [head, *(f"{n};{'ABC'[i % 3]};anna;0;25;0.1" for i, n in enumerate(NAMES))]
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    code, out, _ = said("init", "data/own")
    assert code == 0 and "start_s = start_s; not taken: Informant, start_frame, end_frame; copied to" in out


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        ("start_time", "2024-03-01"),
        ("start_date;end_date", "01.02.2020;03.02.2020"),
        ("start_page;end_page", "3;4"),
        ("from;to", "9;3"),
        ("signal_start;signal_end", "0;0"),
        ("age_start;age_end", "20;25"),
        ("session_start;session_end", "14:05;15:10"),
        ("box_start_x;box_end_x", "10;90"),
    ],
)
def test_columns_that_only_sound_like_times_are_left_alone(
    folder: Path, said: Said, names: str, cells: str
) -> None:
    write_list(folder, names, cells)
    code, out, _ = said("init", "data/own")
    assert code == 0 and "video = file, gloss = label" in out
