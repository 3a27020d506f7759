"""The learning curve: known power laws, flat curves, what the answer says, and its section of the report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from signloom.errors import SignloomError
from signloom.evaluation.learning_curve import answer, exponents, learning_curve
from signloom.params.evaluation import EvaluationParams
from signloom.params.runs import RunsParams
from signloom.report import learning_curve as report
from tests.demo_params import params_json, section
from tests.report_inputs import Page, build
from workflow_scripts.runs import main

TRAINED = {"12": 120, "25": 250, "50": 500, "": 1000}
POINTS = np.array(list(TRAINED.values()))
WORDS = 5  # in every reference
PARAMS = EvaluationParams(bootstrap=200, seed=1)


def table(
    errors: npt.NDArray[np.int64], data: str = "test", signers: int = 1, model: str = "sign2text"
) -> pd.DataFrame:
    """Answers as `read_answers` gives them; `errors` are (clips, shares) in the order of `TRAINED`."""
    clips = len(errors)
    runs = [
        pd.DataFrame(
            {
                "clip_id": [f"{data}{number:04d}" for number in range(clips)],
                "signer_id": [f"s{number % signers}" for number in range(clips)],
                "errors": errors[:, place],
            }
        ).assign(model=model, seed="", fold=share, data=data, words=WORDS)
        for place, share in enumerate(TRAINED)
    ]
    return pd.concat(runs, ignore_index=True)


def simulated(
    exponent: float, clips: int, seed: int, scatter: float = 0.0, rate: float = 0.1
) -> npt.NDArray[np.int64]:
    """Errors (clips, shares) of a power law that gives `rate` with all training clips.

    Some clips are harder than others for every run, and chance moves every run by `scatter` in logarithms.
    """
    generator = np.random.default_rng(seed)
    rates = rate * (POINTS / POINTS[-1]) ** -exponent * np.exp(scatter * generator.standard_normal(4))
    hardness = generator.gamma(2, 0.5, clips)
    return np.asarray(generator.binomial(WORDS, np.minimum(np.outer(hardness, rates), 1)))


def curve(errors: npt.NDArray[np.int64], **more: Any) -> dict[str, Any]:
    return dict(learning_curve(table(errors, **more), TRAINED, PARAMS)["sign2text"]["test"])


@given(st.floats(-1, 2), st.floats(2, 6), st.lists(st.integers(1, 10**6), min_size=3, unique=True))
def test_the_exponent_is_that_of_a_plain_regression_of_logarithms(
    exponent: float, scale: float, points: list[int]
) -> None:
    clips = np.array(points)
    errors = np.exp(scale) * clips**-exponent
    line = np.polyfit(np.log(clips), np.log(errors + 0.5), 1)
    assert exponents(clips, errors) == pytest.approx(-line[0], abs=1e-6)


@pytest.mark.parametrize("scatter", [0.0, 0.2])
def test_the_intervals_cover_a_known_curve_even_if_chance_moves_every_run(scatter: float) -> None:
    truth, halving = 0.7, 1000 * (2 ** (1 / 0.7) - 1)
    found = [curve(simulated(truth, 100, seed, scatter)) for seed in range(100)]
    for name, value in (("exponent", truth), ("more_clips", halving)):
        covered = [
            one[f"{name}_low"] <= value <= (np.inf if one[f"{name}_high"] is None else one[f"{name}_high"])
            for one in found
        ]
        assert np.mean(covered) >= 0.92
    assert np.mean([one["exponent"] for one in found]) == pytest.approx(truth, abs=0.05)


def test_without_scatter_the_number_of_clips_is_found_within_a_quarter() -> None:
    found = curve(simulated(0.7, 4000, 1))
    assert found["verdict"] == "falls"
    assert found["more_clips"] == pytest.approx(1000 * (2 ** (1 / 0.7) - 1), rel=0.25)
    assert found["more_clips_low"] < found["more_clips"] < found["more_clips_high"]


def test_a_curve_that_rises_is_not_called_flat() -> None:
    rising = [curve(simulated(-0.5, 1000, seed, rate=0.1)) for seed in range(5)]
    assert [found["verdict"] for found in rising] == ["rises"] * 5
    assert "The error rises with more clips" in answer({"test": rising[0]})


def test_a_flat_curve_is_called_flat_and_a_falling_one_never_is() -> None:
    flat = [curve(simulated(0.0, 1000, seed, rate=0.3))["verdict"] for seed in range(20)]
    assert flat.count("flat") >= 18 and "falls" not in flat
    falling = [curve(simulated(0.5, 100, seed))["verdict"] for seed in range(20)]
    assert "flat" not in falling


def test_few_clips_leave_it_open_and_the_answer_names_the_least_number() -> None:
    errors = simulated(0.1, 40, 3)
    found = learning_curve(table(errors), TRAINED, PARAMS)["sign2text"]
    assert found["test"]["verdict"] == "undecided"
    assert found["test"]["more_clips_high"] is None and "100 times" in found["test"]["more_clips_reason"]
    assert "It cannot be told whether more would halve it; it takes at least" in found["answer"]


def test_the_rates_and_the_line_are_those_of_the_counts() -> None:
    # 80, 40, 20 and 10 errors of 500 words: not a line, as 12 % is less than half of 25 %
    errors = np.repeat([[4, 2, 1, 0], [4, 2, 1, 1]], 10, axis=0).astype(np.int64)
    points = curve(errors)["by_clips"]
    assert [point["wer"] for point in points.values()] == [0.8, 0.4, 0.2, 0.1]
    slope, height = np.polyfit(np.log(POINTS), np.log([80.5, 40.5, 20.5, 10.5]), 1)
    line = np.exp(height + slope * np.log(POINTS)) / 100
    assert [point["line"] for point in points.values()] == pytest.approx(line)


def test_without_errors_left_there_is_a_reason_and_the_answer_takes_other_clips() -> None:
    learnt = table(np.array([[3, 2, 1, 0]] * 8))
    left = table(np.array([[4, 3, 3, 2], [3, 3, 2, 1]] * 8), "test_unseen_sentences")
    more = table(np.array([[5, 5, 5, 5]] * 20), "val")
    found = learning_curve(pd.concat([learnt, left, more]), TRAINED, PARAMS)["sign2text"]
    assert found["test"]["exponent"] is None
    assert found["test"]["exponent_reason"] == "no error is left with all training clips"
    # validation clips have chosen the epoch, so that those of test come first
    assert found["answer"].startswith("On test_unseen_sentences (16 clips) WER is 70.0 [")
    alone = learning_curve(learnt, TRAINED, PARAMS)["sign2text"]["answer"]
    assert alone == "On test no error is left with all training clips, so there is nothing to halve."


def test_the_errors_of_single_signs_are_called_by_their_name(tmp_path: Path) -> None:
    errors = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 1]] * 8)
    found = learning_curve(table(errors).assign(words=1), TRAINED, PARAMS)
    assert found["sign2text"]["answer"].startswith("On test (24 clips) the sign error rate is 100.0 [")
    page = Page(build(tmp_path, runs={"seeds": {}, "folds": {}, "learning_curve": found}))
    curve = page.text[page.text.index("Would more clips like these help?") :]
    assert "Sign error rate by number of training clips" in curve and "WER" not in curve[:400]
    assert any(text.startswith("Sign error rate from the fewest") for text in page.pictures)


def test_every_share_is_scored_on_the_data_sets_of_all_training_clips() -> None:
    answers = table(np.array([[3, 2, 1, 1]] * 4))
    # a sentence that a small share does not have
    answers.loc[answers["fold"] == "12", "data"] = "test_unseen_sentences"
    found = learning_curve(answers, TRAINED, PARAMS)["sign2text"]
    assert set(found) == {"test", "answer"}
    assert found["test"]["by_clips"]["120"]["wer"] == 0.6


def test_seeds_are_averaged_for_each_clip() -> None:
    first, second = np.array([[4, 3, 2, 1]] * 4), np.array([[2, 1, 2, 1]] * 4)
    answers = pd.concat([table(first), table(second).assign(seed="43")])
    found = learning_curve(answers, TRAINED, PARAMS)["sign2text"]["test"]
    assert found["n"] == 4
    assert [point["wer"] for point in found["by_clips"].values()] == [0.6, 0.4, 0.4, 0.2]


def test_signers_are_resampled_where_there_are_enough_of_them() -> None:
    # whole signers are hard, so that other signers would change more than other clips
    errors = np.repeat([[5, 4, 3, 2], [1, 1, 1, 0], [0, 0, 0, 0]] * 2, 10, axis=0).astype(np.int64)
    by_clip = learning_curve(table(errors).assign(signer_id="s1"), TRAINED, PARAMS)["sign2text"]["test"]
    answers = table(errors)
    answers["signer_id"] = [f"s{number // 10}" for number in range(60)] * 4
    by_signer = learning_curve(answers, TRAINED, PARAMS)["sign2text"]["test"]
    assert (by_clip["resampled"], by_signer["resampled"]) == ("clips", "signers")

    def width(found: dict[str, Any]) -> float:
        return float(found["by_clips"]["1000"]["wer_high"] - found["by_clips"]["1000"]["wer_low"])

    assert width(by_signer) > 1.5 * width(by_clip)


def test_a_run_without_an_answer_and_equal_shares_are_errors_that_name_them() -> None:
    answers = table(np.array([[3, 2, 1, 1]] * 3))
    lost = answers[~((answers["fold"] == "25") & (answers["clip_id"] == "test0001"))]
    with pytest.raises(SignloomError, match=r"sign2text: the run on 25 % .* no answer for test0001"):
        learning_curve(lost, TRAINED, PARAMS)
    with pytest.raises(SignloomError, match="of 5 training clips two shares keep the same number"):
        learning_curve(answers, {"12": 1, "25": 1, "": 5}, PARAMS)


@pytest.mark.parametrize(
    "folds", [["0", "50"], ["50", "100"], ["50", "25"], ["012", "25"], ["12.5", "25"], ["s1", "s2"]]
)
def test_shares_are_whole_per_cents_smallest_first(folds: list[str]) -> None:
    with pytest.raises(ValidationError, match='with fold_by share, expected whole numbers from "1" to "99"'):
        section(RunsParams, fold_by="share", folds=folds)


def test_one_share_is_too_few_for_a_curve() -> None:
    with pytest.raises(ValidationError, match="with fold_by share, expected at least 2"):
        section(RunsParams, fold_by="share", folds=["50"])


def staged(folder: Path) -> dict[str, Any]:
    """Run stage runs on the files of a build with three shares and return runs.json."""
    given = []
    for share, hypothesis in {"12": "x x", "25": "a x", "50": "a x", "": "a b"}.items():
        place = folder / (f"folds/{share}" if share else "plain")
        place.mkdir(parents=True)
        (place / "splits.json").write_text(json.dumps({"train": {"clips": TRAINED[share]}}))
        answers = pd.DataFrame({"clip_id": list("pqrstu"), "data": "test", "signer_id": "s9"})
        answers["reference"], answers["hypothesis"] = "a b", [hypothesis] * 5 + ["a x"]
        answers.to_csv(place / "sign2text.csv", index=False)
        given += [f"predictions={place}/sign2text.csv", f"splits={place}/splits.json"]
    params: dict[str, dict[str, object]] = {
        "runs": {"fold_by": "share", "folds": ["12", "25", "50"]},
        "evaluation": {"bootstrap": 200},
    }
    params["gloss"] = {}
    out = [f"metrics={folder}/runs.json", f"table={folder}/runs.csv"]
    assert main(["--input", *given, "--output", *out, "--params", params_json(params)]) == 0
    return dict(json.loads((folder / "runs.json").read_text()))


def test_the_stage_writes_the_curve_and_prints_its_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = staged(tmp_path)
    assert found["folds"] == {}
    points = found["learning_curve"]["sign2text"]["test"]["by_clips"]
    assert {clips: point["wer"] for clips, point in points.items()} == {
        "120": 0.9167,
        "250": 0.5,
        "500": 0.5,
        "1000": 0.0833,
    }
    assert f"sign2text: {found['learning_curve']['sign2text']['answer']}" in capsys.readouterr().out


def test_the_report_shows_the_answer_the_curve_and_the_numbers(tmp_path: Path) -> None:
    runs = staged(tmp_path / "stage")
    page = Page(build(tmp_path / "page", runs=runs))
    assert (2, "Learning curve") in page.headings
    assert runs["learning_curve"]["sign2text"]["answer"] in page.text
    assert "Word error rate from the fewest to the most training clips. sign2text, Test: 0.917 to 0.083." in (
        page.pictures
    )
    assert "More clips for half the error" in page.text
    assert report.describe({"seeds": {}, "folds": {}}) is None


@pytest.mark.parametrize(
    ("rates", "labels"), [((0.8, 0.6, 0.3), {"0.3", "0.6"}), ((0.9, 0.1, 0.02), {"0.1"})]
)
def test_the_rates_on_the_axis_of_the_picture_are_plain_numbers(
    rates: tuple[float, ...], labels: set[str]
) -> None:
    points = {
        str(10 * 2**place): {"wer": rate, "wer_low": rate * 0.8, "wer_high": rate, "line": rate}
        for place, rate in enumerate(rates)
    }
    curve = {"words": 300, "n": 60, "exponent": -0.5, "by_clips": points}
    drawn = report._picture({"tcn_ctc": {"test": curve}}).svg
    assert "mathdefault" not in drawn and labels <= set(re.findall(r">([\d.]+)</text>", drawn))
