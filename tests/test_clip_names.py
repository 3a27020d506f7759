"""Ids of augmented copies, and signers that a table does not name."""

from __future__ import annotations

import pandas as pd
import pytest

from signloom.dataset.clip_names import copy_id, named_signers, refuse_copy_names
from signloom.errors import SignloomError


def test_no_clip_is_called_as_a_copy_of_another() -> None:
    refuse_copy_names(["hello", "take#1", "take#x", "#1", "hello#"])
    with pytest.raises(SignloomError, match="'hello#2' has the name that an augmented copy of clip 'hello'"):
        refuse_copy_names(["hello", "tree", copy_id("hello", 2)])
    assert copy_id("hello", 0) == "hello"


def test_an_empty_cell_names_no_signer() -> None:
    assert named_signers(pd.Series(["", "  ", None])) == 0
    assert named_signers(pd.Series(["anna", "", "ben", "anna "])) == 2
