"""What the rules share: where products go, which parameters a stage gets, how its command line is made."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from snakemake.io import ancient

from signloom.dataset.hashes import HashCache
from signloom.dataset.manifest import changed_clips
from signloom.dataset.shards import shard_names, shard_of
from signloom.errors import SignloomError
from signloom.params.load import check_params, overlay, read_yaml
from signloom.params.schema import Params

PARAMS_FILE = Path("params.yaml")
PRESETS = Path("config/presets")
PRODUCT_FOLDERS = {
    *("shards", "landmarks", "pose_features", "clip_features", "text", "models", "embeddings", "inference"),
    *("predictions", "export", "report", "gloss", "seeds", "logs", "benchmarks", "scratch"),
}


@dataclass(frozen=True)
class Pipeline:
    """The parameters and folders of one run."""

    params: Params
    presets: list[str]

    @classmethod
    def load(cls, config: dict[str, Any]) -> Pipeline:
        """Check Snakemake's config (params.yaml and `--config`) with its presets laid over it, in order."""
        tree = {key: value for key, value in config.items() if key != "preset"}
        presets = [name for name in str(config.get("preset") or "").split(",") if name]
        taken = PRODUCT_FOLDERS.intersection(presets)
        if taken:
            raise SignloomError(
                f"preset {min(taken)!r}: build/{min(taken)}/ holds products; choose another name"
            )
        files = [PARAMS_FILE, *(PRESETS / f"{name}.yaml" for name in presets)]
        for file in files[1:]:
            tree = overlay(tree, read_yaml(file))
        return cls(check_params(tree, files), presets)

    @property
    def preset(self) -> str:
        """The names of the presets joined, which folders are called by; empty without presets."""
        return "-".join(self.presets)

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

    def given(self, *sections: str) -> str:
        """Return the sections of a stage as sorted JSON: a plain string, so that Snakemake tracks it."""
        tree = self.params.model_dump(mode="json", include=set(sections))
        return json.dumps(tree, sort_keys=True)

    def videos(self, wildcards: Any) -> str:
        """Return one digest of all videos, so that Snakemake sees changed content whatever its time stamp."""
        return self._hashes.fingerprint(Path(self.params.dataset.videos))

    def shard_list(self, wildcards: Any) -> Any:
        """Return the path of a shard list, as `ancient` where building the manifest again will not change it.

        Otherwise Snakemake would run every shard again after the manifest, whether its list changed or not.
        """
        path = self.build(f"shards/{wildcards.shard}.csv")
        return path if wildcards.shard in self._changed_shards else ancient(path)

    @property
    def _hashes(self) -> HashCache:
        return HashCache(Path(self.build("scratch/video_hashes.json")))

    @cached_property
    def _changed_shards(self) -> set[str]:
        lists = [Path(self.build(f"shards/{name}.csv")) for name in self.shards]
        rejects = Path(self.build("manifest_rejects.csv"))
        if not all(path.exists() for path in [*lists, rejects]):
            return set(self.shards)
        written = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False) for path in lists])
        try:
            changed = changed_clips(self.params.dataset, written, self._hashes)
        except SignloomError:
            # stage manifest will say what is wrong with the table
            return set(self.shards)
        rejected = set(pd.read_csv(rejects, dtype=str, keep_default_na=False)["clip_id"])
        return {shard_of(clip_id, len(self.shards)) for clip_id in changed - rejected}

    def call(self, stage: str) -> Call:
        """Return what writes the command line of `stage`; its parameters come from `given`."""
        return Call(self, stage)


@dataclass(frozen=True)
class Call:
    """A params function: the named inputs and outputs of one stage as a command line.

    Snakemake does not compare parameters that are made from inputs and outputs, since it compares those.
    """

    flow: Pipeline
    stage: str

    def __call__(self, wildcards: Any, input: Any, output: Any) -> str:
        return " ".join(
            [
                f"python -m workflow_scripts.{self.stage}",
                f"--input {_named(input)}",
                f"--output {_named(output)}",
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
