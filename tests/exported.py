"""The small corpus of `small_corpus`, exported with an untrained network of each family."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from small_corpus import SEQ_LEN, arguments, run_embed, run_prototypes, write_corpus

from signloom.export.outputs import FILES
from signloom.models import checkpoints
from signloom.models.gloss import GlossConfig, Hybrid, build
from signloom.text.vocabulary import EOS, build_vocabulary
from workflow_scripts import export as stage

Inputs = dict[str, list[Path]]

VOCABULARY = build_vocabulary(["APPLE BOY DRINK HOUSE LIKE RED TEA"])
MAX_FRAMES = 10
THRESHOLDS = {
    "min_similarity": 0.5,
    "min_margin": 0.001,
    "min_proto_similarity": 0.2,
    "min_dtw_score": 0.1,
    "motion_floor": 0.4,
    "target": 0.05,
}
PARAMS: dict[str, dict[str, object]] = {
    "pose": {"fps": 25.0, "max_gap": 5, "smoothing": 0.2},
    "positions": {},
    "quality": {"motion_keep": 0.7, "motion_floor": 0.4, "min_seconds": 0.0},
    "landmarks": {"max_fps": None},
    "decoding": {"beam": 3},
    "retrieval": {},
    "inference": {"max_false_accept_rate": 0.05},
    "text": {},
    "dataset": {"frame_rate": 25.0},
}


@dataclass(frozen=True)
class Exported:
    """What went into the stage and where its outputs are."""

    inputs: Inputs
    folder: Path

    @property
    def bundle(self) -> Path:
        return self.folder / FILES["bundle"]


def write_inputs(folder: Path, glosses: int = 0) -> Inputs:
    """Write every input of stage export; embeddings and prototypes come from their own stages."""
    inputs = write_corpus(folder, glosses=glosses)
    content = checkpoints.load(inputs["checkpoint"][0])
    hashes = {f"{name}_hash": name[0] * 64 for name in ("data", "stats", "vocabulary")}
    checkpoints.save(
        inputs["checkpoint"][0], content | hashes | {"parameters": {"sign2text": {}}, "git_commit": "c" * 40}
    )
    embedded = run_embed(inputs, folder)
    inputs |= {name: [path] for name, path in embedded.items()}
    inputs["prototypes"] = [run_prototypes(embedded, folder)]
    (folder / "glosses.json").write_text(json.dumps(VOCABULARY))
    (folder / "thresholds.json").write_text(json.dumps(THRESHOLDS))
    checkpoints.save(folder / "gloss.pth", gloss_checkpoint(inputs["stats"][0]))
    inputs["metrics"] = write_metrics(folder / "metrics")
    own = {"glosses": "glosses.json", "thresholds": "thresholds.json", "gloss": "gloss.pth"}
    unread = ("metadata", "texts", "text_embeddings")
    inputs |= {name: [folder / file] for name, file in own.items()}
    return {name: paths for name, paths in inputs.items() if name not in unread}


def gloss_checkpoint(stats: Path, network: str = "hybrid", **changed: object) -> dict[str, object]:
    """Return an untrained gloss checkpoint that reads pose features, some of its keys `changed`."""
    config = GlossConfig(
        network=network, input_dim=544, vocab_size=len(VOCABULARY), width=16, layers=1, max_frames=MAX_FRAMES,
        heads=2, feedforward=32, decoder_layers=1, max_tokens=8,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = build(config)
    if isinstance(model, Hybrid):
        with torch.no_grad():
            model.output.weight.mul_(8)  # random logits are nearly flat, and the end is soon the likeliest
            model.output.bias[EOS] -= 6
    with np.load(stats) as file:
        mean, std = (torch.from_numpy(file[f"feature_{name}"]) for name in ("mean", "std"))
    return {
        "family": "gloss",
        "run": {"variant": "hybrid_pose", "seed": 42},
        "input": "pose",
        "stack": 1,
        "every": 1,
        "signers": None,
        "vocabulary": VOCABULARY,
        "model_config": asdict(config),
        "pose_mean": mean,
        "pose_std": std,
        "model": model.state_dict(),
        **changed,
    }


def write_metrics(folder: Path) -> list[Path]:
    """Write a few metric files as the stages before this one do."""
    interval = {"wer": 0.25, "wer_low": 0.1, "wer_high": 0.4}
    content = {
        "splits": {"train": {"clips": 5, "sentences": 3, "signers": 2}},
        "features": {"all": {"clips": 14, "kept": 13}},
        "sign2text": {"test": {"n": 3, **interval, "exact": 0.5}, "val": {"n": 0, "wer": None}},
        "gloss/hybrid_pose": {
            "test": {"n": 3, "ctc_beam": {"n": 3, **interval}, "attention": {"n": 3, **interval}}
        },
    }
    for name, tree in content.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(tree))
    return [folder / f"{name}.json" for name in content]


def command(inputs: Inputs, folder: Path, left_out: tuple[str, ...] = ()) -> list[str]:
    """Return the command line of the stage, with all outputs but `left_out`."""
    outputs = {name: folder / file for name, file in FILES.items() if name not in left_out}
    return arguments(inputs, outputs, PARAMS)


def export_small(inputs: Inputs, folder: Path, left_out: tuple[str, ...] = ()) -> Exported:
    """Run the stage on the small corpus, without the outputs `left_out`."""
    assert stage.main(command(inputs, folder, left_out)) == 0
    return Exported(inputs, folder)


def clip_of(exported: Exported, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features and mask of a clip of the small corpus."""
    for features, mask, index in zip(
        *(exported.inputs[name] for name in ("features", "mask", "index")), strict=True
    ):
        table = pd.read_parquet(index).set_index("clip_id")
        if clip_id in table.index:
            offset, length = table.loc[clip_id, ["offset", "length"]]
            rows = slice(offset, offset + length)
            return np.load(features)[rows], np.load(mask)[rows]
    raise KeyError(clip_id)


def network_rows(
    exported: Exported, features: np.ndarray, mask: np.ndarray, longest: int = SEQ_LEN
) -> torch.Tensor:
    """Return a clip (1, T, 544) as the trained encoder reads it: the middle, standardised, 0 for NaN."""
    first = max(len(features) - longest, 0) // 2
    features, mask = features[first : first + longest], mask[first : first + longest]
    with np.load(exported.inputs["stats"][0]) as stats:
        z = (features - stats["feature_mean"]) / stats["feature_std"]
    z[np.isnan(z)] = 0
    return torch.from_numpy(np.concatenate([z, mask.astype(np.float32)], 1))[None]
