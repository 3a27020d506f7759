"""CTC decoding: against every alignment, against a textbook prefix search, and at the edges."""

from __future__ import annotations

import math

import pytest
import torch
from ctc_labellings import EMITTED, SHARPNESS, collapse, labellings, posteriors
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gloss_decoding import textbook_prefix_beam
from signloom.decoding.ctc import greedy, prefix_beam
from signloom.text.vocabulary import BLANK, UNK


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_a_wide_prefix_beam_finds_the_best_of_all_alignments(frames: int, sharpness: float) -> None:
    log_p = posteriors(6, frames, 7, sharpness, seed=frames)
    found = prefix_beam(log_p, torch.full((6,), frames), beam=400)
    for clip, hypothesis in enumerate(found):
        everything = labellings(log_p[clip])
        best = max(everything, key=lambda labels: everything[labels])
        assert tuple(hypothesis.tokens) == best
        assert hypothesis.score == pytest.approx(math.log(everything[best]), abs=1e-9)


def test_the_best_labelling_is_not_the_best_path() -> None:
    # the best path says nothing, with 0.36; A is said by three paths, 0.24 + 0.24 + 0.16
    log_p = torch.full((1, 2, 6), 1e-12, dtype=torch.float64)
    log_p[:, :, BLANK], log_p[:, :, 5] = 0.6, 0.4
    lengths = torch.tensor([2])
    assert greedy(log_p.log(), lengths) == [[]]
    [found] = prefix_beam(log_p.log(), lengths, 3)
    assert found.tokens == [5]
    assert math.exp(found.score) == pytest.approx(0.64, abs=1e-9)


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
@pytest.mark.parametrize("beam", [1, 2, 4, 10])
def test_a_narrow_prefix_beam_keeps_what_the_textbook_search_keeps(beam: int, sharpness: float) -> None:
    lengths = torch.tensor([12, 1, 30, 7, 12])
    log_p = posteriors(5, 30, 9, sharpness, seed=beam)
    for clip, found in enumerate(prefix_beam(log_p, lengths, beam)):
        want = textbook_prefix_beam(log_p[clip, : lengths[clip]], beam)
        assert found.tokens == want.tokens
        assert found.score == pytest.approx(want.score, abs=1e-9)


def test_a_prefix_that_was_dropped_and_found_again_is_merged_with_its_children() -> None:
    # few labels and a narrow beam over many frames: prefixes come and go
    log_p = posteriors(40, 25, 7, 0.5, seed=3)
    for clip, found in enumerate(prefix_beam(log_p, torch.full((40,), 25), 5)):
        want = textbook_prefix_beam(log_p[clip], 5)
        assert (found.tokens, round(found.score, 9)) == (want.tokens, round(want.score, 9))


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
def test_greedy_is_the_collapsed_best_path(sharpness: float) -> None:
    log_p = posteriors(8, 20, 7, sharpness)
    lengths = torch.tensor([20, 1, 3, 0, 19, 7, 20, 2])
    for clip, found in enumerate(greedy(log_p, lengths)):
        path = [max(EMITTED, key=lambda label: row[label]) for row in log_p[clip, : lengths[clip]].tolist()]
        assert tuple(found) == collapse(tuple(path))


def test_padding_start_and_end_are_never_emitted_however_likely() -> None:
    log_p = torch.full((3, 6, 8), -20.0)
    for clip, label in enumerate((0, 3, 4)):
        log_p[clip, :, label] = -1e-6
    log_p[:, ::2, UNK] = -3.0
    log_p[:, 1::2, BLANK] = -3.0
    lengths = torch.full((3,), 6)
    assert greedy(log_p, lengths) == [[UNK] * 3] * 3
    assert [found.tokens for found in prefix_beam(log_p, lengths, 5)] == [[UNK] * 3] * 3


def test_only_a_blank_parts_two_equal_glosses() -> None:
    log_p = torch.full((2, 3, 6), -30.0)
    log_p[:, :, 5] = -0.01
    log_p[1, 1, 5], log_p[1, 1, BLANK] = -30.0, -0.01
    lengths = torch.tensor([3, 3])
    assert greedy(log_p, lengths) == [[5], [5, 5]]
    assert [found.tokens for found in prefix_beam(log_p, lengths, 4)] == [[5], [5, 5]]


@settings(max_examples=40)
@given(
    lengths=st.lists(st.sampled_from([0, 1, 2, 3, 8]), min_size=1, max_size=5),
    beam=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_a_batch_answers_as_its_clips_alone_do(lengths: list[int], beam: int, seed: int) -> None:
    frames = max(lengths)
    log_p = posteriors(len(lengths), frames, 8, 1.0, seed)
    for clip, length in enumerate(lengths):
        log_p[clip, length:] = float("nan")  # padding must not be read
    together = prefix_beam(log_p, torch.tensor(lengths), beam)
    for clip, length in enumerate(lengths):
        alone = log_p[clip : clip + 1, :length]
        assert prefix_beam(alone, torch.tensor([length]), beam)[0] == together[clip]
        assert greedy(alone, torch.tensor([length])) == greedy(log_p, torch.tensor(lengths))[clip : clip + 1]
        if length == 0:
            assert together[clip].tokens == []


def test_no_clip_gives_no_answer() -> None:
    none = torch.zeros(0, 4, 6)
    assert greedy(none, torch.zeros(0, dtype=torch.long)) == []
    assert prefix_beam(none, torch.zeros(0, dtype=torch.long), 3) == []


def test_decoding_leaves_its_input_alone() -> None:
    log_p = posteriors(2, 5, 7, 1.0)
    before = log_p.clone()
    prefix_beam(log_p, torch.tensor([5, 3]), 3)
    greedy(log_p, torch.tensor([5, 3]))
    assert torch.equal(log_p, before)
