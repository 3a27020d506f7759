"""A few random clips with every file that embedding and evaluation read, and an untrained checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from demo_params import params_json

from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.text.tokenizer import train_tokenizer
from workflow_scripts import embed, prototypes

SENTENCES = {
    0: ("The boy likes an apple.", ["An apple pleases the boy."]),
    1: ("Anna drinks tea.", []),
    2: ("I'll meet Zoe tomorrow!", ["Tomorrow I meet Zoe."]),
    3: ("The house is red.", []),
}
SEQ_LEN = 12
EMBED_INPUTS = ("checkpoint", "features", "mask", "index", "stats", "splits", "metadata")
# clip, sentence, split, seen, frames: lengths of 1, 3, exactly seq_len, and over it
CLIPS = [
    ("a/train0", 0, "train", 1, 5),
    ("a/train1", 1, "train", 1, 1),
    ("b/train0", 0, "train", 1, 12),
    ("b/train1", 1, "train", 1, 30),
    ("b/train3", 3, "train", 1, 3),
    ("c/val0", 0, "val", 1, 9),
    ("c/val2", 2, "val", 0, 7),
    ("d/test0", 0, "test", 1, 13),
    ("d/test1", 1, "test", 1, 3),
    ("d/test1_again", 1, "test", 1, 8),
    ("d/test2", 2, "test", 0, 6),
    ("e/unsigned", -1, "test", 0, 4),
    ("e/unsigned_val", -1, "val", 0, 4),
]


def write_corpus(folder: Path, order: int = 1, glosses: int = 0) -> dict[str, list[Path]]:
    """Write all inputs of stages embed and evaluate_sign2text; `order` -1 turns every table round."""
    folder.mkdir(parents=True, exist_ok=True)
    files = _write_shards(folder, CLIPS[::order])
    splits = pd.DataFrame(CLIPS, columns=["clip_id", "sentence_id", "split", "seen", "frames"])[::order]
    splits[["clip_id", "split", "sentence_id", "seen"]].to_csv(folder / "splits.csv", index=False)
    _metadata(splits).to_parquet(folder / "metadata.parquet", index=False)
    rng = np.random.default_rng(7)
    mean, std = rng.normal(size=540).astype(np.float32), rng.uniform(0.5, 2, 540).astype(np.float32)
    np.savez(folder / "stats.npz", feature_mean=mean, feature_std=std)
    rows = [(key, n, text) for key, (main, more) in SENTENCES.items() for n, text in enumerate([main, *more])]
    texts = pd.DataFrame(rows, columns=["sentence_id", "variation", "text"])
    texts.to_parquet(folder / "texts.parquet", index=False)
    np.save(folder / "text_embeddings.npy", rng.normal(size=(len(texts), 6)).astype(np.float32))
    tokenizer = train_tokenizer(texts["text"], 200)
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    checkpoints.save(folder / "best.pth", _checkpoint(tokenizer.size, mean, std, glosses))
    names = {
        "checkpoint": "best.pth",
        "stats": "stats.npz",
        "splits": "splits.csv",
        "metadata": "metadata.parquet",
        "tokenizer": "tokenizer.json",
        "texts": "texts.parquet",
        "text_embeddings": "text_embeddings.npy",
    }
    return files | {name: [folder / file] for name, file in names.items()}


def run_embed(inputs: dict[str, list[Path]], folder: Path, params: str = "{}") -> dict[str, Path]:
    """Run stage embed on the corpus and return its outputs, in `folder`."""
    names = {
        "embeddings": "embeddings.npy",
        "map": "embeddings_map.csv",
        "frames": "frames.npy",
        "frames_index": "frames_index.parquet",
    }
    outputs = {name: folder / file for name, file in names.items()}
    given = arguments({name: inputs[name] for name in EMBED_INPUTS}, outputs, {})
    assert embed.main([*given, "--params", params]) == 0
    return outputs


def run_prototypes(embedded: dict[str, Path], folder: Path) -> Path:
    """Run stage prototypes on the outputs of embed and return its output, in `folder`."""
    inputs, made = {name: [embedded[name]] for name in ("embeddings", "map")}, folder / "prototypes.npz"
    params = {"retrieval": {"prototype_min_clips": 2}}
    assert prototypes.main(arguments(inputs, {"prototypes": made}, params)) == 0
    return made


def arguments(
    inputs: dict[str, list[Path]], outputs: dict[str, Path], params: dict[str, object]
) -> list[str]:
    """Return a stage's command line."""
    given = [f"{name}={path}" for name, paths in inputs.items() for path in paths]
    made = [f"{name}={path}" for name, path in outputs.items()]
    return ["--input", *given, "--output", *made, "--params", params_json(params)]


def _metadata(splits: pd.DataFrame) -> pd.DataFrame:
    table = splits[["clip_id", "sentence_id"]].copy()
    table["sentence"] = [SENTENCES[key][0] if key >= 0 else "" for key in table["sentence_id"]]
    table["video_file"] = table["clip_id"] + ".mp4"
    table["feature_path"] = "0000.npy"
    table["category"], table["consent"] = "NA", ""
    table["signer_id"] = table["clip_id"].str[0]
    return table


def _write_shards(folder: Path, clips: list[tuple[str, int, str, int, int]]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {"features": [], "mask": [], "index": []}
    for shard in range(2):
        part = clips[shard::2]
        lengths = [frames for *_, frames in part]
        features = np.concatenate([_clip(clip_id, frames) for clip_id, *_, frames in part])
        mask = np.ones((len(features), 4), np.uint8)
        mask[np.isnan(features[:, 132]), 1] = 0
        paths = [folder / f"{shard}{end}" for end in (".npy", ".mask.npy", ".parquet")]
        np.save(paths[0], features)
        np.save(paths[1], mask)
        index = {
            "clip_id": [clip[0] for clip in part],
            "offset": np.cumsum([0, *lengths])[:-1],
            "length": lengths,
        }
        pd.DataFrame(index).to_parquet(paths[2], index=False)
        for name, path in zip(files, paths, strict=True):
            files[name].append(path)
    return files


def _clip(clip_id: str, frames: int) -> np.ndarray:
    rng = np.random.default_rng(list(clip_id.encode()))
    features = rng.normal(size=(frames, 540)).astype(np.float32)
    features[1::5, 132:195] = np.nan  # no left hand now and then
    return features


def _checkpoint(vocabulary: int, mean: np.ndarray, std: np.ndarray, glosses: int) -> dict[str, object]:
    config = Sign2TextConfig(
        vocab_size=vocabulary, pad_id=0, bos_id=2, eos_id=3, text_dim=6, width=16, layers=1, heads=2,
        feedforward=32, decoder_layers=1, embedding_dim=8, seq_len=SEQ_LEN, max_tokens=10,
        glosses=glosses,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Sign2Text(config)
    return {
        "model_config": asdict(config),
        "model": model.state_dict(),
        "feature_mean": torch.from_numpy(mean),
        "feature_std": torch.from_numpy(std),
    }
