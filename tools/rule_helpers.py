"""What the rules share: where products go, which parameters a stage gets, how its command line is made."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signloom.dataset.hashes import HashCache
from signloom.dataset.shards import shard_names
from signloom.params.load import check_params, overlay, read_yaml
from signloom.params.schema import Params

PARAMS_FILE = Path("params.yaml")
PRESETS = Path("config/presets")


@dataclass(frozen=True)
class Pipeline:
    """The parameters and folders of one run."""

    params: Params
    preset: str | None

    @classmethod
    def load(cls, config: dict[str, Any]) -> Pipeline:
        """Check Snakemake's config (params.yaml and `--config`) with its preset laid over it."""
        tree = {key: value for key, value in config.items() if key != "preset"}
        preset = config.get("preset")
        files = [PARAMS_FILE]
        if preset:
            files.append(PRESETS / f"{preset}.yaml")
            tree = overlay(tree, read_yaml(files[-1]))
        return cls(check_params(tree, files), preset)

    def build(self, path: str) -> str:
        """Return where the product `path` goes."""
        return f"build/{self.preset}/{path}" if self.preset else f"build/{path}"

    def metrics(self, path: str) -> str:
        """Return where the metric file `path` goes."""
        return f"metrics/{self.preset}/{path}" if self.preset else f"metrics/{path}"

    @property
    def shards(self) -> list[str]:
        """The names of all shards."""
        return shard_names(self.params.shards.count)

    def sections(self, names: list[str]) -> str:
        """Return the parameter sections `names` as JSON, keys sorted."""
        tree = self.params.model_dump(mode="json", include=set(names))
        return json.dumps(tree, sort_keys=True)

    def videos(self, wildcards: Any) -> str:
        """Return one digest of all videos, so that Snakemake sees changed content whatever its time stamp."""
        store = Path(self.build("scratch/video_hashes.json"))
        return HashCache(store).fingerprint(Path(self.params.dataset.videos))

    def call(self, stage: str, *sections: str) -> Call:
        """Return what writes the command line of `stage`, given parameter sections `sections`."""
        return Call(self, stage, list(sections))


@dataclass(frozen=True)
class Call:
    """A params function: named inputs, named outputs and the parameters of one stage as a command line."""

    flow: Pipeline
    stage: str
    sections: list[str]

    def __call__(self, wildcards: Any, input: Any, output: Any) -> str:
        return " ".join(
            [
                f"python -m workflow_scripts.{self.stage}",
                f"--input {_named(input)}",
                f"--output {_named(output)}",
                f"--params {shlex.quote(self.flow.sections(self.sections))}",
                f"--scratch {self.flow.build('scratch')}",
            ]
        )


def _named(files: Any) -> str:
    """Return NAME=FILE for every named file but the code."""
    return " ".join(
        shlex.quote(f"{name}={path}")
        for name, paths in files.items()
        if name != "code"
        for path in ([paths] if isinstance(paths, str) else paths)
    )
