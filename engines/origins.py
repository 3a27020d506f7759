"""What products are made from, as digests: files of the table, clips of a shard, parameters, code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from snakemake.io import ancient

from engines.given import chosen
from engines.import_closure import digest_of
from engines.pipeline import Pipeline
from engines.table_digests import Digests
from signloom.errors import SignloomError
from signloom.files import file_sha256
from signloom.params.schema import Params


@dataclass(frozen=True)
class Origins:
    """The digests of a pipeline; the files of its table are read when a rule first asks."""

    flow: Pipeline

    def sources(self, wildcards: Any) -> str:
        """Return one digest of the table's rows and of the files that they name; "" for a wrong table."""
        return self._digests.rows

    def demand_folds(self) -> None:
        """Raise SignloomError for folds that the table cannot have."""
        # before the graph of jobs is made: Snakemake passes over errors of functions that rules call
        if self.flow.params.runs.folds and self._digests.folds:
            raise SignloomError(self._digests.folds)

    def scattered(self, stage: str, *names: str, folder: str = "") -> Scattered:
        """Return the inputs and parameters of a stage that runs once per shard; `folder` has its products."""
        return Scattered(
            self,
            stage,
            names,
            lambda wildcards: self.flow.product(
                f"{getattr(wildcards, 'fold', '')}{folder or stage}/{wildcards.shard}.origin"
            ),
        )

    @property
    def clips(self) -> dict[str, str]:
        """A digest of each shard's clips, by shard, available before the manifest is built."""
        return self._digests.clips

    @cached_property
    def _digests(self) -> Digests:
        return Digests.of(self.flow)


@dataclass(frozen=True)
class Scattered:
    """A stage that runs once per shard and records the origin of its outputs.

    After a rerun job Snakemake reruns all jobs that depend on it, even if their inputs are unchanged, unless
    these inputs are `ancient`. It then no longer checks the other reasons to rerun a job. So a shard's list
    is `ancient` only if its outputs were made from the current clips, parameters and code, and from the list
    that is there: `manifest` may have taken or rejected a clip for what it found in the file.
    """

    origins: Origins
    stage: str
    names: tuple[str, ...]
    place: Callable[[Any], str]
    setting: Callable[[Any], Params] | None = None

    def shard_list(self, wildcards: Any) -> Any:
        """Return the path of the shard's list, `ancient` or not."""
        flow = self.origins.flow
        path, place = flow.product(f"shards/{wildcards.shard}.csv"), flow.local_copy(self.place(wildcards))
        listed = flow.local_copy(path)
        made_from = place.read_text("utf-8").split() if place.exists() else []
        now = [self.origin(wildcards), *([file_sha256(listed)] if listed.exists() else made_from[1:])]
        return ancient(path) if made_from == now else path

    def given(self, wildcards: Any) -> str:
        """Return the stage's parameters as sorted JSON, with a digest of its code.

        The origin, which the stage writes beside its outputs, is there too.
        """
        more = {"origin": self.origin(wildcards), "code": self._code}
        return json.dumps(self._chosen(wildcards) | more, sort_keys=True)

    def origin(self, wildcards: Any) -> str:
        """Return a digest of the clips, parameters and code that the outputs are made from."""
        clips = self.origins.clips.get(wildcards.shard, "")
        parts = [clips, json.dumps(self._chosen(wildcards), sort_keys=True), self._code]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _chosen(self, wildcards: Any) -> dict[str, Any]:
        return chosen(self.setting(wildcards) if self.setting else self.origins.flow.params, self.names)

    @cached_property
    def _code(self) -> str:
        return digest_of(self.stage)
