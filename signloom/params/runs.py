"""Which runs of a model are built: the seeds of training and the folds of the clips."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from signloom.params.base import Section

# a number in YAML names a fold as its digits do
Fold = Annotated[
    str,
    BeforeValidator(lambda name: str(name) if type(name) is int else name, json_schema_input_type=str | int),
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"),
]


class RunsParams(Section):
    """Section `runs`: the first seed without a fold is the run that is exported; the others are compared."""

    seed: int = Field(ge=0, description="seed of the run whose products have the plain paths")
    more_seeds: list[Annotated[int, Field(ge=0)]] = Field(
        description="further seeds; each trains every model once more, on the same clips"
    )
    fold_by: Literal["signer", "clip"] = Field(
        description="signer: each of `folds` is a signer, left out in turn; "
        "clip: `folds` are numbers from 0, parts of the training clips",
    )
    folds: list[Fold] = Field(description="each trains every model once more, on other clips")
    seeds_of_folds: bool = Field(description="also train every fold with every further seed")

    @property
    def all_seeds(self) -> list[int]:
        """The first seed and the further ones."""
        return [self.seed, *self.more_seeds]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name, values in (("more_seeds", self.all_seeds), ("folds", self.folds)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a value occurs twice; name each once")
        if self.folds and self.fold_by == "clip" and self.folds != [str(n) for n in range(len(self.folds))]:
            raise ValueError('folds: with fold_by clip, expected ["0", "1", ...] without a gap')
        fewest = 3 if self.fold_by == "signer" else 2
        if self.folds and len(self.folds) < fewest:
            raise ValueError(f"folds: with fold_by {self.fold_by}, expected at least {fewest}")
        return self


class RunParams(Section):
    """Section `run`: one training; the rule makes it from its wildcards."""

    seed: int = Field(ge=0)


class FoldParams(Section):
    """Section `fold`: one fold of a division; the rule makes it from section `runs`."""

    by: Literal["signer", "clip"]
    name: str
    all: list[str] = Field(min_length=2)
