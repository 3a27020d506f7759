"""Gates judge by sentence, in order, and what is not known closes none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.inference.gates import Gallery, GateInputs, Thresholds, confidence, judge, refusals, weigh

T = Thresholds(
    min_similarity=0.6, min_margin=0.1, min_proto_similarity=0.5, min_dtw_score=0.7, motion_floor=0.4
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def evidence(**given: float) -> GateInputs:
    usual = {"similarity": 0.9, "margin": 0.5, "proto_similarity": 0.8, "dtw_score": 0.9, "motion_mean": 1.0}
    values = {**usual, **given}
    frames = np.array([int(values.pop("frames", 60))])
    return GateInputs(np.array([0]), *(np.array([value]) for value in values.values()), frames)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "ok"),
        ({"frames": 0, "motion_mean": 0.0, "similarity": 0.0}, "no_person"),
        ({"motion_mean": 0.39, "similarity": 0.0}, "low_motion"),
        ({"motion_mean": np.nan}, "ok"),
        ({"similarity": 0.59, "margin": 0.0}, "low_similarity"),
        ({"similarity": np.nan}, "low_similarity"),
        ({"dtw_score": 0.69, "margin": 0.0}, "low_similarity"),
        ({"dtw_score": np.nan}, "ok"),
        ({"margin": 0.09, "proto_similarity": 0.1}, "ambiguous_top2"),
        ({"proto_similarity": 0.49}, "prototype_disagreement"),
        ({"proto_similarity": np.nan}, "ok"),
        (
            {"similarity": 0.6, "margin": 0.1, "proto_similarity": 0.5, "dtw_score": 0.7, "motion_mean": 0.4},
            "ok",
        ),
    ],
)
def test_the_first_gate_that_closes_is_the_reason(given: dict[str, float], reason: str) -> None:
    assert judge(evidence(**given), T) == [reason]


@pytest.mark.parametrize(
    ("given", "minimum"),
    [
        ({}, None),
        ({"similarity": 0.59, "dtw_score": 0.1}, "min_similarity"),
        ({"dtw_score": 0.69, "margin": 0.0}, "min_dtw_score"),
        ({"motion_mean": 0.39, "dtw_score": 0.1}, "motion_floor"),
    ],
)
def test_of_two_gates_with_one_reason_the_one_that_closed_is_named(
    given: dict[str, float], minimum: str | None
) -> None:
    (gate,) = refusals(evidence(**given), T)
    assert (gate and gate.minimum) == minimum


def test_two_clips_of_one_sentence_are_not_ambiguous() -> None:
    rows = unit(np.array([[1.0, 0.0, 0.1], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    gallery = Gallery(rows, np.array([7, 7, 3]), np.array([7]), rows[1:2])
    best, clips = gallery.by_sentence(rows[1:2])
    found = weigh(best, gallery.to_prototypes(rows[1:2]), np.array([1.0]), np.array([60]))
    assert gallery.sentences[found.place].tolist() == [7]
    assert clips[0, found.place[0]] == 1
    assert found.margin == pytest.approx([1.0])
    assert judge(found, T) == ["ok"]


def test_a_gallery_of_one_sentence_is_never_ambiguous_and_one_without_clips_is_refused() -> None:
    rows = unit(np.ones((2, 3)))
    gallery = Gallery(rows, np.array([4, 4]), np.array([], np.int32), np.empty((0, 3)))
    found = weigh(
        gallery.by_sentence(rows[:1])[0], gallery.to_prototypes(rows[:1]), np.ones(1), np.ones(1, int)
    )
    assert np.isposinf(found.margin).all() and np.isnan(found.proto_similarity).all()
    assert judge(found, T) == ["ok"]
    with pytest.raises(ValueError, match="no clip"):
        Gallery(rows[:0], np.array([], int), np.array([], int), rows[:0])


@given(st.integers(0, 10_000))
def test_the_best_clip_of_each_sentence_is_what_a_plain_loop_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clips, queries = int(rng.integers(1, 12)), unit(rng.normal(size=(3, 4)))
    rows, ids = unit(rng.normal(size=(clips, 4))), rng.integers(0, 5, clips)
    gallery = Gallery(rows, ids, np.array([], int), np.empty((0, 4)))
    best, found = gallery.by_sentence(queries)
    for query in range(3):
        for place, sentence in enumerate(gallery.sentences):
            own = [row for row in range(clips) if ids[row] == sentence]
            cosines = [float(queries[query] @ rows[row]) for row in own]
            assert best[query, place] == pytest.approx(max(cosines), abs=1e-6)
            assert ids[found[query, place]] == sentence
            assert float(queries[query] @ rows[found[query, place]]) == pytest.approx(max(cosines), abs=1e-6)


def test_confidence_is_a_softmax_over_sentences() -> None:
    plain = np.exp(np.array([0.9, 0.8, 0.1]) / 0.05)
    assert confidence(np.array([0.9, 0.8, 0.1]), 0.05) == pytest.approx(plain / plain.sum())
    assert confidence(np.array([0.3]), 0.05) == pytest.approx([1.0])


def test_a_gallery_without_any_other_sentence_has_no_confidence() -> None:
    with np.errstate(all="raise"):
        assert confidence(np.array([[-np.inf, -np.inf], [0.5, -np.inf]]), 0.05).tolist() == [[0, 0], [1, 0]]
