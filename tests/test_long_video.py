"""Ten minutes of the demo become subtitles and ELAN tiers, in the memory that a short video takes."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from benchmarks.passages import answer_joined, matched, matched_texts


@pytest.mark.long
@pytest.mark.timeout(3600)  # it tracks 15,000 frames, ten minutes of an idle core
def test_ten_minutes_are_cut_where_the_clips_begin_and_end_and_most_glosses_are_found(
    root: Path, tmp_path: Path
) -> None:
    bundle = root / "build/export/sign_encoder_bundle.zip"
    if not bundle.exists():
        pytest.skip("no build/export/sign_encoder_bundle.zip: build the demo first")
    answer_joined(bundle, tmp_path / "short", 0.2, root / "data/demo")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = answer_joined(bundle, tmp_path / "long", 10, root / "data/demo")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
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
