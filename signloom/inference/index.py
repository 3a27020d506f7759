"""Approximate search for the clips of a large gallery that are nearest to queries."""

from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.errors import SignloomError

Rows = npt.NDArray[np.float32]

# hierarchical navigable small worlds (Malkov and Yashunin 2018): links per clip, and search width
LINKS = 16
BUILD_WIDTH = 80
SEARCH_WIDTH = 64


class ApproximateIndex:
    """Searches a graph of neighbours (faiss); it may miss a clip that an exact search finds."""

    def __init__(self, embeddings: Rows) -> None:
        """Build the graph of unit rows (N, E) in one thread, so that equal rows give an equal graph.

        Raises SignloomError if faiss is not installed.
        """
        try:
            import faiss
        except ImportError as error:
            raise SignloomError(
                "the gallery is larger than retrieval.exact_limit, and approximate search needs a package: "
                "run pip install faiss-cpu, or raise retrieval.exact_limit"
            ) from error
        self._faiss: Any = faiss
        self._graph = faiss.IndexHNSWFlat(embeddings.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = BUILD_WIDTH
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            self._graph.add(embeddings)
        finally:
            faiss.omp_set_num_threads(threads)

    def search(self, queries: Rows, count: int) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Return the cosines (Q, K) of `queries` (Q, E), highest first, and the gallery rows (Q, K).

        K is `count`, or the size of the gallery if that is smaller. A row of -1 is a clip that was not found.
        """
        count = min(count, self._graph.ntotal)
        width = self._faiss.SearchParametersHNSW(efSearch=max(SEARCH_WIDTH, 2 * count))
        similarity, rows = self._graph.search(np.ascontiguousarray(queries, np.float32), count, params=width)
        return similarity, rows
