"""The bootstrap over signers: coverage on simulated corpora, a plain reference, and too few signers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from signloom.metrics.bootstrap import interval, ratio
from signloom.metrics.signers import signer_figure, signer_interval

SIGNERS, CLIPS, TRUTH = 10, 20, 0.3


def corpus(seed: int) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Errors and words of clips by signers who differ: each has an error rate of its own around TRUTH."""
    generator = np.random.default_rng(seed)
    # a Beta distribution of mean TRUTH, whose deviation is about 0.14
    rates = generator.beta(3, 7, SIGNERS).repeat(CLIPS)
    return np.stack([generator.binomial(4, rates), np.full(len(rates), 4)], 1).astype(np.float64), [
        f"s{number}" for number in range(SIGNERS) for _ in range(CLIPS)
    ]


def covered(bounds: tuple[float, float] | None) -> bool:
    assert bounds is not None
    return bounds[0] <= TRUTH <= bounds[1]


def test_the_interval_over_signers_covers_the_truth_and_the_one_over_clips_does_not() -> None:
    corpora = [corpus(seed) for seed in range(200)]
    by_signer = np.mean([covered(signer_interval(*one, ratio, 400, 1)) for one in corpora])
    by_clip = np.mean([covered(interval(stats, ratio, 400, 1)) for stats, _ in corpora])
    assert 0.90 <= by_signer <= 0.98
    assert by_clip < 0.80


def test_signers_without_clips_of_their_own_weight_alike_in_a_plain_resampling() -> None:
    stats, signers = np.array([[1.0, 2], [0, 3], [2, 2], [1, 5], [0, 1]]), ["a", "b", "c", "d", "e"]
    # with one clip a signer, both stages together are a resampling of clips
    low, high = signer_interval(stats, signers, ratio, 20_000, 3) or (0.0, 0.0)
    assert (low, high) == pytest.approx(interval(stats, ratio, 20_000, 4), abs=0.02)


def test_the_clips_of_a_signer_are_drawn_too_where_all_signers_are_alike() -> None:
    stats = np.array([[float(clip % 2), 1.0] for clip in range(60)])
    deviation = (0.25 / 60) ** 0.5  # of the mean of sixty coins
    found = signer_interval(stats, [signer for signer in "abcdef" for _ in range(10)], ratio, 4000, 1)
    assert found == pytest.approx((0.5 - 1.96 * deviation, 0.5 + 1.96 * deviation), abs=0.02)


def test_fewer_than_five_signers_give_a_value_and_a_reason_instead_of_an_interval() -> None:
    stats = np.array([[1.0, 2], [0, 3], [2, 2], [1, 5]])
    found = signer_figure("wer", stats, ["a", "b", "c", "d"], ratio, 100, 1, "no word")
    assert found == {
        "wer": pytest.approx(4 / 12),
        "wer_low": None,
        "wer_high": None,
        "wer_reason": "too few signers for an interval: 4, expected 5 or more",
    }


def test_clips_without_a_signer_are_named_as_the_reason() -> None:
    stats = np.ones((7, 2))
    found = signer_figure("wer", stats, [*"abcdef", ""], ratio, 100, 1, "no word")
    assert found["wer_reason"] == "no interval over signers: 1 clip has no signer"


def test_without_clips_there_is_no_value_and_its_reason_is_given() -> None:
    found = signer_figure("wer", np.zeros((0, 2)), [], ratio, 100, 1, "no word")
    assert found["wer"] is None and found["wer_reason"] == "no word"
