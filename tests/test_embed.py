"""Stage embed: every clip once, unit rows, gallery frames, and no clip that changes another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_corpus import CLIPS, EMBED_INPUTS, SEQ_LEN, arguments, run_embed, write_corpus

from signloom.evaluation.embed import encode_clips
from signloom.features.shards import FeatureShards
from signloom.models import checkpoints
from signloom.models.trained_sign2text import load_trained
from workflow_scripts import embed as stage


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def outputs(corpus: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run_embed(corpus, tmp_path_factory.mktemp("out"))


def alone(corpus: dict[str, list[Path]], clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Embedding and frames of one clip, standardised and cropped here and encoded without company."""
    trained = load_trained(corpus["checkpoint"][0], corpus["stats"][0])
    shards = FeatureShards(corpus["features"], corpus["index"], corpus["mask"])
    features, mask = np.array(shards.clip(clip_id)), np.array(shards.mask(clip_id))
    if len(features) > SEQ_LEN:
        first = (len(features) - SEQ_LEN) // 2
        features, mask = features[first : first + SEQ_LEN], mask[first : first + SEQ_LEN]
    with np.load(corpus["stats"][0]) as stats:
        z = (features - stats["feature_mean"]) / stats["feature_std"]
    z[np.isnan(z)] = 0
    device = next(trained.model.parameters()).device
    x = torch.from_numpy(np.concatenate([z, mask.astype(np.float32)], 1))[None].to(device)
    with torch.inference_mode():
        encoded = trained.model.encode(x, torch.ones(1, len(features), dtype=torch.bool, device=device))
    return encoded.embedding[0].cpu().numpy(), encoded.frames[0].cpu().numpy()


def test_the_map_names_every_clip_in_order_and_the_rows_are_unit(outputs: dict[str, Path]) -> None:
    table = pd.read_csv(outputs["map"], keep_default_na=False)
    assert table.columns.tolist() == [
        "clip_id", "video_file", "feature_path", "sentence_id", "sentence", "category", "consent", "split",
    ]  # fmt: skip
    assert table["clip_id"].tolist() == sorted(clip[0] for clip in CLIPS)
    assert table.set_index("clip_id").loc["e/unsigned"].tolist()[2:] == [-1, "", "NA", "", "test"]
    vectors = np.load(outputs["embeddings"])
    assert vectors.shape == (len(CLIPS), 8)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_clip_is_embedded_as_if_it_were_alone(
    corpus: dict[str, list[Path]], outputs: dict[str, Path]
) -> None:
    table = pd.read_csv(outputs["map"])
    vectors = np.load(outputs["embeddings"])
    for row, clip_id in enumerate(table["clip_id"]):
        np.testing.assert_allclose(vectors[row], alone(corpus, clip_id)[0], atol=2e-6)
    similarity = vectors @ vectors.T
    assert (similarity - np.eye(len(vectors)) < 0.9999).all(), "different clips must differ"


def test_the_frames_are_those_of_the_signed_training_clips(
    corpus: dict[str, list[Path]], outputs: dict[str, Path]
) -> None:
    index = pd.read_parquet(outputs["frames_index"])
    frames = np.load(outputs["frames"], mmap_mode="r")
    training = {clip[0]: min(clip[4], SEQ_LEN) for clip in CLIPS if clip[2] == "train"}
    assert dict(zip(index["clip_id"], index["length"], strict=True)) == training
    assert index["clip_id"].is_monotonic_increasing
    assert frames.dtype == np.float16
    assert frames.shape == (sum(training.values()), 16)
    for clip_id, offset, length in index.itertuples(index=False):
        np.testing.assert_allclose(frames[offset : offset + length], alone(corpus, clip_id)[1], atol=2e-3)


def test_runs_that_are_not_exported_keep_no_sequences(
    corpus: dict[str, list[Path]], outputs: dict[str, Path], tmp_path: Path
) -> None:
    other = run_embed(corpus, tmp_path, '{"exported": false}')
    assert np.load(other["frames"]).shape == (0, 16)
    assert pd.read_parquet(other["frames_index"]).empty
    for name in ("embeddings", "map"):
        assert other[name].read_bytes() == outputs[name].read_bytes()


def test_probabilities_of_glosses_are_no_frames_of_the_gallery(tmp_path: Path) -> None:
    made = run_embed(write_corpus(tmp_path, glosses=30), tmp_path / "out")
    assert np.load(made["frames"]).shape[1] == 16


def test_two_runs_and_any_order_of_clips_give_the_same_bytes(
    outputs: dict[str, Path], tmp_path: Path
) -> None:
    turned = run_embed(write_corpus(tmp_path / "turned", order=-1), tmp_path / "out")
    for name, path in outputs.items():
        assert turned[name].read_bytes() == path.read_bytes(), name


@pytest.mark.parametrize("batch_size", [1, 2, 5, 50])
def test_the_batch_size_changes_nothing_but_rounding(
    corpus: dict[str, list[Path]], outputs: dict[str, Path], batch_size: int
) -> None:
    trained = load_trained(corpus["checkpoint"][0], corpus["stats"][0])
    shards = FeatureShards(corpus["features"], corpus["index"], corpus["mask"])
    clip_ids = pd.read_csv(outputs["map"])["clip_id"].tolist()
    seen: list[int] = []
    expected = np.load(outputs["embeddings"])
    for rows, encoded in encode_clips(trained, shards, clip_ids, batch_size, "test"):
        np.testing.assert_allclose(encoded.embedding.numpy(), expected[rows], atol=2e-6)
        seen += rows
    assert sorted(seen) == list(range(len(clip_ids)))


def test_statistics_of_another_training_are_refused(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(
        tmp_path / "other.npz", feature_mean=np.zeros(540, np.float32), feature_std=np.ones(540, np.float32)
    )
    inputs = {name: corpus[name] for name in EMBED_INPUTS} | {"stats": [tmp_path / "other.npz"]}
    outputs = {name: tmp_path / name for name in ("embeddings", "map", "frames", "frames_index")}
    assert stage.main(arguments(inputs, outputs, {})) == 2
    assert "other statistics" in capsys.readouterr().err
    assert not outputs["embeddings"].exists()


def test_a_clip_without_metadata_is_an_error(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_parquet(corpus["metadata"][0])
    table[table["clip_id"] != "d/test0"].to_parquet(tmp_path / "less.parquet")
    inputs = {name: corpus[name] for name in EMBED_INPUTS} | {"metadata": [tmp_path / "less.parquet"]}
    outputs = {name: tmp_path / name for name in ("embeddings", "map", "frames", "frames_index")}
    assert stage.main(arguments(inputs, outputs, {})) == 2
    assert "d/test0" in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint_is_named(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "torch.pth")
    checkpoints.save(tmp_path / "other.pth", {"weights": torch.zeros(1)})
    outputs = {name: tmp_path / name for name in ("embeddings", "map", "frames", "frames_index")}
    for name, said in (("torch.pth", "it has no digest"), ("other.pth", "not a sign2text checkpoint")):
        inputs = {name: corpus[name] for name in EMBED_INPUTS} | {"checkpoint": [tmp_path / name]}
        assert stage.main(arguments(inputs, outputs, {})) == 2
        assert said in capsys.readouterr().err
