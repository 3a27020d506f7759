"""Spotting and stage spot: warping against a plain search, what is found, and what the metric file says."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section
from timed_glosses import Inputs, run_stage, write_timed

from signloom.evaluation import spot as spot_module
from signloom.evaluation.gloss_model import open_rows
from signloom.evaluation.gloss_shares import Signed
from signloom.evaluation.spot import COLUMNS, Example, _queries, choose_examples, score_spotting
from signloom.features.gloss_rows import RowFiles
from signloom.inference.dtw import unit_rows
from signloom.inference.spotting import best_places, compared_rows, paths, spot, windows
from signloom.metrics.spotting import METHODS, RAW, average_precision, overlaps, places_right
from signloom.models.trained_gloss import load_gloss
from signloom.params.evaluation import EvaluationParams
from workflow_scripts import spot as stage


def every_path(rows: int, columns: int) -> list[list[int]]:
    """All warping paths: the column of each row, by steps of 0, 1 or 2, and never 0 twice in a row."""
    return [
        path
        for start in range(columns)
        for steps in itertools.product((0, 1, 2), repeat=rows - 1)
        if (0, 0) not in itertools.pairwise(steps)
        and (path := np.cumsum([start, *steps]).tolist())[-1] < columns
    ]


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("columns", [0, 1, 2, 3, 7])
def test_the_best_path_to_every_row_is_the_best_of_all(rows: int, columns: int) -> None:
    distances = np.random.default_rng(rows * 10 + columns).uniform(0, 2, (rows, columns))
    means, starts = paths(distances)
    for last in range(columns):
        ends_here = [path for path in every_path(rows, columns) if path[-1] == last]
        costs = [float(np.mean([distances[row, column] for row, column in enumerate(p)])) for p in ends_here]
        assert means[last] == pytest.approx(min(costs, default=np.inf))
        if ends_here:
            assert starts[last] == ends_here[int(np.argmin(costs))][0]


def test_an_example_is_found_where_it_is_slower_and_faster_and_places_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    example, noise = rng.normal(size=(6, 20)), rng.normal(size=(40, 20))
    slow, fast = np.repeat(example, 2, axis=0), example[::2]
    frames = np.concatenate([noise[:10], slow, noise[10:20], 3 * example, noise[20:30], fast, noise[30:]])
    found = spot(example, frames)
    same = found[:2]
    # of two equal rows, the first one of the example and the last one may be left out
    assert sorted(place[:2] for place in same) == [(11, 21), (32, 38)]
    assert [place.score for place in same] == pytest.approx([1, 1])
    assert found[2].start == 48 and found[2].score > 0.5
    assert [place.score for place in found] == sorted((place.score for place in found), reverse=True)
    taken = np.concatenate([np.arange(place.start, place.end) for place in found])
    assert len(taken) == len(set(taken))
    assert spot(example, frames, 2) == found[:2] and spot(example, frames, 0) == []


def test_a_clip_shorter_than_half_the_example_has_no_place() -> None:
    example = np.eye(5)
    assert spot(example, np.eye(5)[:2]) == [] and spot(example, np.zeros((0, 5))) == []
    assert [place[:2] for place in spot(example, np.eye(5)[:3])] == [(0, 3)]
    with pytest.raises(ValueError, match="without rows"):
        spot(np.zeros((0, 5)), np.eye(5))
    assert best_places(np.ones((1, 1))) == [(0, 1, 0)]


@pytest.mark.parametrize("width", [0, 5])
def test_a_clip_without_rows_has_no_place(width: int) -> None:
    assert spot(np.ones((3, 5)), np.empty((0, width))) == []


def test_rows_are_compared_by_states_and_probabilities_alike() -> None:
    rng = np.random.default_rng(1)
    states, logits = rng.normal(size=(4, 8)), rng.normal(size=(4, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = compared_rows(states, np.log(probabilities))
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    plain = (unit @ unit.T + np.sqrt(probabilities) @ np.sqrt(probabilities).T) / 2
    np.testing.assert_allclose(rows @ rows.T, plain, atol=1e-12)
    never = np.where(np.arange(5) == 2, -np.inf, 0.0)  # of a label that CTC never says
    assert np.isfinite(compared_rows(states, logits + never)).all()


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 6, 7, 11, 40])
@pytest.mark.parametrize("width", [1, 4, 5])
def test_windows_keep_every_row_once_with_rows_on_both_sides(rows: int, width: int) -> None:
    kept = []
    for window, part in windows(rows, width):
        inside = np.arange(rows)[window]
        assert len(inside) == min(width, rows)
        for row in inside[part]:
            assert row == 0 or width < 4 or row - inside[0] >= min(row, width // 4)
            assert width < 4 or inside[-1] - row >= min(rows - 1 - row, width // 4)
        kept += inside[part].tolist()
    assert kept == list(range(rows))


def test_average_precision_by_hand_and_equal_scores_count_against_it() -> None:
    relevant = np.array([1.0, 0, 0, 1])
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), relevant) == (1 + 2 / 4) / 2
    assert average_precision(np.zeros(4), relevant) == (1 / 3 + 2 / 4) / 2
    assert average_precision(np.array([0.0, 1, 2, 3]), relevant) == (1 + 2 / 4) / 2
    assert average_precision(np.array([1.0]), np.array([1.0])) == 1


def test_overlaps_by_hand() -> None:
    truth = np.array([[1.0, 2.0], [4.0, 5.0], [0.0, 1.5]])
    np.testing.assert_allclose(overlaps(np.array([1.0, 3.0]), truth), [1 / 2, -1 / 4, 1 / 6])
    found = np.array([[1.0, 3.0], [4.4, 4.6], [np.nan, np.nan]])
    right = places_right(found, truth)
    assert right["overlap_half"].tolist() == [1, 0, 0]
    assert right["centre_inside"].tolist() == [0, 1, 0]  # an end is exclusive


def test_an_example_is_the_first_of_its_gloss_with_times() -> None:
    clips = [
        Signed("a", ("B",), np.zeros((0, 2)), 1.0),
        Signed("b", ("B", "A", "B"), np.array([[0, 0.2], [0.3, 0.4], [0.5, 0.6]]), 1.0),
        Signed("c", ("A", "C"), np.array([[0, 0.2], [0.3, 0.4]]), 1.0),
    ]
    assert choose_examples(clips) == [("A", "b", 0.3, 0.4), ("B", "b", 0, 0.2), ("C", "c", 0.3, 0.4)]
    assert choose_examples([]) == []


def test_a_gloss_of_all_clips_or_of_none_is_not_scored() -> None:
    places = [
        (method, gloss, "t", 0, 1, clip, "test", "s", gloss in glosses, 0, 1, score, 0, 1, 2)
        for method in METHODS
        for gloss in "ABC"
        for clip, glosses, score in (("a", "AB", 0.1), ("b", "A", 0.9))
    ]
    splits = pd.DataFrame({"clip_id": ["a", "b"], "split": "test", "sentence_id": 0, "seen": 1})
    params = section(EvaluationParams, bootstrap=100, seed=1)
    scores = score_spotting(pd.DataFrame(places, columns=COLUMNS), splits, params)
    found = scores["test"]
    # the only clip with B comes second
    assert (found["n"], found["n_in_all"], found["by_example"]["map"]) == (1, 1, 0.5)
    for method in set(METHODS) - {"by_example"}:
        none = scores["val"][method]
        assert none["p"] is None and none["p_reason"] == none["difference_reason"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_timed(tmp_path_factory.mktemp("corpus"), test=["val/024", "val/025", "val/028"])


def call(corpus: Inputs, out: Path, **sections: dict) -> tuple[int, Path, Path]:
    """Run the stage; return its exit code, places and metric file."""
    places, metrics = out / "places.parquet", out / "spotting.json"
    return run_stage(stage, corpus, places, metrics, **sections), places, metrics


def test_every_example_is_searched_in_every_held_out_clip(corpus: Inputs, tmp_path: Path) -> None:
    code, places, metrics = call(corpus, tmp_path)
    assert code == 0
    table = pd.read_parquet(places)
    assert list(table.columns) == COLUMNS and set(table["method"]) == set(METHODS)
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False).set_index("clip_id")
    splits = pd.read_csv(corpus["splits"][0]).set_index("clip_id")
    searched = set(splits.index[(splits["split"] != "train") & (splits["sentence_id"] >= 0)]) - {"val/027"}
    glosses = {gloss for clip in searched for gloss in lines.loc[clip, "gloss"].split()}
    assert len(table) == len(METHODS) * len(searched) * len(glosses)
    for row in table.itertuples():
        assert splits.loc[row.example_clip, "split"] == "train"
        assert row.contains == (row.gloss in lines.loc[row.clip_id, "gloss"].split())
        assert 0 <= row.start_s < row.end_s <= row.length_s
        assert np.isnan(row.true_start_s) != (row.contains and row.clip_id != "val/028")
    # the figures follow from the table
    found = json.loads(metrics.read_text())["test"]
    mine = table[(table["method"] == "by_example") & (table["split"] == "test")]
    ranked = []
    for _, rows in mine.groupby("gloss"):
        if rows["contains"].any() and not rows["contains"].all():
            order = rows.sort_values("score", ascending=False, kind="stable")["contains"].tolist()
            ranked.append(
                np.mean([sum(order[: n + 1]) / (n + 1) for n, relevant in enumerate(order) if relevant])
            )
    assert (found["n"], found["n_clips"]) == (len(ranked), 3)
    assert found["by_example"]["map"] == pytest.approx(np.mean(ranked), abs=1e-4)
    assert "difference" not in found["by_example"]
    for rival in METHODS[1:]:
        gain = found["by_example"]["map"] - found[rival]["map"]
        assert found[rival]["difference"] == pytest.approx(gain, abs=2e-4)
    assert found["known_gloss"]["overlap_half"] is None and found["known_gloss"]["overlap_half_reason"]


def test_of_many_glosses_those_in_the_most_clips_are_looked_for(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, places, _ = call(corpus, tmp_path / "all")
    every = pd.read_parquet(places)
    monkeypatch.setattr(spot_module, "MOST_GLOSSES", 2)
    _, places, _ = call(corpus, tmp_path / "two")
    some = pd.read_parquet(places)
    clips = every[every["method"] == "by_example"].groupby("gloss")["contains"].sum()
    kept = clips[some["gloss"].unique()]
    assert len(kept) == 2 and kept.min() >= clips.drop(kept.index).max()
    expected = every[every["gloss"].isin(kept.index)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)
    assert (
        f"spot: searches only the 2 (of {len(clips)}) glosses that occur in most" in capsys.readouterr().err
    )


def test_smoothed_features_are_found_earlier(corpus: Inputs, tmp_path: Path) -> None:
    _, plain, _ = call(corpus, tmp_path / "plain")
    _, late, _ = call(corpus, tmp_path / "late", pose={"smoothing": 0.5, "fps": 25.0})
    before, after = (
        pd.read_parquet(path)[lambda table: table["method"] == "known_gloss"] for path in (plain, late)
    )
    # a mean age of one row of a 25th of a second
    np.testing.assert_allclose(after["start_s"], np.maximum(before["start_s"] - 0.04, 0), atol=2e-4)


def test_the_example_is_cut_out_of_rows_that_are_as_late(corpus: Inputs) -> None:
    trained = load_gloss(corpus["checkpoint"][0])
    shards = {name: corpus[name] for name in ("pose", "pose_index", "mask")}
    files = RowFiles(**shards, pose_stats=corpus["pose_stats"][0])
    rows = open_rows(files, corpus["gloss_lines"][0], trained)
    raw, times = unit_rows(rows.network_input("train/003")), rows.input_times("train/003")
    # from row 4 to before row 8
    example = Example("A", "train/003", (times[3] + times[4]) / 2, (times[7] + times[8]) / 2)
    for late in (0, 2):
        (query,) = _queries(trained, rows, [example], 4, times[late] - times[0])
        np.testing.assert_array_equal(query.rows[RAW], raw[4 + late : 8 + late])


def test_equal_inputs_give_equal_bytes_and_batches_change_nothing(corpus: Inputs, tmp_path: Path) -> None:
    once, again = call(corpus, tmp_path / "a"), call(corpus, tmp_path / "b")
    assert [path.read_bytes() for path in once[1:]] == [path.read_bytes() for path in again[1:]]
    _, alone, _ = call(corpus, tmp_path / "c", decode_gloss={"batch_size": 1})
    pd.testing.assert_frame_equal(pd.read_parquet(once[1]), pd.read_parquet(alone), atol=2e-4)


def test_without_known_times_nothing_is_searched_and_the_reason_is_given(
    corpus: Inputs, tmp_path: Path
) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False).assign(gloss_times="")
    lines.to_csv(tmp_path / "lines.csv", index=False)
    code, places, metrics = call(corpus | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert code == 0
    table = pd.read_parquet(places)
    assert table.empty and list(table.columns) == COLUMNS
    found = json.loads(metrics.read_text())["test"]
    assert found["n"] == 0 and found["by_example"]["map"] is None
    assert found["by_example"]["map_reason"].startswith("no gloss that is in some clips")


def test_a_clip_without_feature_rows_is_refused(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = pd.read_parquet(corpus["pose_index"][0])
    index.loc[index["clip_id"] == "train/003", "length"] = 0
    index["time_s"] = [times[:length] for times, length in zip(index["time_s"], index["length"], strict=True)]
    index.to_parquet(tmp_path / "index.parquet")
    code, places, _ = call(corpus | {"pose_index": [tmp_path / "index.parquet"]}, tmp_path)
    assert code == 2 and not places.exists()
    assert "no pose feature rows (first: train/003)" in capsys.readouterr().err


def test_another_number_of_times_than_of_glosses_is_refused(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False)
    lines.loc[lines["clip_id"] == "train/003", "gloss_times"] = json.dumps([[0, 1]] * 9)
    lines.to_csv(tmp_path / "lines.csv", index=False)
    code, places, _ = call(corpus | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert code == 2 and not places.exists()
    assert "clip train/003: 9 gloss times for" in capsys.readouterr().err
