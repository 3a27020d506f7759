"""A made-up corpus of moving hands in the formats between stages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from demo_params import params_json

from signloom.text.tokenizer import train_tokenizer
from signloom.text.vocabulary import build_vocabulary

HANDS = {"left": (slice(132, 195), 15, -0.4), "right": (slice(195, 258), 16, 0.4)}


@dataclass(frozen=True)
class Size:
    """How much of everything; signers are split into train, val and test by `split_of`."""

    signs: int = 6
    sentences: int = 6
    unseen: int = 0
    signers: int = 3
    frames: int = 10
    seed: int = 0
    isolated: bool = False  # every sign alone is a text; `sentences` equals `signs`


def write_corpus(folder: Path, size: Size = Size(), shards: int = 2) -> dict[str, list[Path]]:
    """Write all that train_sign2text reads; return it as the stage's inputs."""
    rng = np.random.default_rng(size.seed)
    lexicon = [make_sign(rng) for _ in range(size.signs)]
    lines = make_sentences(rng, size)
    rows, clips = [], {}
    for signer in range(size.signers):
        person = make_signer(rng)
        split = split_of(signer, size.signers)
        for number, line in enumerate(lines):
            held_out = number >= size.sentences
            if held_out and split == "train":
                continue
            clip_id = f"signer{signer}/sentence{number:03d}"
            clips[clip_id] = perform(line, lexicon, person, size.frames, rng)
            rows.append((clip_id, split, number, int(not held_out)))
    splits = pd.DataFrame(rows, columns=["clip_id", "split", "sentence_id", "seen"])
    inputs = _write_shards(folder, clips, shards)
    splits.to_csv(folder / "splits.csv", index=False)
    training = np.concatenate(
        [clips[clip_id][0] for clip_id in splits["clip_id"][splits["split"] == "train"]]
    )
    std = np.sqrt(np.maximum(np.nanvar(training, 0), 1e-8)).astype(np.float32)
    np.savez(folder / "stats.npz", feature_mean=np.nanmean(training, 0).astype(np.float32), feature_std=std)
    _write_texts(folder, lines, size)
    names = {"splits": "splits.csv", "stats": "stats.npz", "texts": "texts.parquet"}
    names |= {"embeddings": "text_embeddings.npy", "tokenizer": "tokenizer.json"}
    names |= {"glosses": "gloss_vocabulary.json", "gloss_lines": "gloss_lines.csv"}
    _write_glosses(folder, splits, lines)
    return inputs | {name: [folder / file] for name, file in names.items()}


def split_of(signer: int, signers: int) -> str:
    """Return `val` for the last signer but one, `test` for the last, `train` for all others."""
    return {signers - 2: "val", signers - 1: "test"}.get(signer, "train")


