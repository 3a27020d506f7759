"""Progress: every item is passed on, and what goes on within a long item is shown while it lasts."""

from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from signloom.progress import track
from signloom.training.epochs import shown_batches


@pytest.mark.parametrize("note", [None, lambda: "7 frames"])
def test_every_item_is_passed_on(note, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("abc"), "letters", 3, note=note)) == ["a", "b", "c"]
    assert "letters: 100%" in capsys.readouterr().err


def test_a_log_shows_the_beginning_and_the_end_in_lines_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    list(track(range(3), "clips", 3))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("clips:   0%") and lines[-1].startswith("clips: 100%")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_note_is_written_while_an_item_takes_long_and_by_no_one_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    list(track([0], "starts tqdm's own thread"))
    before, frames = set(threading.enumerate()), itertools.count()
    for _ in track([0], "clips", note=lambda: f"{next(frames)} frames"):
        until = time.monotonic() + 30
        while "0 frames" not in sys.stderr.getvalue():  # type: ignore[attr-defined]
            assert time.monotonic() < until, "no note within half a minute"
            time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_what_is_shown_late_says_nothing_if_it_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), "epoch 1", 3, after_s=60)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_an_epoch_that_takes_long_shows_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signloom.training.epochs._LONG_S", 0.01)
    monkeypatch.setattr(sys, "stderr", Terminal())

    def slow() -> Iterator[int]:
        for number in range(4):
            time.sleep(0.3)
            yield number

    assert list(shown_batches(slow(), "epoch 7", 4)) == [0, 1, 2, 3]
    assert "epoch 7:  75%" in sys.stderr.getvalue()  # type: ignore[attr-defined]
