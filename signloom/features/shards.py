"""Feature shards: one array per shard, read through a memory map, and one index row per clip."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from signloom.errors import SignloomError
from signloom.files import atomic, write_parquet

# the index columns that hold a list in every row, and the type of its values
_LISTS = {"frame_index": np.int64, "time_s": np.float64, "first_frame": np.int64, "last_frame": np.int64}


class NpyAppender:
    """A two-dimensional .npy file that grows row by row; memory use stays constant."""

    def __init__(self, file: BinaryIO, dim: int, dtype: DTypeLike) -> None:
        """Start an empty array of `dim` columns in `file`."""
        self._file = file
        self._dim = dim
        self._dtype = np.dtype(dtype)
        self.rows = 0
        self._write_header()
        self._data_start = file.tell()

    def append(self, rows: NDArray[Any]) -> None:
        """Add `rows` (n, dim)."""
        if rows.ndim != 2 or rows.shape[1] != self._dim:
            raise ValueError(f"rows of shape {rows.shape}, expected (n, {self._dim})")
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self.rows += len(rows)

    def finish(self) -> None:
        """Write the number of rows into the header, which NumPy pads so that any number fits."""
        self._file.seek(0)
        self._write_header()
        if self._file.tell() != self._data_start:
            raise RuntimeError("the .npy header changed its length")

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.rows, self._dim),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


@contextmanager
def append_npy(path: Path, dim: int, dtype: DTypeLike) -> Iterator[NpyAppender]:
    """Write a .npy array (rows, `dim`) row by row; the file is renamed to `path` when it is complete."""
    with atomic(path) as part, part.open("wb") as file:
        appender = NpyAppender(file, dim, dtype)
        yield appender
        appender.finish()


def write_index(path: Path, rows: list[dict[str, Any]], kinds: Mapping[str, Any]) -> None:
    """Write the index `rows` of a shard to the table `path`; `kinds` maps its columns to their types."""
    table = pd.DataFrame(rows, columns=list(kinds)).astype(dict(kinds))
    for name in _LISTS.keys() & kinds.keys():
        table[name] = [np.asarray(values, _LISTS[name]) for values in table[name]]
    write_parquet(path, table)


def trackers(index: Sequence[Path]) -> list[str]:
    """Return what tracked the clips of index files: values of `landmarks.engine`, or `file`."""
    from pyarrow.parquet import read_schema  # bundles have no pyarrow

    tracked = [path for path in index if "tracker" in read_schema(path).names]  # given rows are not
    tables = [pd.read_parquet(path, columns=["tracker"]) for path in tracked]
    return sorted({name for table in tables for name in table["tracker"]} - {""})


class FeatureShards:
    """The clips of several shards, each a view into a memory-mapped array.

    `index` is one table of all shards: the rows of their index files in the order given, and a column `shard`
    with the number of the shard.
    """

    def __init__(self, features: Sequence[Path], index: Sequence[Path], mask: Sequence[Path] = ()) -> None:
        """Read the index files; arrays are mapped on first use.

        Raises SignloomError if the lists differ in length or a clip appears twice.
        """
        if len(features) != len(index) or (mask and len(mask) != len(features)):
            raise SignloomError(
                f"{len(features)} feature shards, {len(index)} index files and {len(mask)} masks: "
                "expected one of each per shard, in the same order"
            )
        self._features = list(features)
        self._mask = list(mask)
        tables = [pd.read_parquet(path).assign(shard=number) for number, path in enumerate(index)]
        self.index: pd.DataFrame = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        self._place = _places(self.index)
        self._maps: dict[Path, NDArray[Any]] = {}

    def clip(self, clip_id: str) -> NDArray[np.float32]:
        """Return the rows (T, dim) of a clip as a read-only view into the map."""
        return self._rows(self._features, clip_id)

    def mask(self, clip_id: str) -> NDArray[np.uint8]:
        """Return the presence (T, 4) of pose, left hand, right hand and face as a read-only view."""
        if not self._mask:
            raise SignloomError("these shards were opened without their masks")
        return self._rows(self._mask, clip_id)

    def read(self, clip_id: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the rows and the presence of a clip, as `clip` and `mask` do."""
        return self.clip(clip_id), self.mask(clip_id)

    def length(self, clip_id: str) -> int:
        """Return the number of rows of a clip; 0 for a rejected one."""
        return self._find(clip_id)[2]

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._place

    def __getstate__(self) -> dict[str, Any]:
        # pickling a map would copy the whole array
        return {**self.__dict__, "_maps": {}}

    def _rows(self, files: list[Path], clip_id: str) -> NDArray[Any]:
        shard, offset, length = self._find(clip_id)
        if files[shard] not in self._maps:
            self._maps[files[shard]] = self._map(files[shard], shard)
        return self._maps[files[shard]][offset : offset + length]

    def _find(self, clip_id: str) -> tuple[int, int, int]:
        try:
            return self._place[clip_id]
        except KeyError:
            raise SignloomError(f"clip {clip_id!r} is in none of the {len(self._features)} shards") from None

    def _map(self, path: Path, shard: int) -> NDArray[Any]:
        # slicing a plain array is several times cheaper than slicing np.memmap
        array: NDArray[Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        rows = sum(length for number, _, length in self._place.values() if number == shard)
        if len(array) != rows:
            raise SignloomError(
                f"{path} has {len(array)} rows but its index has {rows}; build the shard again"
            )
        return array


def _places(index: pd.DataFrame) -> dict[str, tuple[int, int, int]]:
    if index.empty:
        return {}
    if index["clip_id"].duplicated().any():
        twice = index.loc[index["clip_id"].duplicated(), "clip_id"].iloc[0]
        raise SignloomError(
            f"clip {twice!r} is in two shards; where shards.count was changed, delete the "
            "folder of these shards and build again"
        )
    columns = (index[name].tolist() for name in ("clip_id", "shard", "offset", "length"))
    return {clip_id: (shard, offset, length) for clip_id, shard, offset, length in zip(*columns, strict=True)}
