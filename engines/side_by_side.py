"""The tables of config/side_by_side.yaml for the rules: parameters of settings and paths of features."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator

from engines.given import Given, chosen
from engines.import_closure import in_workflow
from engines.origins import Origins, Scattered
from engines.pipeline import Pipeline
from signloom.errors import SignloomError
from signloom.params.base import Section
from signloom.params.load import check_params, overlay, read_yaml
from signloom.params.schema import Params
from signloom.params.variants import VARIANTS, GlossVariant

FILE = Path("config/side_by_side.yaml")
# sections of the stages that run once per setting; a setting may change no others
SECTIONS = {"clip_features", "frames", "hybrid", "train_gloss", "gloss_augment", "decode_gloss"}
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class Table(Section):
    """A table of the file: the gloss variant that is trained, and the overlay of each setting."""

    variant: GlossVariant
    settings: dict[Name, dict[str, Any]] = Field(min_length=2)

    @field_validator("variant")
    @classmethod
    def _reads_clip_features_alone(cls, name: GlossVariant) -> GlossVariant:
        if VARIANTS[name].reads != "clip":
            raise ValueError("choose a variant that reads only clip features; the settings change only these")
        return name


@dataclass(frozen=True)
class SideBySide:
    """Helpers of rules/side_by_side.smk; the file is read when a table is requested.

    `weights` is Snakemake's `--config side_weights=random`, which gives every network random weights.
    """

    origins: Origins
    weights: str | None = None

    @property
    def flow(self) -> Pipeline:
        """The pipeline that the settings change."""
        return self.origins.flow

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables of the file by name; raises SignloomError if the file is invalid."""
        try:
            return TypeAdapter(dict[str, Table]).validate_python(read_yaml(in_workflow(FILE)))
        except ValidationError as error:
            first = error.errors()[0]
            raise SignloomError(f"{FILE}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    @cached_property
    def params(self) -> dict[str, dict[str, Params]]:
        """The checked parameters of every setting of every table, in the order of the file."""
        return {
            name: {setting: self._params(name, setting) for setting in table.settings}
            for name, table in self.tables.items()
        }

    def _params(self, name: str, setting: str) -> Params:
        table = self.tables[name]
        over, where = table.settings[setting], f"{FILE}: {name}.{setting}"
        strange = sorted(set(over) - SECTIONS)
        if strange:
            raise SignloomError(f"{where}: {strange[0]} is not one of {', '.join(sorted(SECTIONS))}")
        tree = overlay(self.flow.params.model_dump(mode="json"), over)
        if self.weights not in (None, "random"):
            raise SignloomError(f"side_weights {self.weights!r}: expected random, which fits every network")
        if self.weights:
            tree = overlay(tree, {"clip_features": {"weights": self.weights, "weights_sha256": None}})
        try:
            params = check_params(tree, [FILE])
        except SignloomError as error:
            raise SignloomError(f"{where}: {error}") from error
        if VARIANTS[table.variant].copies and not params.frames.copies:
            raise SignloomError(
                f"{where}: frames.copies is 0, so there are no augmented copies; set 1 or more"
            )
        return params

    def setting(self, wildcards: Any) -> Params:
        """Return the parameters of the setting given by the wildcards `table` and `setting`."""
        settings = list(self._table(wildcards).settings)
        if wildcards.setting not in settings:
            wrong = f"setting {wildcards.setting} in {wildcards.table}"
            raise SignloomError(f"{FILE} has no {wrong}; it has {', '.join(settings)}")
        return self.params[wildcards.table][wildcards.setting]

    def _table(self, wildcards: Any) -> Table:
        """Return the table of the wildcard `table`; raises SignloomError if the file has none."""
        if wildcards.table not in self.tables:
            raise SignloomError(f"{FILE} has no table {wildcards.table}; it has {', '.join(self.tables)}")
        return self.tables[wildcards.table]

    def scattered(self, stage: str, *sections: str) -> Scattered:
        """Return the inputs and parameters of a stage that runs once per shard and setting."""

        def place(wildcards: Any) -> str:
            setting = f"side_by_side/{wildcards.table}/{wildcards.setting}"
            return self.flow.product(f"{setting}/{stage}/{wildcards.shard}.origin")

        return Scattered(self.origins, stage, sections, place, self.setting)

    def given_to_run(self, *sections: str) -> Callable[[Any], str]:
        """Return a params function that gives the sections, and variant and seed of the wildcards."""
        return lambda wildcards: Given(self.setting(wildcards)).to_run(*sections)(wildcards)

    def given_to_training(self, wildcards: Any) -> str:
        """Return the parameters of a training, for a rule with the wildcards of a setting and a run."""
        return Given(self.setting(wildcards)).to_training(wildcards)

    def given_to_table(self, *sections: str) -> Callable[[Any], str]:
        """Return a params function that gives the sections, and the settings of the wildcard `table`."""
        tree = chosen(self.flow.params, sections)

        def given(wildcards: Any) -> str:
            table = self._table(wildcards)
            made = {
                "table": wildcards.table,
                "variant": table.variant,
                "settings": list(table.settings),
                "seeds": self.flow.params.runs.all_seeds,
            }
            return json.dumps(tree | {"side_by_side": made}, sort_keys=True)

        return given

    def clips(self, suffix: str) -> Callable[[Any], list[str]]:
        """Return an input function that gives the clip features of a setting, one file per shard."""
        return lambda wildcards: self.flow.shards_of(
            self._folder(wildcards, "clip_features") + "clip_features", suffix
        )

    def stats(self, wildcards: Any) -> str:
        """Return the path of the statistics of a setting's clip features."""
        return self.flow.product(self._folder(wildcards, "clip_features") + "clip_stats.npz")

    def copies(self, suffix: str) -> Callable[[Any], list[str]]:
        """Return an input function that gives the augmented copies of a run, one file per shard."""
        return lambda wildcards: (
            self.flow.shards_of(
                self._folder(wildcards, "clip_features", "frames") + "clip_features_augmented", suffix
            )
            if "copies" in self.flow.reads(wildcards.variant)
            else []
        )

    def of_runs(self, file: str) -> Callable[[Any], list[str]]:
        """Return an input function that gives `file` of every setting and seed of a table."""

        def paths(wildcards: Any) -> list[str]:
            table = self._table(wildcards)
            return [
                self.flow.product(f"side_by_side/{wildcards.table}/{setting}/{seed}{table.variant}/{file}")
                for setting in table.settings
                for seed in self.flow.seeds
            ]

        return paths

    def _folder(self, wildcards: Any, *sections: str) -> str:
        """Return the folder with features of the same `sections`: the pipeline's, or the first setting's."""
        wanted = chosen(self.setting(wildcards), sections)
        settings = self.params[wildcards.table]
        folders = [(f"side_by_side/{wildcards.table}/{name}/", params) for name, params in settings.items()]
        return next(
            folder
            for folder, params in [("", self.flow.params), *folders]
            if chosen(params, sections) == wanted
        )
