"""Stage export: networks that answer as the trained ones do, in files that say nothing of the machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from exported import (
    MAX_FRAMES,
    PARAMS,
    THRESHOLDS,
    VOCABULARY,
    Exported,
    Inputs,
    clip_of,
    command,
    export_small,
    gloss_checkpoint,
    network_rows,
)
from safetensors.numpy import load_file
from small_corpus import CLIPS, SEQ_LEN, arguments

from signloom.decoding.ctc import greedy
from signloom.export.outputs import FILES, GLOSS_OUTPUTS
from signloom.export.package import code
from signloom.features.gloss_rows import GlossRows
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.inference.bundle import OPTIONAL
from signloom.inference.engine import SignEngine
from signloom.models import checkpoints
from signloom.models.gloss import Hybrid
from signloom.models.trained_gloss import load_gloss
from signloom.models.trained_sign2text import load_trained
from signloom.text.tokenizer import TextTokenizer
from workflow_scripts import export as stage

TRAINING = [clip for clip in CLIPS if clip[2] == "train"]


def run(exported: Exported, name: str, **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(exported.folder / name, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def spoiled(clip: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a clip whose missing parts hold numbers instead of NaN."""
    missing = np.isnan(clip[0])
    return np.where(missing, rng.normal(0, 100, clip[0].shape), clip[0]).astype(np.float32), clip[1]


