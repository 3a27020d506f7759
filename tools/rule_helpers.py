"""What the rules share: where products go, which parameters a stage gets, how its command line is made."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from snakemake.io import ancient

from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import annotation_files
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
    "side_by_side",
}
NO_PARAMS = {"preset", "side_weights"}  # what `--config` may hold beside parameters


@dataclass(frozen=True)
class Pipeline:
    """The parameters and folders of one run."""

    params: Params
    presets: list[str]

    @classmethod
    def load(cls, config: dict[str, Any]) -> Pipeline:
        """Check Snakemake's config (params.yaml and `--config`) with its presets laid over it, in order."""
        tree = {key: value for key, value in config.items() if key not in NO_PARAMS}
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
    def gpu(self) -> int:
        """1 where jobs can have a GPU, here or on a cluster; elsewhere they run side by side."""
        return int(Path("/dev/nvidiactl").exists() or shutil.which("sbatch") is not None)

    @property
    def videos_read(self) -> bool:
        """Whether features are made from videos here, rather than given."""
        return self.params.dataset.importer not in ("processed", "boston104")

    @property
    def shards(self) -> list[str]:
        """The names of all shards."""
        return shard_names(self.params.shards.count)

    def shards_of(self, stage: str, suffix: str) -> list[str]:
        """Return the files of `stage`, one a shard, that end in `suffix`."""
        return [self.build(f"{stage}/{shard}{suffix}") for shard in self.shards]

    @property
    def runs(self) -> list[str]:
        """The gloss runs: every variant with every seed; the first seed has the variant's plain name."""
        others = self.params.gloss.seeds[1:]
        return [
            variant + ending
            for variant in self.params.gloss.variants
            for ending in ("", *(f"-{seed}" for seed in others))
        ]

    def run(self, name: str) -> dict[str, Any]:
        """Return the variant and the seed of the gloss run `name`."""
        variant, _, seed = name.partition("-")
        return {"variant": variant, "seed": int(seed) if seed else self.params.gloss.seeds[0]}

    def reads(self, name: str) -> set[str]:
        """Return which features the gloss run `name` reads: pose, clip, copies."""
        variant = self.run(name)["variant"]
        kind = self.params.tcn.input if variant == "tcn_ctc" else variant.removeprefix("hybrid_")
        return {"both": {"pose", "clip"}, "clip_aug": {"clip", "copies"}}.get(kind, {kind})

    def reading(self, kind: str) -> list[str]:
        """Return the gloss runs that read features of `kind`."""
        return [name for name in self.if_family("gloss", *self.runs) if kind in self.reads(name)]

    def if_family(self, family: str, *paths: str) -> list[str]:
        """Return `paths` where the run builds `family`, else nothing."""
        return list(paths) if family in self.params.pipeline.families else []

    def of_runs(self, pattern: str) -> list[str]:
        """Return `pattern` with each gloss run in the place of `{run}`."""
        return [pattern.replace("{run}", name) for name in self.if_family("gloss", *self.runs)]

    def of_exported_run(self, path: str, variant: str = "") -> list[str]:
        """Return `path` with the gloss run that a bundle carries in the place of `{run}`, or nothing.

        It is the first run that reads pose features alone, the hybrid before the baseline. With `variant`,
        nothing is returned unless it is of that one.
        """
        pose = [name for name in self.if_family("gloss", *self.runs) if self.reads(name) == {"pose"}]
        chosen = sorted(pose, key=lambda name: name != "hybrid_pose")[:1]
        return [path.replace("{run}", name) for name in chosen if variant in ("", name)]

    def if_read(self, kind: str, paths: str | list[str]) -> Callable[[Any], list[str]]:
        """Return an input function: `paths` for gloss runs that read features of `kind`, else nothing."""
        files = [paths] if isinstance(paths, str) else paths
        return lambda wildcards: files if kind in self.reads(wildcards.run) else []

    def given(self, *sections: str) -> str:
        """Return the sections of a stage as sorted JSON: a plain string, so that Snakemake tracks it."""
        tree = self.params.model_dump(mode="json", include=set(sections))
        return json.dumps(tree, sort_keys=True)

    def given_to_run(self, *sections: str) -> Callable[[Any], str]:
        """Return a params function: the sections as `given` does, and what the wildcard `run` stands for."""
        tree = self.params.model_dump(mode="json", include=set(sections))
        return lambda wildcards: json.dumps(tree | {"run": self.run(wildcards.run)}, sort_keys=True)

    @property
    def table(self) -> list[str]:
        """The files that the annotation table is made of; where one is missing, the engines say so."""
        dataset = self.params.dataset
        try:
            return [str(path) for path in annotation_files(dataset.importer, Path(dataset.table))]
        except SignloomError:
            return [dataset.table]

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
