"""A corpus of single signs, from training to an answer: three signs by six people, no sentence decoder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pysubs2
import pytest
from demo_params import params_json
from pympi.Elan import Eaf

from signloom.__main__ import main
from signloom.export.outputs import DECODER_OUTPUTS, FILES, GLOSS_OUTPUTS
from signloom.inference.annotations import AnsweredPassage, write_eaf, write_subtitles
from signloom.inference.engine import SignEngine
from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text
from signloom.params.load import load_params
from signloom.text.vocabulary import build_vocabulary
from tests.synthetic_signs import Size, arguments, write_corpus
from workflow_scripts import (
    calibrate,
    embed,
    evaluate_inference,
    evaluate_retrieval,
    evaluate_sign2text,
    export,
    prototypes,
    train_sign2text,
)

ROOT = Path(__file__).parent.parent
PRESET = load_params(ROOT / "params.yaml", ROOT / "config/presets/isolated_signs.yaml")
TINY = {
    **{"width": 32, "layers": 1, "heads": 2, "feedforward": 64, "embedding_dim": 32, "dropout": 0.1},
    **{"batch_size": 8, "epochs": 30, "lr": 2e-3, "warmup_epochs": 2.0, "decode_every": 10},
}
NAMES = {0: "APPLE", 1: "BARK", 2: "TREE"}
Files = dict[str, list[Path]]


class Built:
    """The files of the corpus and of every stage after it, by the names of inputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        size = Size(signs=3, sentences=3, signers=6, frames=14, isolated=True)
        self.files: Files = write_corpus(folder, size)
        splits = pd.read_csv(self.files["splits"][0])
        clips = splits[["clip_id", "sentence_id"]].assign(
            sentence=splits["sentence_id"].map(NAMES), video_file=splits["clip_id"] + ".mp4",
            signer_id=splits["clip_id"].str.partition("/")[0],
            category="", consent="", feature_path="0000.npy",
        )  # fmt: skip
        self.add(metadata=folder / "metadata.parquet", glosses=folder / "glosses.json")
        clips.to_parquet(self.files["metadata"][0], index=False)
        self.files["glosses"][0].write_text(json.dumps(build_vocabulary([" ".join(NAMES.values())])))
        self.add(text_embeddings=self.files.pop("embeddings")[0])

    def add(self, **files: Path) -> None:
        self.files |= {name: [path] for name, path in files.items()}

    def run(self, stage: object, inputs: str, outputs: dict[str, str], **sections: dict[str, object]) -> None:
        """Run a stage with `inputs`, named as they are here, and take its `outputs` for later ones."""
        made = {name: self.folder / file for name, file in outputs.items()}
        argv = [f"{name}={path}" for name in inputs.split() for path in self.files[name]]
        argv = ["--input", *argv, "--output", *(f"{name}={path}" for name, path in made.items())]
        assert stage.main([*argv, "--params", params_json(sections)]) == 0  # type: ignore[attr-defined]
        self.add(**made)


