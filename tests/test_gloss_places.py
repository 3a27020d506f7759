"""Where glosses are signed: forward-backward against all paths one by one, rows to seconds, edge lengths."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from signloom.features.pose.pose_features import smoothed
from signloom.inference import gloss_places
from signloom.inference.gloss_places import (
    Place,
    delay_rows,
    gloss_spans,
    in_clip,
    occupancy,
    place_glosses,
    to_seconds,
)

BLANK = 3


def by_hand(log_probs: np.ndarray, glosses: list[int]) -> list[tuple[float, float]]:
    """The mean start and end of each gloss over every path that says the glosses, one path at a time."""
    probs = np.exp(log_probs)
    sharp, cost = gloss_places.SHARPNESS, gloss_places.BLANK_COST
    total, edges = 0.0, np.zeros((len(glosses), 2))
    # a path is what its rows say: the number of a gloss, or a blank with the number of glosses before it
    steps = [("blank", 0), *(step for n in range(len(glosses)) for step in (("gloss", n), ("blank", n + 1)))]
    for path in product(range(len(steps)), repeat=len(log_probs)):
        if path[0] > 1 or path[-1] < len(steps) - 2:
            continue
        if any(not allowed(steps, glosses, one, other) for one, other in pairwise(path)):
            continue
        weight = 1.0
        for row, state in enumerate(path):
            kind, number = steps[state]
            label = glosses[number] if kind == "gloss" else BLANK
            weight *= (probs[row, label] / probs[:, label].mean()) ** sharp
            weight *= np.exp(-cost * sharp) if kind == "blank" else 1.0
        total += weight
        for number in range(len(glosses)):
            rows = [row for row, state in enumerate(path) if steps[state] == ("gloss", number)]
            edges[number] += weight * np.array([rows[0], rows[-1] + 1])
    return [tuple(edge) for edge in edges / total]


def allowed(steps: list[tuple[str, int]], glosses: list[int], one: int, other: int) -> bool:
    """Whether a path may go from one state to the other: CTC needs a blank between two equal glosses."""
    if other in (one, one + 1):
        return True
    both_glosses = other == one + 2 and steps[one][0] == "gloss"
    return both_glosses and glosses[steps[one][1]] != glosses[steps[other][1]]


def posteriors(rows: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.log(np.random.default_rng(seed).dirichlet(np.full(4, 0.3), rows)))


@pytest.mark.parametrize("glosses", [[0], [0, 1], [1, 1], [0, 2, 0], [2, 2, 1]])
@pytest.mark.parametrize("rows", [4, 6])
def test_places_are_the_means_over_every_path_that_says_the_glosses(glosses: list[int], rows: int) -> None:
    log_probs = posteriors(rows, rows + len(glosses))
    found = place_glosses(log_probs, glosses, BLANK)
    assert found is not None
    np.testing.assert_allclose([place[:2] for place in found], by_hand(log_probs, glosses), atol=1e-9)
    assert all(0 <= place.start < place.end <= rows and 0 < place.score <= 1 for place in found)


def test_a_clip_needs_a_row_for_each_gloss_and_one_between_equal_ones() -> None:
    assert place_glosses(posteriors(0), [], BLANK) == []
    assert place_glosses(posteriors(0), [0], BLANK) is None
    assert place_glosses(posteriors(1), [0, 1], BLANK) is None
    assert place_glosses(posteriors(2), [0, 0], BLANK) is None
    # with just enough rows there is only one path
    for glosses, want in (([0], [(0, 1)]), ([0, 1, 2], [(0, 1), (1, 2), (2, 3)]), ([0, 0], [(0, 1), (2, 3)])):
        found = place_glosses(posteriors(int(want[-1][1])), glosses, BLANK)
        assert found is not None
        assert [place[:2] for place in found] == [pytest.approx(edges) for edges in want]


def test_labels_without_any_probability_give_numbers_all_the_same() -> None:
    log_probs = np.full((5, 4), -np.inf)
    log_probs[:, BLANK] = 0.0
    found = place_glosses(log_probs, [0, 1], BLANK)
    assert found is not None
    assert np.isfinite(found).all()
    assert max(place.score for place in found) < 1e-9


def test_a_sign_between_pauses_gets_an_extent_and_not_the_whole_gap() -> None:
    probs = np.full((30, 4), 1e-4)
    probs[:, BLANK] = 1.0
    probs[5:10, 0] = probs[20:25, 1] = 0.2  # CTC is blank throughout, but less so there
    probs[7, 0] = probs[22, 1] = 5.0
    probs /= probs.sum(1, keepdims=True)
    found = place_glosses(np.log(probs), [0, 1], BLANK)
    assert found is not None
    for place, (start, end) in zip(found, ((5, 10), (20, 25)), strict=True):
        assert abs(place.start - start) < 2 and abs(place.end - end) < 2
        assert place.score > 0.5


def test_a_state_that_may_not_be_skipped_is_on_every_path() -> None:
    skip = np.array([False, False, False, False, False])
    there = occupancy(np.zeros((5, 5)), skip)
    assert there is not None
    np.testing.assert_allclose(there.sum(1), 1)
    assert there[:, 2].sum() >= 1
    assert occupancy(np.zeros((2, 5)), skip) is None


def test_rows_become_seconds_halfway_between_their_times() -> None:
    times = np.array([0.1, 0.2, 0.4])
    places = [Place(0.0, 1.0, 1.0), Place(1.0, 2.5, 1.0), Place(2.5, 3.0, 1.0)]
    want = [[0.05, 0.15], [0.15, 0.4], [0.4, 0.5]]
    np.testing.assert_allclose(to_seconds(places, times, 1.0), want)
    # times are earlier by the delay, and stay in the clip
    late = to_seconds(places, times, 0.3, 0.1)
    np.testing.assert_allclose(late, [[0.0, 0.05], [0.05, 0.3], [0.3, 0.3]])
    np.testing.assert_allclose(to_seconds([Place(0.0, 1.0, 1.0)], np.array([0.0]), 0.08), [[0.0, 0.08]])
    assert to_seconds([], times, 1.0).shape == (0, 2)


@pytest.mark.parametrize("a", [0.2, 0.36, 1.0])
def test_smoothed_features_are_as_late_as_is_said(a: float) -> None:
    ramp = np.arange(200.0)[:, None, None]
    behind = ramp - smoothed(ramp, np.arange(200), a, 3)
    assert behind[-1].item() == pytest.approx(delay_rows(a), abs=1e-6)


def test_places_in_some_rows_of_a_clip_are_those_of_all_its_rows() -> None:
    # rows 0, 3, 6 and 9 of ten were read: they meet halfway, and the ends reach as far as the clip
    found = in_clip([Place(0.0, 1.0, 0.5), Place(1.0, 3.5, 0.6), Place(3.5, 4.0, 0.7)], 4, 10)
    assert found == [Place(0.0, 2.0, 0.5), Place(2.0, 9.5, 0.6), Place(9.5, 10.0, 0.7)]
    assert in_clip([Place(0.25, 3.0, 1.0)], 4, 4) == [Place(0.25, 3.0, 1.0)]
    assert in_clip([Place(0.0, 1.0, 1.0)], 1, 1) == [Place(0.0, 1.0, 1.0)]


def test_spans_are_shares_of_the_clip_without_the_delay() -> None:
    log_probs = posteriors(6, 1)
    places = place_glosses(log_probs, [0, 1], BLANK)
    assert places is not None
    spans = gloss_spans(log_probs, [0, 1], BLANK, 6, 0.6)
    assert spans is not None
    want = [(max(place.start / 6 - 0.1, 0), place.end / 6 - 0.1) for place in places]
    np.testing.assert_allclose(spans, want)
    assert gloss_spans(log_probs, [], BLANK, 6, 0.6) == ()
    assert gloss_spans(log_probs[:2], [0, 0], BLANK, 2, 0.2) is None
