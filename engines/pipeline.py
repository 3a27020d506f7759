"""What the rules build: presets, the paths of products, and the grid of variants, seeds and folds."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from snakemake.io import expand

from engines.import_closure import in_workflow
from signloom.dataset.forms.mapping import read_form
from signloom.dataset.importers import annotation_sources
from signloom.dataset.shard_names import shard_names
from signloom.dataset.withdrawn import lists_of
from signloom.errors import PARAMS_FILE, PRESETS, SignloomError
from signloom.params.load import Tree, check_params, complaint, dotted_keys, overlay
from signloom.params.presets import check_names, read_preset
from signloom.params.schema import Params
from signloom.params.variants import VARIANTS

NO_PARAMS = {"preset", "side_weights"}  # keys that `--config` may have besides parameters
_GIVEN = "--config or --configfile"  # Snakemake joins the two


@dataclass(frozen=True)
class Pipeline:
    """The parameters and folders of one run."""

    params: Params
    presets: list[str]
    stored: str = ""  # where Snakemake keeps local copies of products in object storage; "" without one

    @classmethod
    def load(cls, config: dict[str, Any], given: dict[str, Any] | None = None, stored: str = "") -> Pipeline:
        """Return the checked Snakemake config with its presets, and then `given`, laid over it.

        `given` is what `--config` and `--configfile` say.
        """
        if "presets" in config:
            raise SignloomError(f"{_GIVEN}: presets is no parameter; write preset={config['presets']}")
        tree, typed = _parameters(config), from_text(_parameters(given or {}))
        named = config.get("preset") or ""
        presets = [name for name in str(named).split(",") if name]
        if not isinstance(named, str) and not in_workflow(PRESETS / f"{named}.yaml").exists():
            raise SignloomError(
                f"preset {named}: Snakemake read this name as a number; give its file a name that begins "
                "with a letter"
            )
        check_names(presets)
        files = [PARAMS_FILE, *(in_workflow(PRESETS / f"{name}.yaml") for name in presets)]
        for file in files[1:]:
            tree = overlay(tree, read_preset(file))
        places = dict.fromkeys(dotted_keys(typed), _GIVEN)
        params = check_params(overlay(tree, typed), files, places)
        if params.dataset.importer.endswith(".yaml"):
            read_form(Path(params.dataset.importer))  # an error in a form of one's own is said before any job
        return cls(params, presets, stored)

    @property
    def preset(self) -> str:
        """The joined names of the presets, which name their folders; empty without presets."""
        return "-".join(self.presets)

    def product(self, path: str) -> str:
        """Return the path of the product `path` under build/."""
        return f"build/{self.preset}/{path}" if self.preset else f"build/{path}"

    def metric(self, path: str) -> str:
        """Return the path of the metric file `path` under metrics/."""
        return f"metrics/{self.preset}/{path}" if self.preset else f"metrics/{path}"

    def name_of(self, path: str) -> str:
        """Return the name of a product, given as Snakemake gives outputs of rules.

        With a default storage provider these are local copies, with marks that no longer fit a path that is
        made from them.
        """
        return str(path).removeprefix(f"{self.stored}/" if self.stored else "")

    def local_copy(self, name: str) -> Path:
        """Return where the product `name` is on this machine, if it is here."""
        return Path(self.stored, name)

    def each(self, pattern: str, **wildcards: Any) -> list[str]:
        """Return `pattern` for every combination of the wildcards' values; other wildcards stay."""
        return list(expand(self.name_of(pattern), allow_missing=True, **wildcards))

    @property
    def videos_read(self) -> bool:
        """Whether features are made from videos; given feature rows need none."""
        return not self.params.dataset.holds_features

    @property
    def shards(self) -> list[str]:
        """The names of all shards."""
        return shard_names(self.params.shards.count)

    def shards_of(self, stage: str, suffix: str) -> list[str]:
        """Return the files of `stage` that end in `suffix`, one per shard."""
        return [self.product(f"{stage}/{shard}{suffix}") for shard in self.shards]

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

    def if_decoded(self, path: str) -> list[str]:
        """Return `path` if sign2text has a sentence decoder, else nothing."""
        return [path] if self.params.sign2text.task == "sentences" else []

    def if_by_signer(self, path: str) -> list[str]:
        """Return `path` if the columns of rows are standardised by signer, else nothing."""
        return [path] if self.params.positions.normalise_by == "signer" else []

    def of_runs(self, pattern: str) -> list[str]:
        """Return `pattern` with `{variant}` and `{seed}` filled in, for every gloss variant and seed."""
        return [
            filled(pattern, variant=variant, seed=seed) for variant in self.variants for seed in self.seeds
        ]

    def of_grid(self, family: str, pattern: str) -> list[str]:
        """Return `pattern` for every variant, seed and fold of `family`."""
        further = [f"variants/{name}/" for name in self.params.runs.sign2text_variants]
        variants = {"gloss": self.variants, "sign2text": self.if_family("sign2text", "", *further)}[family]
        name = self.name_of(pattern)
        return [
            filled(name, variant=variant, seed=seed, fold=fold, run=variant + seed)
            for variant in variants
            for fold, seed in self.grid
        ]

    def of_ensembles(self, pattern: str) -> list[str]:
        """Return `pattern` for every variant, seed and fold of sign2text if folds have several seeds."""
        several = self.params.runs.seeds_of_folds and len(self.seeds) > 1 and self.folds
        return self.of_grid("sign2text", pattern) if several else []

    def together(self, pattern: str) -> list[str]:
        """Return `pattern` for every gloss variant if several seeds are trained, else nothing."""
        return [filled(pattern, variant=name) for name in self.variants] if len(self.seeds) > 1 else []

    def plain(self, pattern: str) -> str:
        """Return the path `pattern` of the run with the first seed and without a fold."""
        return filled(self.name_of(pattern), seed="", fold="", run="")

    def of_exported_run(self, path: str, decoder: bool = False) -> list[str]:
        """Return `path` with `{variant}` replaced by the gloss variant that is exported, or nothing.

        The first variant that reads only pose features is exported, a hybrid before the baseline. With
        `decoder`, the result is empty unless the variant has an attention decoder.
        """
        trained = self.params.train_gloss
        # a bundle answers one clip row by row, and does not know its signer
        if trained.normalise_by == "signer" or trained.stack > 1 or trained.every > 1:
            return []
        pose = [name for name in self.variants if self.reads(name) == {"pose"}]
        chosen = sorted(pose, key=lambda name: VARIANTS[name].ctc_alone)[:1]
        return [
            path.replace("{variant}", name) for name in chosen if not (decoder and VARIANTS[name].ctc_alone)
        ]

    @property
    def aligned_variant(self) -> str:
        """The gloss variant whose network finds the times of glosses: the exported one, or else the first."""
        return (self.of_exported_run("{variant}") or self.variants)[0]

    def smoothed(self, variant: str) -> bool:
        """Return whether the gloss variant reads rows of landmarks alone, which are smoothed."""
        return self.videos_read and self.reads(variant) == {"pose"}

    def rows_of(self, variant: str) -> dict[str, list[str]]:
        """Return the files of rows that the gloss variant reads, without copies, by the name of the input."""
        families = {
            "pose": {
                "pose": self.shards_of("pose_features", ".npy"),
                "pose_index": self.shards_of("pose_features", ".parquet"),
                "mask": self.shards_of("pose_features", ".mask.npy"),
                "pose_stats": [self.product("global_stats.npz")],
            },
            "clip": {
                "clip": self.shards_of("clip_features", ".npy"),
                "clip_index": self.shards_of("clip_features", ".parquet"),
                "clip_stats": [self.product("clip_stats.npz")],
            },
        }
        read = self.reads(variant)
        return {name: files for kind in families if kind in read for name, files in families[kind].items()}

    def if_read(self, kind: str, paths: str | list[str]) -> Callable[[Any], list[str]]:
        """Return an input function that gives `paths` to gloss runs that read features of `kind`."""
        files = [paths] if isinstance(paths, str) else paths
        return lambda wildcards: (
            [filled(path, fold=getattr(wildcards, "fold", "")) for path in files]
            if kind in self.reads(wildcards.variant)
            else []
        )

    @property
    def table(self) -> list[str]:
        """The files of the annotation table, and the lists of withdrawn clips if there are any."""
        dataset = self.params.dataset
        withdrawn = [str(path) for path in lists_of(dataset.table)]
        try:
            return [*map(str, annotation_sources(dataset.importer, Path(dataset.table))), *withdrawn]
        except SignloomError:
            return [dataset.table, *withdrawn]

    @property
    def encoder(self) -> list[str]:
        """The files of a text encoder in a folder; none of one that a library keeps or nothing reads."""
        folder = Path(self.params.text.encoder).expanduser()
        files = sorted(path.as_posix() for path in folder.rglob("*") if path.is_file())
        return self.if_family("sign2text", *files)

    def files(self, wildcards: Any, input: Any, output: Any) -> str:
        """Return the options of a stage that name its files; Snakemake gives `input` and `output` by name.

        Snakemake does not track parameters made from inputs and outputs, because it tracks these themselves.
        """
        stored = f" --stored {shlex.quote(self.stored)}" if self.stored else ""
        scratch = self.product("scratch")
        return f"--input {_named(input)} --output {_named(output)} --scratch {scratch}{stored}"


