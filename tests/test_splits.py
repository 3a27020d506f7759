"""Splits: predefined or drawn, disjoint, seeded, and honest about unseen sentences."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.dataset.splits import count_splits, make_splits
from signloom.errors import SignloomError
from signloom.params.splits import SplitsParams
from workflow_scripts import splits as stage


def clips(count: int = 40, sentences: int = 10, signers: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": [f"c{n:03d}" for n in range(count)],
            "sentence_id": [n % sentences for n in range(count)],
            "signer_id": [f"s{n % signers}" for n in range(count)],
            "split": ["train", "train", "val", "test"] * (count // 4) + ["train"] * (count % 4),
        }
    )


@pytest.mark.parametrize(
    ("mode", "column"), [("sentence", "sentence_id"), ("signer", "signer_id"), ("clip", "clip_id")]
)
def test_a_drawn_split_never_divides_what_it_groups_by(mode: str, column: str) -> None:
    table = clips()
    split = make_splits(table, SplitsParams(mode=mode, val_share=0.25, test_share=0.25))
    joined = split.merge(table[["clip_id", "signer_id"]], on="clip_id")
    assert joined.groupby(column)["split"].nunique().max() == 1
    assert set(split["split"]) == {"train", "val", "test"}


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 3))
def test_every_clip_gets_one_split_and_seen_means_trained(count: int, sentences: int, seed: int) -> None:
    split = make_splits(clips(count, sentences), SplitsParams(mode="clip", seed=seed, val_share=0.2))
    assert len(split) == count
    trained = set(split.loc[split["split"] == "train", "sentence_id"])
    assert (split["seen"] == split["sentence_id"].isin(trained).astype(int)).all()


def test_the_same_seed_gives_the_same_split_and_another_does_not() -> None:
    draw = [make_splits(clips(), SplitsParams(mode="clip", seed=seed)) for seed in (1, 1, 2)]
    assert draw[0].equals(draw[1])
    assert not draw[0].equals(draw[2])


def test_the_order_of_the_table_does_not_matter() -> None:
    table = clips()
    shuffled = table.sample(frac=1, random_state=3)
    params = SplitsParams(mode="sentence")
    assert make_splits(table, params).equals(make_splits(shuffled, params))


def test_unsigned_clips_never_train() -> None:
    table = clips(8)
    table.loc[0:3, "sentence_id"] = -1
    for mode in ("predefined", "clip"):
        split = make_splits(table, SplitsParams(mode=mode))
        assert "train" not in set(split.loc[split["sentence_id"] < 0, "split"])
        assert split.loc[split["sentence_id"] < 0, "seen"].sum() == 0


@pytest.mark.parametrize("signers", [1, 2, 3])
def test_training_keeps_a_signer_however_few_there_are(
    signers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    table = clips(12, signers=signers)
    split = make_splits(table, SplitsParams(mode="signer", val_share=0.3, test_share=0.3))
    counts = split["split"].value_counts()
    assert counts.sum() == 12 and counts["train"] == 12 // signers
    said = capsys.readouterr().err.splitlines()
    empty = [name for name in ("test", "val") if name not in counts]
    assert len(empty) == 3 - signers
    assert [line.split(" has no signed clip")[0] for line in said] == [
        f"warning: splits.mode signer: {name}" for name in empty
    ]


def test_clips_without_a_signer_cannot_be_divided_by_signer() -> None:
    table = clips(8)
    table.loc[[2, 5], "signer_id"] = ["", " "]
    with pytest.raises(SignloomError, match=r"2 of 8 signed clips have no signer_id \(first: c002\)"):
        make_splits(table, SplitsParams(mode="signer"))
    # nobody signs in an unsigned clip, so that it needs no signer
    table.loc[[2, 5], "sentence_id"] = -1
    assert (make_splits(table, SplitsParams(mode="signer"))["split"] == "train").any()


def test_dev_is_read_as_val_and_an_unknown_split_names_the_clip() -> None:
    table = clips(4)
    table["split"] = ["train", "DEV", "test", "train"]
    assert make_splits(table, SplitsParams())["split"].tolist() == ["train", "val", "test", "train"]
    table.loc[2, "split"] = "exam"
    with pytest.raises(SignloomError, match="first: c002, split 'exam'"):
        make_splits(table, SplitsParams())


def test_a_split_without_training_clips_is_an_error() -> None:
    table = clips(4)
    table["split"] = "test"
    with pytest.raises(SignloomError, match="no clip is left for training"):
        make_splits(table, SplitsParams())


def test_counts_tell_seen_and_unseen_sentences_apart() -> None:
    table = clips(4)
    table["sentence_id"] = [1, 2, 2, 3]
    counts = count_splits(make_splits(table, SplitsParams()), table)
    assert counts["val"]["clips_of_unseen_sentences"] == 0
    assert counts["test"]["clips_of_unseen_sentences"] == 1


def test_the_stage_reports_a_mendable_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = clips(4)
    table["split"] = ""
    table.to_parquet(tmp_path / "m.parquet")
    argv = ["--input", f"metadata={tmp_path}/m.parquet", "--params", '{"splits": {"mode": "predefined"}}']
    argv += ["--output", f"splits={tmp_path}/s.csv", f"metrics={tmp_path}/m.json"]
    assert stage.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: splits.mode predefined: 4 of 4 clips have no usable split")
    assert error.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()
