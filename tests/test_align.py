"""Stage align: times of every gloss, their scores beside two rivals, and the clips that cannot be aligned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section
from timed_glosses import Inputs, run_stage, write_timed

from signloom.evaluation.align import COLUMNS, score_times
from signloom.evaluation.gloss_shares import MeanLengths, Signed, equal_shares, signed_clips
from signloom.params.evaluation import EvaluationParams
from workflow_scripts import align as stage

RIVALS = ["equal_shares", "mean_lengths"]


MANY_CLIPS = """
import numpy as np, pandas as pd, resource, sys, torch
from types import SimpleNamespace
from signloom.evaluation import align
names = [f"clip{number:04}" for number in range(1600)]
def batches(rows, clips, size, label):
    for start in range(0, 1600, 16):  # every batch needs more room than the one before it
        yield range(start, start + 16), None, torch.full((16,), 10 + start // 16)
def scores(trained, features, lengths):
    heads = torch.randn(16, int(lengths[0]), 2000).index_fill(2, torch.tensor([0]), -9.0)
    return SimpleNamespace(log_probs=heads.log_softmax(2))
align.clip_batches, align.Encoded = batches, SimpleNamespace(by=scores)
rows = SimpleNamespace(length_s=lambda clip: 4.0, input_times=lambda clip: np.linspace(0, 4, 9))
splits = pd.DataFrame({"clip_id": names, "sentence_id": 0, "split": "train"})
lines = pd.DataFrame({"gloss": "A B A B", "signer_id": "s", "gloss_times": ""}, index=names)
trained = SimpleNamespace(vocabulary=["", "", "", "A", "B"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
align.align_clips(trained, rows, splits, lines, 16, 0.0)
unit = 1_000_000 if sys.platform == "darwin" else 1000  # macOS counts bytes
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // unit)
"""


def test_memory_does_not_grow_with_the_number_of_clips() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_CLIPS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 250, "MB; the scores of all clips are 770 MB, those of the largest batch 14"


def test_a_clip_is_read_from_its_rows_wherever_they_lie_and_a_sign_without_an_end_has_no_times() -> None:
    clips = ["b", "a", "b", "a"]
    table = pd.DataFrame({"clip_id": clips, "gloss": ["A", "B", "C", "D"], "length_s": [2.0, 3.0, 2.0, 3.0]})
    table = table.assign(true_start_s=[0.5, 0.1, 0.7, 0.2], true_end_s=[0.6, 0.2, np.nan, 0.3])
    found = signed_clips(table)
    assert list(found) == ["a", "b"]
    assert found["a"].glosses == ("B", "D") and found["b"].glosses == ("A", "C")
    assert found["a"].length_s == 3.0 and found["a"].truth.tolist() == [[0.1, 0.2], [0.2, 0.3]]
    assert found["b"].truth.tolist() == [[0.5, 0.6]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_timed(tmp_path_factory.mktemp("corpus"), test=["val/024", "val/025"])


def call(corpus: Inputs, out: Path, **sections: dict) -> tuple[int, Path, Path]:
    """Run the stage; return its exit code, times and metric file."""
    times, metrics = out / "times.parquet", out / "alignment.json"
    return run_stage(stage, corpus, times, metrics, **sections), times, metrics


def test_every_signed_clip_has_times_in_order_inside_it(corpus: Inputs, tmp_path: Path) -> None:
    code, times, metrics = call(corpus, tmp_path)
    assert code == 0
    table = pd.read_parquet(times)
    assert list(table.columns) == COLUMNS
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False).set_index("clip_id")
    assert set(table["clip_id"]) == set(lines.index) - {"val/026", "val/027"}
    for clip_id, rows in table.groupby("clip_id"):
        assert " ".join(rows["gloss"]) == lines.loc[clip_id, "gloss"]
        edges = rows[["start_s", "end_s"]].to_numpy().ravel()
        assert (np.diff(edges) >= 0).all() and edges[0] >= 0
        assert (rows["end_s"] > rows["start_s"]).all() and rows["score"].between(0, 1).all()
        truth = json.loads(lines.loc[clip_id, "gloss_times"] or "[]")
        known = rows[["true_start_s", "true_end_s"]].dropna().to_numpy()
        np.testing.assert_allclose(known, np.reshape(truth, (-1, 2)), atol=1e-4)
    found = json.loads(metrics.read_text())
    counts = {name: (part["n"], part["n_without_times"]) for name, part in found.items()}
    assert counts["test"] == counts["test_all_sentences"] == (2, 0)
    assert counts["val"] == (3, 1)
    assert counts["test_unseen_sentences"] == (0, 0)
    # the figures follow from the table
    test = table[table["split"] == "test"]
    errors = (test[["start_s", "end_s"]].to_numpy() - test[["true_start_s", "true_end_s"]].to_numpy()) * 1000
    assert found["test"]["aligned"]["median_ms"] == pytest.approx(np.median(abs(errors)), abs=1e-3)
    assert [key for key in found["test"] if isinstance(found["test"][key], dict)] == ["aligned", *RIVALS]
    for rival in RIVALS:
        mean = found["test"]["aligned"]["mean_ms"] - found["test"][rival]["mean_ms"]
        assert found["test"][rival]["difference_ms"] == pytest.approx(mean, abs=2e-4)


def test_smoothed_features_are_aligned_earlier(corpus: Inputs, tmp_path: Path) -> None:
    _, plain, _ = call(corpus, tmp_path / "plain")
    _, late, _ = call(corpus, tmp_path / "late", pose={"smoothing": 0.5, "fps": 25.0})
    before, after = pd.read_parquet(plain), pd.read_parquet(late)
    # a mean age of one row of a 25th of a second
    np.testing.assert_allclose(after["start_s"], np.maximum(before["start_s"] - 0.04, 0), atol=2e-4)


def test_equal_inputs_give_equal_bytes_and_batches_change_nothing(corpus: Inputs, tmp_path: Path) -> None:
    once, again = call(corpus, tmp_path / "a"), call(corpus, tmp_path / "b")
    assert [path.read_bytes() for path in once[1:]] == [path.read_bytes() for path in again[1:]]
    _, alone, _ = call(corpus, tmp_path / "c", decode_gloss={"batch_size": 1})
    pd.testing.assert_frame_equal(pd.read_parquet(once[1]), pd.read_parquet(alone), atol=2e-4)


def test_a_clip_with_fewer_rows_than_its_glosses_need_has_the_reason(corpus: Inputs, tmp_path: Path) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False)
    lines.loc[lines["clip_id"] == "val/024", ["gloss", "gloss_times"]] = " ".join(["JOHN"] * 40), ""
    lines.to_csv(tmp_path / "lines.csv", index=False)
    code, times, metrics = call(corpus | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert code == 0
    rows = pd.read_parquet(times).set_index("clip_id").loc["val/024"]
    assert rows[["start_s", "end_s", "score"]].isna().all(axis=None)
    assert rows["reason"].iloc[0].startswith("too_short: ") and rows["reason"].iloc[0].endswith("needs 79")
    found = json.loads(metrics.read_text())["test"]
    assert (found["n"], found["n_too_short"]) == (1, 1)


def test_without_known_times_there_are_times_and_no_figure(corpus: Inputs, tmp_path: Path) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False).assign(gloss_times="")
    lines.to_csv(tmp_path / "lines.csv", index=False)
    code, times, metrics = call(corpus | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert code == 0
    assert pd.read_parquet(times)["start_s"].notna().all()
    found = json.loads(metrics.read_text())["test"]
    assert found["aligned"]["median_ms"] is None
    assert found["aligned"]["median_ms_reason"] == "no clip with true times in this data set"
    assert "mean_lengths" not in found


def test_a_clip_without_feature_rows_is_refused(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = pd.read_parquet(corpus["pose_index"][0])
    index.loc[index["clip_id"] == "val/024", "length"] = 0
    index["time_s"] = [times[:length] for times, length in zip(index["time_s"], index["length"], strict=True)]
    index.to_parquet(tmp_path / "index.parquet")
    code, times, _ = call(corpus | {"pose_index": [tmp_path / "index.parquet"]}, tmp_path)
    assert code == 2 and not times.exists()
    assert "no pose feature rows (first: val/024)" in capsys.readouterr().err


def test_another_number_of_times_than_of_glosses_is_refused(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False)
    lines.loc[lines["clip_id"] == "val/024", "gloss_times"] = json.dumps([[0, 1]] * 9)
    lines.to_csv(tmp_path / "lines.csv", index=False)
    code, times, _ = call(corpus | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert code == 2 and not times.exists()
    assert "clip val/024: 9 gloss times for" in capsys.readouterr().err


def test_the_rivals_divide_the_clip_by_number_and_by_length() -> None:
    clip = Signed("a", ("A", "B"), np.zeros((0, 2)), 2.0)
    np.testing.assert_allclose(equal_shares(clip), [[0, 1], [1, 2]])
    timed = [
        Signed("x", ("A", "B"), np.array([[0.2, 0.4], [0.6, 1.2]]), 1.4),
        Signed("y", ("A",), np.array([[0.2, 0.4]]), 0.6),
    ]
    lengths = MeanLengths(timed)
    # 0.2 before, A 0.2, a pause of 0.2, B 0.6, 0.2 after: 1.4 in all
    np.testing.assert_allclose(lengths.share(timed[0]), timed[0].truth)
    np.testing.assert_allclose(lengths.share(clip), timed[0].truth / 1.4 * 2)
    # a new gloss is as long as all are on average
    new = Signed("b", ("NEW",), np.zeros((0, 2)), 1.0)
    np.testing.assert_allclose(lengths.share(new), [[0.2 / (0.4 + 1 / 3), 1 - 0.2 / (0.4 + 1 / 3)]])
    # what is around the glosses is no pause
    late = Signed("c", ("A",), np.array([[0.5, 1.5]]), 4.0)
    np.testing.assert_allclose(MeanLengths([late]).share(late), late.truth)


def test_mean_lengths_are_those_of_training_clips_alone() -> None:
    rows = []
    for clip, split, first in (("a", "train", 1.0), ("b", "test", 3.0)):
        for number, times in enumerate([(0.0, first), (first, first + 1.0)]):
            rows.append((clip, split, "s", number, "AB"[number], *times, 0.9, *times, first + 1.0, ""))
    splits = pd.DataFrame(
        {"clip_id": ["a", "b"], "split": ["train", "test"], "sentence_id": [0, 0], "seen": 1}
    )
    params = section(EvaluationParams, bootstrap=100, seed=1)
    found = score_times(pd.DataFrame(rows, columns=COLUMNS), splits, params)["test"]
    # two equal halves of 4 s, where the first gloss lasts 3 s
    assert found["mean_lengths"]["mean_ms"] == pytest.approx((0 + 1000 + 1000 + 0) / 4)
