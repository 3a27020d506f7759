"""The files of an export: the stage's outputs and the file names that readers expect."""

from __future__ import annotations

import shutil
from pathlib import Path

from signloom.errors import SignloomError
from signloom.export.sources import GlossSource
from signloom.files import atomic
from signloom.inference.bundle import MANIFEST, ZIP, ZIP_DIGEST
from signloom.stage import Job

FILES = {
    "encoder": "sign_encoder.onnx",
    "encoder_int8": "sign_encoder.int8.onnx",
    "decoder": "sign_decoder.onnx",
    "gloss_model": "gloss_model.onnx",
    "gloss_decoder": "gloss_decoder.onnx",
    "torchscript": "sign_encoder.ts",
    "safetensors": "model.safetensors",
    "config": "model_config.json",
    "stats": "global_stats.npz",
    "tokenizer": "tokenizer.json",
    "glosses": "gloss_vocabulary.json",
    "prototypes": "prototypes.npz",
    "thresholds": "thresholds.json",
    "embeddings": "embeddings.npy",
    "map": "embeddings_map.csv",
    "frames": "frames.npy",
    "frames_index": "frames_index.csv",
    "card": "MODEL_CARD.md",
    "manifest": MANIFEST,
    "bundle": ZIP,
    "digest": ZIP_DIGEST,
}
GLOSS_OUTPUTS = ("gloss_model", "gloss_decoder")


def outputs(job: Job, gloss: GlossSource | None) -> dict[str, Path]:
    """Return the files that the manifest lists, by the file names that readers expect.

    Raises SignloomError if an output is missing, not expected or has another file name.
    """
    absent = set(GLOSS_OUTPUTS[1:] if gloss and not gloss.has_decoder else () if gloss else GLOSS_OUTPUTS)
    for name in job.outputs:
        if name not in FILES or name in absent:
            raise SignloomError(f"export: these inputs cannot produce --output {name}=...; leave it out")
    paths = {name: job.output(name) for name in FILES if name not in absent}
    for name, path in paths.items():
        if path.name != FILES[name]:
            raise SignloomError(
                f"export: output {name} is {path}, but readers look for {FILES[name]}; give it that name"
            )
    return {path.name: path for name, path in paths.items() if name not in ("manifest", "bundle", "digest")}


def write(job: Job, output: str, content: bytes) -> None:
    """Write an output in one step."""
    with atomic(job.output(output)) as part:
        part.write_bytes(content)


def copy(job: Job, name: str) -> None:
    """Copy an input to the output of the same name."""
    with atomic(job.output(name)) as part:
        shutil.copyfile(job.input(name), part)
