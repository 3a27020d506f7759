"""The report on a corpus of isolated signs: which are taken for which, and how well each is found."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from signloom.report.sentences.signs import class_table, confusions, heat_map, pairs_table
from tests.report_inputs import SENTENCES, Page, build

OWN = np.array([3, 3, 3, 5, 5, 8])
TAKEN = np.array([3, 5, 5, 5, 9, 5])
NAMES = {3: "APPLE", 5: "BARK", 8: "TREE", 9: "WE"}
CLASSES = np.array([3, 5, 8, 9])


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("report") / "build", signs=True, inference=True)


def cells(table: object) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]  # type: ignore[attr-defined]


def test_the_page_is_about_signs_and_shows_nothing_of_a_decoder(html: str) -> None:
    page = Page(html)
    headings = [text for level, text in page.headings if level == 2]
    assert headings[5:8] == ["Training", "Signs", "Retrieval"]
    assert "Where the errors are" not in headings and "Examples" not in headings
    assert "Word error rate" not in page.text and "BLEU" not in page.text and "Scored with" not in page.text
    assert "Every text of this corpus is one sign. Where this page says “sentence”, read “sign”." in page.text
    assert "Right sign first, mean over signs, interval over signers" in page.text
    assert "too few signers for an interval" in page.text
    assert "Signs found by prototypes that were adapted to each signer" in page.text
    # of four signs with one clip each, one is taken for another
    assert "Right sign first 0.750" in page.text
    assert f"{SENTENCES[2]} {SENTENCES[1]} 1 1" in page.text


def test_links_lead_to_one_element_and_pictures_speak(html: str) -> None:
    page = Page(html)
    assert max(page.ids.values()) == 1
    assert not page.loose_links
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(page.ids)
    (said,) = [alt for alt in page.pictures if alt.startswith("Heat map")]
    assert said.startswith("Heat map of 4 signs. 3 of 4 clips are right. ")
    assert said.endswith(f"Most often, {SENTENCES[2]} is taken for {SENTENCES[1]}.")


def test_confusions_are_counted_by_hand() -> None:
    counts = confusions(OWN, TAKEN, CLASSES)
    assert counts.tolist() == [[1, 2, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    pairs = pairs_table(counts, list(NAMES.values()))
    assert cells(pairs) == [
        ["APPLE", "BARK", "2", "3"],
        ["BARK", "WE", "1", "2"],
        ["TREE", "BARK", "1", "1"],
    ]


def test_of_signs_that_are_never_found_those_with_more_clips_come_first() -> None:
    own, taken = np.array([1, 2, 2, 2, 3]), np.array([3, 3, 3, 3, 3])
    names = {1: "A", 2: "B", 3: "C"}
    table = class_table(own, taken, names, {1: 1, 2: 1, 3: 1})
    assert [row[0].text for row in table.rows] == ["B", "A", "C"]


def test_the_sign_with_the_lowest_accuracy_comes_first_with_its_counts() -> None:
    assert cells(class_table(OWN, TAKEN, NAMES, {3: 4, 5: 6})) == [
        ["TREE", "0", "1", "0", "0.000", "BARK"],
        ["APPLE", "4", "3", "1", "0.333", "BARK"],
        ["BARK", "6", "2", "1", "0.500", "WE"],
    ]


def test_of_signs_that_one_is_taken_for_equally_often_the_first_in_the_alphabet_is_named() -> None:
    own, names = np.full(5, 1), {1: "OWN", 2: "B", 3: "A", 4: "C"}
    assert cells(class_table(own, np.array([2, 3, 3, 2, 4]), names, {}))[0][-1] == "A"
    assert cells(class_table(own, np.array([1, 1, 1, 1, 1]), names, {}))[0][-1] == "–"


def test_tables_of_thousands_of_signs_take_a_moment_and_no_copy_of_all_confusions() -> None:
    own = np.repeat(np.arange(3000), 3)
    names = {sign: f"S{sign}" for sign in range(3000)}
    begun = process_time()
    table = class_table(own, np.random.default_rng(1).permutation(own), names, {})
    assert process_time() - begun < 1.5
    assert table.caption.endswith("the first 200 of 3000")
    counts = np.eye(3000, k=1, dtype=np.int64)
    tracemalloc.start()
    pairs = pairs_table(counts, list(names.values()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs.caption.endswith("the first 20 of 2999 pairs") and peak < counts.nbytes / 2


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_cells_hold_their_number_and_right_answers_a_frame_so_that_colour_is_not_needed() -> None:
    svg = heat_map(confusions(OWN, TAKEN, CLASSES), list(NAMES.values())).svg
    assert sorted(text for text in texts(svg) if text.isdigit()) == ["1", "1", "1", "1", "2"]
    framed = re.findall(r"fill: var\(--one\)[^\"]*stroke: var\(--ink\)", svg)
    plain = re.findall(r"fill: var\(--one\)(?![^\"]*stroke:)", svg)
    assert (len(framed), len(plain)) == (2, 3)


def test_of_many_signs_the_most_confused_are_drawn() -> None:
    counts = np.diag(np.full(70, 5))
    assert "Only" not in heat_map(counts[:60, :60], [f"S{n}" for n in range(60)]).caption
    counts[69, 2] = 3
    picture = heat_map(counts, [f"S{n}" for n in range(70)])
    assert picture.caption.endswith("Only 40 of 70 signs, those of the most frequent confusions.")
    assert {"S2", "S69", "3"} <= set(texts(picture.svg)) and "S68" not in texts(picture.svg)


def test_the_map_of_thousands_of_signs_holds_the_pairs_that_are_confused() -> None:
    """One sign of every fifty draws many others, once each, as happens in large corpora."""
    signs = np.arange(2000)
    counts = confusions(signs, signs // 50, signs)
    pairs = [(100 * number + 7, 100 * number + 61) for number in range(20)]
    for own, taken in pairs:
        counts[own, taken] = 2
    svg = heat_map(counts, [f"S{n}" for n in signs]).svg
    assert {f"S{sign}" for pair in pairs for sign in pair} <= set(texts(svg))
    assert [text for text in texts(svg) if text.isdigit()].count("2") == 20


def test_a_build_without_held_out_clips_says_so(tmp_path: Path) -> None:
    page = Page(build(tmp_path / "build", splits=("train", "train"), signs=True))
    assert "No clip was scored: no held-out clip has a sign that training saw." in page.text


def test_one_epoch_is_counted_as_one_and_a_spread_of_seeds_is_that_of_signs(tmp_path: Path) -> None:
    of_seeds = {"seeds": 2, "test": {"n": 4, "wer": 0.25, "wer_std": 0.1}}
    runs = {"seeds": {"sign2text": of_seeds}, "folds": {}}
    text = Page(build(tmp_path / "build", signs=True, epochs=1, runs=runs)).text
    assert "1 epoch. The best is epoch 1" in text
    assert "Sign error rate, mean ± deviation over seeds" in text and "Word error rate" not in text
