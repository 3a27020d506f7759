"""Stage evaluate_gloss: error counts against jiwer and by hand, the data sets, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jiwer
import numpy as np
import pandas as pd
import pytest
import synthetic_gloss
import torch
from demo_params import params_json, section
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.decoding.language_model import GlossNgram
from signloom.evaluation.gloss import Answers, random_weights, score_glosses
from signloom.evaluation.gloss_model import Encoded, decode_clips, decoders, language_model
from signloom.features.gloss_rows import GlossRows
from signloom.features.shards import FeatureShards
from signloom.metrics.wer import error_stats
from signloom.models import checkpoints
from signloom.models.layers import valid_frames
from signloom.models.trained_gloss import load_gloss
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import DecodeGlossParams
from signloom.text.vocabulary import BLANK
from workflow_scripts import evaluate_gloss as stage
from workflow_scripts import train_gloss

FEW = section(EvaluationParams, bootstrap=200, seed=1)
SMALL = {
    "train_gloss": {"width": 16, "epochs": 2, "batch_size": 8},
    "hybrid": {"layers": 1, "heads": 2, "feedforward": 16, "decoder_layers": 1, "lr": 0.003},
    "tcn": {"layers": 1, "lr": 0.003},
}
FEATURES = {
    "tcn_ctc": ("pose", "pose_index", "mask", "pose_stats"),
    "hybrid_pose": ("pose", "pose_index", "mask", "pose_stats"),
    "hybrid_both": ("pose", "pose_index", "mask", "pose_stats", "clip", "clip_index", "clip_stats"),
}
ALL = ["ctc_greedy", "ctc_beam", "attention", "joint"]
# validation clips of the corpus, and where they stand here
MOVED = {
    "val/024": ("test", 1), "val/025": ("test", 1), "val/026": ("test", 1), "val/027": ("test", 0),
    "val/028": ("val", 1), "val/029": ("val", 1),
}  # fmt: skip


def words(line: str) -> list[str]:
    return line.split()


def test_errors_of_hand_worked_lines() -> None:
    pairs = [
        ("A B C", "A B C"),  # right
        ("A B C", "A X C"),  # one substitution
        ("A B C", "A C"),  # one deletion
        ("A B C", "A B B C"),  # one insertion
        ("A B C D", ""),  # an empty hypothesis: all deleted
        ("A B", "X Y Z"),  # two substitutions and an insertion
        ("a", "A"),  # case counts in glosses
        ("IX-1P", "IX 1P"),  # and so do hyphens
    ]
    got = error_stats([words(r) for r, _ in pairs], [words(h) for _, h in pairs])
    want = [
        [0, 0, 0, 3], [1, 0, 0, 3], [0, 1, 0, 3], [0, 0, 1, 3], [0, 4, 0, 4], [2, 0, 1, 2], [1, 0, 0, 1],
        [1, 0, 1, 1],
    ]  # fmt: skip
    assert got.tolist() == want
    assert error_stats([], []).shape == (0, 4)


LINES = st.lists(st.lists(st.sampled_from(["A", "B", "C", "IX-1P"]), max_size=6), min_size=1, max_size=8)


@settings(max_examples=50)
@given(LINES, st.data())
def test_corpus_rates_are_those_of_jiwer(references: list[list[str]], data: st.DataObject) -> None:
    references = [line or ["A"] for line in references]
    hypotheses = [data.draw(st.lists(st.sampled_from(["A", "B", "C", "X"]), max_size=7)) for _ in references]
    want = jiwer.process_words([" ".join(r) for r in references], [" ".join(h) for h in hypotheses])
    substitutions, deletions, insertions, count = error_stats(references, hypotheses).sum(0)
    assert (substitutions, deletions, insertions) == (want.substitutions, want.deletions, want.insertions)
    assert (substitutions + deletions + insertions) / count == pytest.approx(want.wer, abs=0.5001e-4)


def test_figures_of_a_hand_worked_data_set() -> None:
    references = [words("A B C"), words("A B"), words("D"), []]
    said = {"ctc_greedy": [words("A C"), [], words("D"), words("A B C D")]}
    blanks = np.array([[6, 10], [10, 10], [2, 8], [0, 2]], np.float64)
    got = score_glosses(Answers(references, said, blanks), "none", FEW)
    assert got["n"] == 4
    assert got["n_empty_references"] == 1
    assert got["blank_ratio"] == pytest.approx(18 / 30)
    scored = got["ctc_greedy"]
    assert scored["n"] == 3
    # 3 deletions of 6 glosses; what was said where nobody signed is in no rate
    assert scored["wer"] == scored["del"] == pytest.approx(0.5)
    assert scored["sub"] == scored["ins"] == 0
    assert scored["sentence_acc"] == pytest.approx(1 / 3)
    for name in ("wer", "sub", "del", "ins", "sentence_acc"):
        assert scored[f"{name}_low"] <= scored[name] <= scored[f"{name}_high"]


def test_a_data_set_without_glosses_is_null_with_a_reason_and_never_right() -> None:
    for references, why in (
        ([], "no clip in this data set"),
        ([[]], "no reference gloss in this data set"),
    ):
        got = score_glosses(
            Answers(references, {"joint": references}, np.ones((len(references), 2))), "none", FEW
        )
        assert got["n_empty_references"] == len(references)
        for name in ("wer", "sub", "del", "ins", "sentence_acc"):
            assert got["joint"][name] is None
            assert got["joint"][f"{name}_reason"] == why


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A made-up corpus with clips of every data set, one of them without a gloss, one of nobody signing."""
    folder = tmp_path_factory.mktemp("corpus")
    inputs = synthetic_gloss.write_corpus(folder / "data", synthetic_gloss.Size(train=24, val=8))
    splits = pd.read_csv(folder / "data/splits.csv")
    for clip_id, (split, seen) in MOVED.items():
        splits.loc[splits["clip_id"] == clip_id, ["split", "seen"]] = split, seen
    splits.loc[splits["clip_id"] == "val/030", ["split", "sentence_id"]] = "test", -1
    splits.loc[splits["clip_id"] == "val/031", ["split", "seen"]] = "val", 1
    splits.to_csv(folder / "data/splits.csv", index=False)
    lines = pd.read_csv(folder / "data/gloss_lines.csv")
    lines.loc[lines["clip_id"] == "val/026", "gloss"] = ""
    lines.loc[lines["clip_id"] == "val/027", "gloss"] = "JOHN NEVER-SEEN"
    lines.to_csv(folder / "data/gloss_lines.csv", index=False)
    splits.assign(signer_id="S").to_parquet(folder / "data/metadata.parquet", index=False)
    inputs["metadata"] = [folder / "data/metadata.parquet"]
    for variant in FEATURES:
        (folder / variant).mkdir()
        line = synthetic_gloss.arguments(inputs, folder / variant, variant, folder / "scratch", **SMALL)
        assert train_gloss.main(line) == 0
        inputs[variant] = [folder / variant / "best.pth"]
    return inputs


