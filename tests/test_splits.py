"""Splits: predefined or drawn, disjoint, seeded, and honest about unseen sentences."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from demo_params import params_json, section
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.dataset.splits import check_table, count_splits, make_splits
from signloom.errors import SignloomError
from signloom.params.splits import FoldBy, FoldParams, SplitsParams
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
    split = make_splits(table, section(SplitsParams, mode=mode, val_share=0.25, test_share=0.25))
    joined = split.merge(table[["clip_id", "signer_id"]], on="clip_id")
    assert joined.groupby(column)["split"].nunique().max() == 1
    assert set(split["split"]) == {"train", "val", "test"}


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 3))
def test_every_clip_gets_one_split_and_seen_means_trained(count: int, sentences: int, seed: int) -> None:
    split = make_splits(clips(count, sentences), section(SplitsParams, mode="clip", seed=seed, val_share=0.2))
    assert len(split) == count
    trained = set(split.loc[split["split"] == "train", "sentence_id"])
    assert (split["seen"] == split["sentence_id"].isin(trained).astype(int)).all()


def test_the_same_seed_gives_the_same_split_and_another_does_not() -> None:
    draw = [make_splits(clips(), section(SplitsParams, mode="clip", seed=seed)) for seed in (1, 1, 2)]
    assert draw[0].equals(draw[1])
    assert not draw[0].equals(draw[2])


def test_the_order_of_the_table_does_not_matter() -> None:
    table = clips()
    shuffled = table.sample(frac=1, random_state=3)
    params = section(SplitsParams, mode="sentence")
    assert make_splits(table, params).equals(make_splits(shuffled, params))


@pytest.mark.parametrize("mode", ["clip", "sentence", "signer"])
def test_a_clip_or_signer_that_comes_brings_no_old_clip_from_the_test_into_training(mode: str) -> None:
    table, params = clips(200, 40, 8), section(SplitsParams, mode=mode)
    before = make_splits(table, params).set_index("clip_id")["split"]
    for new in range(1, 6):
        come = clips(new * 5, 40, 1).assign(signer_id=f"new-{new}")
        come["clip_id"] = [f"{clip}-{new}" for clip in come["clip_id"]]
        come.loc[0, "sentence_id"] = 1000 + new
        after = make_splits(pd.concat([table, come]), params).set_index("clip_id")["split"][before.index]
        assert not ((before == "test") & (after == "train")).any()
        # what is left of the old test is most of it, whichever names the new ones have
        assert ((before == "test") & (after == "test")).sum() >= (before == "test").sum() * 0.5


def test_unsigned_clips_never_train() -> None:
    table = clips(8)
    table.loc[0:3, "sentence_id"] = -1
    for mode in ("predefined", "clip"):
        split = make_splits(table, section(SplitsParams, mode=mode))
        assert "train" not in set(split.loc[split["sentence_id"] < 0, "split"])
        assert split.loc[split["sentence_id"] < 0, "seen"].sum() == 0


def test_clips_without_a_signer_cannot_be_divided_by_signer() -> None:
    table = clips(8)
    table.loc[[2, 5], "signer_id"] = ["", " "]
    with pytest.raises(SignloomError, match=r"2 of 8 signed clips have no signer_id \(first: c002\)"):
        make_splits(table, section(SplitsParams, mode="signer"))
    # nobody signs in an unsigned clip, so that it needs no signer
    table.loc[[2, 5], "sentence_id"] = -1
    assert (make_splits(table, section(SplitsParams, mode="signer"))["split"] == "train").any()


def test_dev_is_read_as_val_and_an_unknown_split_names_the_clip() -> None:
    table = clips(4)
    table["split"] = ["train", "DEV", "test", "train"]
    assert make_splits(table, section(SplitsParams))["split"].tolist() == ["train", "val", "test", "train"]
    table.loc[2, "split"] = "exam"
    with pytest.raises(SignloomError, match="first: c002, split 'exam'"):
        make_splits(table, section(SplitsParams))


def test_a_split_without_training_clips_is_an_error() -> None:
    table = clips(4)
    table["split"] = "test"
    with pytest.raises(SignloomError, match="no clip is left for training"):
        make_splits(table, section(SplitsParams))


def test_a_table_that_can_be_split_passes_the_first_check() -> None:
    for mode in ("predefined", "sentence", "signer", "clip"):
        check_table(clips(), section(SplitsParams, mode=mode))
    check_table(clips().assign(split="train"), section(SplitsParams, test_share=0.0))


def spoilt(problem: str) -> pd.DataFrame:
    """A table that cannot be used for one reason."""
    table = clips()
    changed = {
        "no signer": {"signer_id": ""},
        "one signer": {"signer_id": "s0"},
        "no split": {"split": ""},
        "no test": {"split": table["split"].replace("test", "val")},
        "unsigned test": {"sentence_id": table["sentence_id"].mask(table["split"] == "test", -1)},
        "one class": {"sentence_id": 7},
        "one class to train": {"sentence_id": table["sentence_id"].mask(table["split"] == "train", 7)},
    }
    return table.assign(**changed[problem])


@pytest.mark.parametrize(
    ("mode", "problem", "message"),
    [
        ("signer", "no signer", "40 of 40 signed clips have no signer_id"),
        ("signer", "one signer", "none of 40 signed clips would be in test"),
        ("predefined", "no split", "40 of 40 clips have no usable split"),
        ("predefined", "no test", "none of 40 signed clips would be in test.*set splits.test_share to 0"),
        ("predefined", "unsigned test", "none of 30 signed clips would be in test"),
        ("clip", "one class", r"all 28 training clips have one sentence or gloss \(sentence_id 7\)"),
        ("predefined", "one class to train", "all 20 training clips have one sentence or gloss"),
    ],
)
def test_what_a_table_lacks_is_known_before_any_clip_is_tracked(
    mode: str, problem: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SignloomError, match=message) as caught:
        check_table(spoilt(problem), section(SplitsParams, mode=mode))
    assert len(str(caught.value).splitlines()) == 1
    assert capsys.readouterr().err == ""


def test_counts_tell_seen_and_unseen_sentences_apart() -> None:
    table = clips(4)
    table["sentence_id"] = [1, 2, 2, 3]
    counts = count_splits(make_splits(table, section(SplitsParams)), table)
    assert counts["val"]["clips_of_unseen_sentences"] == 0
    assert counts["test"]["clips_of_unseen_sentences"] == 1


def test_the_stage_reports_a_mendable_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = clips(4)
    table["split"] = ""
    table.to_parquet(tmp_path / "m.parquet")
    argv = ["--input", f"metadata={tmp_path}/m.parquet", "--params", params_json({"splits": {}})]
    argv += ["--output", f"splits={tmp_path}/s.csv", f"metrics={tmp_path}/m.json"]
    assert stage.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: splits.mode predefined: 4 of 4 clips have no usable split")
    assert error.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()


def trained_and_tested(count: int = 23) -> pd.DataFrame:
    table = clips(count)
    table["split"] = ["test" if number % 4 == 3 else "train" for number in range(count)]
    return table


def part(number: int, count: int, by: FoldBy = "clip") -> FoldParams:
    return FoldParams(by=by, name=str(number), all=[str(n) for n in range(count)])


@settings(max_examples=10)
@given(st.integers(2, 17), st.integers(0, 3))
def test_every_training_clip_is_held_out_by_exactly_one_fold(folds: int, seed: int) -> None:
    table = trained_and_tested()
    held_out: list[str] = []
    sizes = []
    for fold in range(folds):
        made = make_splits(table, section(SplitsParams, seed=seed), part(fold, folds))
        split = made.set_index("clip_id")["split"]
        assert set(split.index[split == "test"]) == set(table.loc[table["split"] == "test", "clip_id"])
        held_out += list(split.index[split == "val"])
        sizes.append(int((split == "val").sum()))
    assert sorted(held_out) == sorted(table.loc[table["split"] == "train", "clip_id"])
    assert max(sizes) - min(sizes) <= 1


def test_folds_follow_the_seed_and_not_the_order_of_the_table() -> None:
    table = trained_and_tested()
    split = make_splits(table, section(SplitsParams), part(2, 4))
    assert split.equals(make_splits(table.sample(frac=1, random_state=5), section(SplitsParams), part(2, 4)))
    assert not split.equals(make_splits(table, section(SplitsParams, seed=1), part(2, 4)))


def test_unsigned_clips_of_training_are_in_no_fold() -> None:
    table = trained_and_tested()
    table.loc[0:1, "sentence_id"] = -1
    split = make_splits(table, section(SplitsParams), part(0, 2)).set_index("clip_id")["split"]
    signed_train = table[(table["split"] == "train") & (table["sentence_id"] >= 0)]["clip_id"]
    assert split[signed_train].value_counts().to_dict() == {"train": 8, "val": 8}
    assert split[["c000", "c001"]].tolist() == ["val", "val"]


@pytest.mark.parametrize(
    ("params", "count", "message"),
    [
        (section(SplitsParams), 19, "19 folds of 18 training clips; name at most 18"),
        (section(SplitsParams, mode="clip"), 5, "expected splits.mode predefined, found clip"),
    ],
)
def test_folds_that_cannot_be_made_are_a_clear_error(params: SplitsParams, count: int, message: str) -> None:
    with pytest.raises(SignloomError, match=message):
        make_splits(trained_and_tested(), params, part(0, count))


def test_folds_are_refused_where_the_table_has_val_clips() -> None:
    with pytest.raises(SignloomError, match=r"10 val clips of its own; set runs\.folds to \[\]"):
        make_splits(clips(), section(SplitsParams), part(0, 5))


@settings(max_examples=10)
@given(st.integers(3, 10), st.integers(0, 3), st.sampled_from(["predefined", "signer", "clip", "sentence"]))
def test_each_part_of_all_clips_is_tested_once_and_the_next_one_validates(
    count: int, seed: int, mode: str
) -> None:
    table, params = trained_and_tested(), section(SplitsParams, mode=mode, seed=seed)
    made = [make_splits(table, params, part(number, count, by="part")) for number in range(count)]
    tested = [set(one["clip_id"][one["split"] == "test"]) for one in made]
    assert sorted(clip for clips in tested for clip in clips) == sorted(table["clip_id"])
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    validated = [set(one["clip_id"][one["split"] == "val"]) for one in made]
    assert validated == [*tested[1:], tested[0]]


def test_without_a_share_for_validation_every_clip_outside_the_part_is_trained_on() -> None:
    table = trained_and_tested()
    table.loc[0:1, "sentence_id"] = -1
    fold = part(1, 3, by="part")
    split = make_splits(table, section(SplitsParams, val_share=0.0), fold).set_index("clip_id")["split"]
    assert split[["c000", "c001"]].tolist() == ["val", "test"]
    assert split.drop(["c000", "c001"]).value_counts().to_dict() == {"train": 14, "test": 7}


def test_more_parts_than_clips_are_a_clear_error() -> None:
    with pytest.raises(SignloomError, match="24 folds of 23 signed clips; name at most 23"):
        make_splits(trained_and_tested(), section(SplitsParams), part(0, 24, by="part"))


def of_signers(*names: str) -> pd.DataFrame:
    table = clips(4 * len(names))
    table["signer_id"] = [names[number % len(names)] for number in range(len(table))]
    return table


def test_each_signer_is_tested_once_and_the_next_one_validates() -> None:
    table, names = of_signers("a", "b", "c"), ["a", "b", "c"]
    signer = table.set_index("clip_id")["signer_id"]
    for name, following in (("a", "b"), ("b", "c"), ("c", "a")):
        made = make_splits(table, section(SplitsParams), FoldParams(by="signer", name=name, all=names))
        split = made.set_index("clip_id")["split"]
        assert set(signer[split.index[split == "test"]]) == {name}
        assert set(signer[split.index[split == "val"]]) == {following}
        trained = set(table.set_index("clip_id")["sentence_id"][split.index[split == "train"]])
        seen = made.set_index("clip_id")["seen"]
        for clip_id, sentence in zip(table["clip_id"], table["sentence_id"], strict=True):
            assert seen[clip_id] == int(sentence in trained)


def test_without_a_share_for_validation_every_other_signer_of_a_fold_is_trained_on() -> None:
    table, names = of_signers("a", "b", "c"), ["a", "b", "c"]
    fold = FoldParams(by="signer", name="b", all=names)
    made = make_splits(table, section(SplitsParams, val_share=0.0), fold).set_index("clip_id")["split"]
    assert made.to_dict() == {
        clip: "test" if signer == "b" else "train"
        for clip, signer in zip(table["clip_id"], table["signer_id"], strict=True)
    }


def shares(table: pd.DataFrame, seed: int = 0) -> dict[int, pd.DataFrame]:
    """The splits of some shares of the training clips, with 100 % for the plain ones."""
    params = section(SplitsParams, seed=seed)
    made = {
        percent: make_splits(table, params, FoldParams(by="share", name=str(percent)))
        for percent in (1, 12, 25, 50, 99)
    }
    return made | {100: make_splits(table, params)}


@st.composite
def corpora(draw: st.DrawFn) -> pd.DataFrame:
    """Any corpus: sentences and signers occur as often as chance has it, some clips are not signed."""
    count = draw(st.integers(1, 60))

    def column(values: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(values, min_size=count, max_size=count))

    table = pd.DataFrame(
        {
            "clip_id": [f"c{number:03d}" for number in range(count)],
            "sentence_id": column(st.integers(-1, 8)),
            "signer_id": column(st.sampled_from(["", "a", "b", "c"])),
            "split": column(st.sampled_from(["train", "val", "test"])),
        }
    )
    table.loc[0, ["sentence_id", "split"]] = 0, "train"
    return table


@settings(max_examples=25)
@given(corpora(), st.integers(0, 3))
def test_a_share_is_within_every_larger_one_and_keeps_val_and_test(table: pd.DataFrame, seed: int) -> None:
    made = shares(table, seed)
    whole = made.pop(100)
    training = whole["split"] == "train"
    last: set[str] = set()
    for percent, split in [*made.items(), (100, whole)]:
        kept = set(split["clip_id"][split["split"] == "train"])
        assert last <= kept
        assert len(kept) == max(1, round(percent / 100 * training.sum()))
        pd.testing.assert_frame_equal(
            split[split["split"] != "train"].drop(columns="seen").reset_index(drop=True),
            whole[~training].drop(columns="seen").reset_index(drop=True),
        )
        trained = set(split["sentence_id"][split["split"] == "train"])
        assert (split["seen"] == split["sentence_id"].isin(trained).astype(int)).all()
        last = kept


@settings(max_examples=25)
@given(corpora())
def test_a_share_has_every_sentence_before_any_sentence_twice(table: pd.DataFrame) -> None:
    made = shares(table)
    sizes = made[100]["sentence_id"][made[100]["split"] == "train"].value_counts()
    for split in made.values():
        kept = split["sentence_id"][split["split"] == "train"].value_counts().reindex(sizes.index).fillna(0)
        assert kept.max() <= 1 or kept.min() >= 1
        # Adams' method: no sentence with one clip less would have a smaller part of its clips
        assert ((kept - 1) / sizes).max() <= (kept / sizes).min()


@settings(max_examples=20)
@given(st.integers(2, 8), st.integers(5, 30), st.integers(0, 3))
def test_a_share_takes_the_same_part_of_every_signer_who_signs_every_sentence(
    signers: int, sentences: int, seed: int
) -> None:
    count = signers * sentences
    table = clips(count, sentences, signers)
    table["sentence_id"] = [number // signers for number in range(count)]
    table["split"] = "train"
    signer = table.set_index("clip_id")["signer_id"]
    for percent, split in shares(table, seed).items():
        kept = signer[split["clip_id"]].value_counts().reindex(sorted(set(signer))).fillna(0)
        assert (abs(kept - percent / 100 * sentences) <= 2).all(), percent


def test_a_share_of_sentences_that_occur_once_is_spread_over_their_signers() -> None:
    table = clips(100, 100, 4)
    table["split"] = "train"
    # one signer has 70 clips, the others have 10 each
    table["signer_id"] = ["a"] * 70 + ["b"] * 10 + ["c"] * 10 + ["d"] * 10
    split = shares(table)[50]
    kept = table.set_index("clip_id")["signer_id"][split["clip_id"]].value_counts()
    assert kept.to_dict() == {"a": 35, "b": 5, "c": 5, "d": 5}


def test_shares_follow_the_seed_and_not_the_order_of_the_table() -> None:
    table = clips(80)
    split = shares(table)[25]
    assert split.equals(shares(table.sample(frac=1, random_state=5))[25])
    assert not split.equals(shares(table, seed=1)[25])