CLIPS = "features mask index stats splits"
SIGNS = {"sign2text": {"task": "signs"}}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Run every stage that a bundle and its scores need."""
    folder = tmp_path_factory.mktemp("signs")
    made = Built(folder)
    params = {"sign2text": PRESET.sign2text.model_dump() | TINY}
    training = {name: made.files[name] for name in (*CLIPS.split(), "texts", "tokenizer")}
    training["embeddings"] = made.files["text_embeddings"]
    assert train_sign2text.main(arguments(training, folder, params, folder / "scratch")) == 0
    made.add(checkpoint=folder / "best.pth", history=folder / "history.csv")
    made.run(
        embed,
        f"checkpoint {CLIPS} metadata",
        {"embeddings": "e.npy", "map": "map.csv", "frames": "frames.npy", "frames_index": "frames.parquet"},
    )
    made.run(prototypes, "embeddings map", {"prototypes": "prototypes.npz"}, retrieval={})
    searched = f"checkpoint {CLIPS} embeddings map"
    outputs = {"thresholds": "thresholds.json", "curve": "curve.csv"}
    outputs |= {"predictions": "calibration.csv", "metrics": "calibration.json"}
    made.run(
        calibrate,
        f"{searched} frames frames_index prototypes",
        outputs,
        **{"inference": {}, "quality": {}, "pose": {}, "evaluation": {"bootstrap": 100}},
    )
    made.run(
        evaluate_sign2text,
        f"{searched} metadata tokenizer texts text_embeddings",
        {"predictions": "sign2text.csv", "metrics": "sign2text.json"},
        decoding={},
        evaluation={"bootstrap": 100},
    )
    made.run(
        evaluate_retrieval,
        f"embeddings map metadata {CLIPS}",
        {"predictions": "retrieval.csv", "metrics": "retrieval.json"},
        evaluation={"bootstrap": 100},
        **SIGNS,
    )
    left_out = (*DECODER_OUTPUTS, *GLOSS_OUTPUTS)
    sections = ("pose", "positions", "quality", "landmarks", "decoding", "retrieval", "inference", "text")
    given = {name: {} for name in sections} | {"quality": {"motion_keep": 0.7}}
    made.run(
        export,
        f"{searched} tokenizer glosses frames frames_index prototypes thresholds metrics",
        {name: f"export/{file}" for name, file in FILES.items() if name not in left_out},
        **given,
        dataset={"frame_rate": None},
    )
    made.run(
        evaluate_inference,
        "bundle features mask index splits",
        {"predictions": "inference.csv", "metrics": "inference.json", "latency": "latency.json"},
        **{"inference": {}, "pose": {}, "evaluation": {"bootstrap": 100}},
    )
    return made


def read(built: Built, name: str) -> dict[str, dict[str, object]]:
    return dict(json.loads((built.folder / name).read_text("utf-8")))


def test_no_sentence_decoder_is_trained_or_exported(built: Built) -> None:
    best = checkpoints.load(built.folder / "best.pth")
    model = Sign2Text(best["model_config"])
    model.load_state_dict(best["model"])
    assert not hasattr(model, "tokens") and not hasattr(model, "layers")
    history = pd.read_csv(built.folder / "history.csv")
    assert history[["ce_loss", "val_wer", "val_bleu4"]].isna().all(axis=None)
    assert history["clip_loss"].iloc[-1] < history["clip_loss"].iloc[0]
    names = SignEngine.load(built.files["bundle"][0]).bundle.names
    assert not {"sign_decoder.onnx", "tokenizer.json"} & names
    card = built.files["card"][0].read_text("utf-8")
    assert "which finds signs by retrieval" in card and "It knows 3 signs" in card
    assert "decode" not in card and "BLEU" not in card, "a bundle of signs has no sentence decoder"


def test_figures_of_decoded_texts_are_null_with_a_reason_and_those_of_signs_are_there(built: Built) -> None:
    scores = read(built, "sign2text.json")["test"]
    assert scores["n"] == 3 and scores["inst_top1"] is not None
    assert (scores["wer"], scores["wer_reason"]) == (
        None,
        "sign2text.task is signs: no sentence decoder is trained",
    )
    assert not [name for name in scores if name.endswith("signature")]
    answers = pd.read_csv(built.folder / "sign2text.csv")
    assert answers["hypothesis"].equals(answers["nearest"])
    assert answers["wer"].equals((answers["nearest_id"] != answers["sentence_id"]).astype(float))
    assert len(answers[["nearest", "nearest_id"]].drop_duplicates()) == len(set(answers["nearest"]))
    ranks = read(built, "retrieval.json")["test"]
    assert ranks["classes"] == 3
    # each sign has one clip, so all classes weigh as their clips do
    assert ranks["macro_accuracy"] == ranks["ret_top1"] == ranks["ret_top1_by_signer"]
    assert str(ranks["macro_accuracy_by_signer_reason"]).startswith("too few signers")


def test_the_model_finds_the_signs_of_a_person_whom_it_never_saw(built: Built) -> None:
    assert read(built, "retrieval.json")["test"]["ret_top1"] == 1.0
    assert read(built, "inference.json")["test"]["rerank"]["n"] == 3


def test_no_time_is_measured_of_a_decoder_that_there_is_not(built: Built) -> None:
    times = read(built, "latency.json")["clip"]
    assert "answer" in times and "answer_decoded" not in times


def clip_file(built: Built, clip_id: str, folder: Path) -> Path:
    """Write a clip of the corpus as `predict` reads it."""
    for features, mask, index in zip(*(built.files[name] for name in CLIPS.split()[:3]), strict=True):
        table = pd.read_parquet(index).set_index("clip_id")
        if clip_id in table.index:
            rows = slice(table["offset"][clip_id], table["offset"][clip_id] + table["length"][clip_id])
            path = folder / "clip.npz"
            np.savez(path, features=np.load(features)[rows], mask=np.load(mask)[rows], motion_mean=1.5)
            return path
    raise KeyError(clip_id)


def test_predict_answers_with_the_sign_and_lists_the_others(
    built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a clip of the gallery finds itself
    clip, bundle = str(clip_file(built, "signer1/sentence001", tmp_path)), str(built.files["bundle"][0])
    assert main(["predict", clip, "--bundle", bundle]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  sign: BARK (similarity 1.000)"
    assert "  accepted" in lines
    assert lines[-4].split()[-1] == "sign" and not any(
        "sentence" in line for line in (*lines[:-4], lines[-4])
    )
    assert [line.split()[0] for line in lines[-3:]] == ["1", "2", "3"]
    assert main(["predict", clip, "--bundle", bundle, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["unit"], found["sign"], found["text"]) == ("sign", "BARK", None)
    assert sorted(match["sentence"] for match in found["matches"]) == sorted(NAMES.values())


def test_what_is_no_sign_of_the_gallery_is_refused_in_words_of_signs(
    built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "x.npz", features=rng.normal(size=(20, 540)), mask=np.ones((20, 4), np.int8))
    bundle = str(built.files["bundle"][0])
    assert main(["predict", str(tmp_path / "x.npz"), "--bundle", bundle]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("  refused: no known sign is similar enough (low_similarity): ")
    assert re.search(r"(cosine|warping) -?\d\.\d{3} is below min_(similarity|dtw_score) \d\.\d{3}$", said[1])
    assert not any(line.startswith("  sign:") for line in said)
    assert main(["predict", str(tmp_path / "x.npz"), "--bundle", bundle, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sign"] is None


def test_files_of_answers_hold_signs_as_glosses_and_as_subtitles(built: Built, tmp_path: Path) -> None:
    engine = SignEngine.load(built.files["bundle"][0])
    with np.load(clip_file(built, "signer0/sentence002", tmp_path)) as clip:
        known = engine.answer(clip["features"], clip["mask"], 1.5)
    rng = np.random.default_rng(3)
    unknown = engine.answer(rng.normal(size=(20, 540)).astype(np.float32), np.ones((20, 4), np.uint8))
    passages = [AnsweredPassage(0.5, 1.75, known), AnsweredPassage(2.0, 3.0, unknown)]
    write_eaf(tmp_path / "a.eaf", passages, None, "sign")
    eaf = Eaf(tmp_path / "a.eaf")
    assert list(eaf.get_tier_names()) == ["gloss"]
    assert eaf.get_annotation_data_for_tier("gloss") == [(500, 1750, "TREE")]
    write_subtitles(tmp_path / "a.vtt", passages, "vtt")
    (event,) = pysubs2.load(str(tmp_path / "a.vtt"))
    assert (event.start, event.end, event.text) == (500, 1750, "TREE")
