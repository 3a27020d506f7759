"""Metric files: the digits that mean something, in one place, for every stage and every committed file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from conftest import ROOT

from signloom.files import write_json
from signloom.metrics.metric_files import meaningful, write_metrics

COMMITTED = sorted((ROOT / "metrics").rglob("*.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_committed_metric_file_is_as_the_stages_would_write_it(path: Path, tmp_path: Path) -> None:
    write_metrics(tmp_path / "again.json", json.loads(path.read_text("utf-8")))
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_demo_and_the_preset_of_real_signing_have_metric_files() -> None:
    names = {str(path.relative_to(ROOT / "metrics")) for path in COMMITTED}
    assert {"sign2text.json", "gloss/hybrid_pose.json", "boston104/ablation.json"} <= names


def test_two_machines_whose_sums_differ_in_the_tenth_decimal_write_the_same_file(tmp_path: Path) -> None:
    figures = {
        "test": {"n": 31, "wer": 0.1 + 0.2, "joint": {"wer": 2 / 3, "wer_low": 1 / 3}, "bleu4": 94.6374951}
    }
    other = {
        "test": {
            "n": 31,
            "wer": 0.3,
            "joint": {"wer": 2 / 3 - 1e-10, "wer_low": 1 / 3 + 1e-10},
            "bleu4": 94.6375,
        }
    }
    for name, tree in (("one", figures), ("other", other)):
        write_metrics(tmp_path / name, tree)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert json.loads((tmp_path / "one").read_text("utf-8")) == {
        "test": {"n": 31, "wer": 0.3, "joint": {"wer": 0.6667, "wer_low": 0.3333}, "bleu4": 94.64}
    }


@pytest.mark.parametrize("name", ["bleu4", "bleu4_low", "nearest_bleu4_high", "chrf", "chrf_std"])
def test_bleu_and_chrf_have_the_two_decimals_of_sacrebleu(name: str) -> None:
    assert meaningful({name: 96.935721})[name] == 96.94
    assert meaningful({name: None, f"{name}_reason": "no clip"}) == {name: None, f"{name}_reason": "no clip"}


def test_counts_texts_nulls_and_switches_stay_as_they_are() -> None:
    tree = {"n": 123_456_789, "wer": None, "wer_reason": "no clip", "flag": True, "seeds": [42, 43]}
    assert meaningful(tree) == tree
    assert [type(value) for value in meaningful(tree).values()] == [type(value) for value in tree.values()]


def test_what_is_nearer_to_zero_than_half_a_digit_is_zero_without_a_sign() -> None:
    for value in (-0.0, -1e-17, -0.00004, 0.00004, 1e-300):
        found = meaningful({"difference": value})["difference"]
        assert (found, math.copysign(1, found)) == (0.0, 1.0), value
    assert meaningful({"difference": -0.00006}) == {"difference": -0.0001}


def test_rounding_twice_changes_nothing_and_the_tree_that_is_given_is_left_alone() -> None:
    tree = {"test": {"wer": 1 / 3, "each": [1 / 7, {"chrf": 100 / 3}]}}
    once = meaningful(tree)
    assert meaningful(once) == once == {"test": {"wer": 0.3333, "each": [0.1429, {"chrf": 33.33}]}}
    assert tree["test"]["wer"] == 1 / 3


def test_a_figure_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_metrics(tmp_path / "bad.json", {"test": {"wer": math.nan}})
    assert not list(tmp_path.iterdir())


def test_products_that_programs_compute_with_keep_their_digits(tmp_path: Path) -> None:
    write_json(tmp_path / "thresholds.json", {"min_similarity": 1 / 3})
    assert json.loads((tmp_path / "thresholds.json").read_text("utf-8")) == {"min_similarity": 1 / 3}
