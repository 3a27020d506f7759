"""Traces of clips in bytes: fingerprints of rows at any place, and names with what may stand beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.withdrawal import traces
from signloom.withdrawal.traces import Traces, as_written, fingerprints

RNG = np.random.default_rng(0)


def reference_fingerprint(window: bytes) -> int:
    """The digest of 32 bytes in plain integers: splitmix64's last step of each word, joined by rotation."""
    total, most = 0, 2**64 - 1
    for place in range(0, 32, 8):
        word = int.from_bytes(window[place : place + 8], "little")
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & most
        word = (word ^ word >> 27) * 0x94D049BB133111EB & most
        word ^= word >> 31
        total = word if place == 0 else ((total << 1 | total >> 63) & most) ^ word
    return total


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
def test_a_row_has_the_fingerprint_of_its_first_telling_window(kind: type) -> None:
    rows = RNG.normal(size=(3, 40)).astype(kind)
    rows[1, : 32 // rows.itemsize] = 0  # the first window of this row says nothing
    starts = [0, 32, 0]
    expected = {
        reference_fingerprint(row.tobytes()[at : at + 32]) for row, at in zip(rows, starts, strict=True)
    }
    assert {*fingerprints(rows).tolist()} == expected


@pytest.mark.parametrize("shape", [(0, 540), (3, 0), (5, 540), (1, 2)])
def test_empty_and_constant_rows_have_no_fingerprint(shape: tuple[int, int]) -> None:
    assert len(fingerprints(np.zeros(shape, np.float32))) == 0
    assert len(fingerprints(np.ones(shape, np.float32))) == 0


def test_narrow_rows_are_joined() -> None:
    rows = RNG.normal(size=(9, 2)).astype(np.float32)
    assert {*fingerprints(rows).tolist()} == {
        reference_fingerprint(rows.tobytes()[at : at + 32]) for at in (0, 32)
    }


@given(before=st.binary(max_size=70), after=st.binary(max_size=40), row=st.integers(0, 4))
def test_one_row_is_found_wherever_it_stands(before: bytes, after: bytes, row: int) -> None:
    rows = np.random.default_rng(7).normal(size=(5, 12)).astype(np.float32)
    known = Traces({}, fingerprints(rows))
    assert known.in_bytes(before + rows[row].tobytes() + after) == {"rows"}
    assert known.in_bytes(before + after) == set()


@given(
    st.binary(max_size=12),
    st.sampled_from([b"s2/take-1", b"s2/take-1#2", b'"s2/take-1"', b"v/s2/take-1.mp4"]),
)
def test_a_name_is_found_with_what_may_stand_beside_it(before: bytes, text: bytes) -> None:
    assert Traces({b"s2/take-1": "it"}).in_bytes(before + b"," + text + b"\n") == {"it"}


@pytest.mark.parametrize("text", [b"s2/take-11", b"xs2/take-1", b"s2/take-1_b", b"s2/take-", b"s2/take", b""])
def test_a_longer_or_shorter_name_is_another_name(text: bytes) -> None:
    assert Traces({b"s2/take-1": "it"}).in_bytes(text) == set()


def test_what_lies_across_the_pieces_of_a_large_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_CHUNK", 64)
    rows = RNG.normal(size=(1, 8)).astype(np.float32)
    known = Traces({b"signer-two/long-name": "it"}, fingerprints(rows))
    for place in range(130):
        filler = bytes(place)
        assert known.in_bytes(filler + b"signer-two/long-name" + bytes(70)) == {"it"}
        assert known.in_bytes(filler + rows.tobytes() + bytes(70)) == {"rows"}


def test_names_are_searched_as_files_write_them() -> None:
    name = "söhne & töchter/1"
    forms = {*as_written(name)}
    assert name.encode() in forms and json.dumps(name)[1:-1].encode() in forms
    assert "söhne &amp; töchter/1".encode() in forms
