"""Ten minutes of the demo become subtitles and ELAN tiers, in the memory that a short video takes."""

from __future__ import annotations

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.passages import Score, answer_joined, matched, matched_texts


def measure(*joined: Any) -> tuple[dict[str, Score], int]:
    """Answer a joined video; return its scores and the most memory that the process took, in kB."""
    return answer_joined(*joined), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_process(*joined: Any) -> tuple[dict[str, Score], int]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *joined).result()


@pytest.mark.long
@pytest.mark.timeout(3600)  # it tracks 15,000 frames, ten minutes of an idle core
def test_ten_minutes_are_cut_where_the_clips_begin_and_end_and_most_glosses_are_found(
    root: Path, tmp_path: Path
) -> None:
    bundle = root / "build/export/sign_encoder_bundle.zip"
    if not bundle.exists():
        pytest.skip("no build/export/sign_encoder_bundle.zip: build the demo first")
    # each in a process of its own, because a process keeps what its first answer took
    measured = [
        in_process(bundle, tmp_path / name, minutes, root / "data/demo")
        for name, minutes in (("short", 0.2), ("long", 10.0))
    ]
    (_, least), (scores, peak) = measured
    assert peak - least < 100_000  # kB
    for name in ("starts", "ends"):
        assert min(scores[name].found / scores[name].true, scores[name].found / scores[name].said) > 0.95
    for name in ("sentence", "gloss"):
        assert scores[name].found / scores[name].said > 0.9
        assert scores[name].found / scores[name].true > 0.6


def test_a_cut_is_found_once_and_within_the_tolerance() -> None:
    assert matched([1.0, 2.0, 9.0], [1.3, 1.9, 2.1, 5.0], 0.4) == 2
    assert matched([1.0, 1.1], [1.05], 0.4) == 1
    said = [(0.0, 1.0, "A"), (1.0, 2.0, "B"), (2.0, 3.0, "A")]
    assert matched_texts([(0.5, 0.9, "A"), (0.9, 1.5, "A"), (1.1, 1.2, "B"), (2.5, 4.0, "A")], said) == 3
