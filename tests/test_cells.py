"""Texts cannot steer a terminal, a page or a spreadsheet, and tables come back as they were written."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signloom.cells import CONTROL, cell, plain, shown
from signloom.dataset.forms.table_files import read_table
from signloom.errors import SignloomError
from signloom.files import read_csv, write_csv
from signloom.report.drawing import picture
from signloom.report.page import template

OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# texts that anybody may write, and those that are likely to break
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=OVERRIDES)) | st.text(
    "'=+-@.0159eEx\\,;\" \u200d"
)
ANY = TEXTS | st.text("'=+-@0\\\t\r\n\x00\x1b\x7f\x9b\u202e\u2066\ud800")
# what a spreadsheet runs: a formula, which no number is, and neither a text behind an apostrophe
RUNS = ("=", "+", "-", "@", "\t", "\r")


def is_number(text: str) -> bool:
    """Return whether `text` is a number in digits; Python takes words such as inf and 1_0 for some too."""
    try:
        float(text)
    except ValueError:
        return False
    return all(letter in "0123456789.eE+-" for letter in text)


@given(ANY)
@example("\t=1+1")
def test_no_spreadsheet_runs_a_cell_and_no_terminal_obeys_it(text: str) -> None:
    written = cell(text)
    assert not written.startswith(RUNS) or is_number(written)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in written)
    assert not set(written) & set(OVERRIDES)
    assert plain(written) == shown(text)


@given(TEXTS)
def test_a_text_comes_back_and_is_its_own_cell_unless_it_would_run(text: str) -> None:
    assert plain(cell(text)) == text == shown(text)
    if not text.lstrip("'").startswith(RUNS):
        assert cell(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_that_is_text_stays_a_number(number: float) -> None:
    for text in (str(number), f"+{abs(number)}"):
        assert cell(text) == plain(text) == text


@given(st.text(st.characters(exclude_characters='"\\')))
def test_escapes_are_those_of_json(text: str) -> None:
    assert json.loads(f'"{shown(text)}"') == text


def test_every_control_character_and_override_counts_and_no_joiner() -> None:
    found = {chr(code) for code in range(0x110000) if CONTROL.match(chr(code))}
    expected = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cs")}
    # what is no character at all, which no XML may hold
    assert found == expected | set(OVERRIDES) | {"\ufffe", "\uffff"}
    assert not found & set("\u200c\u200d\u200e\u200f\u00ad\ufeff")


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_tables_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    write_csv(path, pd.DataFrame({"video": "a", "text": texts}))
    assert read_csv(path, dtype=str, keep_default_na=False)["text"].tolist() == texts
    assert read_table(path, ["text"])["text"].tolist() == texts
    with path.open(encoding="utf-8", newline="") as file:
        assert [plain(row["text"]) for row in csv.DictReader(file)] == texts


def test_a_table_without_such_cells_keeps_its_bytes_and_its_types(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "clip_id": ["s1/a", "it's", "'tis"],
            "number": [-1, 2, 3],
            "share": [-0.5, np.nan, 1e-9],
            "as_text": ["-1", "+2.5e-3", ""],
            "seen": [True, False, True],
            "mixed": ["x", None, -3],
            "kind": pd.Categorical(["b", "a", "b"]),
        }
    )
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == table.to_csv(index=False, lineterminator="\n").encode()
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), pd.read_csv(tmp_path / "t.csv"))
    before = table.copy(deep=True)
    table.loc[0, "clip_id"] = before.loc[0, "clip_id"] = "=1+1"
    write_csv(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(table, before)  # only the file has the apostrophe
    assert (tmp_path / "t.csv").read_text().splitlines()[1].startswith("'=1+1,-1,-0.5,-1,True,x,b")


def test_a_table_from_a_spreadsheet_has_no_apostrophe_before_a_formula(tmp_path: Path) -> None:
    rows = pd.DataFrame({"video": ["'=a.mp4", "'-1", "'tis"], "sentence": ["''=x", "'@x", "-1"]})
    rows.to_csv(tmp_path / "t.csv", index=False)
    rows.to_excel(tmp_path / "t.xlsx", index=False)
    for name in ("t.csv", "t.xlsx"):
        found = read_table(tmp_path / name, ["video"])[["video", "sentence"]]
        assert found.to_numpy().tolist() == [["=a.mp4", "'=x"], ["-1", "@x"], ["'tis", "-1"]]


def test_an_error_cannot_steer_the_terminal_that_shows_it() -> None:
    assert str(SignloomError("a\x1b[2J\r\u202eb\nc\td")) == "a\\u001b[2J\\r\\u202eb\nc\td"


def test_pages_show_control_characters_and_escape_markup() -> None:
    name = "<b>\x1b[31m\x00\u202e</b>"
    page = template("review.html.j2").environment.from_string(
        "{% macro bold(text) %}<i>{{ text }}</i>{% endmacro %}{{ bold(name) }}\n{{ 1.5 }}{{ name | length }}"
    )
    said = page.render(name=name)
    assert said == f"<i>&lt;b&gt;\\u001b[31m\\u0000\\u202e&lt;/b&gt;</i>\n1.5{len(name)}"


def test_pictures_of_pages_show_control_characters() -> None:
    drawn = picture("p", "c", "alt \x1b", lambda figure: figure.suptitle("title \u202e\x9b"))
    assert not CONTROL.search(re.sub(r"[\n\t]", "", drawn.svg))
    assert "\\u202e\\u009b" in drawn.svg and "alt \\u001b" in drawn.svg