def padded(clips: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return clips as one batch with nonsense where they are padded."""
    longest = max(len(features) for features, _ in clips)
    sequence = rng.normal(0, 100, (len(clips), longest, 540)).astype(np.float32)
    mask = np.full((len(clips), longest, 4), -1, np.int8)
    for row, (features, present) in enumerate(clips):
        sequence[row, : len(features)], mask[row, : len(features)] = features, present
    return {"sequence": sequence, "mask": mask}


@pytest.fixture(scope="module")
def again(
    export_inputs: Inputs, tmp_path_factory: pytest.TempPathFactory, root: Path
) -> tuple[Path, subprocess.Popen[str]]:
    """The same stage in another process and folder; it runs beside the first one."""
    folder = tmp_path_factory.mktemp("again")
    command_line = [sys.executable, "-m", "workflow_scripts.export", *command(export_inputs, folder)]
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(root)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return folder, subprocess.Popen(command_line, cwd=folder.parent, env=environment, text=True, **pipes)


@pytest.mark.long
def test_another_process_in_another_folder_writes_the_same_bytes(
    again: tuple[Path, subprocess.Popen[str]], request: pytest.FixtureRequest
) -> None:
    folder, process = again
    exported: Exported = request.getfixturevalue("exported")  # now, while the other process works
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    for name in FILES.values():
        assert digest(folder / name) == digest(exported.folder / name), name
    told = re.search(r"sha256 ([0-9a-f]{64})", said)
    assert told and told[1] == digest(exported.bundle)
    assert (exported.folder / FILES["digest"]).read_text() == f"{told[1]}  {exported.bundle.name}\n"


def test_every_output_is_there_and_the_manifest_describes_the_files(exported: Exported) -> None:
    assert {path.name for path in exported.folder.iterdir()} == set(FILES.values())
    manifest = json.loads((exported.folder / FILES["manifest"]).read_text())
    assert set(manifest["files"]) == set(FILES.values()) - {
        FILES[name] for name in ("manifest", "bundle", "digest")
    }
    for name, entry in manifest["files"].items():
        content = (exported.folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}, name
    assert manifest["hashes"]["checkpoint"] == digest(exported.inputs["checkpoint"][0])
    assert manifest["hashes"]["data"] == "d" * 64 and manifest["git_commit"] == "c" * 40
    assert manifest["metrics"]["sign2text"] == {
        "test": {"wer": 0.25, "wer_low": 0.1, "wer_high": 0.4, "n": 3}
    }
    assert list(manifest["metrics"]["gloss/hybrid_pose"]["test"]) == ["attention"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_file_names_a_folder_of_this_machine(exported: Exported, root: Path) -> None:
    folders = {
        str(root),
        str(exported.folder.parent),
        str(Path.home()),
        sys.prefix,
        str(Path(torch.__file__).parent),
    }
    for path in exported.folder.iterdir():
        content = path.read_bytes()
        assert [folder for folder in folders if len(folder) > 1 and folder.encode() in content] == [], (
            path.name
        )
    for name in ("encoder", "encoder_int8", "decoder", "gloss_model", "gloss_decoder", "torchscript"):
        content = (exported.folder / FILES[name]).read_bytes()
        assert not re.search(rb'File "|/site-packages/|torch_mangle|debug_pkl', content), name


@pytest.mark.parametrize("clips", [["a/train1"], ["b/train1"], ["a/train1", "d/test0", "b/train1"]])
def test_the_encoder_gives_what_the_trained_network_gives(exported: Exported, clips: list[str]) -> None:
    rng = np.random.default_rng(0)
    read = [clip_of(exported, clip_id) for clip_id in clips]
    embedding, frames = run(
        exported, "sign_encoder.onnx", **padded([spoiled(clip, rng) for clip in read], rng)
    )
    trained = load_trained(exported.inputs["checkpoint"][0], exported.inputs["stats"][0])
    for row, clip in enumerate(read):
        x = network_rows(exported, *clip)
        with torch.inference_mode():
            encoded = trained.model.encode(x, torch.ones(x.shape[:2], dtype=torch.bool))
        np.testing.assert_allclose(embedding[row], encoded.embedding[0].numpy(), atol=2e-6)
        np.testing.assert_allclose(frames[row, : x.shape[1]], encoded.frames[0].numpy(), atol=1e-5)
        assert not frames[row, x.shape[1] :].any()
    assert frames.shape[1] == min(max(len(features) for features, _ in read), SEQ_LEN)


def test_torchscript_int8_and_weights_are_of_the_same_network(exported: Exported) -> None:
    rng = np.random.default_rng(1)
    inputs = padded([clip_of(exported, clip_id) for clip_id in ("b/train1", "c/val0")], rng)
    exact = run(exported, "sign_encoder.onnx", **inputs)
    loaded = torch.jit.load(exported.folder / FILES["torchscript"])
    with torch.inference_mode():
        script = loaded(*map(torch.from_numpy, inputs.values()))
    for one, other in zip(script, exact, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-5)
    small = run(exported, "sign_encoder.int8.onnx", **inputs)[0]
    assert ((small * exact[0]).sum(1) > 0.999).all() and not np.array_equal(small, exact[0])
    weights = load_file(exported.folder / FILES["safetensors"])
    for family, name in (("sign2text", "checkpoint"), ("gloss", "gloss")):
        state = checkpoints.load(exported.inputs[name][0])["model"]
        own = {key: value for key, value in weights.items() if key.startswith(f"{family}.")}
        assert set(own) == {f"{family}.{key}" for key in state}
        for key, value in state.items():
            assert np.array_equal(own[f"{family}.{key}"], value.numpy()), key


@pytest.mark.parametrize(
    ("file", "family"), [("sign_decoder.onnx", "checkpoint"), ("gloss_decoder.onnx", "gloss")]
)
@pytest.mark.parametrize(("rows", "length", "time"), [(1, 1, 1), (3, 1, 4), (1, 7, 1), (4, 5, 12)])
def test_a_decoder_gives_what_the_trained_one_gives(
    exported: Exported, file: str, family: str, rows: int, length: int, time: int
) -> None:
    rng = np.random.default_rng(rows + length)
    if family == "gloss":
        model = load_gloss(exported.inputs["gloss"][0]).model
    else:
        model = load_trained(exported.inputs["checkpoint"][0], exported.inputs["stats"][0]).model
    tokens = rng.integers(0, model.config.vocab_size, (rows, length))
    frames = rng.normal(size=(1, time, 16)).astype(np.float32)
    (found,) = run(exported, file, tokens=tokens, frames=frames)
    with torch.inference_mode():
        across = torch.from_numpy(frames).expand(rows, -1, -1)
        logits = model.decode(torch.from_numpy(tokens), across, torch.ones(rows, time, dtype=torch.bool))
    expected = logits[:, -1].log_softmax(-1).numpy()
    assert np.array_equal(np.isneginf(found), np.isneginf(expected))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_gloss_network_reads_clips_as_the_gloss_stages_do(exported: Exported) -> None:
    trained = load_gloss(exported.inputs["gloss"][0])
    assert isinstance(trained.model, Hybrid)
    shards = FeatureShards(*(exported.inputs[name] for name in ("features", "index", "mask")))
    rows = GlossRows("pose", shards, None, {"pose": Stats.read(exported.inputs["stats"][0])}, MAX_FRAMES)
    rng, clips = np.random.default_rng(2), ["b/train1", "a/train1", "c/val0", "b/train0"]
    read = [spoiled(clip_of(exported, clip_id), rng) for clip_id in clips]
    frames, log_probs, path = run(exported, "gloss_model.onnx", **padded(read, rng))
    for row, clip_id in enumerate(clips):
        x = torch.from_numpy(rows.network_input(clip_id)).float()[None]
        with torch.inference_mode():
            memory, valid = trained.model.encode(x, torch.tensor([x.shape[1]]))
            expected = trained.model.ctc(memory)
        length = int(valid.sum())
        np.testing.assert_allclose(frames[row, :length], memory[0].numpy(), atol=1e-5)
        own = log_probs[row, :length]
        assert np.array_equal(np.isneginf(own), np.isneginf(expected[0].numpy()))
        np.testing.assert_allclose(own, expected[0].numpy(), atol=1e-5)
        assert path[row][path[row] >= 0].tolist() == greedy(expected, valid.sum(1))[0]


def test_inputs_and_outputs_are_as_the_design_says(exported: Exported) -> None:
    ports = {}
    for name in ("encoder", "encoder_int8", "decoder", "gloss_model", "gloss_decoder"):
        model = onnx.load(exported.folder / FILES[name])
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)], name
        graph = model.graph
        ports[name] = {
            port.name: [dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim]
            for port in (*graph.input, *graph.output)
        }
    clips = {"sequence": ["batch", "time", 540], "mask": ["batch", "time", 4]}
    encoder = clips | {"embedding": ["batch", 8], "frames": ["batch", "kept", 16]}
    assert ports["encoder"] == ports["encoder_int8"] == encoder
    glosses = len(VOCABULARY)
    assert ports["gloss_model"] == clips | {
        "frames": ["batch", "kept", 16], "log_probs": ["batch", "kept", glosses], "greedy": ["batch", "kept"],
    }  # fmt: skip
    assert ports["gloss_decoder"] == {
        "tokens": ["rows", "length"], "frames": [1, "time", 16], "log_probs": ["rows", glosses],
    }  # fmt: skip


def test_the_gallery_is_the_signed_training_clips_alone(exported: Exported) -> None:
    table = pd.read_csv(exported.folder / FILES["map"], keep_default_na=False)
    assert table["clip_id"].tolist() == [clip[0] for clip in TRAINING]
    assert table.columns.tolist() == list(pd.read_csv(exported.inputs["map"][0]).columns)
    everything = np.load(exported.inputs["embeddings"][0])
    rows = pd.read_csv(exported.inputs["map"][0]).set_index("clip_id").index.get_indexer(table["clip_id"])
    assert np.array_equal(np.load(exported.folder / FILES["embeddings"]), everything[rows])
    index = pd.read_csv(exported.folder / FILES["frames_index"])
    assert index["clip_id"].tolist() == table["clip_id"].tolist()
    assert index["length"].sum() == len(np.load(exported.folder / FILES["frames"]))


def test_the_configuration_holds_what_video_and_text_need(exported: Exported) -> None:
    config = json.loads((exported.folder / FILES["config"]).read_text())
    assert config["seq_len"] == SEQ_LEN and config["embedding_dim"] == 8
    assert config["features"] == {
        "dim": 540,
        "parts": {"pose": [0, 132], "left_hand": [132, 195], "right_hand": [195, 258], "face": [258, 540]},
    }
    size = TextTokenizer.load(exported.inputs["tokenizer"][0]).size
    assert config["tokens"] == {"pad": 0, "start": 2, "end": 3, "longest": 10, "vocabulary": size}
    assert config["gloss"]["tokens"]["vocabulary"] == len(VOCABULARY)
    for name, section in PARAMS.items():
        assert section.items() <= config[name].items()
    assert config["pose"]["fps"] == 25.0 and config["decoding"]["length_penalty"] == 0.8


def test_the_zip_holds_what_answers_and_nothing_else(exported: Exported) -> None:
    manifest = json.loads((exported.folder / FILES["manifest"]).read_text())
    with zipfile.ZipFile(exported.bundle) as file:
        data = set(manifest["files"]) - set(OPTIONAL)
        assert file.namelist() == sorted([*code(), *data, FILES["manifest"]])
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert set(manifest["modules"]) == set(code())
        for name in data:
            assert file.read(name) == (exported.folder / name).read_bytes(), name


def test_an_export_into_the_folder_of_an_older_one_leaves_no_file_of_it(
    exported: Exported, tmp_path: Path
) -> None:
    folder = shutil.copytree(exported.folder, tmp_path / "export")
    inputs = {name: paths for name, paths in exported.inputs.items() if name != "gloss"}
    made = export_small(inputs, folder, left_out=GLOSS_OUTPUTS)
    for bundle in (folder, made.bundle):
        answer = SignEngine.load(bundle).answer(*clip_of(exported, "b/train1"))
        assert answer.text and answer.glosses is None


def test_the_card_says_what_it_is_not_for_and_what_was_measured(exported: Exported) -> None:
    card = (exported.folder / FILES["card"]).read_text()
    for said in (
        "no interpreter",
        "health, law, safety",
        "knows 3 sentences",
        "decoded sentence, word by word. That may be one that nobody signed",
        "- `wer`: words or glosses that are wrong",
        "13 of 14 clips",
        "| train | 5 | 3 | 2 |",
        "| sign2text | test | wer | 0.250 | 0.100 to 0.400 | 3 |",
        "Signloom does not know",
    ):
        assert said in card, said
    assert "invented lexicon" not in card


def test_the_card_says_why_thresholds_were_not_chosen(exported: Exported, tmp_path: Path) -> None:
    assert "thresholds hold for clips like those" in (exported.folder / FILES["card"]).read_text()
    reason = {"reason": "no validation clip of a sentence that training saw"}
    (tmp_path / "thresholds.json").write_text(json.dumps(THRESHOLDS | reason))
    export_small(exported.inputs | {"thresholds": [tmp_path / "thresholds.json"]}, tmp_path / "export")
    card = (tmp_path / "export" / FILES["card"]).read_text()
    assert f"not chosen on this corpus** ({reason['reason']})" in card and "thresholds hold" not in card


def refused(exported: Exported, folder: Path, capsys: pytest.CaptureFixture[str], **changed: Path) -> str:
    """Run the stage with some inputs `changed` and return what it says; nothing is written."""
    inputs = exported.inputs | {name: [path] for name, path in changed.items()}
    assert stage.main(command(inputs, folder / "export")) == 2
    written = folder / "export"
    assert not written.exists() or not list(written.iterdir())
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"input": "clip"}, "it reads clip features"),
        ({"stack": 3}, "it joins 3 rows into one"),
        ({"every": 2}, "it reads only one row in 2"),
        (
            {"signers": ["a"], "signer_mean": torch.zeros(1, 540), "signer_std": torch.ones(1, 540)},
            "standardises features by signer",
        ),
        ({"pose_mean": torch.zeros(540)}, "other statistics"),
        ({"vocabulary": [*VOCABULARY[:-1], "COFFEE"]}, "another vocabulary"),
    ],
)
def test_a_gloss_run_that_cannot_answer_from_pose_features_is_named(
    exported: Exported,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, object],
    reason: str,
) -> None:
    checkpoints.save(tmp_path / "gloss.pth", gloss_checkpoint(exported.inputs["stats"][0], **changed))
    said = refused(exported, tmp_path, capsys, gloss=tmp_path / "gloss.pth")
    assert "gloss.pth" in said and reason in said


def test_inputs_of_another_build_are_refused(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thresholds = {name: value for name, value in THRESHOLDS.items() if name != "min_margin"}
    (tmp_path / "thresholds.json").write_text(json.dumps(thresholds))
    said = refused(exported, tmp_path, capsys, thresholds=tmp_path / "thresholds.json")
    assert "min_margin is missing" in said
    pd.read_parquet(exported.inputs["frames_index"][0])[1:].to_parquet(tmp_path / "frames.parquet")
    said = refused(exported, tmp_path, capsys, frames_index=tmp_path / "frames.parquet")
    assert "other clips" in said
    np.save(tmp_path / "others.npy", np.roll(np.load(exported.inputs["embeddings"][0]), 1, axis=1))
    assert "another checkpoint" in refused(exported, tmp_path, capsys, embeddings=tmp_path / "others.npy")
    content = checkpoints.load(exported.inputs["checkpoint"][0])
    checkpoints.save(tmp_path / "tracked.pth", content | {"trackers": ["file", "mediapipe"]})
    said = refused(exported, tmp_path, capsys, checkpoint=tmp_path / "tracked.pth")
    assert "landmarks of mediapipe, and landmarks.engine is signloom" in said
    checkpoints.save(tmp_path / "old.pth", {name: content[name] for name in content if name != "data_hash"})
    assert "lacks the entry data_hash" in refused(exported, tmp_path, capsys, checkpoint=tmp_path / "old.pth")


def test_an_output_that_has_another_name_or_no_source_is_refused(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {name: tmp_path / file for name, file in FILES.items()} | {"config": tmp_path / "other.json"}
    assert stage.main(arguments(exported.inputs, names, PARAMS)) == 2
    assert "model_config.json" in capsys.readouterr().err
    without = {name: paths for name, paths in exported.inputs.items() if name != "gloss"}
    assert stage.main(command(without, tmp_path)) == 2
    assert "gloss_model" in capsys.readouterr().err
    checkpoints.save(tmp_path / "tcn.pth", gloss_checkpoint(exported.inputs["stats"][0], "tcn_ctc"))
    assert stage.main(command(exported.inputs | {"gloss": [tmp_path / "tcn.pth"]}, tmp_path)) == 2
    assert "gloss_decoder" in capsys.readouterr().err
    assert stage.main(command(exported.inputs, tmp_path, left_out=("card",))) == 2
    assert "--output card" in capsys.readouterr().err
