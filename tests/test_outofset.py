"""Clips that ought to be refused: made of the right frames, the same every time, at every length."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import process_time
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import write_corpus

from signloom.evaluation.outofset import (
    IN_SET,
    KINDS,
    Clip,
    Questions,
    generator,
    reverse,
    shuffle,
    splice,
)
from signloom.features.shards import FeatureShards
from signloom.text.sentences import read_splits


def numbered(frames: int, first: int = 0) -> Clip:
    """A clip whose frames carry their number in features and mask."""
    number = np.arange(first, first + frames)
    return np.repeat(number[:, None], 540, 1).astype(np.float32), np.repeat(number[:, None], 4, 1).astype(
        "u1"
    )


def numbers(clip: Clip) -> list[int]:
    features, mask = clip
    assert (features == features[:, :1]).all()
    np.testing.assert_array_equal(features[:, 0], mask[:, 0])
    return [int(value) for value in features[:, 0]]


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_a_reversed_clip_ends_as_it_began(frames: int) -> None:
    assert numbers(reverse(numbered(frames))) == list(range(frames))[::-1]


@pytest.mark.parametrize(
    ("frames", "others", "expected"),
    [(1, 1, [10]), (1, 2, [11]), (2, 3, [0, 11, 12]), (3, 2, [0, 11]), (4, 5, [0, 1, 12, 13, 14])],
)
def test_a_spliced_clip_is_two_halves(frames: int, others: int, expected: list[int]) -> None:
    assert numbers(splice(numbered(frames), numbered(others, 10))) == expected


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 10_000))
def test_no_piece_of_a_shuffled_clip_keeps_its_place(frames: int, piece: int, seed: int) -> None:
    moved = numbers(shuffle(numbered(frames), piece, np.random.default_rng(seed)))
    assert sorted(moved) == list(range(frames))
    pieces = [list(range(frames))[start : start + piece] for start in range(0, frames, piece)]
    if len(pieces) == 1:
        assert moved == pieces[0]
        return
    order = []
    while moved:
        number = moved[0] // piece
        assert moved[: len(pieces[number])] == pieces[number], "a piece stays whole"
        order.append(number)
        del moved[: len(pieces[number])]
    assert all(place != number for place, number in enumerate(order))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_pieces_of_one_frame_are_the_shortest(frames: int) -> None:
    moved = numbers(shuffle(numbered(frames), 1, np.random.default_rng(0)))
    assert (moved == [0]) if frames == 1 else all(place != number for place, number in enumerate(moved))


def ask(
    folder: Path,
    splits: pd.DataFrame,
    split: str = "test",
    seed: int = 42,
    gallery: Iterable[int] = range(99),
    fps: float = 12.0,
) -> Questions:
    shards = FeatureShards(
        *([folder / f"{n}{end}" for n in (0, 1)] for end in (".npy", ".parquet", ".mask.npy"))
    )
    return Questions(splits, split, shards, fps, seed, gallery)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.mark.parametrize("fps", [9.0, 12.0])
def test_every_kind_is_asked_of_the_clips_that_it_can_be_made_of(corpus: Path, fps: float) -> None:
    questions = ask(corpus, read_splits(corpus / "splits.csv"), fps=fps)
    asked = {
        kind: [question.clip_id for question in questions.of if question.kind == kind]
        for kind in (IN_SET, *KINDS)
    }
    seen = ["d/test0", "d/test1", "d/test1_again"]
    assert asked == {
        IN_SET: seen,
        "unsigned": ["e/unsigned"],
        "unseen_sentence": ["d/test2"],
        "left_out": seen,
        "reversed": seen,
        # three frames are one piece of a third of a second at 9 a second, and less at 12
        "shuffled": ["d/test0", "d/test1_again"],
        "spliced": seen,
    }
    assert questions.kinds.tolist() == [question.kind for question in questions.of]
    assert questions.out.sum() == len(questions.of) - 3
    sentence = {"d/test0": 0, "d/test1": 1, "d/test1_again": 1}
    for question, left_out in zip(questions.of, questions.left_out, strict=True):
        assert left_out == (question.sentence_id if question.kind == "left_out" else -1)
        if question.kind == "spliced":
            assert sentence[question.other] != question.sentence_id


def test_a_sentence_of_which_no_clip_may_be_handed_on_is_one_to_refuse(corpus: Path) -> None:
    questions = ask(corpus, read_splits(corpus / "splits.csv"), gallery=[1])
    kinds = {
        question.clip_id: question.kind
        for question in questions.of
        if question.kind in (IN_SET, "unseen_sentence")
    }
    assert kinds["d/test0"] == kinds["d/test2"] == "unseen_sentence" and kinds["d/test1"] == IN_SET


def test_made_clips_hold_the_frames_of_the_clips_that_they_are_made_of(corpus: Path) -> None:
    questions = ask(corpus, read_splits(corpus / "splits.csv"))
    shards = FeatureShards(
        *([corpus / f"{n}{end}" for n in (0, 1)] for end in (".npy", ".parquet", ".mask.npy"))
    )
    for question in questions.of:
        features, mask = questions.read(question.name)
        assert len(features) == len(mask) == questions.length(question.name)
        own = np.array(shards.clip(question.clip_id))
        if question.kind == "spliced":
            other = np.array(shards.clip(question.other))
            own = np.concatenate([own[: len(own) // 2], other[len(other) // 2 :]])
        elif question.kind == "reversed":
            own = own[::-1]
        elif question.kind == "shuffled":
            assert not np.array_equal(features, own, equal_nan=True)
            order = np.lexsort(features[:, :3].T)
            features, own = features[order], own[np.lexsort(own[:, :3].T)]
        np.testing.assert_array_equal(features, own)


def test_a_clip_is_made_alike_whatever_other_clips_there_are(corpus: Path) -> None:
    splits = read_splits(corpus / "splits.csv")
    fewer = splits[~splits["clip_id"].isin(["d/test1", "e/unsigned"])]
    every, some = ask(corpus, splits), ask(corpus, fewer)
    np.testing.assert_array_equal(every.read("shuffled/d/test0")[0], some.read("shuffled/d/test0")[0])
    twice = ask(corpus, splits[::-1])
    assert twice.of == every.of
    changed = [ask(corpus, splits, seed=seed).read("shuffled/d/test0")[0] for seed in range(6)]
    assert len({clip.tobytes() for clip in changed}) > 1


def test_seed_split_kind_and_clip_each_change_the_draw() -> None:
    draws = {
        tuple(generator(seed, split, kind, clip).integers(0, 1000, 5))
        for seed in (1, 2)
        for split in ("val", "test")
        for kind in ("shuffled", "spliced")
        for clip in ("a", "b")
    }
    assert len(draws) == 16


def test_one_sentence_alone_is_never_spliced_and_an_empty_split_asks_nothing(corpus: Path) -> None:
    splits = read_splits(corpus / "splits.csv")
    alone = ask(corpus, splits[splits["clip_id"] == "d/test0"])
    assert "spliced" not in alone.kinds
    nothing = ask(corpus, splits, split="none")
    assert nothing.of == [] and len(nothing.out) == len(nothing.motion_means) == 0
    assert nothing.right(np.array([], np.int64)).tolist() == []


def questions_of(sentences: np.ndarray) -> Questions:
    """The questions of clips of 30 frames, one for each sentence given."""
    ids = [f"{number:05d}" for number in range(len(sentences))]
    shards = Mock(index=pd.DataFrame({"clip_id": ids}), length=lambda clip_id: 30)
    splits = pd.DataFrame({"clip_id": ids, "split": "val", "seen": 1, "sentence_id": sentences})
    return Questions(splits, "val", shards, 25.0, 1, range(len(ids)))


def test_the_second_half_is_drawn_from_all_clips_of_other_sentences() -> None:
    asked = questions_of(np.random.default_rng(2).integers(0, 3, 40))
    spliced = [question for question in asked.of if question.kind == "spliced"]
    assert len(spliced) == 40
    for one in spliced:
        others = [other.clip_id for other in spliced if other.sentence_id != one.sentence_id]
        drawn = generator(1, "val", "spliced", one.clip_id).integers(len(others))
        assert one.other == others[drawn]


def test_questions_of_many_clips_do_not_take_the_square_of_their_number() -> None:
    begun = process_time()
    questions_of(np.arange(16_000) // 2)
    assert process_time() - begun < 5
