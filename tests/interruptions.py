"""Trainings that are cut off as a kill cuts them off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from signloom.models import checkpoints


class Killed(BaseException):
    """What a kill leaves behind: nothing catches it."""


@contextmanager
def killed_at_save(moment: int) -> Iterator[None]:
    """Cut off what runs inside when it is about to save its checkpoint number `moment`, counted from 1."""
    saves, really_save = 0, checkpoints.save

    def save(path: Path, content: dict[str, Any]) -> None:
        nonlocal saves
        saves += 1
        if saves == moment:
            raise Killed
        really_save(path, content)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoints, "save", save)
        yield
