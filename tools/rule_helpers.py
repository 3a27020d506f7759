"""Helpers of the rules: paths of products, parameters of a stage, and its command line."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from snakemake.io import ancient

from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import annotation_files
from signloom.dataset.manifest import shard_digests
from signloom.dataset.shards import shard_names
from signloom.dataset.sources import sources_digest
from signloom.errors import SignloomError
from signloom.files import hash_files
from signloom.params.load import check_params, from_text, overlay, read_yaml
from signloom.params.schema import Params
from signloom.params.variants import VARIANTS
from tools.import_closure import code_of

PARAMS_FILE = Path("params.yaml")
PRESETS = Path("config/presets")
PRODUCT_FOLDERS = {
    *("shards", "landmarks", "pose_features", "clip_features", "text", "models", "embeddings", "inference"),
    *("predictions", "export", "report", "gloss", "seeds", "folds", "logs", "benchmarks", "scratch"),
    "side_by_side",
}
BY_RULES = {"run", "fold", "origin"}  # keys that rules pass to stages besides parameters
NO_PARAMS = {"preset", "side_weights"}  # keys that `--config` may have besides parameters


@dataclass(frozen=True)
class Pipeline:
    """The parameters and folders of one run."""

    params: Params
    presets: list[str]

    @classmethod
    def load(cls, config: dict[str, Any], given: dict[str, Any] | None = None) -> Pipeline:
        """Return the checked Snakemake config with its presets, and then `given`, laid over it.

        `given` is what `--config` says. Snakemake makes a text of every value of a mapping in it.
        """
        tree, typed = _parameters(config), from_text(_parameters(given or {}))
        presets = [name for name in str(config.get("preset") or "").split(",") if name]
        taken = PRODUCT_FOLDERS.intersection(presets)
        if taken:
            raise SignloomError(
                f"preset {min(taken)!r}: build/{min(taken)}/ is a folder of products; choose another name"
            )
        files = [PARAMS_FILE, *(PRESETS / f"{name}.yaml" for name in presets)]
        for file in files[1:]:
            tree = overlay(tree, read_yaml(file))
        return cls(check_params(overlay(tree, typed), files, typed), presets)

    @property
    def preset(self) -> str:
        """The joined names of the presets, which name their folders; empty without presets."""
        return "-".join(self.presets)

    def build(self, path: str) -> str:
        """Return the path of the product `path` under build/."""
        return f"build/{self.preset}/{path}" if self.preset else f"build/{path}"

    def metrics(self, path: str) -> str:
        """Return the path of the metric file `path` under metrics/."""
        return f"metrics/{self.preset}/{path}" if self.preset else f"metrics/{path}"

    @property
    def gpu(self) -> int:
        """1 if jobs can get a GPU, on this machine or on a cluster, else 0, so that jobs run side by side."""
        return int(Path("/dev/nvidiactl").exists() or cluster_has_gpus())

    @property
    def videos_read(self) -> bool:
        """Whether features are made from videos; imported features need none."""
        return self.params.dataset.importer not in ("processed", "boston104")

    @property
    def shards(self) -> list[str]:
        """The names of all shards."""
        return shard_names(self.params.shards.count)

    def shards_of(self, stage: str, suffix: str) -> list[str]:
        """Return the files of `stage` that end in `suffix`, one per shard."""
        return [self.build(f"{stage}/{shard}{suffix}") for shard in self.shards]

    def seed_of(self, wildcards: Any) -> int:
        """Return the seed of a training from the wildcard `seed`, which is empty for the first seed."""
        return int(wildcards.seed.split("/")[1]) if wildcards.seed else self.params.runs.seed

    def reads(self, variant: str) -> set[str]:
        """Return which features the gloss variant reads: pose, clip, copies."""
        return VARIANTS[variant].features(self.params.tcn.input)

    def reading(self, kind: str) -> list[str]:
        """Return the gloss variants to train that read features of `kind`."""
        return [name for name in self.variants if kind in self.reads(name)]

    @property
    def variants(self) -> list[str]:
        """The gloss variants to train."""
        return self.if_family("gloss", *self.params.gloss.variants)

    @property
    def seeds(self) -> list[str]:
        """The values of the wildcard `seed`: empty for the first seed."""
        return ["", *(f"seeds/{seed}/" for seed in self.params.runs.more_seeds)]

    @property
    def folds(self) -> list[str]:
        """The values of the wildcard `fold` without the empty one, which is the build without folds."""
        return [f"folds/{name}/" for name in self.params.runs.folds]

    @property
    def grid(self) -> list[tuple[str, str]]:
        """The pairs of wildcards `fold` and `seed` to build: seeds, folds, and their product on request."""
        seeds = self.seeds if self.params.runs.seeds_of_folds else self.seeds[:1]
        return [("", seed) for seed in self.seeds] + [(fold, seed) for fold in self.folds for seed in seeds]

    def if_family(self, family: str, *paths: str) -> list[str]:
        """Return `paths` if `family` is built, else nothing."""
        return list(paths) if family in self.params.pipeline.families else []

    def of_runs(self, pattern: str) -> list[str]:
        """Return `pattern` with `{variant}` and `{seed}` filled in, for every gloss variant and seed."""
        return [
            pattern.replace("{variant}", variant).replace("{seed}", seed)
            for variant in self.variants
            for seed in self.seeds
        ]

    def of_grid(self, family: str, pattern: str) -> list[str]:
        """Return `pattern` for every variant, seed and fold of `family`."""
        variants = {"gloss": self.variants, "sign2text": self.if_family("sign2text", "")}[family]
        return [
            filled(pattern, variant=variant, seed=seed, fold=fold)
            for variant in variants
            for fold, seed in self.grid
        ]

    def plain(self, pattern: str) -> str:
        """Return the path `pattern` of the run with the first seed and without a fold."""
        return filled(pattern, seed="", fold="")

    def of_exported_run(self, path: str, decoder: bool = False) -> list[str]:
        """Return `path` with `{variant}` replaced by the gloss variant that is exported, or nothing.

        The first variant that reads only pose features is exported, a hybrid before the baseline. With
        `decoder`, the result is empty unless the variant has an attention decoder.
        """
        pose = [name for name in self.variants if self.reads(name) == {"pose"}]
        chosen = sorted(pose, key=lambda name: VARIANTS[name].ctc_alone)[:1]
        return [
            path.replace("{variant}", name) for name in chosen if not (decoder and VARIANTS[name].ctc_alone)
        ]

    def if_read(self, kind: str, paths: str | list[str]) -> Callable[[Any], list[str]]:
        """Return an input function that gives `paths` to gloss runs that read features of `kind`."""
        files = [paths] if isinstance(paths, str) else paths
        return lambda wildcards: (
            [filled(path, fold=wildcards.fold) for path in files]
            if kind in self.reads(wildcards.variant)
            else []
        )

    def given(self, *names: str) -> str:
        """Return the parameters of a stage as sorted JSON, a plain string that Snakemake can track."""
        return json.dumps(chosen(self.params, names), sort_keys=True)

    def given_to_run(self, *names: str) -> Callable[[Any], str]:
        """Return a params function that gives the same, the seed, and the variant if the rule has it."""
        return lambda wildcards: json.dumps(
            chosen(self.params, names) | {"run": self.run(wildcards)}, sort_keys=True
        )

    def run(self, wildcards: Any) -> dict[str, Any]:
        """Return the section `run` of a training, from its wildcards."""
        variant = getattr(wildcards, "variant", None)
        return {"seed": self.seed_of(wildcards)} | ({"variant": variant} if variant else {})

    def given_to_training(self, wildcards: Any) -> str:
        """Return the parameters of a gloss training, for a rule with the wildcard `variant`."""
        return self.given_to_run(*self.gloss_training(wildcards.variant))(wildcards)

    def given_to_fold(self, *names: str) -> Callable[[Any], str]:
        """Return a params function that gives the sections, and the fold of the wildcard `fold`, if any."""

        def given(wildcards: Any) -> str:
            tree, runs = chosen(self.params, names), self.params.runs
            if wildcards.fold:
                tree["fold"] = {"by": runs.fold_by, "name": wildcards.fold.split("/")[1], "all": runs.folds}
            return json.dumps(tree, sort_keys=True)

        return given

    def gloss_training(self, variant: str) -> list[str]:
        """Return the sections that the training of the gloss variant uses."""
        network = VARIANTS[variant].section
        reads = self.reads(variant)
        of_pose = ["gloss_pose_augment"] if "pose" in reads else []
        of_positions = ["gloss_positions"] if reads == {"pose"} else []
        return [network, "train_gloss", "gloss_augment", "gloss_recompose", *of_pose, *of_positions]

    @property
    def table(self) -> list[str]:
        """The files of the annotation table; the engines report a missing one."""
        dataset = self.params.dataset
        try:
            return [str(path) for path in annotation_files(dataset.importer, Path(dataset.table))]
        except SignloomError:
            return [dataset.table]

    def sources(self, wildcards: Any) -> str:
        """Return one digest of the table's rows and of the files that they name."""
        try:
            return sources_digest(self.params.dataset, self._hashes)
        except SignloomError:
            # stage sources will report what is wrong with the table
            return ""

    def scattered(self, stage: str, *names: str, folder: str = "") -> Scattered:
        """Return the inputs and parameters of a stage that runs once per shard; `folder` has its products."""
        return Scattered(
            self,
            stage,
            names,
            lambda wildcards: self.build(
                f"{getattr(wildcards, 'fold', '')}{folder or stage}/{wildcards.shard}.origin"
            ),
        )

    @property
    def _hashes(self) -> HashCache:
        return HashCache(Path(self.build("scratch/video_hashes.json")))

    @cached_property
    def clips(self) -> dict[str, str]:
        """A digest of each shard's clips, by shard, available before the manifest is built."""
        try:
            return shard_digests(self.params.dataset, self.params.shards.count, self._hashes)
        except SignloomError:
            # stage manifest will report what is wrong with the table
            return {}

    def call(self, stage: str) -> Call:
        """Return the params function that builds the command line of `stage`, without its parameters."""
        return Call(self, stage)


