"""Nearest clips: how many an approximate search misses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from signloom.errors import SignloomError
from signloom.inference.index import ApproximateIndex


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(clips: int, sentences: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clips and queries close to `sentences` directions, as those of a trained encoder are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(sentences, 64))
    around = [centres[rng.integers(0, sentences, n)] + 0.2 * rng.normal(size=(n, 64)) for n in (clips, 100)]
    return unit(around[0]), unit(around[1])


@pytest.mark.parametrize("count", [1, 5, 50])
def test_the_approximate_search_misses_few_clips(count: int) -> None:
    clips, queries = clustered(4000, 150)
    similarity, rows = ApproximateIndex(clips).search(queries, count)
    cosines = queries @ clips.T
    nearest = np.argsort(-cosines, axis=1)[:, :count]
    recall = np.mean([len(set(a) & set(b)) / count for a, b in zip(rows, nearest, strict=True)])
    assert recall > 0.97
    assert (np.diff(similarity, axis=1) <= 0).all()
    np.testing.assert_allclose(similarity[:, 0], cosines.max(1), atol=1e-5)


def test_the_graph_is_the_same_every_time() -> None:
    clips, queries = clustered(1000, 30)
    first, again = (ApproximateIndex(clips).search(queries, 20) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_a_count_over_the_gallery_gives_the_gallery() -> None:
    clips, queries = clustered(3, 3)
    similarity, rows = ApproximateIndex(clips).search(queries, 8)
    assert similarity.shape == rows.shape == (100, 3)
    assert (np.sort(rows, axis=1) == np.arange(3)).all()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    clips, _ = clustered(3, 3)
    with pytest.raises(SignloomError, match="faiss-cpu"):
        ApproximateIndex(clips)
