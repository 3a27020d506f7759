"""Comparisons of two builds: what is called a difference on simulated answers, and references by hand."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from signloom.__main__ import main
from signloom.evaluation.compare import Pair, compare, holm, most_changed, paired, paired_interval, sign_flips

CLIPS, WORDS = 120, 4


def answers(rate: float, seed: int, seeds: int = 1, clips: int = CLIPS, spread: float = 0.0) -> pd.DataFrame:
    """Errors of a build whose word error rate is `rate`; a clip is as hard for one build as for the other.

    A seed moves the rate by a deviation of `spread`.
    """
    hard = np.random.default_rng(7).normal(0, 0.8, clips)  # the same in all builds
    generator = np.random.default_rng([seed, 1])
    tables = []
    for number in range(seeds):
        shift = np.log(rate / (1 - rate)) + generator.normal(0, spread)
        errors = generator.binomial(WORDS, 1 / (1 + np.exp(-(shift + hard))))
        ids = [f"c{clip:03d}" for clip in range(clips)]
        table = pd.DataFrame({"clip_id": ids, "errors": errors.astype(float), "words": float(WORDS)})
        tables.append(table.assign(model="m", seed=str(number or ""), fold="", data="test", signer_id="s"))
    return pd.concat(tables, ignore_index=True)


def called(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    (row,) = compare(a, b, 500, 3)
    return bool(row["differs"])


def test_no_true_difference_is_called_one_in_at_most_five_per_cent() -> None:
    assert np.mean([called(answers(0.3, n), answers(0.3, 1000 + n)) for n in range(200)]) <= 0.05


def test_a_true_difference_of_ten_points_is_found_in_eighty_per_cent() -> None:
    assert np.mean([called(answers(0.3, n), answers(0.2, 1000 + n)) for n in range(200)]) >= 0.80


def test_a_spread_of_seeds_is_not_taken_for_a_difference() -> None:
    # with one seed a side, training again often moves the rate as far as a change that matters
    several = [
        called(answers(0.3, n, 4, spread=0.3), answers(0.3, 1000 + n, 4, spread=0.3)) for n in range(200)
    ]
    assert np.mean(several) <= 0.08


def test_a_build_compared_with_itself_does_not_differ() -> None:
    one = answers(0.3, 1)
    (row,) = compare(one, one, 200, 1)
    assert row["difference"] == row["difference_low"] == row["difference_high"] == 0
    assert row["p"] == 1 and not row["differs"]
    assert most_changed(one, one, 5).empty


def test_the_p_value_is_the_share_of_all_signs_that_are_as_extreme() -> None:
    a = np.array([[2.0, 0, 1, 3, 1, 0, 2]])
    b = np.array([[0.0, 0, 0, 1, 2, 0, 0]])
    moved = (b - a)[0]
    sums = [abs(np.dot(signs, moved)) for signs in itertools.product([-1, 1], repeat=len(moved))]
    exact = np.mean([total >= abs(moved.sum()) for total in sums])
    assert sign_flips(Pair(a, b, np.full(7, 4.0)), 40_000, 1) == pytest.approx(exact, abs=0.01)


def test_the_interval_is_that_of_a_plain_loop_over_resamples() -> None:
    generator = np.random.default_rng(5)
    words = generator.integers(1, 6, 30).astype(float)
    a, b = (generator.binomial(words.astype(int), rate).astype(float) for rate in (0.4, 0.3))
    values = []
    for _ in range(4000):
        rows = generator.integers(0, 30, 30)
        values.append((b[rows].sum() - a[rows].sum()) / words[rows].sum())
    found = paired_interval(Pair(a[None], b[None], words), 4000, 2)
    assert found == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.02)


def test_holms_correction_is_the_published_example() -> None:
    # multiplied by 4, 3, 2, 1 in the order of size, and never smaller than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_only_clips_that_both_have_with_equal_references_are_compared() -> None:
    a, b = answers(0.3, 1, clips=6), answers(0.2, 2, clips=5)
    b.loc[b["clip_id"] == "c000", "words"] = 3.0
    pair, left_out = paired(a, b)
    assert len(pair.words) == 4
    # one clip is missing, and one has two references
    assert left_out == 3


def test_the_clips_that_changed_most_come_first() -> None:
    a, b = answers(0.3, 1, clips=4), answers(0.3, 1, clips=4)
    b.loc[2, "errors"] += 3
    b.loc[1, "errors"] -= 1
    shown = most_changed(a, b, 5)
    assert shown["clip_id"].tolist() == ["c002", "c001"]
    assert (shown["errors_b"] - shown["errors_a"]).tolist() == [3, -1]


def write_build(folder: Path, hypothesis: str) -> Path:
    """Write the predictions of a build in which every sentence is read as `hypothesis`."""
    path = folder / "predictions/sign2text.csv"
    path.parent.mkdir(parents=True)
    rows = {"clip_id": [f"s1/{n}" for n in range(8)], "data": "test", "signer_id": "s1", "sentence_id": 1}
    pd.DataFrame(rows).assign(reference="a b", hypothesis=hypothesis).to_csv(path, index=False)
    return folder


def test_the_command_prints_the_table_and_the_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write_build(tmp_path / "a", "a b"), write_build(tmp_path / "b", "a x")
    assert main(["compare", str(a), str(b), "--clips", "2"]) == 0
    said = capsys.readouterr().out
    assert "sign2text test      8 0.000 0.500 +0.500 +0.500 to +0.500" in said
    assert "1 of 1 rows differ" in said and "another seed would move" in said
    assert said.count("s1/") == 2
    assert main(["compare", str(a), str(a)]) == 0
    assert "Nothing differs" in capsys.readouterr().out


def test_the_command_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write_build(tmp_path / "a", "a b"), write_build(tmp_path / "b", "a x")
    assert main(["compare", str(a), str(b), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["difference"] == 0.5 and found["rows"][0]["differs"]
    assert len(found["clips"]) == 8


def test_a_build_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write_build(tmp_path / "a", "a b")
    assert main(["compare", str(a), "no-such-revision"]) == 2
    assert re.fullmatch(
        r"error: compare: no-such-revision: .*expected a folder, a preset, a git revision or a DVC .*\n",
        capsys.readouterr().err,
    )
    assert main(["compare", str(a), str(tmp_path)]) == 2
    assert "has no predictions" in capsys.readouterr().err


def test_predictions_of_a_revision_come_from_dvcs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*command: str) -> None:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    git = ("git", "-c", "user.name=t", "-c", "user.email=t@t")
    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/build\n")
    out = "build/predictions/sign2text.csv"
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  say:\n    cmd: 'true'\n    outs: [{out}]\n")
    for hypothesis in ("a b", "a x"):
        shutil.rmtree(tmp_path / "build", ignore_errors=True)
        write_build(tmp_path / "build", hypothesis)
        run(sys.executable, "-m", "dvc", "commit", "--force", "--quiet")
        run("git", "add", "--all")
        run(*git, "commit", "--quiet", "--message", hypothesis)
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "HEAD~1", "HEAD", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["wer_a"], row["wer_b"]) == (0.0, 0.5)
