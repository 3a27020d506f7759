"""Prototypes adapted to a signer: against a plain loop, for signs without clips, and on a shifted signer."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.evaluation.adapted import rank_adapted
from signloom.inference.signer_prototypes import adapt_prototypes


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def plain_adapted(clips: np.ndarray, prototypes: np.ndarray, relevance: float) -> np.ndarray:
    """Ten rounds of soft assignment, one number at a time."""
    now = [list(row) for row in prototypes]
    for _ in range(10):
        sums = [[relevance * value for value in row] for row in prototypes]
        for clip in clips:
            weights = [math.exp(sum(a * b for a, b in zip(clip, row, strict=True)) / 0.05) for row in now]
            for sign, weight in enumerate(weights):
                for column, value in enumerate(clip):
                    sums[sign][column] += weight / sum(weights) * value
        now = [[value / math.hypot(*row) for value in row] for row in sums]
    return np.array(now)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000), clips=st.integers(0, 6), signs=st.integers(1, 4), relevance=st.floats(0.5, 9)
)
def test_adapted_prototypes_equal_a_plain_loop(seed: int, clips: int, signs: int, relevance: float) -> None:
    rng = np.random.default_rng(seed)
    rows, prototypes = unit(rng.normal(size=(clips, 5))), unit(rng.normal(size=(signs, 5)))
    adapted = adapt_prototypes(rows, prototypes, relevance)
    np.testing.assert_allclose(adapted, plain_adapted(rows, prototypes, relevance), atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(adapted, axis=1), 1)


def test_without_clips_nothing_moves_and_a_sign_that_no_clip_resembles_stays() -> None:
    prototypes = np.eye(3)
    assert np.array_equal(adapt_prototypes(np.empty((0, 3)), prototypes), prototypes)
    clips = unit(np.array([[1.0, 0.4, 0.0]] * 4))
    adapted = adapt_prototypes(clips, prototypes)
    np.testing.assert_allclose(adapted[2], prototypes[2], atol=1e-4)
    assert adapted[0] @ clips[0] > prototypes[0] @ clips[0] + 0.05


def other_signer(signs: int, clips: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Training clips of `signs`, and those of a signer whose embeddings are all displaced alike."""
    rng = np.random.default_rng(5)
    centres, shift = rng.normal(size=(signs, 12)), 1.6 * rng.normal(size=12)
    own = np.repeat(np.arange(signs), clips)
    near = [centres[own] + rng.normal(0, 0.5, (len(own), 12)) + moved for moved in (0.0, shift)]
    table = pd.DataFrame(
        {
            "clip_id": [f"{split}{clip}" for split in ("train", "test") for clip in range(len(own))],
            "split": ["train"] * len(own) + ["test"] * len(own),
            "sentence_id": np.concatenate([own, own]),
        }
    )
    return unit(np.concatenate(near)).astype(np.float32), table


def test_a_displaced_signer_is_found_more_often_after_adapting_and_labels_are_not_read() -> None:
    vectors, table = other_signer(20, 8)
    asked = np.flatnonzero(table["split"] == "test")
    ranks = rank_adapted(vectors, table, asked, ["new"] * len(asked))
    each_alone = rank_adapted(vectors, table, asked, [f"clip{row}" for row in asked])
    assert (each_alone == 1).mean() + 0.1 < (ranks == 1).mean()
    # were labels of the asked clips read, shuffled ones would be found as often
    shuffled = table.copy()
    shuffled.loc[asked, "sentence_id"] = np.roll(table["sentence_id"][asked].to_numpy(), 8)
    assert (rank_adapted(vectors, shuffled, asked, ["new"] * len(asked)) == 1).mean() < 0.2


def test_clips_without_a_named_signer_or_a_training_clip_have_no_rank() -> None:
    vectors, table = other_signer(3, 2)
    asked = np.flatnonzero(table["split"] == "test")
    table.loc[asked[-2:], "sentence_id"] = 7
    ranks = rank_adapted(vectors, table, asked, ["", "new", "new", "new", "new", "new"])
    assert np.isnan(ranks).tolist() == [True, False, False, False, True, True]


def test_each_signer_is_adapted_to_alone() -> None:
    vectors, table = other_signer(4, 3)
    asked = np.flatnonzero(table["split"] == "test")
    both = rank_adapted(vectors, table, asked, ["a"] * 6 + ["b"] * 6)
    assert both.tolist() == pytest.approx(
        [
            *rank_adapted(vectors, table, asked[:6], ["a"] * 6),
            *rank_adapted(vectors, table, asked[6:], ["b"] * 6),
        ]
    )
