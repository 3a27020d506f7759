"""Adapting to a signer: against plain loops, for signs without clips, and on a displaced signer."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.evaluation.adapted import rank_adapted
from signloom.inference.signer_adaptation import SignSpace, adapt_prototypes


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def plain_adapted(
    clips: np.ndarray, prototypes: np.ndarray, relevance: float, labelled: np.ndarray, signs: list[int]
) -> np.ndarray:
    """Ten rounds of soft assignment, one number at a time; `labelled` clips are of the given `signs`."""

    def start() -> list[list[float]]:
        sums = [[relevance * value for value in row] for row in prototypes]
        for clip, sign in zip(labelled, signs, strict=True):
            for column, value in enumerate(clip):
                sums[sign][column] += value
        return sums

    now = [[value / math.hypot(*row) for value in row] for row in start()]
    for _ in range(10):
        sums = start()
        for clip in clips:
            weights = [math.exp(sum(a * b for a, b in zip(clip, row, strict=True)) / 0.05) for row in now]
            for sign, weight in enumerate(weights):
                for column, value in enumerate(clip):
                    sums[sign][column] += weight / sum(weights) * value
        now = [[value / math.hypot(*row) for value in row] for row in sums]
    return np.array(now)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    clips=st.integers(0, 6),
    labelled=st.integers(0, 4),
    signs=st.integers(1, 4),
    relevance=st.floats(0.5, 9),
)
def test_adapted_prototypes_equal_a_plain_loop(
    seed: int, clips: int, labelled: int, signs: int, relevance: float
) -> None:
    rng = np.random.default_rng(seed)
    rows, prototypes = unit(rng.normal(size=(clips, 5))), unit(rng.normal(size=(signs, 5)))
    own, of = unit(rng.normal(size=(labelled, 5))), rng.integers(0, signs, labelled)
    known = np.array([own[of == sign].sum(0) for sign in range(signs)])
    adapted = adapt_prototypes(rows, prototypes, relevance, known)
    np.testing.assert_allclose(adapted, plain_adapted(rows, prototypes, relevance, own, list(of)), atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(adapted, axis=1), 1)


def test_without_clips_nothing_moves_and_a_sign_that_no_clip_resembles_stays() -> None:
    prototypes = np.eye(3)
    assert np.array_equal(adapt_prototypes(np.empty((0, 3)), prototypes), prototypes)
    clips = unit(np.array([[1.0, 0.4, 0.0]] * 4))
    adapted = adapt_prototypes(clips, prototypes)
    np.testing.assert_allclose(adapted[2], prototypes[2], atol=1e-4)
    assert adapted[0] @ clips[0] > prototypes[0] @ clips[0] + 0.05


def plain_placed(vectors: np.ndarray, signs: list[int], signers: list[str], clips: np.ndarray) -> np.ndarray:
    """The unit rows of `clips` of a signer in the space of training clips, cell by cell."""
    mean = sum(vectors) / len(vectors)

    def centred(own: list[np.ndarray]) -> list[np.ndarray]:
        of_signer = (sum(own) + 10 * mean) / (len(own) + 10)
        return [row - of_signer for row in own]

    rows: dict[tuple[int, str], list[np.ndarray]] = {}
    for signer in set(signers):
        places = [place for place, name in enumerate(signers) if name == signer]
        for place, row in zip(places, centred([vectors[place] for place in places]), strict=True):
            rows.setdefault((signs[place], signer), []).append(row)
    middles = {cell: sum(own) / len(own) for cell, own in rows.items()}
    within = [np.outer(row - middles[cell], row - middles[cell]) for cell, own in rows.items() for row in own]
    between = []
    for (sign, _), middle in middles.items():
        same = [other for (name, _), other in middles.items() if name == sign]
        between.append(np.outer(middle - sum(same) / len(same), middle - sum(same) / len(same)))
    scatter = sum(within) / len(within) + sum(between) / len(between)
    scatter = scatter + 0.1 * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    # any root of the inverse gives the same cosines
    root = np.linalg.cholesky(np.linalg.inv(scatter))
    return unit(np.array(centred(list(clips))) @ root)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), clips=st.integers(2, 30), asked=st.integers(1, 5))
def test_cosines_in_the_space_of_signs_equal_those_of_plain_loops(seed: int, clips: int, asked: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, new = unit(rng.normal(size=(clips, 4))), unit(rng.normal(size=(asked, 4)))
    signs, signers = rng.integers(0, 3, clips).tolist(), rng.choice(["a", "b"], clips).tolist()
    space = SignSpace.of(vectors, np.array(signs), np.array(signers))
    if np.array_equal(space.whitening, np.eye(4)):
        return  # no sign has two clips
    placed, plain = space.place(new), plain_placed(vectors, signs, signers, new)
    np.testing.assert_allclose(placed @ placed.T, plain @ plain.T, atol=1e-8)


def test_where_no_two_clips_share_a_sign_nothing_is_whitened() -> None:
    space = SignSpace.of(np.eye(3), np.arange(3), np.array(["a", "b", "c"]))
    assert np.array_equal(space.whitening, np.eye(3))
    np.testing.assert_allclose(np.linalg.norm(space.place(np.eye(3)[:1]), axis=1), 1)


def other_signer(signs: int, clips: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Training clips of `signs` by two people, and those of a person displaced and turned from them."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(signs, 12))
    own = np.repeat(np.arange(signs), clips)
    people = {"train": 0.3, "more": 0.3, "test": 1.2}
    near = [
        centres[own] + moved * rng.normal(size=12) + rng.normal(0, 0.6, (len(own), 12))
        for moved in people.values()
    ]
    table = pd.DataFrame(
        {
            "clip_id": [f"{name}/{clip}" for name in people for clip in range(len(own))],
            "split": ["train"] * 2 * len(own) + ["test"] * len(own),
            "sentence_id": np.tile(own, 3),
        }
    )
    return unit(np.concatenate(near)).astype(np.float32), table


def named(table: pd.DataFrame) -> dict[str, str]:
    return {clip: clip.split("/")[0] for clip in table["clip_id"]}


def test_a_displaced_signer_is_found_more_often_after_adapting_and_labels_are_not_read() -> None:
    vectors, table = other_signer(20, 8)
    asked = np.flatnonzero(table["split"] == "test")
    ranks = rank_adapted(vectors, table, asked, named(table))
    alone = {clip: clip if clip.startswith("test") else "x" for clip in table["clip_id"]}
    assert (rank_adapted(vectors, table, asked, alone) == 1).mean() + 0.1 < (ranks == 1).mean()
    # were labels of the asked clips read, shuffled ones would be found as often
    shuffled = table.copy()
    shuffled.loc[asked, "sentence_id"] = np.roll(table["sentence_id"][asked].to_numpy(), 8)
    assert (rank_adapted(vectors, shuffled, asked, named(table)) == 1).mean() < 0.2


def test_the_labels_that_training_has_of_a_signer_help_most() -> None:
    vectors, table = other_signer(20, 8)
    asked = np.flatnonzero(table["split"] == "test")
    habits = np.random.default_rng(6).normal(0, 0.4, (20, 12))  # this person's own way to sign each sign
    vectors[asked] = unit(vectors[asked] + habits[table["sentence_id"][asked]])
    own = asked[::4]  # every sign twice
    trained = table.copy()
    trained.loc[own, "split"] = "train"
    asked = np.setdiff1d(asked, own)
    stranger = {clip: "x" if row in asked else who for row, (clip, who) in enumerate(named(table).items())}
    known, unknown = (rank_adapted(vectors, trained, asked, who) for who in (named(table), stranger))
    assert (known == 1).mean() > (unknown == 1).mean() + 0.05


def test_clips_without_a_named_signer_or_a_training_clip_have_no_rank() -> None:
    vectors, table = other_signer(3, 2)
    asked = np.flatnonzero(table["split"] == "test")
    table.loc[asked[-2:], "sentence_id"] = 7
    ranks = rank_adapted(vectors, table, asked, named(table) | {table["clip_id"][asked[0]]: ""})
    assert np.isnan(ranks).tolist() == [True, False, False, False, True, True]
    nobody = table.assign(split="test")
    assert np.isnan(rank_adapted(vectors, nobody, asked, named(table))).all(), "no training clip"


def test_each_signer_is_adapted_to_alone() -> None:
    vectors, table = other_signer(4, 3)
    asked = np.flatnonzero(table["split"] == "test")
    two = named(table) | {clip: "second" for clip in table["clip_id"][asked[6:]]}
    both = rank_adapted(vectors, table, asked, two)
    parts = [rank_adapted(vectors, table, part, two) for part in (asked[:6], asked[6:])]
    assert both.tolist() == pytest.approx(np.concatenate(parts).tolist())
