"""Drawn splits of groups of unlike sizes: large ones train, and what is lopsided is said."""

from __future__ import annotations

import pytest
from demo_params import section
from hypothesis import given
from hypothesis import strategies as st

from signloom.dataset.splits import make_splits
from signloom.params.splits import FoldParams, SplitsParams
from tests.test_splits import clips


@pytest.mark.parametrize("sizes", [[90, 5, 5], [15, 2, 2, 1], [15, 1, 1, 1, 1, 1]])
def test_a_large_group_trains_whatever_the_seed(sizes: list[int]) -> None:
    signers = [f"s{n}" for n, size in enumerate(sizes) for _ in range(size)]
    table = clips(len(signers)).assign(signer_id=signers)
    for seed in range(8):
        params = section(SplitsParams, mode="signer", seed=seed, val_share=0.15, test_share=0.15)
        made = make_splits(table, params).merge(table[["clip_id", "signer_id"]], on="clip_id")
        assert set(made["split"][made["signer_id"] == "s0"]) == {"train"}
        assert {"val", "test"} <= set(made["split"])


def test_a_part_that_has_to_be_large_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    table = clips(20, signers=2)
    make_splits(table, section(SplitsParams, mode="signer", val_share=0, test_share=0.15))
    said = "test has 10 of 20 signed clips, over twice splits.test_share 0.15, as each signer goes whole"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([50, 50, 1], {"test": 50, "val": 1, "train": 50}),
        ([100, 80, 2], {"test": 80, "val": 2, "train": 100}),
        ([45, 45, 45, 45, 1], {"test": 45, "val": 45, "train": 91}),
    ],
)
def test_a_tiny_group_is_no_part_where_a_larger_one_is_left(
    sizes: list[int], parts: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    signers = [f"s{n}" for n, size in enumerate(sizes) for _ in range(size)]
    table = clips(len(signers)).assign(signer_id=signers)
    for seed in range(5):
        params = section(SplitsParams, mode="signer", seed=seed, val_share=0.1, test_share=0.2)
        made = make_splits(table, params)["split"].value_counts().to_dict()
        if sizes[-1] == 1 and len(sizes) == 5:  # the tiny one may be beside another in the test
            assert made["test"] in (45, 46) and made["val"] in (45, 46)
        else:
            assert made == parts
            assert (
                f"val has {parts['val']} of {len(table)} signed clips, under half" in capsys.readouterr().err
            )


def test_a_share_of_training_does_not_make_the_test_too_large(capsys: pytest.CaptureFixture[str]) -> None:
    fold = FoldParams(by="share", name="10", all=[])
    make_splits(clips(1000), section(SplitsParams, mode="clip", val_share=0.15, test_share=0.15), fold)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("signers", [1, 2, 3])
def test_training_keeps_a_signer_however_few_there_are(
    signers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    table = clips(12, signers=signers)
    split = make_splits(table, section(SplitsParams, mode="signer", val_share=0.3, test_share=0.3))
    counts = split["split"].value_counts()
    assert counts.sum() == 12 and counts["train"] == 12 // signers
    said = capsys.readouterr().err.splitlines()
    empty = [name for name in ("test", "val") if name not in counts]
    assert len(empty) == 3 - signers
    assert [line.split(" has no signed clip")[0] for line in said] == [
        f"warning: splits.mode signer: {name}" for name in empty
    ]


def test_who_is_held_out_is_held_out_with_the_clips_that_are_no_signing() -> None:
    table = clips(60, signers=6)
    table.loc[table.index[::5], ["sentence_id", "sentence"]] = [-1, ""]
    params = section(SplitsParams, mode="signer", seed=1, val_share=0.17, test_share=0.17)
    made = make_splits(table, params).merge(table[["clip_id", "signer_id"]], on="clip_id")
    signed = made[made["sentence_id"] >= 0].groupby("signer_id")["split"].first()
    unsigned = made[made["sentence_id"] < 0]
    for signer, split in zip(unsigned["signer_id"], unsigned["split"], strict=True):
        # those of training are divided, as clips to refuse
        assert split == signed[signer] or signed[signer] == "train"
    assert {*unsigned["split"]} == {"val", "test"}


@given(st.lists(st.integers(0, 12), min_size=8, max_size=60), st.integers(0, 30))
def test_drawn_clips_leave_each_sentence_one_for_training(sentences: list[int], seed: int) -> None:
    table = clips(len(sentences)).assign(sentence_id=sentences)
    params = section(SplitsParams, mode="clip", val_share=0.15, test_share=0.15, seed=seed)
    made = make_splits(table, params)
    held = (made["split"] != "train").sum()
    assert held == sum(max(1, round(0.15 * len(sentences))) for _ in range(2))
    if held <= len(sentences) - len(set(sentences)):
        assert (made["seen"] == 1).all()


def test_clips_are_drawn_too_where_each_sentence_has_one() -> None:
    params = section(SplitsParams, mode="clip", val_share=0.0, test_share=0.2)
    assert (make_splits(clips(20).assign(sentence_id=range(20)), params)["split"] == "test").sum() == 4
