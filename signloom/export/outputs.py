"""The files of an export, with the file names that readers expect."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from signloom.errors import SignloomError
from signloom.export.sources import GlossSource, Sign2TextSource
from signloom.files import atomic
from signloom.inference.bundle import MANIFEST, ZIP, ZIP_DIGEST
from signloom.models.gloss import Hybrid

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
DECODER_OUTPUTS = ("decoder", "tokenizer")


class Outputs:
    """The files of an export by the names of FILES."""

    def __init__(self, paths: Mapping[str, Path], sign: Sign2TextSource, gloss: GlossSource | None) -> None:
        """Check `paths`; raises SignloomError if one is missing, not expected or has another file name."""
        absent = set() if gloss else set(GLOSS_OUTPUTS)
        if gloss and not isinstance(gloss.trained.model, Hybrid):
            absent = {"gloss_decoder"}
        absent |= set() if sign.decodes else set(DECODER_OUTPUTS)
        for name in paths:
            if name not in FILES or name in absent:
                raise SignloomError(f"export: these inputs cannot produce --output {name}=...; leave it out")
        for name, file in FILES.items():
            if name not in paths and name not in absent:
                raise SignloomError(f"export: --output {name}=FILE is missing")
            if name in paths and paths[name].name != file:
                raise SignloomError(
                    f"export: output {name} is {paths[name]}, but readers look for {file}; give it that name"
                )
        self.paths = paths

    def listed(self) -> dict[str, Path]:
        """Return the files that the manifest lists, by file name."""
        return {
            file: self.paths[name]
            for name, file in FILES.items()
            if name in self.paths and name not in ("manifest", "bundle", "digest")
        }

    def remove_older(self, kept: Path) -> None:
        """Remove the files beside the manifest that only an older export wrote, but not the input `kept`."""
        folder = self.paths["manifest"].parent
        for name in FILES.keys() - self.paths.keys():
            if (path := folder / FILES[name]).resolve() != kept.resolve():
                path.unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one step."""
        with atomic(self.paths[name]) as part:
            part.write_bytes(content)

    def copy(self, name: str, source: Path) -> None:
        """Write a copy of `source`."""
        with atomic(self.paths[name]) as part:
            shutil.copyfile(source, part)