def call(
    corpus: dict[str, list[Path]], variant: str, out: Path, seed: int = 42, **decode: object
) -> tuple[int, Path, Path]:
    """Run the stage on what `variant` reads; return its exit code, metric file and predictions."""
    inputs = {name: corpus[name] for name in ("splits", "glosses", "gloss_lines", "metadata")}
    inputs |= {name: corpus[name] for name in FEATURES[variant]} | {"checkpoint": corpus[variant]}
    sections = {
        "decode_gloss": {"batch_size": 4} | decode,
        "evaluation": {"bootstrap": 200, "seed": 1},
        "run": {"variant": variant, "seed": seed},
    }
    metrics, predictions = out / f"{variant}.json", out / f"{variant}.csv"
    code = stage.main(
        [
            *("--input", *(f"{name}={path}" for name, paths in inputs.items() for path in paths)),
            *("--output", f"metrics={metrics}", f"predictions={predictions}"),
            *("--params", params_json(sections)),
        ]
    )
    return code, metrics, predictions


@pytest.mark.parametrize("variant", FEATURES)
def test_every_decoder_of_a_variant_is_scored_on_each_data_set_apart(
    corpus: dict[str, list[Path]], variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, metrics_file, predictions_file = call(corpus, variant, tmp_path)
    assert code == 0
    metrics = json.loads(metrics_file.read_text())
    assert {name: (part["n"], part["n_empty_references"]) for name, part in metrics.items()} == {
        "test": (3, 1),
        "val": (3, 0),
        "test_unseen_sentences": (1, 0),
        "val_unseen_sentences": (0, 0),
        "test_all_sentences": (4, 1),
    }
    mine = ALL[:2] if variant == "tcn_ctc" else ALL
    for part in metrics.values():
        assert [key for key in part if isinstance(part[key], dict)] == mine
        for decoder in mine:
            assert part[decoder]["n"] == part["n"] - part["n_empty_references"]
            if part[decoder]["n"]:
                rates = [part[decoder][kind] for kind in ("sub", "del", "ins")]
                assert part[decoder]["wer"] == pytest.approx(sum(rates), abs=2e-4)
            else:
                assert part[decoder]["wer_reason"] == "no clip in this data set"
    table = pd.read_csv(predictions_file, keep_default_na=False, dtype=str)
    assert table.columns.tolist() == [
        "data", "clip_id", "signer_id", "sentence_id", "seen", "reference", *mine, "blank_frames", "frames",
    ]  # fmt: skip
    assert "val/030" not in set(table["clip_id"]), "clips that nobody signs have no glosses"
    assert table["reference"][table["clip_id"] == "val/027"].item() == "JOHN NEVER-SEEN", "not <unk>"
    assert not set(" ".join(table[mine].to_numpy().ravel()).split()) & {"<pad>", "<blank>", "<sos>", "<eos>"}
    # the metric file follows from the predictions
    test = table[(table["data"] == "test") & (table["reference"] != "")]
    for decoder in mine:
        want = jiwer.process_words(test["reference"].tolist(), test[decoder].tolist())
        assert metrics["test"][decoder]["wer"] == pytest.approx(want.wer, abs=0.5001e-4)
    times = ", ".join(rf"{part} [\d.]+" for part in ("encoder", *mine))
    assert re.search(f"test: 3 clips, ms per clip: {times}\n", capsys.readouterr().out)


def test_random_weights_of_the_video_network_are_said_beside_every_figure(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    _, metrics, _ = call(corpus, "hybrid_both", tmp_path)  # its clip features are made with random weights
    assert {part.get("clip_weights") for part in json.loads(metrics.read_text()).values()} == {"random"}
    _, metrics, _ = call(corpus, "hybrid_pose", tmp_path)
    assert not any("clip_weights" in part for part in json.loads(metrics.read_text()).values())
    assert random_weights({"backbone": "i3d", "weights": "pretrained"}) == {}


def test_the_order_of_the_tables_changes_no_byte(corpus: dict[str, list[Path]], tmp_path: Path) -> None:
    turned = dict(corpus)
    for name in ("splits", "gloss_lines"):
        table = pd.read_csv(corpus[name][0], keep_default_na=False)[::-1]
        turned[name] = [tmp_path / f"{name}.csv"]
        table.to_csv(turned[name][0], index=False)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    once, again = call(corpus, "hybrid_pose", tmp_path / "a"), call(turned, "hybrid_pose", tmp_path / "b")
    assert once[0] == again[0] == 0
    for one, other in zip(once[1:], again[1:], strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_size_of_batches_changes_no_answer(corpus: dict[str, list[Path]], tmp_path: Path) -> None:
    trained = load_gloss(corpus["hybrid_pose"][0])
    shards = FeatureShards(corpus["pose"], corpus["pose_index"], corpus["mask"])
    rows = GlossRows("pose", shards, None, trained.stats, trained.model.config.max_frames)
    clips = sorted(MOVED)
    by_name = decoders(trained.model, section(DecodeGlossParams))
    one, many = (decode_clips(trained, rows, clips, by_name, size, "decode") for size in (1, 8))
    assert one.lines == many.lines
    assert one.blanks.tolist() == many.blanks.tolist()
    assert one.blanks[:, 1].tolist() == [rows.length(clip) for clip in clips]


def test_a_language_model_and_a_bonus_reach_the_joint_decoder_alone(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    _, _, plain = call(corpus, "hybrid_pose", tmp_path)
    before = pd.read_csv(plain, keep_default_na=False)
    for more in ({"lm_weight": 5.0, "lm_order": 2}, {"lm_weight": 5.0}, {"length_bonus": 30.0}):
        _, _, weighed = call(corpus, "hybrid_pose", tmp_path, **more)
        after = pd.read_csv(weighed, keep_default_na=False)
        assert before[ALL[:3]].equals(after[ALL[:3]])
        assert not before["joint"].equals(after["joint"]), (more, before["joint"].tolist())


def test_the_language_model_knows_the_training_lines_alone(corpus: dict[str, list[Path]]) -> None:
    trained = load_gloss(corpus["hybrid_pose"][0])
    splits = pd.read_csv(corpus["splits"][0])
    training = splits["clip_id"][splits["split"] == "train"]
    lines = dict.fromkeys(splits["clip_id"], "BOOK BOOK") | dict.fromkeys(training, "JOHN LIKE")
    found = language_model(trained, splits, lines, section(DecodeGlossParams, lm_weight=1.0, lm_order=2))
    line = [trained.vocabulary.index(gloss) for gloss in ("JOHN", "LIKE")]
    want = GlossNgram([line] * len(training), len(trained.vocabulary), 2)
    assert found is not None and len(training) == 24
    each = torch.arange(len(trained.vocabulary))[:, None]
    torch.testing.assert_close(found.to(torch.device("cpu")).scores(each), want.scores(each))


def test_blanks_are_counted_in_frames_and_not_in_padding() -> None:
    log_probs = torch.zeros(2, 9, 7)
    log_probs[:, :, BLANK] = 1
    log_probs[1, 3, 5] = 2
    encoded = Encoded(torch.zeros(2, 9, 4), valid_frames(torch.tensor([2, 9]), 9), log_probs)
    assert encoded.blanks().tolist() == [[2, 2], [8, 9]]


def test_normalisation_is_that_of_references_and_answers(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    changed = dict(corpus)
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False)
    lines.loc[lines["clip_id"] == "val/024", "gloss"] = "loc-JOHN JOHN __PU__ BOOK-PLUSPLUS"
    lines.loc[lines["clip_id"] == "val/025", "gloss"] = "__ON__ __OFF__"
    changed["gloss_lines"] = [tmp_path / "gloss_lines.csv"]
    lines.to_csv(changed["gloss_lines"][0], index=False)
    code, metrics, predictions = call(changed, "tcn_ctc", tmp_path, normalisation="phoenix")
    assert code == 0
    table = pd.read_csv(predictions, keep_default_na=False).set_index("clip_id")
    assert table["reference"]["val/024"] == "JOHN BOOK"
    assert table["reference"]["val/025"] == ""
    assert json.loads(metrics.read_text())["test"]["n_empty_references"] == 2


def refused(
    corpus: dict[str, list[Path]], variant: str, out: Path, capsys: pytest.CaptureFixture[str], **more: int
) -> str:
    """Return the one line of the error that the stage ends with."""
    code, metrics, _ = call(corpus, variant, out, **more)
    assert code == 2
    assert not metrics.exists()
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_another_vocabulary_other_stats_or_another_run_is_refused(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vocabulary = json.loads(corpus["glosses"][0].read_text())
    (tmp_path / "glosses.json").write_text(json.dumps([*vocabulary, "ZEBRA"]))
    changed = corpus | {"glosses": [tmp_path / "glosses.json"]}
    assert "another vocabulary" in refused(changed, "hybrid_pose", tmp_path, capsys)
    with np.load(corpus["pose_stats"][0]) as stats:
        np.savez(
            tmp_path / "stats.npz",
            feature_mean=stats["feature_mean"] + np.float32(0.1),
            feature_std=stats["feature_std"],
        )
    changed = corpus | {"pose_stats": [tmp_path / "stats.npz"]}
    assert "other statistics than pose_stats" in refused(changed, "tcn_ctc", tmp_path, capsys)
    assert "'seed': 42" in refused(corpus, "hybrid_pose", tmp_path, capsys, seed=43)
    changed = corpus | {"hybrid_pose": corpus["tcn_ctc"]}
    assert "is of run" in refused(changed, "hybrid_pose", tmp_path, capsys)


def test_clip_features_of_another_network_are_refused(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = pd.read_parquet(corpus["clip_index"][0]).assign(backbone="s3d")
    index.to_parquet(tmp_path / "clip.parquet", index=False)
    changed = corpus | {"clip_index": [tmp_path / "clip.parquet"]}
    assert "s3d" in refused(changed, "hybrid_both", tmp_path, capsys)


def test_a_clip_without_feature_rows_is_refused(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    extra = pd.DataFrame([("test/gone", "test", 3, 1)], columns=splits.columns)
    pd.concat([splits, extra]).to_csv(tmp_path / "splits.csv", index=False)
    changed = corpus | {"splits": [tmp_path / "splits.csv"]}
    assert "test/gone" in refused(changed, "tcn_ctc", tmp_path, capsys), "no gloss line"
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False)
    more = pd.DataFrame([("test/gone", "JOHN", "S", "")], columns=lines.columns)
    pd.concat([lines, more]).to_csv(tmp_path / "lines.csv", index=False)
    metadata = pd.read_parquet(corpus["metadata"][0])
    extra["signer_id"] = "S"
    pd.concat([metadata, extra]).to_parquet(tmp_path / "metadata.parquet", index=False)
    changed |= {"gloss_lines": [tmp_path / "lines.csv"], "metadata": [tmp_path / "metadata.parquet"]}
    message = refused(changed, "tcn_ctc", tmp_path, capsys)
    assert "test/gone" in message
    assert "no pose feature rows" in message


class Trap:
    """What a checkpoint must not be able to bring to life."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("trapped"),))  # type: ignore[return-value]


def test_a_checkpoint_is_never_executed(
    corpus: dict[str, list[Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save({"family": "gloss", "trap": Trap()}, tmp_path / "bad.pth")
    monkeypatch.chdir(tmp_path)
    changed = corpus | {"tcn_ctc": [tmp_path / "bad.pth"]}
    assert "not a checkpoint of tensors and plain data" in refused(changed, "tcn_ctc", tmp_path, capsys)
    assert not (tmp_path / "trapped").exists()


def test_a_checkpoint_of_the_other_family_or_without_its_weights_is_refused(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = checkpoints.load(corpus["tcn_ctc"][0])
    for change, words_of_it in (
        ({"family": "sign2text"}, "of family 'sign2text'"),
        ({"model": {}}, "not a gloss checkpoint"),
        ({"model_config": {"network": "cnn"}}, "not a gloss checkpoint"),
    ):
        checkpoints.save(tmp_path / "other.pth", content | change)
        changed = corpus | {"tcn_ctc": [tmp_path / "other.pth"]}
        assert words_of_it in refused(changed, "tcn_ctc", tmp_path, capsys)
