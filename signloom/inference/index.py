"""Nearest-neighbour search: exact in a small gallery, approximate in a large one."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from signloom.errors import SignloomError

Rows = npt.NDArray[np.float32]
Found = tuple[Rows, npt.NDArray[np.int64]]

# hierarchical navigable small worlds (Malkov and Yashunin 2018): links per clip, and search width
LINKS = 16
BUILD_WIDTH = 80
SEARCH_WIDTH = 64


class Index(Protocol):
    """Finds the gallery's clips nearest to queries."""

    def search(self, queries: Rows, count: int) -> Found:
        """Return the cosines (Q, K) of `queries` (Q, E), highest first, and the gallery rows (Q, K).

        K is `count`, or the size of the gallery if that is smaller.
        """
        ...


def make_index(embeddings: npt.NDArray[np.floating], exact_limit: int) -> Index:
    """Return an index of unit rows `embeddings` (N, E): exact up to `exact_limit` rows, else approximate.

    Equal rows give an equal index. Raises SignloomError if an approximate index is needed and faiss is not
    installed.
    """
    rows = np.ascontiguousarray(embeddings, np.float32)
    return ExactIndex(rows) if len(rows) <= exact_limit else ApproximateIndex(rows)


class ExactIndex:
    """Compares a query with every clip."""

    def __init__(self, embeddings: Rows) -> None:
        """Take unit rows (N, E)."""
        self._embeddings = embeddings

    def search(self, queries: Rows, count: int) -> Found:
        """Search as `Index` describes; equally similar clips are in the order of their rows."""
        distance = -(queries.astype(np.float32) @ self._embeddings.T)
        count = min(count, distance.shape[1])
        # sorted by row first, so that the stable sort keeps equal clips in that order
        rows = np.sort(np.argpartition(distance, count - 1, axis=1)[:, :count].astype(np.int64), axis=1)
        near = np.take_along_axis(distance, rows, axis=1)
        order = np.argsort(near, axis=1, kind="stable")
        return np.take_along_axis(-near, order, axis=1), np.take_along_axis(rows, order, axis=1)


class ApproximateIndex:
    """Searches a graph of neighbours (faiss); it may miss a clip that the exact search finds."""

    def __init__(self, embeddings: Rows) -> None:
        """Build the graph of unit rows (N, E) in one thread, so that it is always the same."""
        self._faiss = _faiss()
        self._graph = self._faiss.IndexHNSWFlat(embeddings.shape[1], LINKS, self._faiss.METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = BUILD_WIDTH
        threads = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(1)
        try:
            self._graph.add(embeddings)
        finally:
            self._faiss.omp_set_num_threads(threads)

    def search(self, queries: Rows, count: int) -> Found:
        """Search as `Index` describes, with a search width of at least `count`."""
        count = min(count, self._graph.ntotal)
        width = self._faiss.SearchParametersHNSW(efSearch=max(SEARCH_WIDTH, 2 * count))
        similarity, rows = self._graph.search(np.ascontiguousarray(queries, np.float32), count, params=width)
        return similarity, rows


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise SignloomError(
            "the gallery is larger than retrieval.exact_limit, and approximate search needs a package: "
            "run pip install faiss-cpu, or raise retrieval.exact_limit"
        ) from error
    return faiss
