"""Folds that a table cannot have, and clips that no fold needs."""

from __future__ import annotations

import pandas as pd
import pytest
from demo_params import section
from test_splits import of_signers

from signloom.dataset.splits import check_share, make_splits
from signloom.errors import SignloomError
from signloom.params.splits import FoldParams, SplitsParams


def test_unsigned_clips_need_no_signer_and_signed_ones_do() -> None:
    table, names = of_signers("a", "b", "c"), ["a", "b", "c"]
    fold = FoldParams(by="signer", name="b", all=names)
    still = table.iloc[:1].assign(clip_id="still", sentence_id=-1, signer_id="")
    made = make_splits(pd.concat([table, still]), section(SplitsParams), fold).set_index("clip_id")["split"]
    assert made["still"] != "train"
    nameless = table.assign(signer_id=["", *table["signer_id"].iloc[1:]])
    with pytest.raises(SignloomError, match="1 signed clips have no signer_id"):
        make_splits(nameless, section(SplitsParams), fold)


def test_a_share_that_leaves_one_sentence_is_refused() -> None:
    table, params = of_signers("a", "b", "c"), section(SplitsParams, mode="clip")
    made = {
        name: make_splits(table, params, FoldParams(by="share", name=name, all=[])) for name in ("1", "90")
    }
    check_share(made["90"], "90")
    with pytest.raises(SignloomError, match=r"1 % of the training clips are 1 of one sentence; name larger"):
        check_share(made["1"], "1")


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["a", "b"], "signer 'c': runs.folds does not name it"),
        (["a", "b", "c", "d"], "signer 'd': no clip of it is left"),
    ],
)
def test_a_list_of_signers_that_the_table_contradicts_is_refused(listed: list[str], message: str) -> None:
    with pytest.raises(SignloomError, match=message):
        make_splits(
            of_signers("a", "b", "c"), section(SplitsParams), FoldParams(by="signer", name="a", all=listed)
        )
