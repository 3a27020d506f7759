"""Which clips make up a batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.training.sentences.samplers import EpochBatches, class_balanced_batches

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=40)


def batches_of(labels: list[int], size: int, per_class: int, seed: int = 0) -> list[list[int]]:
    return class_balanced_batches(labels, size, per_class, np.random.default_rng(seed))


@given(LABELS, st.integers(2, 12), st.integers(1, 3))
def test_every_data_size_gives_full_batches_or_all_its_clips(
    labels: list[int], size: int, per_class: int
) -> None:
    batches = batches_of(labels, size, per_class)
    assert len(batches) == -(-len(labels) // size)
    for batch in batches:
        assert len(batch) == size or set(batch) == set(range(len(labels)))
        assert len(batch) <= size


@given(LABELS, st.integers(4, 12))
def test_a_batch_has_two_clips_of_each_chosen_sentence_and_the_rest_once(
    labels: list[int], size: int
) -> None:
    for batch in batches_of(labels, size, 2):
        sentences = min(size // 2, len(set(labels)))
        chosen, rest = batch[: 2 * sentences], batch[2 * sentences :]
        assert all(count == 2 for count in Counter(labels[clip] for clip in chosen).values())
        assert len(rest) == len(set(rest)) and not set(rest) & set(chosen)


def test_a_sentence_with_one_clip_gives_it_twice() -> None:
    assert batches_of([5], 64, 2) == [[0, 0]]


def test_every_sentence_comes_equally_often_and_so_does_every_clip_of_it() -> None:
    labels = [0] * 2 + [1] * 6 + [2] * 4
    counts = Counter(clip for seed in range(50) for batch in batches_of(labels, 6, 2, seed) for clip in batch)
    by_sentence = Counter()
    for clip, count in counts.items():
        by_sentence[labels[clip]] += count
    assert len(set(by_sentence.values())) == 1
    assert max(counts[clip] for clip in range(8, 12)) < 1.3 * min(counts[clip] for clip in range(8, 12))


def test_no_clip_is_an_error_and_not_an_epoch_without_steps() -> None:
    with pytest.raises(ValueError, match="no clip"):
        batches_of([], 4, 2)


def test_epochs_differ_and_each_can_be_drawn_again() -> None:
    sampler = EpochBatches([0, 0, 1, 1, 2, 2, 2], 4, 2, seed=1)
    first = list(sampler)
    sampler.epoch = 1
    second = list(sampler)
    sampler.epoch = 0
    assert list(sampler) == first != second
    orders = [[[clip for _, clip, _ in batch] for batch in batches] for batches in (first, second)]
    assert orders[0] != orders[1]
    assert {draw[0] for batch in second for draw in batch} == {1}
    repeats = [draw[1:] for batch in first for draw in batch]
    assert len(repeats) == len(set(repeats)), "a clip that comes again has another copy number"
