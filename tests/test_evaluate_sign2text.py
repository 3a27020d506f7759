"""Stage evaluate_sign2text: hand-worked figures, the plain rival, and no dependence on the order of clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section
from small_corpus import SENTENCES, arguments, run_embed, write_corpus

from signloom.evaluation import sign2text
from signloom.evaluation.sign2text import decode_clips, load_tokenizer, score_translations
from signloom.features.shards import FeatureShards
from signloom.metrics.alignment import alignment
from signloom.metrics.retrieval import rank_sentences
from signloom.models.trained_sign2text import load_trained
from signloom.params.evaluation import DecodingParams, EvaluationParams
from workflow_scripts import evaluate_sign2text as stage

FEW = section(EvaluationParams, bootstrap=200, seed=1)
EYE = np.eye(4, dtype=np.float32)


def test_a_sentence_that_occurs_twice_does_not_hurt_top_one() -> None:
    # arg-max over the rows of the batch would call the second clip wrong: its sentence is found in row 0
    clips, texts = EYE[[0, 0, 1]], EYE[[0, 0, 1]]
    got = alignment(clips, ["a", "a", "b"], texts)
    assert got["inst_top1"].tolist() == [1, 1, 1]
    assert got["pos_sim"].tolist() == [1, 1, 1]
    assert got["neg_sim"].tolist() == [0, 0, 0]


def test_alignment_by_hand() -> None:
    clips = np.array([[1, 0], [0.6, 0.8], [0.8, 0.6]], np.float32)
    texts = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    got = alignment(clips, ["a", "b", "a"], texts)
    assert got["inst_top1"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(got["pos_sim"], [1, 0.8, 0.8], atol=1e-7)
    np.testing.assert_allclose(got["neg_sim"], [0, 0.6, 0.6], atol=1e-7)


def test_a_model_that_finds_everything_alike_gets_no_credit_and_one_sentence_has_no_negative() -> None:
    same = np.ones((2, 1), np.float32)
    assert alignment(same, ["a", "b"], same)["inst_top1"].tolist() == [0, 0]
    assert np.isnan(alignment(same, ["a", "a"], same)["neg_sim"]).all()


def test_the_nearest_of_equals_is_the_first() -> None:
    gallery = np.concatenate([EYE[2:], EYE[:2], EYE[:2]])
    sentences = np.arange(len(gallery))
    assert rank_sentences(EYE[:2], sentences[:2], gallery, sentences).top.tolist() == [2, 3]


def test_figures_of_a_hand_worked_data_set() -> None:
    answers = pd.DataFrame(
        {
            "sentence_id": [0, 1, 1],
            "reference": ["The boy likes an apple.", "Anna drinks tea.", "Anna drinks tea."],
            "hypothesis": ["the boy likes an apple", "Anna drinks red tea.", "Tea pleases Anna."],
            "nearest": ["Anna drinks tea."] * 3,
        }
    )
    texts = {0: ["The boy likes an apple."], 1: ["Anna drinks tea.", "Tea pleases Anna."]}
    aligned = {name: np.array([1.0, 0.0, 1.0]) for name in ("inst_top1", "pos_sim", "neg_sim")}
    got = score_translations(answers, texts, aligned, FEW)
    assert got["n"] == 3
    # edits 0, 1 (insertion) and 3 (every word) of 5 + 3 + 3 words
    assert got["wer"] == pytest.approx(4 / 11)
    # the third clip said the variation
    assert got["wer_multi"] == pytest.approx(1 / 11)
    assert got["exact"] == pytest.approx(1 / 3)
    assert got["inst_top1"] == pytest.approx(2 / 3)
    # the rival is right twice and wrong in five words
    assert got["nearest_wer"] == pytest.approx(5 / 11)
    assert got["wer_gain"] == pytest.approx(1 / 11)
    assert got["bleu4_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    for name in ("wer", "wer_multi", "bleu4", "chrf", "exact", "inst_top1", "pos_sim", "nearest_bleu4"):
        assert got[f"{name}_low"] <= got[name] <= got[f"{name}_high"]


def run(folder: Path, order: int = 1, without: str = "") -> tuple[bytes, bytes]:
    """Embed and evaluate the small corpus; clips whose id starts with `without` are left out."""
    inputs = write_corpus(folder, order)
    if without:
        splits = pd.read_csv(inputs["splits"][0])
        splits[~splits["clip_id"].str.startswith(without)].to_csv(inputs["splits"][0], index=False)
    made = run_embed(inputs, folder)
    inputs |= {"embeddings": [made["embeddings"]], "map": [made["map"]]}
    outputs = {"metrics": folder / "sign2text.json", "predictions": folder / "sign2text.csv"}
    params = {"decoding": {"beam": 3, "batch_size": 2}, "evaluation": {"bootstrap": 200, "seed": 1}}
    assert stage.main(arguments(inputs, outputs, params)) == 0
    return outputs["metrics"].read_bytes(), outputs["predictions"].read_bytes()


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, Path]:
    folder = tmp_path_factory.mktemp("corpus")
    return (*run(folder), folder)


def test_the_stage_scores_each_data_set_apart(evaluated: tuple[bytes, bytes, Path]) -> None:
    metrics = json.loads(evaluated[0])
    assert {name: part["n"] for name, part in metrics.items()} == {
        "test": 3,
        "val": 1,
        "test_unseen_sentences": 1,
        "val_unseen_sentences": 1,
    }
    assert metrics["val"]["neg_sim"] is None
    assert metrics["val"]["neg_sim_reason"] == "only one distinct sentence in this data set"
    predictions = pd.read_csv(evaluated[2] / "sign2text.csv", keep_default_na=False)
    assert predictions.columns.tolist() == [
        "clip_id", "data", "signer_id", "sentence_id", "reference", "hypothesis", "nearest", "wer",
    ]  # fmt: skip
    assert not predictions["clip_id"].str.startswith("e/").any(), "clips that nobody signs have no sentence"
    assert set(predictions["nearest"]) <= {SENTENCES[key][0] for key in (0, 1, 3)}, "only training sentences"
    # an untrained decoder says something, and not the same for all
    assert len(set(predictions["hypothesis"])) > 1


def test_the_nearest_sentence_is_that_of_the_most_similar_training_clip(
    evaluated: tuple[bytes, bytes, Path],
) -> None:
    table = pd.read_csv(evaluated[2] / "embeddings_map.csv", keep_default_na=False)
    vectors = np.load(evaluated[2] / "embeddings.npy")
    for clip_id, answer in pd.read_csv(evaluated[2] / "sign2text.csv")[["clip_id", "nearest"]].itertuples(
        index=False
    ):
        own = vectors[table.index[table["clip_id"] == clip_id][0]]
        best = max(
            (float(own @ vectors[row]), sentence)
            for row, (split, sentence) in enumerate(zip(table["split"], table["sentence"], strict=True))
            if split == "train"
        )
        assert answer == best[1]


def test_reordering_the_clips_changes_no_byte(evaluated: tuple[bytes, bytes, Path], tmp_path: Path) -> None:
    assert run(tmp_path, order=-1) == evaluated[:2]


def test_a_corpus_without_validation_clips_is_evaluated_all_the_same(tmp_path: Path) -> None:
    metrics = json.loads(run(tmp_path, without="c/")[0])
    assert metrics["test"]["wer"] is not None
    assert metrics["val"]["n"] == 0
    assert metrics["val"]["wer_reason"] == metrics["val"]["inst_top1_reason"] == "no clip in this data set"
    assert set(pd.read_csv(tmp_path / "sign2text.csv")["data"]) == {"test", "test_unseen_sentences"}


def test_an_empty_data_set_is_null_with_a_reason() -> None:
    answers = pd.DataFrame({name: [] for name in ("sentence_id", "reference", "hypothesis", "nearest")})
    got = score_translations(answers, {}, alignment(EYE[:0], [], EYE[:0]), FEW)
    assert got["n"] == 0
    for name in ("wer", "wer_multi", "bleu4", "chrf", "exact", "inst_top1", "neg_sim", "nearest_wer"):
        assert got[name] is None
        assert got[f"{name}_reason"] == "no clip in this data set"


def test_a_tokenizer_of_another_training_is_refused(
    evaluated: tuple[bytes, bytes, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = write_corpus(tmp_path)
    other = (tmp_path / "tokenizer.json").read_text().replace('"<sos>"', '"<s>"').replace('"<eos>"', '"</s>"')
    (tmp_path / "tokenizer.json").write_text(other.replace('"<pad>"', '"[PAD]"'))
    inputs |= {"embeddings": [evaluated[2] / "embeddings.npy"], "map": [evaluated[2] / "embeddings_map.csv"]}
    outputs = {"metrics": tmp_path / "m.json", "predictions": tmp_path / "p.csv"}
    assert stage.main(arguments(inputs, outputs, {"decoding": {}, "evaluation": {}})) == 2
    assert "tokenizer" in capsys.readouterr().err


def test_exact_sentences_are_those_without_an_error_of_words() -> None:
    answers = pd.DataFrame(
        {"sentence_id": [1], "reference": "你好，世界", "hypothesis": "你好世界", "nearest": ""}
    )
    ones = dict.fromkeys(("inst_top1", "pos_sim", "neg_sim"), np.ones(1))
    found = score_translations(answers, {1: ["你好，世界"]}, ones, section(EvaluationParams, bootstrap=100))
    assert (found["wer"], found["exact"]) == (0.0, 1.0)


@pytest.mark.parametrize(("hypothesis", "exact"), [("👍", 1.0), ("", 0.0), ("👎", 0.0)])
def test_an_emoji_is_exact_only_if_it_is_the_same(hypothesis: str, exact: float) -> None:
    answers = pd.DataFrame({"sentence_id": [1], "reference": "👍", "hypothesis": hypothesis, "nearest": ""})
    ones = dict.fromkeys(("inst_top1", "pos_sim", "neg_sim"), np.ones(1))
    found = score_translations(answers, {1: ["👍"]}, ones, section(EvaluationParams, bootstrap=100))
    assert found["exact"] == exact


def test_the_beam_search_is_that_of_the_parameters(
    evaluated: tuple[bytes, bytes, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked, search = evaluated[2], [], sign2text.attention_beam

    def recorded(*given: object, **options: float) -> object:
        asked.append((options["beam"], options["alpha"], options["max_tokens"]))
        return search(*given, **options)

    monkeypatch.setattr(sign2text, "attention_beam", recorded)
    trained = load_trained(folder / "best.pth", folder / "stats.npz")
    ends = (".npy", ".parquet", ".mask.npy")
    shards = FeatureShards(*([folder / f"{number}{end}" for number in (0, 1)] for end in ends))
    p = section(DecodingParams, beam=3, length_penalty=0.7, batch_size=2)
    decode_clips(trained, load_tokenizer(folder / "tokenizer.json", trained), shards, ["c/val0"], p, "val")
    assert asked == [(3, 0.7, 10)]
