"""Files of arrays: what is read is what was written, and the bytes depend on nothing else."""

from __future__ import annotations

import errno
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from signloom.files import atomic, write_npz, write_text

ARRAYS = {"rows": np.arange(6.0).reshape(2, 3), "none": np.empty(0), "names": np.array(["Ä", ""])}


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", **ARRAYS)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert file[name].dtype == array.dtype
            np.testing.assert_array_equal(file[name], array)


def test_the_bytes_say_nothing_of_python_the_system_or_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npz(tmp_path / "a.npz", **ARRAYS)
    monkeypatch.setattr(zipfile.sys, "platform", "win32")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_npz(tmp_path / "b.npz", **ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        for entry in archive.infolist():
            # Python 3.11 before and after a patch release differs in these where sizes have 64 bits
            assert (entry.create_version, entry.extract_version, entry.extra) == (20, 20, b"")


def test_arrays_of_objects_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        write_npz(tmp_path / "a.npz", rows=np.array([None]))
    assert not list(tmp_path.iterdir())


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("手" * 83 + ".png")
    write_text(path, "x")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OSError) as full, atomic(path):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write to an open file fails
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(path))
    with pytest.raises(OSError) as unwritten, atomic(path):
        pass
    assert unwritten.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as other, atomic(path):
        (tmp_path / "other").read_bytes()
    assert other.value.filename == str(tmp_path / "other")