def _parameters(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NO_PARAMS}


@cache
def cluster_has_gpus() -> bool:
    """Return whether a node of a SLURM cluster has a GPU; without one, SLURM refuses `--gpus=1`."""
    if shutil.which("sinfo") is None:
        return False
    listed = subprocess.run(["sinfo", "--noheader", "--format=%G"], capture_output=True, text=True)
    return "gpu" in listed.stdout


def filled(pattern: str, **wildcards: str) -> str:
    """Return `pattern` with the given wildcards filled in; others stay."""
    for name, value in wildcards.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def chosen(params: Params, names: Iterable[str]) -> dict[str, Any]:
    """Return the named parts of `params`: whole sections, and single parameters as `section.key`."""
    found: dict[str, Any] = {}
    for name in names:
        section, _, key = name.partition(".")
        whole = getattr(params, section).model_dump(mode="json")
        found[section] = found.get(section, {}) | {key: whole[key]} if key else whole
    return found


@dataclass(frozen=True)
class Scattered:
    """A stage that runs once per shard and records the origin of its outputs.

    After a rerun job Snakemake reruns all jobs that depend on it, even if their inputs are unchanged, unless
    these inputs are `ancient`. It then no longer checks the other reasons to rerun a job. So a shard's list
    is `ancient` only if its outputs were made from the current clips, parameters and code.
    """

    flow: Pipeline
    stage: str
    names: tuple[str, ...]
    place: Callable[[Any], str]
    setting: Callable[[Any], Params] | None = None

    def list(self, wildcards: Any) -> Any:
        """Return the path of the shard's list, `ancient` or not."""
        path, place = self.flow.build(f"shards/{wildcards.shard}.csv"), Path(self.place(wildcards))
        same = place.exists() and place.read_text("utf-8").strip() == self.origin(wildcards)
        return ancient(path) if same else path

    def given(self, wildcards: Any) -> str:
        """Return the stage's parameters as sorted JSON, with the origin that it writes beside its outputs."""
        return json.dumps(self._chosen(wildcards) | {"origin": self.origin(wildcards)}, sort_keys=True)

    def origin(self, wildcards: Any) -> str:
        """Return a digest of the clips, parameters and code that the outputs are made from."""
        clips = self.flow.clips.get(wildcards.shard, "")
        parts = [clips, json.dumps(self._chosen(wildcards), sort_keys=True), self._code]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _chosen(self, wildcards: Any) -> dict[str, Any]:
        return chosen(self.setting(wildcards) if self.setting else self.flow.params, self.names)

    @cached_property
    def _code(self) -> str:
        return hash_files(Path(file) for file in code_of(self.stage))


@dataclass(frozen=True)
class Call:
    """A params function that gives the command line of a stage with its named inputs and outputs.

    Snakemake does not track parameters made from inputs and outputs, because it tracks these themselves.
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
    """Return NAME=FILE for every named file except the code."""
    return " ".join(
        shlex.quote(f"{name}={path}")
        for name, paths in files.items()
        if name != "code"
        for path in ([paths] if isinstance(paths, str) else paths)
    )
