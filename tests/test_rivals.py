"""Untrained rivals of retrieval: ranks, distances and warping in another way, and figures by hand."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import CLIPS, write_corpus

from signloom.evaluation import rivals
from signloom.evaluation.found_in_folds import found_in_folds, read_found
from signloom.evaluation.rivals import (
    FRAMES,
    RIVALS,
    Clips,
    compare_rivals,
    hands_dtw,
    nearest,
    rank_by_similarity,
    rank_rivals,
    raw_clips,
)
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.metrics.retrieval import rank_sentences
from signloom.params.evaluation import EvaluationParams
from signloom.report.sentences.section import rivals_table, verdict_on_rivals

FEW = section(EvaluationParams, bootstrap=200, seed=1)


def clip(seed: int, rows: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 540))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), queries=st.integers(0, 6), gallery=st.integers(0, 6))
def test_ranks_are_those_of_the_models_own_ranking(seed: int, queries: int, gallery: int) -> None:
    rng = np.random.default_rng(seed)
    q, g = (rng.integers(-1, 2, (n, 3)).astype(np.float32) for n in (queries, gallery))
    q_of, g_of = (rng.integers(0, 3, n) for n in (queries, gallery))
    ranks = rank_by_similarity(q.astype(np.float64) @ g.T, q_of, g_of)
    np.testing.assert_equal(ranks, rank_sentences(q, q_of, g, g_of).rank)


def test_whole_clips_are_as_near_as_their_euclidean_distance() -> None:
    a, b = [clip(1), clip(2)], [clip(3), clip(1), clip(4)]
    plain = [[-(math.dist(one.ravel(), other.ravel()) ** 2) for other in b] for one in a]
    np.testing.assert_allclose(nearest(a, b), plain, rtol=1e-9, atol=1e-6)


def test_a_large_gallery_is_compared_in_parts() -> None:
    clips = list(np.random.default_rng(1).normal(size=(2500, 32, 60)).astype(np.float32))
    tracemalloc.start()
    found = nearest(clips[:2], clips)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.9 * len(clips) * clips[0].size * 8, "not the whole gallery in double precision"
    plain = [[-float(((a.astype(np.float64) - b) ** 2).sum()) for b in clips] for a in clips[:2]]
    np.testing.assert_allclose(found, plain, rtol=1e-9, atol=1e-6)


def test_a_clip_signed_at_another_pace_is_nearest_to_itself_by_warping() -> None:
    walk = np.cumsum(clip(1), axis=0)
    # the first half slowly and the second one fast, within the band of a tenth
    warped = walk[np.round((FRAMES - 1) * np.linspace(0, 1, FRAMES) ** 1.1).astype(int)]
    others = [np.cumsum(clip(seed), axis=0) for seed in range(2, 8)]
    scores = hands_dtw([warped], [*others, walk])
    assert scores.argmax() == len(others)
    still = walk.copy()
    still[:, 258:] = 0.0  # the face
    np.testing.assert_allclose(hands_dtw([still], [walk]), 1.0)


def test_missing_parts_are_zero_and_rows_are_resampled(tmp_path: Path) -> None:
    files = write_corpus(tmp_path)
    stats = Stats.read(files["stats"][0])
    shards = FeatureShards(files["features"], files["index"], files["mask"])
    longest = max(CLIPS, key=lambda one: one[4])[0]
    found = raw_clips(shards, stats, [longest])[longest]
    assert found.dtype == np.float32, "a corpus is held in memory"
    assert found.shape == (FRAMES, 540) and np.isfinite(found).all()
    rows, present = shards.read(longest)
    # the first row has all parts or lacks the left hand
    first = (rows[0].astype(np.float64) - stats.mean) / stats.std
    first[132:195] *= present[0, 1]
    np.testing.assert_allclose(found[0], np.nan_to_num(first))


def three(gallery: int) -> Clips:
    """Three queries, each equal to a training clip; the sentence of the last one is not in the gallery."""
    features = {f"q{n}": clip(n) for n in range(3)} | {f"g{n}": clip(n) for n in range(gallery)}
    sentences = {name: int(name[1:]) for name in features}
    return Clips(features, sentences)


def test_of_too_many_pairs_only_evenly_spaced_queries_are_warped(monkeypatch: pytest.MonkeyPatch) -> None:
    warped: list[int] = []

    def count(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
        warped.append(len(a) * len(b))
        return hands_dtw(a, b)

    monkeypatch.setattr(rivals, "RIVALS", {**RIVALS, "hands_dtw": count})
    monkeypatch.setattr(rivals, "MOST_WARPED", 6)
    queries, gallery = [f"q{n}" for n in range(7)], ["g0", "g1", "g2"]
    features = {name: clip(int(name[1:])) for name in [*queries, *gallery]}
    # the last two queries have a sentence that cannot be found
    clips = Clips(features, {name: 0 if name not in ("q5", "q6") else 9 for name in features})
    ranks = rank_rivals(clips, queries, gallery)
    assert sum(warped) == 6
    np.testing.assert_equal(ranks["nearest"], [1.0] * 5 + [math.nan] * 2)
    np.testing.assert_equal(ranks["hands_dtw"], [1.0, math.nan, math.nan, math.nan, 1.0, math.nan, math.nan])
    own = np.array([1.0] * 5 + [math.nan] * 2)
    found = compare_rivals(own, ranks, FEW)
    assert (found["hands_dtw"]["n"], found["hands_dtw"]["ret_top1"]) == (2, 1.0)
    assert "n" not in found["nearest"], "all clips that the model was scored on"
    table = rivals_table({"test": {"n_ranked": 5, "ret_top1": 1.0, "rivals": found}})
    assert table is not None
    assert [row[0].interval for row in table.rows] == ["untrained", "untrained; only 2 clips"]


def test_queries_are_ranked_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rank_rivals(three(2), ["q0", "q1", "q2"], ["g0", "g1"])
    monkeypatch.setattr(rivals, "_ASKED", 1)
    np.testing.assert_equal(rank_rivals(three(2), ["q0", "q1", "q2"], ["g0", "g1"]), whole)


def test_figures_are_those_of_the_clips_that_can_be_found_in_pairs() -> None:
    ranks = rank_rivals(three(2), ["q0", "q1", "q2"], ["g0", "g1"])
    found = compare_rivals(np.array([1.0, 2.0, math.nan]), ranks, FEW)
    for rival in RIVALS:
        np.testing.assert_equal(ranks[rival], [1.0, 1.0, math.nan])
        assert (found[rival]["ret_top1"], found[rival]["ret_mrr"]) == (1.0, 1.0)
        assert found[rival]["difference"] == -0.5
        assert (found[rival]["difference_low"], found[rival]["difference_high"]) == (-1.0, 0.0)


def test_without_a_gallery_there_is_a_reason() -> None:
    found = compare_rivals(np.array([math.nan]), rank_rivals(three(0), ["q0"], []), FEW)
    assert found["nearest"]["ret_top1"] is None
    assert found["nearest"]["p"] is None and found["hands_dtw"]["p"] is None
    assert found["hands_dtw"]["difference_reason"] == "no clip of these sentences in the training gallery"


def test_the_p_of_a_rival_is_that_of_swapped_answers_and_corrected_for_two_rivals() -> None:
    own, other = np.ones(4), np.full(4, 2.0)
    # of the 16 ways to swap four clips two are as extreme
    found = compare_rivals(own, {"nearest": other, "hands_dtw": other}, FEW)
    assert [rival["p"] for rival in found.values()] == pytest.approx([0.25, 0.25], abs=0.12)
    assert compare_rivals(own, {"nearest": own}, FEW)["nearest"]["p"] == 1.0
    # a rival that ranks no clip is none of those corrected for
    found = compare_rivals(own, {"nearest": np.full(4, math.nan), "hands_dtw": other}, FEW)
    alone = compare_rivals(own, {"hands_dtw": other}, FEW)["hands_dtw"]
    assert found["nearest"]["p"] is None and found["hands_dtw"] == alone


@pytest.mark.parametrize(("low", "p"), [(-0.1, 0.01), (0.1, 0.01), (0.1, 0.2)])
def test_the_report_says_whether_training_helps(low: float, p: float) -> None:
    rival = {"ret_top1": 0.6, "ret_top1_low": 0.5, "ret_top1_high": 0.7, "ret_mrr": 0.7}
    rival |= {"difference": 0.2, "difference_low": low, "difference_high": 0.3, "p": p}
    retrieval = {"test": {"n_ranked": 9, "ret_top1": 0.8, "rivals": dict.fromkeys(RIVALS, rival)}}
    text = verdict_on_rivals(retrieval)
    shown = low > 0 and p < 0.05
    assert ("not shown to help" in text) == (not shown)
    bounds = f"{low:+.3f} to +0.300, p {p:.3f}".replace("-", "−")
    assert (f"warping of the hands finds 0.600 (difference +0.200, 95 % {bounds})" in text) == (not shown)
    table = rivals_table(retrieval)
    assert table is not None
    assert [[cell.text for cell in row[1:]] for row in table.rows] == [["0.600", "0.200"]] * 2
    assert verdict_on_rivals({}) == "" and rivals_table({}) is None


def test_the_gallery_in_another_order_gives_the_same_ranks() -> None:
    one, other = (rank_rivals(three(2), ["q0", "q1"], order) for order in (["g0", "g1"], ["g1", "g0"]))
    np.testing.assert_equal(one, other)


def test_over_folds_a_rival_is_scored_on_the_clips_that_it_was_asked_about(tmp_path: Path) -> None:
    table = tmp_path / "folds/f1/retrieval.csv"
    table.parent.mkdir(parents=True)
    lines = ["clip_id,data,sentence_id,signer_id,rank,rank_nearest,rank_hands_dtw"]
    table.write_text("\n".join([*lines, "a,test,0,s1,1,1,2", "b,test,0,s2,1,2,", ""]))
    found = found_in_folds(read_found([table]), FEW)["sign2text"]
    assert found["n"] == 2
    assert {name: rival["n"] for name, rival in found["rivals"].items()} == {"nearest": 2, "hands_dtw": 1}
    assert found["rivals"]["hands_dtw"]["ret_top1"] == 0.0
