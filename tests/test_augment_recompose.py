"""Sentences cut between glosses and put together anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.augment.sentence_parts import (
    Signed,
    cut_places,
    join,
    part,
    places_of,
    random_part,
    recompose,
    swap_glosses,
)


def spelled(ids: str, lengths: list[int], mark: int = 0) -> Signed:
    """Return a sentence whose rows say which gloss of which clip they belong to."""
    glosses = tuple(ord(letter) for letter in ids)
    of_row = np.repeat(glosses, lengths)
    values = np.stack([of_row, np.full(len(of_row), mark), np.arange(len(of_row))], 1).astype(np.float32)
    cuts = (0, *(int(cut) for cut in np.cumsum(lengths)))
    return Signed(values, np.ones((len(values), 4), np.uint8), glosses, cuts)


def says(signed: Signed) -> bool:
    """Return whether every row still belongs to the gloss whose rows the cuts say it is among."""
    lengths = np.diff(signed.cuts)
    return bool((signed.values[:, 0] == np.repeat(signed.ids, lengths)).all())


sentences = st.builds(
    lambda lengths, mark: spelled("ABCDEFGH"[: len(lengths)], lengths, mark),
    st.lists(st.integers(1, 3), min_size=1, max_size=6),
    st.integers(0, 9),
)


def test_a_cut_is_halfway_between_the_end_of_a_gloss_and_the_start_of_the_next() -> None:
    # frames 0-3 before and in the first gloss, 4-5 between, 6-9 in the second: the middle is frame 5
    assert cut_places([1, 6], [4, 9], range(10)) == (0, 5, 10)
    # 2-5 and 4-8 overlap in frames 4 and 5
    assert cut_places([2, 4], [6, 9], range(10)) == (0, 5, 10)


def test_cuts_count_rows_where_rows_are_not_all_frames() -> None:
    assert cut_places([0, 1.0, 2.0], [0.9, 1.9, 2.9], [row / 10 for row in range(0, 30, 3)]) == (0, 4, 7, 10)


def test_a_row_in_the_middle_belongs_to_the_later_gloss_although_its_time_was_rounded_down() -> None:
    assert cut_places([0, 1 / 3], [1 / 3, 1], [round(row / 3, 6) for row in range(3)]) == (0, 1, 3)


def test_a_sentence_of_one_gloss_is_cut_at_its_ends_only() -> None:
    assert cut_places([2], [6], range(9)) == (0, 9)


def test_cuts_of_a_gloss_inside_another_never_go_back() -> None:
    cuts = cut_places([0, 4, 5], [21, 7, 13], range(20))
    assert cuts == (0, 13, 13, 20)


def test_a_part_has_the_rows_of_its_glosses() -> None:
    got = part(spelled("ABC", [2, 1, 3]), 1, 3)
    assert got.ids == (ord("B"), ord("C"))
    assert got.cuts == (0, 1, 4)
    assert got.values[:, 2].tolist() == [2, 3, 4, 5]
    assert len(got.mask) == 4


def test_joined_sentences_keep_order_rows_and_cuts() -> None:
    got = join([spelled("AB", [2, 1], 1), spelled("CD", [1, 2], 2)])
    assert got.ids == tuple(map(ord, "ABCD"))
    assert got.cuts == (0, 2, 3, 4, 6)
    assert got.values[:, 1].tolist() == [1, 1, 1, 2, 2, 2]


@given(sentences, sentences, st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_every_row_keeps_its_gloss_whatever_is_drawn(
    one: Signed, two: Signed, crop_p: float, join_p: float, seed: int
) -> None:
    got = recompose(one, two, crop_p, join_p, np.random.default_rng(seed))
    assert says(got)
    assert 1 <= len(got.ids) <= len(one.ids) + len(two.ids)
    assert len(got.values) == len(got.mask) == got.cuts[-1]


def test_nothing_changes_with_probabilities_0() -> None:
    one = spelled("ABC", [1, 2, 3])
    got = recompose(one, spelled("D", [4]), 0.0, 0.0, np.random.default_rng(0))
    assert got.ids == one.ids
    np.testing.assert_array_equal(got.values, one.values)


def test_a_crop_is_a_shorter_run_of_glosses_and_a_single_gloss_stays() -> None:
    rng = np.random.default_rng(5)
    found = {recompose(spelled("ABC", [1, 1, 1]), spelled("D", [1]), 1.0, 0.0, rng).ids for _ in range(200)}
    assert found == {tuple(map(ord, ids)) for ids in ("A", "B", "C", "AB", "BC")}
    assert recompose(spelled("A", [1]), spelled("D", [1]), 1.0, 0.0, rng).ids == (ord("A"),)


def test_a_part_of_the_other_sentence_comes_before_or_after() -> None:
    rng = np.random.default_rng(6)
    found = {recompose(spelled("A", [1]), spelled("DE", [1, 1]), 0.0, 1.0, rng).ids for _ in range(200)}
    assert found == {tuple(map(ord, ids)) for ids in ("AD", "AE", "ADE", "DA", "EA", "DEA")}


def test_the_same_generator_gives_the_same_sentence() -> None:
    one, two = spelled("ABCD", [1, 2, 3, 1]), spelled("EFG", [2, 2, 2])
    first, second = (recompose(one, two, 0.5, 0.5, np.random.default_rng(9)) for _ in range(2))
    assert first.ids == second.ids
    np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize("seed", range(20))
def test_a_part_without_rows_is_not_taken(seed: int) -> None:
    empty_middle = spelled("ABC", [2, 0, 2])
    assert len(random_part(empty_middle, 1, 1, np.random.default_rng(seed)).values) > 0


@given(st.lists(sentences, min_size=1, max_size=5), st.floats(0, 1), st.integers(0, 1000))
def test_swapping_keeps_the_glosses_and_every_row_says_its_gloss(
    many: list[Signed], swap_p: float, seed: int
) -> None:
    got = swap_glosses(many[0], places_of(many), swap_p, np.random.default_rng(seed))
    assert got.ids == many[0].ids
    assert says(got)
    assert len(got.mask) == len(got.values)


def test_a_gloss_is_swapped_for_the_same_gloss_of_another_sentence_at_the_same_end() -> None:
    one, two = spelled("ABC", [1, 1, 1], 1), spelled("ABCA", [2, 2, 2, 2], 2)
    places, rng = places_of([one, two]), np.random.default_rng(7)
    drawn = [swap_glosses(one, places, 1.0, rng) for _ in range(100)]
    # A is first and B inside in both; C is last in one alone, and the second A is no first gloss
    lengths = {tuple(int(n) for n in np.diff(got.cuts)) for got in drawn}
    assert lengths == {(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1)}
    assert all(got.values[-1, 1] == 1 for got in drawn)


def test_nothing_is_swapped_with_probability_0_or_where_a_gloss_was_signed_once() -> None:
    one, two = spelled("AB", [1, 2], 1), spelled("AC", [3, 1], 2)
    for swap_p, pool in ((0.0, [one, two]), (1.0, [one])):
        got = swap_glosses(one, places_of(pool), swap_p, np.random.default_rng(3))
        np.testing.assert_array_equal(got.values, one.values)
        assert got.cuts == one.cuts


def test_a_place_without_rows_is_no_place() -> None:
    places = places_of([spelled("ABA", [2, 0, 1])])
    assert set(places) == {ord("A")}
    assert [place for _, place in places[ord("A")]] == [0, 2]