def make_sign(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a sign: a path of three points for each hand, and a shape for each hand."""
    two_handed = rng.random() < 0.4
    path = rng.uniform(-0.7, 0.7, (2, 3, 3)) * [1, 1, 0.5]
    path[0] = path[0] if two_handed else [-0.5, 1.0, 0]
    return {"path": path, "shape": rng.normal(0, 0.08, (2, 21, 3))}


def make_signer(rng: np.random.Generator) -> dict[str, np.ndarray | float]:
    """Return a signer: proportions, a way to hold the body, tempo, and shakiness."""
    return {
        "scale": rng.uniform(0.85, 1.15, 3),
        "rest": rng.normal(0, 0.05, (33, 3)),
        "face": rng.normal(0, 0.05, (94, 3)),
        "hand": rng.uniform(0.85, 1.15),
        "tempo": rng.uniform(0.85, 1.2),
        "shake": rng.uniform(0.004, 0.012),
    }


def make_sentences(rng: np.random.Generator, size: Size) -> list[list[int]]:
    """Return distinct lines of 2 to 5 signs; of the seen ones, every sign is in at least one."""
    if size.isolated:
        return [[sign] for sign in range(size.signs)]
    lines: list[list[int]] = []
    order = list(rng.permutation(size.signs))
    while len(lines) < size.sentences + size.unseen:
        line = [
            int(order.pop()) if order else int(rng.integers(size.signs)) for _ in range(rng.integers(2, 6))
        ]
        if line not in lines:
            lines.append(line)
    return lines


def perform(
    line: list[int], lexicon: list[dict], person: dict, frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return features (T, 540) and mask (T, 4) of one signer signing `line`, hands missing here and there."""
    points = np.concatenate([lexicon[sign]["path"] + rng.normal(0, 0.04, (2, 3, 3)) for sign in line], axis=1)
    shapes = np.repeat(np.stack([lexicon[sign]["shape"] for sign in line], 1), 3, axis=1)
    length = max(3, round(frames * len(line) * person["tempo"] * rng.uniform(0.9, 1.1)))
    at = np.linspace(0, points.shape[1] - 1, length)
    low, part = np.floor(at).astype(int), (at % 1)[:, None]
    high = np.minimum(low + 1, points.shape[1] - 1)
    pose = np.repeat(person["rest"][None], length, 0)
    features = np.zeros((length, 540), np.float32)
    mask = np.ones((length, 4), np.uint8)
    for hand, (columns, wrist, side) in enumerate(HANDS.values()):
        middle = (points[hand, low] * (1 - part) + points[hand, high] * part + [side, 0, 0]) * person["scale"]
        pose[:, wrist] = middle
        shape = shapes[hand, low] * (1 - part[..., None]) + shapes[hand, high] * part[..., None]
        features[:, columns] = (middle[:, None] + shape * person["hand"]).reshape(length, -1)
        pose[:, wrist - 2] = (middle + person["rest"][wrist - 4]) / 2
    features[:, :132] = np.concatenate([pose, np.full((length, 33, 1), 0.9)], 2).reshape(length, -1)
    features[:, 258:] = person["face"].reshape(-1)
    features += rng.normal(0, person["shake"], features.shape)
    for hand, (columns, _, _) in enumerate(HANDS.values(), 1):
        gone = rng.random(length) < 0.05
        features[gone, columns], mask[gone, hand] = np.nan, 0
    return features.astype(np.float32), mask


def _write_shards(folder: Path, clips: dict, shards: int) -> dict[str, list[Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    inputs: dict[str, list[Path]] = {"features": [], "mask": [], "index": []}
    for shard in range(shards):
        ids = sorted(clips)[shard::shards]
        lengths = [len(clips[clip_id][0]) for clip_id in ids]
        index = pd.DataFrame({"clip_id": ids, "offset": np.cumsum([0, *lengths])[:-1], "length": lengths})
        paths = [folder / f"{shard:04d}{end}" for end in (".npy", ".mask.npy", ".parquet")]
        np.save(paths[0], np.concatenate([clips[clip_id][0] for clip_id in ids]))
        np.save(paths[1], np.concatenate([clips[clip_id][1] for clip_id in ids]))
        index.assign(status="ok", reason="").to_parquet(paths[2], index=False)
        for name, path in zip(inputs, paths, strict=True):
            inputs[name].append(path)
    return inputs


def _write_texts(folder: Path, lines: list[list[int]], size: Size) -> None:
    """Write each line in words, with one variation; its embedding is the sum of word vectors."""
    words = [
        f"{a}{b}"
        for a in ("ba", "ki", "lo", "mu", "ne", "pa", "ri", "so")
        for b in ("dan", "fel", "tor", "vis")
    ]
    texts = [" ".join(words[sign] for sign in line) + "." for line in lines]
    rows = [
        (number, variation, text)
        for number, sentence in enumerate(texts)
        for variation, text in enumerate([sentence, "please " + sentence])
    ]
    table = pd.DataFrame(rows, columns=["sentence_id", "variation", "text"])
    table.to_parquet(folder / "texts.parquet", index=False)
    seen = table["text"][table["sentence_id"] < size.sentences]
    (folder / "tokenizer.json").write_text(train_tokenizer(seen, 400).to_json(), "utf-8")
    rng = np.random.default_rng(size.seed)
    vectors = {word: rng.normal(size=48) for word in ["please", *words]}
    sums = [sum((vectors[word] for word in text.strip(".").split()), np.zeros(48)) for text in table["text"]]
    np.save(folder / "text_embeddings.npy", np.array(sums, np.float32) / 3)


def _write_glosses(folder: Path, splits: pd.DataFrame, lines: list[list[int]]) -> None:
    glosses = [" ".join(f"SIGN{sign}" for sign in lines[number]) for number in splits["sentence_id"]]
    table = splits[["clip_id"]].assign(gloss=glosses, signer_id="", gloss_times="")
    table.to_csv(folder / "gloss_lines.csv", index=False)
    vocabulary = build_vocabulary(table["gloss"][splits["split"] == "train"])
    (folder / "gloss_vocabulary.json").write_text(json.dumps(vocabulary), "utf-8")


def arguments(inputs: dict[str, list[Path]], out: Path, params: dict, scratch: Path) -> list[str]:
    """Return the command line of train_sign2text."""
    names = {"best": "best.pth", "latest": "latest.pth", "history": "history.csv", "metrics": "metrics.jsonl"}
    given = [f"{name}={path}" for name, paths in inputs.items() for path in paths]
    outputs = [f"{name}={out / file}" for name, file in names.items()]
    sections = params_json({"augment": {}, "text": {}, "positions": {}, "run": {"seed": 42}} | params)
    return ["--input", *given, "--output", *outputs, "--params", sections, "--scratch", str(scratch)]
