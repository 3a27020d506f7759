"""Stage evaluate_inference: the bundle's answers against the trained network's, and figures by hand."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from demo_params import section
from exported import Exported
from small_corpus import arguments

from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.gate_inputs import TrainedGallery
from signloom.evaluation.inference import fixed_figures, gate_inputs_of, int8_figures
from signloom.evaluation.outofset import KINDS, Questions
from signloom.features.shards import FeatureShards
from signloom.inference.engine import SignEngine
from signloom.inference.gates import Gallery
from signloom.models.trained_sign2text import load_trained
from signloom.params.evaluation import EvaluationParams
from signloom.text.sentences import read_splits
from workflow_scripts import evaluate_inference as stage

FPS = 12.0
PARAMS: dict[str, object] = {
    "inference": {"seed": 42},
    "pose": {"fps": FPS},
    "evaluation": {"bootstrap": 100},
}
FEW = section(EvaluationParams, bootstrap=100)


def run(exported: Exported, folder: Path, splits: Path | None = None) -> dict[str, Path]:
    inputs = {name: exported.inputs[name] for name in ("features", "mask", "index", "splits")}
    inputs |= {"bundle": [exported.bundle]} | ({"splits": [splits]} if splits else {})
    outputs = {
        "metrics": folder / "metrics" / "inference.json",
        "predictions": folder / "build" / "predictions" / "inference.csv",
        "latency": folder / "build" / "benchmarks" / "latency.json",
    }
    assert stage.main(arguments(inputs, outputs, PARAMS)) == 0
    return outputs


@pytest.fixture(scope="module")
def outputs(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run(exported, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def figures(outputs: dict[str, Path]) -> dict[str, object]:
    metrics = json.loads(outputs["metrics"].read_text())
    assert list(metrics) == ["test"]
    return metrics["test"]


@pytest.fixture(scope="module")
def questions(exported: Exported) -> Questions:
    files = (exported.inputs[name] for name in ("features", "index", "mask"))
    splits = read_splits(exported.inputs["splits"][0])
    return Questions(splits, "test", FeatureShards(*files), FPS, 42, range(99))


def test_the_bundle_finds_what_the_trained_network_finds(
    exported: Exported, outputs: dict[str, Path], questions: Questions
) -> None:
    given = {name: paths[0] for name, paths in exported.inputs.items()}
    clips = EmbeddedClips(given["embeddings"], given["map"])
    known = TrainedGallery(clips, given["prototypes"], given["frames"], given["frames_index"])
    evidence = known.ask(load_trained(given["checkpoint"], given["stats"]), questions)
    table = pd.read_csv(outputs["predictions"])
    assert table["kind"].tolist() == questions.kinds.tolist()
    assert table["first_sentence_id"].tolist() == known.gallery.sentences[evidence.place].tolist()
    for name in ("similarity", "margin", "proto_similarity", "dtw_score"):
        np.testing.assert_allclose(table[name], getattr(evidence, name), atol=2e-5, err_msg=name)


def test_figures_are_those_of_the_predictions(
    outputs: dict[str, Path], figures: dict[str, dict[str, float]]
) -> None:
    table = pd.read_csv(outputs["predictions"])
    inside = table["kind"] == "in_set"
    assert (figures["n_in"], figures["n_out"]) == (3, len(table) - 3)
    right = (table["accepted"] * table["right"])[inside].mean()
    assert figures["accepted_and_right"] == pytest.approx(right, abs=0.5001e-4)
    assert figures["false_accept_rate"] == pytest.approx(table["accepted"][~inside].mean(), abs=0.5001e-4)
    for kind in KINDS:
        own = table[table["kind"] == kind]
        assert figures[kind]["n"] == len(own) > 0
        assert figures[kind]["false_accept_rate"] == pytest.approx(own["accepted"].mean(), abs=0.5001e-4)
    assert figures["rerank"]["n"] == figures["int8"]["n"] == 3
    assert figures["rerank"]["top1"] == pytest.approx(table["right"][inside].mean(), abs=0.5001e-4)
    assert figures["int8"]["fp32"]["r_at_1"] == figures["rerank"]["top1"]


def test_a_clip_is_never_answered_with_the_sentence_that_is_left_out(outputs: dict[str, Path]) -> None:
    table = pd.read_csv(outputs["predictions"])
    left_out = table[table["kind"] == "left_out"]
    assert len(left_out) == 3
    assert (left_out["sentence_id"] != left_out["first_sentence_id"]).all()


def test_fixed_thresholds_compare_clips_whatever_their_sentences(
    exported: Exported, questions: Questions, figures: dict[str, object]
) -> None:
    engine = SignEngine.load(exported.bundle)
    embeddings = engine.embed([questions.read(name) for name in questions.names])
    assert fixed_figures(engine, questions, embeddings, FEW) == figures["fixed_thresholds"]
    gallery = pd.read_csv(exported.folder / "embeddings_map.csv")["sentence_id"].to_numpy()
    vectors = np.load(exported.folder / "embeddings.npy")
    accepted, right = [], []
    for query, question in zip(embeddings, questions.of, strict=True):
        asked = [
            (float(query @ vector), int(sentence))
            for vector, sentence in zip(vectors, gallery, strict=True)
            if not (question.kind == "left_out" and sentence == question.sentence_id)
        ]
        (best, sentence), (second, _) = sorted(asked, reverse=True)[:2]
        accepted.append(best >= 0.6 and best - second >= 0.05)
        right.append(question.kind == "in_set" and sentence == question.sentence_id)
    fixed = figures["fixed_thresholds"]
    out = questions.out
    assert fixed["false_accept_rate"] == pytest.approx(np.array(accepted)[out].mean())
    both = np.array(accepted) & np.array(right)
    assert fixed["accepted_and_right"] == pytest.approx(both[~out].mean())


def test_the_memory_of_comparing_many_questions_is_that_of_a_part_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    clips, asked = (rng.normal(size=(count, 4)).astype(np.float32) for count in (8000, 4000))
    nothing = np.zeros(0, np.int64)
    gallery = Gallery(clips, np.arange(8000) % 3000, nothing, clips[:0])
    questions = SimpleNamespace(
        kinds=np.array(["in_set", "left_out"] * 2000),
        left_out=np.arange(4000) % 3000 * (np.arange(4000) % 2) - (np.arange(4000) % 2 == 0),
        right=lambda found: found == 0,
    )
    engine = SimpleNamespace(gallery=gallery)
    tracemalloc.start()
    figures = fixed_figures(engine, questions, asked, FEW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # all at once took 160 MB
    monkeypatch.setattr("signloom.evaluation.inference._COMPARED", 5000)
    assert fixed_figures(engine, questions, asked, FEW) == figures


def test_the_gallery_is_compared_with_parts_of_the_questions(
    exported: Exported, outputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, compare = [], Gallery.by_sentence
    monkeypatch.setattr(Gallery, "by_sentence", lambda self, q: asked.append(len(q)) or compare(self, q))
    monkeypatch.setattr("signloom.evaluation.inference._COMPARED", 1)
    monkeypatch.setattr("signloom.evaluation.inference._BATCH", 1)
    again = run(exported, tmp_path)
    assert max(asked) == 1
    assert again["metrics"].read_bytes() == outputs["metrics"].read_bytes()


def test_the_share_in_common_of_fp32_and_int8_by_hand() -> None:
    sentences = np.array([3, 5, 8, 9, 11, 20])
    fp32 = np.array([[6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]], np.float32)
    int8 = np.array([[5, 6, 4, 3, 1, 2], [1, 2, 3, 4, 5, 6]], np.float32)
    figures = int8_figures(sentences, np.array([3, 3]), (fp32, int8), FEW)
    assert figures["top1_agreement"] == 0.5
    # 11 gives way to 20 in the first clip
    assert figures["top5_agreement"] == pytest.approx((4 / 5 + 1) / 2)
    assert (figures["fp32"]["r_at_1"], figures["int8"]["r_at_1"]) == (0.5, 0.0)
    assert (figures["fp32"]["r_at_5"], figures["int8"]["r_at_5"]) == (0.5, 0.5)


def test_times_are_measured_and_no_other_byte_changes(
    exported: Exported, outputs: dict[str, Path], tmp_path: Path
) -> None:
    again = run(exported, tmp_path)
    for name in ("metrics", "predictions"):
        assert again[name].read_bytes() == outputs[name].read_bytes(), name
    times = json.loads(again["latency"].read_text())["clip"]
    assert times["n"] == 3
    for name in ("encode", "answer", "answer_reranked", "answer_decoded"):
        percentiles = list(times[name].values())
        assert 0 < percentiles[0] <= percentiles[1] <= percentiles[2]


def test_without_test_clips_every_figure_is_null_with_its_reason(exported: Exported, tmp_path: Path) -> None:
    splits = pd.read_csv(exported.inputs["splits"][0])
    splits[splits["split"] != "test"].to_csv(tmp_path / "splits.csv", index=False)
    outputs = run(exported, tmp_path, tmp_path / "splits.csv")
    figures = json.loads(outputs["metrics"].read_text())["test"]
    assert figures["accepted_and_right"] is figures["int8"]["top1_agreement"] is None
    assert figures["rerank"]["top1"] is None
    assert "no clip" in figures["false_accept_rate_reason"]
    assert len(pd.read_csv(outputs["predictions"])) == 0


def test_evidence_of_answers_has_no_margin_where_there_is_one_sentence(
    exported: Exported, questions: Questions
) -> None:
    engine = SignEngine.load(exported.bundle)
    engine.config["inference"]["top_k"] = 1
    clip = questions.read(questions.names[0])
    evidence = gate_inputs_of(engine, engine.answer_batch([clip], [None], decode=False))
    assert np.isposinf(evidence.margin) and np.isnan(evidence.motion_mean)


def test_a_changed_bundle_is_refused(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "changed.zip"
    content = bytearray(exported.bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    inputs = {name: exported.inputs[name] for name in ("features", "mask", "index", "splits")}
    outputs = {"metrics": tmp_path / "m" / "i.json", "predictions": tmp_path / "p" / "p" / "i.csv"}
    assert stage.main(arguments(inputs | {"bundle": [bundle]}, outputs, PARAMS)) == 2
    assert "copy" in capsys.readouterr().err
    assert not outputs["metrics"].exists()