def _parameters(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NO_PARAMS}


def from_text(tree: Tree) -> Tree:
    """Return `tree`, given by `--config 'section={key: value}'` or a file, with the schema's types.

    Snakemake makes a text of every value of a mapping. Raises SignloomError if a text is no value of its
    parameter; unknown keys stay as they are.
    """
    return {
        name: {key: _typed(name, key, text) for key, text in values.items()}
        if isinstance(values, dict)
        else values
        for name, values in tree.items()
    }


def _typed(section: str, key: str, text: Any) -> Any:
    kind: Any = Params.model_fields[section].annotation if section in Params.model_fields else None
    if kind is None or key not in kind.model_fields:
        return text
    try:
        one = kind.only(key).model_validate({key: None if text == "null" else text}, strict=False)
    except ValidationError as error:
        raise SignloomError(f"{_GIVEN}: {section}.{key}: {complaint(error)}") from error
    return one.model_dump()[key]


def filled(pattern: str, **wildcards: str) -> str:
    """Return `pattern` with the given wildcards filled in; others stay."""
    for name, value in wildcards.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def _named(files: Any) -> str:
    """Return NAME=FILE for every named file except the code."""
    return " ".join(
        shlex.quote(f"{name}={path}")
        for name, paths in files.items()
        if name != "code"
        for path in ([paths] if isinstance(paths, str) else paths)
    )
