"""The parameters that rules give to stages, as JSON: a stage gets only the sections that it reads."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from signloom.params.features import GateParams
from signloom.params.schema import Params
from signloom.params.variants import SENTENCE_VARIANTS, VARIANTS

BY_RULES = {
    "run",
    "fold",
    "exported",
    "origin",
    "code",
    "stages",
}  # keys that rules give to stages besides parameters
# what judges a clip; how many clips may fail is a matter of stage metadata alone
GATES = tuple(f"quality.{key}" for key in GateParams.model_fields)


@dataclass(frozen=True)
class Given:
    """Gives stages their parameters; rules with wildcards get functions of the wildcards."""

    params: Params

    def __call__(self, *names: str, **by_rule: Any) -> str:
        """Return the parameters of a stage as sorted JSON, a plain string that Snakemake can track.

        `by_rule` has what the rule gives besides, by its keys of `BY_RULES`.
        """
        return json.dumps(chosen(self.params, names) | by_rule, sort_keys=True)

    def to_run(self, *names: str, variant: str | None = None) -> Callable[[Any], str]:
        """Return a params function that gives the same, the seed, and the gloss variant.

        The latter is `variant`, or that of the rule's wildcard, if it has one. A variant of sign2text is
        given by what it changes in the section `sign2text`.
        """

        def given(wildcards: Any) -> str:
            tree = chosen(self.params, names)
            if sentences := re.match(r"variants/(\w+)/", getattr(wildcards, "run", "")):
                tree["sign2text"] |= SENTENCE_VARIANTS[sentences[1]][1]
            tree["run"] = {"seed": self.seed_of(wildcards)}
            if gloss_variant := variant or getattr(wildcards, "variant", None):
                tree["run"]["variant"] = gloss_variant
            return json.dumps(tree, sort_keys=True)

        return given

    def to_embed(self, wildcards: Any) -> str:
        """Return what stage embed gets, for a rule with the wildcards `fold` and `run`."""
        other = wildcards.fold or wildcards.run
        return self(exported=False) if other else self()

    def to_training(self, wildcards: Any) -> str:
        """Return the parameters of a gloss training, for a rule with the wildcard `variant`."""
        return self.to_run(*self.training_sections(wildcards.variant))(wildcards)

    def to_fold(self, *names: str) -> Callable[[Any], str]:
        """Return a params function that gives the sections, and the fold of the wildcard `fold`, if any."""

        def given(wildcards: Any) -> str:
            tree, runs = chosen(self.params, names), self.params.runs
            if wildcards.fold:
                # a share does not depend on the others, so that a longer list leaves it alone
                folds = [] if runs.fold_by == "share" else runs.folds
                tree["fold"] = {"by": runs.fold_by, "name": wildcards.fold.split("/")[1], "all": folds}
            return json.dumps(tree, sort_keys=True)

        return given

    def training_sections(self, variant: str) -> list[str]:
        """Return the sections that the training of the gloss variant uses."""
        network = VARIANTS[variant].section
        reads = VARIANTS[variant].features(self.params.tcn.input)
        of_pose = ["gloss_pose_augment"] if "pose" in reads else []
        of_positions = ["gloss_positions"] if reads == {"pose"} else []
        return [network, "train_gloss", "gloss_augment", "gloss_recompose", *of_pose, *of_positions]

    def seed_of(self, wildcards: Any) -> int:
        """Return the seed of a training from the wildcard `seed` or `run`, which names no first seed."""
        seed = re.search(
            r"seeds/(\d+)/", str(getattr(wildcards, "run", "") or getattr(wildcards, "seed", ""))
        )
        return int(seed[1]) if seed else self.params.runs.seed


def chosen(params: Params, names: Iterable[str]) -> dict[str, Any]:
    """Return the named parts of `params`: whole sections, and single parameters as `section.key`."""
    found: dict[str, Any] = {}
    for name in names:
        section, _, key = name.partition(".")
        whole = getattr(params, section).model_dump(mode="json")
        found[section] = found.get(section, {}) | {key: whole[key]} if key else whole
    return found


def stages_of(rules: Iterable[Any]) -> list[str]:
    """Return the sorted stages of `rules` by the names in their benchmark files; a module renames rules."""
    found = [re.search(r".*benchmarks/(?:\{[^}]*\})*(\w+)", str(rule.benchmark)) for rule in rules]
    return sorted({match[1] for match in found if match})
