"""Shards grow by rows, are read through a map and refuse what does not belong together."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.errors import SignloomError
from signloom.features.shards import FeatureShards, append_npy, trackers


def write_shard(folder: Path, name: str, clips: dict[str, np.ndarray]) -> tuple[Path, Path, Path]:
    rows = []
    npy, mask, index = folder / f"{name}.npy", folder / f"{name}.mask.npy", folder / f"{name}.parquet"
    with append_npy(npy, 540, np.float32) as features, append_npy(mask, 4, np.uint8) as masks:
        for clip_id, array in clips.items():
            rows.append({"clip_id": clip_id, "offset": features.rows, "length": len(array)})
            features.append(array)
            masks.append((array[:, :4] > 0).astype(np.uint8))
    pd.DataFrame(rows, columns=["clip_id", "offset", "length"]).to_parquet(index)
    return npy, index, mask


@pytest.fixture
def clips() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"clip{n}": rng.normal(size=(n, 540)).astype(np.float32) for n in (0, 1, 3, 50)}


def open_two(folder: Path, clips: dict[str, np.ndarray]) -> FeatureShards:
    names = list(clips)
    files = [
        write_shard(folder, "0", {name: clips[name] for name in names[:2]}),
        write_shard(folder, "1", {name: clips[name] for name in names[2:]}),
    ]
    return FeatureShards(*(list(group) for group in zip(*files, strict=True)))


def test_every_clip_comes_back_as_it_was_written(tmp_path: Path, clips: dict[str, np.ndarray]) -> None:
    shards = open_two(tmp_path, clips)
    for clip_id, array in clips.items():
        np.testing.assert_array_equal(shards.clip(clip_id), array)
        np.testing.assert_array_equal(shards.mask(clip_id), array[:, :4] > 0)
        assert shards.length(clip_id) == len(array)
        assert clip_id in shards
    assert shards.index["clip_id"].tolist() == list(clips)
    assert shards.index["shard"].tolist() == [0, 0, 1, 1]


def test_a_clip_is_a_view_and_cannot_be_written_to(tmp_path: Path, clips: dict[str, np.ndarray]) -> None:
    shards = open_two(tmp_path, clips)
    shards.clip("clip50")
    tracemalloc.start()
    view = shards.clip("clip50")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < view.nbytes / 10
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_a_reader_travels_to_another_process_without_its_arrays(
    tmp_path: Path, clips: dict[str, np.ndarray]
) -> None:
    shards = open_two(tmp_path, clips)
    shards.clip("clip50")
    sent = pickle.dumps(shards)
    assert len(sent) < clips["clip50"].nbytes / 4
    np.testing.assert_array_equal(pickle.loads(sent).clip("clip50"), clips["clip50"])


def test_what_does_not_belong_together_is_refused(tmp_path: Path, clips: dict[str, np.ndarray]) -> None:
    npy, index, mask = write_shard(tmp_path, "0", clips)
    with pytest.raises(SignloomError, match="one of each per shard"):
        FeatureShards([npy], [index, index], [mask])
    with pytest.raises(SignloomError, match="'clip0' is in two shards"):
        FeatureShards([npy, npy], [index, index], [mask, mask])
    with pytest.raises(SignloomError, match="'nobody' is in none of the 1 shards"):
        FeatureShards([npy], [index], [mask]).clip("nobody")
    with pytest.raises(SignloomError, match="opened without their masks"):
        FeatureShards([npy], [index]).mask("clip1")
    np.save(npy, np.zeros((7, 540), np.float32))
    with pytest.raises(SignloomError, match="7 rows but its index has 54; build the shard again"):
        FeatureShards([npy], [index], [mask]).clip("clip1")


@settings(max_examples=20)
@given(lengths=st.lists(st.sampled_from([0, 1, 3, 1000]), max_size=6), dtype=st.sampled_from(["f4", "u1"]))
def test_an_array_written_by_rows_equals_one_written_whole(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dtype: str
) -> None:
    path = tmp_path_factory.mktemp("npy") / "x.npy"
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 255, (n, 5)).astype(dtype) for n in lengths]
    with append_npy(path, 5, dtype) as array:
        for part in parts:
            array.append(part)
    whole = np.concatenate([np.empty((0, 5), dtype), *parts])
    got = np.load(path, mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(got, whole)
    assert got.dtype == whole.dtype and got.flags.c_contiguous


def test_a_writer_that_fails_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with pytest.raises(ValueError, match="expected \\(n, 540\\)"), append_npy(path, 540, "f4") as array:
        array.append(np.zeros((2, 3), "f4"))
    assert list(tmp_path.iterdir()) == []


def test_index_files_name_what_tracked_their_clips(tmp_path: Path) -> None:
    pd.DataFrame({"tracker": ["signloom", "", "file"]}).to_parquet(tmp_path / "a")
    pd.DataFrame({"tracker": ["mediapipe"]}).to_parquet(tmp_path / "b")
    pd.DataFrame({"clip_id": ["x"]}).to_parquet(tmp_path / "rows")
    assert trackers([tmp_path / name for name in ("a", "b", "rows")]) == ["file", "mediapipe", "signloom"]
    assert trackers([tmp_path / "rows"]) == []
