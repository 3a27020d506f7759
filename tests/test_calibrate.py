"""Stage calibrate: the search against a plain loop, the files against each other, and too few clips."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import CLIPS, arguments, run_embed, run_prototypes, write_corpus

from signloom.evaluation.calibration import (
    GATES,
    OPEN,
    Calibrated,
    calibrate,
    choose,
    curve_table,
    search,
    staircase,
)
from signloom.evaluation.outofset import KINDS
from signloom.inference import gates
from signloom.inference.gates import OK, GateInputs, Thresholds, accepted, judge
from workflow_scripts import calibrate as stage

PARAMS = {
    "inference": {"max_false_accept_rate": 0.2, "seed": 42},
    "quality": {"motion_keep": 0.7, "motion_floor": 0.45},
    "pose": {"fps": 12.0},
    "evaluation": {"bootstrap": 100},
}
INPUTS = ("checkpoint", "stats", "features", "mask", "index", "splits")


def random_evidence(rng: np.random.Generator, clips: int, values: int) -> GateInputs:
    """GateInputs of few different values, so that many clips are level; some of it unknown."""
    similarity, margin, prototype, score = rng.integers(0, values, (4, clips)) / values
    prototype[rng.random(clips) < 0.2] = np.nan
    score[rng.random(clips) < 0.1] = np.nan
    margin[rng.random(clips) < 0.1] = np.inf
    motion = np.where(rng.random(clips) < 0.2, np.nan, rng.random(clips))
    frames = (rng.random(clips) < 0.9).astype(int)
    return GateInputs(np.zeros(clips, int), similarity, margin, prototype, score, motion, frames)


def plain_search(evidence: GateInputs, right: np.ndarray, out: np.ndarray) -> dict[int, tuple[int, int]]:
    """At every count of false accepts, the most accepted rightly, and then the fewest under thresholds."""
    columns = (evidence.similarity, evidence.margin, evidence.proto_similarity, evidence.dtw_score)
    seen = (evidence.frames > 0) & ~(evidence.motion_mean < 0.3)
    known = [np.where(np.isnan(column), np.inf, column)[seen] for column in columns]
    tried = []
    for gate, column in enumerate(known):
        at = sorted({float(value) for value in column if value < np.inf})
        between = [(low + high) / 2 for low, high in itertools.pairwise(at)]
        tried.append([-1.0, *between, *([2.0] if gate == 0 else [])])
    best: dict[int, tuple[int, int]] = {}
    for chosen in itertools.product(*tried):
        accepted = np.array(judge(evidence, Thresholds(*chosen, motion_floor=0.3))) == OK
        under = sum(int((column < least).sum()) for column, least in zip(known, chosen, strict=True))
        false_accepts, hits = int((accepted & out).sum()), int((accepted & right).sum())
        best[false_accepts] = max(best.get(false_accepts, (-1, 0)), (hits, -under))
    return best


@settings(max_examples=25)
@given(seed=st.integers(0, 100_000), clips=st.integers(1, 14), values=st.integers(1, 5))
def test_the_search_finds_what_a_plain_loop_finds(seed: int, clips: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = random_evidence(rng, clips, values)
    out = rng.random(clips) < 0.6
    right = ~out & (rng.random(clips) < 0.8)
    points = search(evidence, right, out, 0.3)
    found = {point.false_accepts: (point.right, -point.under) for point in points}
    assert found == plain_search(evidence, right, out)
    for point in points:
        accepted = np.array(judge(evidence, Thresholds(*point.thresholds, motion_floor=0.3))) == OK
        assert (accepted & right).sum() == point.right
        assert (accepted & out).sum() == point.false_accepts


def gate_inputs_of(*rows: tuple[float, float, float, float]) -> GateInputs:
    similarity, margin, prototype, score = np.array(rows, np.float64).T
    count = len(rows)
    return GateInputs(
        np.zeros(count, int), similarity, margin, prototype, score, np.ones(count), np.ones(count, int)
    )


def chosen(evidence: GateInputs, inside: int, rate: float) -> Calibrated:
    right = np.arange(len(evidence.similarity)) < inside
    return calibrate(evidence, right, ~right, 0.45, rate)


def test_gates_that_keep_nothing_out_stay_open_and_thresholds_lie_halfway() -> None:
    evidence = gate_inputs_of((0.9, 0.3, 0.9, 0.95), (0.8, 0.1, 0.7, 0.9), (0.9, 0.3, 0.9, 0.5))
    thresholds = chosen(evidence, 2, 0.0).thresholds
    assert thresholds == Thresholds(OPEN, OPEN, OPEN, 0.7, 0.45)


def test_the_rate_is_used_where_more_clips_can_be_accepted_rightly() -> None:
    evidence = gate_inputs_of(*((value, 1, 1, 1) for value in (0.9, 0.6, 0.7, 0.5, 0.4, 0.3)))
    assert chosen(evidence, 2, 0.0).thresholds.min_similarity == pytest.approx(0.8)
    assert chosen(evidence, 2, 0.25).thresholds.min_similarity == pytest.approx(0.55)
    assert chosen(evidence, 2, 0.24).thresholds.min_similarity == pytest.approx(0.8)
    assert chosen(evidence, 2, 1.0).thresholds.min_similarity == OPEN


def test_a_rate_that_allows_a_whole_number_of_clips_allows_all_of_them() -> None:
    # 0.29 * 100 is 28.999999999999996
    evidence = gate_inputs_of((0.9, 1, 1, 1), (0.5, 1, 1, 1), *[(0.7, 1, 1, 1)] * 29, *[(0.3, 1, 1, 1)] * 71)
    assert chosen(evidence, 2, 0.29).thresholds.min_similarity == pytest.approx(0.4)
    assert chosen(evidence, 2, 0.28).thresholds.min_similarity == pytest.approx(0.8)


@pytest.mark.parametrize("opposite", [-1.0, -1.0000001])
def test_a_clip_that_is_opposite_to_all_others_passes_open_gates(opposite: float) -> None:
    evidence = gate_inputs_of((opposite, 0.5, opposite, opposite), (0.2, 0.1, 0.5, 0.5))
    point = chosen(evidence, 1, 0.0).points[0]
    assert point.right == 1 and point.thresholds[0] == OPEN


def test_where_no_threshold_helps_everything_is_refused() -> None:
    evidence = gate_inputs_of((0.5, 0.1, 0.5, 0.5), (0.9, 0.9, 0.9, 0.9))
    result = chosen(evidence, 1, 0.0)
    assert judge(evidence, result.thresholds) == ["low_similarity"] * 2
    assert result.points[0].right == 0


@pytest.mark.parametrize(("inside", "lacking"), [(0, "that training saw"), (2, "to be refused")])
def test_with_one_sort_of_clips_there_is_nothing_to_choose_by(inside: int, lacking: str) -> None:
    result = chosen(gate_inputs_of((0.9, 0.9, 0.9, 0.9), (0.5, 0.5, 0.5, 0.5)), inside, 0.05)
    assert result.thresholds == Thresholds(0.6, 0.05, OPEN, OPEN, 0.45)
    assert lacking in result.reason and result.points == []


def test_the_curve_of_many_clips_is_counted_without_a_word_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    evidence, right = random_evidence(rng, 300, 40), np.arange(300) < 80
    kinds = np.where(np.arange(300) < 100, "in_set", "reversed")
    for at in rng.random((20, 4)):
        thresholds = Thresholds(*at, motion_floor=0.3)
        words = np.array(judge(evidence, thresholds)) == OK
        np.testing.assert_array_equal(accepted(evidence, thresholds), words)
    found = calibrate(evidence, right, kinds != "in_set", 0.3, 0.1)
    # a dictionary has thousands of thresholds and tens of thousands of clips
    monkeypatch.setattr(gates, "refusals", lambda *_: pytest.fail("a word for each clip and threshold"))
    table = curve_table(found, evidence, right, kinds)
    chosen = table[(table["chosen"] == 1) & (table["kind"] == "all")].iloc[0]
    passed = accepted(evidence, found.thresholds)
    assert chosen["false_accept_rate"] == passed[100:].mean()
    assert chosen["accepted_and_right"] == (passed & right)[:100].mean()


def test_the_staircase_only_rises() -> None:
    rng = np.random.default_rng(0)
    evidence, out = random_evidence(rng, 60, 30), np.arange(60) < 40
    points = search(evidence, ~out, out, 0.3)
    stairs = staircase(points)
    rights = [point.right for point in stairs]
    assert rights == sorted(set(rights)) and len(stairs) > 3
    for most in range(41):
        within = [point.right for point in stairs if point.false_accepts <= most]
        assert choose(points, most).right == max(within)


def test_more_values_than_are_tried_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    score = np.tanh(np.concatenate([rng.normal(1, 0.3, 20), rng.normal(0, 0.3, 60)]))
    evidence = gate_inputs_of(*np.stack([*rng.uniform(-1, 1, (3, 80)), score], 1).tolist())
    shares = []
    for steps in (100, 20):
        monkeypatch.setattr("signloom.evaluation.calibration.MOST_STEPS", steps)
        accepted = np.array(judge(evidence, chosen(evidence, 20, 0.05).thresholds)) == OK
        assert accepted[20:].mean() <= 0.05
        shares.append(accepted[:20].mean())
    assert shares[0] >= shares[1] > shares[0] - 0.1
    assert shares[1] > 0.8


def test_a_value_that_is_tried_passes_its_own_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signloom.evaluation.calibration.MOST_STEPS", 2)
    evidence = gate_inputs_of(*((value, 1, 1, 1) for value in (0.4, 0.5, 0.6, 0.1, 0.2, 0.3)))
    # the lowest value of each sort is tried
    result = chosen(evidence, 3, 0.0)
    assert result.thresholds.min_similarity == pytest.approx(0.35)
    assert max(point.right for point in result.points if not point.false_accepts) == 3


def run(folder: Path, inputs: dict[str, list[Path]], params: dict[str, object] = PARAMS) -> dict[str, Path]:
    """Run embed, prototypes and calibrate in `folder`; return what calibrate wrote."""
    made = run_embed(inputs, folder)
    made["prototypes"] = run_prototypes(made, folder)
    read = {name: inputs[name] for name in INPUTS} | {name: [path] for name, path in made.items()}
    files = {
        "thresholds": "thresholds.json",
        "curve": "curve.csv",
        "predictions": "calibration.csv",
        "metrics": "calibration.json",
    }
    outputs = {name: folder / "out" / file for name, file in files.items()}
    assert stage.main(arguments(read, outputs, params)) == 0
    return outputs


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def outputs(corpus: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run(tmp_path_factory.mktemp("run"), corpus)


def test_metrics_thresholds_and_predictions_agree(outputs: dict[str, Path]) -> None:
    table = pd.read_csv(outputs["predictions"], keep_default_na=False)
    figures = json.loads(outputs["metrics"].read_text())["val"]
    thresholds = json.loads(outputs["thresholds"].read_text())
    inside = table["kind"] == "in_set"
    assert (figures["n_in"], figures["n_out"]) == (inside.sum(), (~inside).sum()) == (1, 5)
    assert figures["false_accept_rate"] == pytest.approx(table["accepted"][~inside].mean(), abs=0.5001e-4)
    assert figures["accepted_and_right"] == pytest.approx(
        (table["accepted"] * table["right"])[inside].mean(), abs=0.5001e-4
    )
    for kind in KINDS:
        own = table[table["kind"] == kind]
        assert figures[kind]["n"] == len(own)
        assert figures[kind]["false_accept_rate"] == (
            pytest.approx(own["accepted"].mean(), abs=0.5001e-4) if len(own) else None
        )
        assert ("false_accept_rate_reason" in figures[kind]) == (not len(own))
    assert figures["false_accept_rate"] <= PARAMS["inference"]["max_false_accept_rate"]
    for name in ("false_accept_rate", "accepted_and_right", "n_in", "n_out"):
        assert thresholds[name] == figures[name]
    assert set(GATES) < set(thresholds) and thresholds["motion_floor"] == 0.45
    assert "reason" not in thresholds


def test_predictions_say_what_was_asked_and_what_was_found(outputs: dict[str, Path]) -> None:
    table = pd.read_csv(outputs["predictions"])
    asked = table.set_index("kind")["clip_id"]
    assert asked.to_dict() == {
        "in_set": "c/val0",
        "unsigned": "e/unsigned_val",
        "unseen_sentence": "c/val2",
        "left_out": "c/val0",
        "reversed": "c/val0",
        "shuffled": "c/val0",
    }
    by_kind = table.set_index("kind")
    assert by_kind.loc["left_out", "first_sentence_id"] != 0
    assert by_kind.loc["in_set", "similarity"] >= by_kind.loc["left_out", "similarity"]
    assert (table["right"] == ((table["kind"] == "in_set") & (table["first_sentence_id"] == 0))).all()
    assert (table["accepted"] == (table["reason"] == "ok")).all()
    seen = {clip[1] for clip in CLIPS if clip[2] == "train"}
    assert set(table["first_sentence_id"]) <= seen
    assert table["dtw_score"].between(-1, 1).all()


def test_the_curve_has_every_kind_at_the_same_thresholds(outputs: dict[str, Path]) -> None:
    curve = pd.read_csv(outputs["curve"])
    assert set(curve["kind"]) == {"all", *KINDS} - {"spliced"}
    for _, point in curve.groupby(list(GATES)):
        assert len(point) == 6 and len(set(point["accepted_and_right"])) == 1
        apart = point[point["kind"] != "all"]["false_accept_rate"].mean()
        assert point.set_index("kind").loc["all", "false_accept_rate"] == pytest.approx(apart)
    everything = curve[(curve[list(GATES)] == OPEN).all(axis=1)].set_index("kind")
    assert everything.loc["all", "false_accept_rate"] == 1.0
    marked = curve[(curve["chosen"] == 1) & (curve["kind"] == "all")]
    figures = json.loads(outputs["metrics"].read_text())["val"]
    assert marked["false_accept_rate"].tolist() == [
        pytest.approx(figures["false_accept_rate"], abs=0.5001e-4)
    ]
    assert marked["accepted_and_right"].tolist() == [
        pytest.approx(figures["accepted_and_right"], abs=0.5001e-4)
    ]


def test_two_runs_and_any_order_of_clips_give_the_same_bytes(
    outputs: dict[str, Path], tmp_path: Path
) -> None:
    again = run(tmp_path / "run", write_corpus(tmp_path / "corpus", order=-1))
    for name, path in outputs.items():
        assert again[name].read_bytes() == path.read_bytes(), name


def test_clips_are_warped_without_the_probabilities_of_glosses(tmp_path: Path) -> None:
    made = run(tmp_path, write_corpus(tmp_path / "corpus", glosses=30))
    assert pd.read_csv(made["predictions"])["dtw_score"].notna().all()


def test_questions_are_weighed_a_batch_at_a_time(
    corpus: dict[str, list[Path]],
    outputs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighed, weigh = [], gates.weigh

    def count(best: np.ndarray, *rest: object, **more: object) -> GateInputs:
        weighed.append(len(best))
        return weigh(best, *rest, **more)

    monkeypatch.setattr("signloom.evaluation.gate_inputs.weigh", count)
    monkeypatch.setattr("signloom.evaluation.gate_inputs._BATCH", 3)
    again = run(tmp_path, corpus)
    assert max(weighed) == 3
    table, before = (pd.read_csv(made["predictions"]) for made in (again, outputs))
    # other batches pad clips otherwise, which moves the last digits
    pd.testing.assert_frame_equal(table, before, atol=1e-4)


@pytest.mark.parametrize("kept", [["e/unsigned_val", "c/val2"], []])
def test_without_clips_to_choose_by_the_thresholds_are_the_design_documents(
    corpus: dict[str, list[Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kept: list[str],
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    splits = splits[(splits["split"] != "val") | splits["clip_id"].isin(kept)]
    splits.to_csv(tmp_path / "splits.csv", index=False)
    outputs = run(tmp_path / "run", corpus | {"splits": [tmp_path / "splits.csv"]})
    thresholds = json.loads(outputs["thresholds"].read_text())
    assert [thresholds[gate] for gate in GATES] == [0.6, 0.05, -1, -1]
    lacking = "no validation clip of a sentence that training saw"
    assert lacking in thresholds["reason"] and lacking in capsys.readouterr().err
    assert thresholds["accepted_and_right"] is None
    assert len(pd.read_csv(outputs["predictions"])) == len(kept)
    assert list(pd.read_csv(outputs["curve"]).columns[:4]) == [
        "kind",
        "false_accept_rate",
        "accepted_and_right",
        "chosen",
    ]


def test_a_gallery_without_clips_is_an_error(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    splits[splits["split"] != "train"].to_csv(tmp_path / "splits.csv", index=False)
    with pytest.raises(AssertionError):
        run(tmp_path / "run", corpus | {"splits": [tmp_path / "splits.csv"]})
    assert "nothing to answer with" in capsys.readouterr().err
