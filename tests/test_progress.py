"""Progress: every item is passed on, and what goes on within a long item is shown while it lasts."""

from __future__ import annotations

import threading

import pytest

from signloom import progress
from signloom.progress import track


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


def test_the_note_is_written_while_an_item_takes_long_and_not_after() -> None:
    class Bar:
        def __init__(self) -> None:
            self.notes: list[str] = []
            self.noted = threading.Event()

        def set_postfix_str(self, text: str) -> None:
            self.notes.append(text)
            self.noted.set()

    bar, frames = Bar(), iter(range(1000000))
    with progress._noted(bar, lambda: f"{next(frames)} frames", 0.001):
        assert bar.noted.wait(30)
    assert bar.notes[0] == "0 frames"
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(write)")]
    assert len(bar.notes) == next(frames), "a note was written after the end"
