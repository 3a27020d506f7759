"""Nearest clips: the exact search by hand, the approximate one by how many it misses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from signloom.errors import SignloomError
from signloom.inference.index import ApproximateIndex, ExactIndex, make_index


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(clips: int, sentences: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clips and queries close to `sentences` directions, as those of a trained encoder are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(sentences, 64))
    around = [centres[rng.integers(0, sentences, n)] + 0.2 * rng.normal(size=(n, 64)) for n in (clips, 100)]
    return unit(around[0]), unit(around[1])


def test_the_exact_search_sorts_by_cosine_and_equal_clips_by_row() -> None:
    index = make_index(np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32), exact_limit=4)
    similarity, rows = index.search(np.array([[1, 0]], np.float32), 9)
    assert rows.tolist() == [[1, 3, 2, 0]]
    assert similarity[0].tolist() == pytest.approx([1, 1, 0.6, 0])


def test_few_of_many_are_the_first_of_all() -> None:
    clips, queries = clustered(500, 40)
    index = ExactIndex(clips)
    similarity, rows = index.search(queries, 7)
    every = index.search(queries, len(clips))
    np.testing.assert_array_equal(rows, every[1][:, :7])
    np.testing.assert_array_equal(similarity, every[0][:, :7])


def test_the_limit_decides_which_search_it_is() -> None:
    clips, _ = clustered(30, 5)
    assert isinstance(make_index(clips, exact_limit=30), ExactIndex)
    assert isinstance(make_index(clips, exact_limit=29), ApproximateIndex)


@pytest.mark.parametrize("count", [1, 5, 50])
def test_the_approximate_search_misses_few_clips(count: int) -> None:
    clips, queries = clustered(4000, 150)
    similarity, rows = make_index(clips, exact_limit=0).search(queries, count)
    exact = ExactIndex(clips).search(queries, count)
    recall = np.mean([len(set(a) & set(b)) / count for a, b in zip(rows, exact[1], strict=True)])
    assert recall > 0.97
    assert (np.diff(similarity, axis=1) <= 0).all()
    np.testing.assert_allclose(similarity[:, 0], exact[0][:, 0], atol=1e-5)


def test_the_graph_is_the_same_every_time() -> None:
    clips, queries = clustered(1000, 30)
    first, again = (make_index(clips, exact_limit=10).search(queries, 20) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_a_count_over_the_gallery_gives_the_gallery() -> None:
    clips, queries = clustered(3, 3)
    similarity, rows = make_index(clips, exact_limit=0).search(queries, 8)
    assert similarity.shape == rows.shape == (100, 3)
    assert (np.sort(rows, axis=1) == np.arange(3)).all()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    clips, _ = clustered(3, 3)
    with pytest.raises(SignloomError, match="faiss-cpu"):
        make_index(clips, exact_limit=2)
    make_index(clips, exact_limit=3)
