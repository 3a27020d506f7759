"""Which runs of a model are built: the seeds of training and the folds of the clips."""

import re
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from signloom.params.base import LARGEST_SEED, Section
from signloom.params.splits import FoldBy
from signloom.params.variants import SentenceVariant

_NAME = "[A-Za-z0-9][A-Za-z0-9_.-]*"


def _fold_name(name: object) -> object:
    """Return the name of a fold: a number in YAML names it as its digits do."""
    name = str(name) if type(name) is int else name
    if isinstance(name, str) and not re.fullmatch(_NAME, name):
        raise ValueError(
            f"a fold is the name of a folder: expected letters A to Z, digits, _, . and -, found {name!r}; "
            "if it is a signer, rename this signer in the table"
        )
    return name


Fold = Annotated[
    str,
    BeforeValidator(_fold_name, json_schema_input_type=str | int),
    StringConstraints(pattern=f"^{_NAME}$"),
]


class RunsParams(Section):
    """Section `runs`: the first seed without a fold is the run that is exported; the others are compared."""

    seed: int = Field(
        ge=0, le=LARGEST_SEED, description="seed of the run whose products have the plain paths"
    )
    more_seeds: list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]] = Field(
        description="further seeds; each trains every model once more, on the same clips"
    )
    sign2text_variants: list[SentenceVariant] = Field(
        description="variants of sign2text that are trained beside the one that its section describes"
    )
    fold_by: FoldBy = Field(
        description="signer: each of `folds` is a signer, left out in turn; "
        "clip: `folds` are numbers from 0, parts of the training clips; "
        "part: `folds` are numbers from 0, parts of all clips, tested in turn; "
        "share: `folds` are per cents of the training clips, for a learning curve",
    )
    folds: list[Fold] = Field(description="each trains every model once more, on other clips")
    seeds_of_folds: bool = Field(description="also train every fold with every further seed")

    @property
    def all_seeds(self) -> list[int]:
        """The first seed and the further ones."""
        return [self.seed, *self.more_seeds]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        lists: dict[str, Sequence[object]] = {"more_seeds": self.all_seeds, "folds": self.folds}
        for name, values in (lists | {"sign2text_variants": self.sign2text_variants}).items():
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a value occurs twice; name each once")
        numbers = [str(n) for n in range(len(self.folds))]
        if self.folds and self.fold_by in ("clip", "part") and self.folds != numbers:
            raise ValueError(f'folds: with fold_by {self.fold_by}, expected ["0", "1", ...] without a gap')
        if self.folds and self.fold_by == "share" and self.folds != _percents(self.folds):
            raise ValueError(
                'folds: with fold_by share, expected whole numbers from "1" to "99", smallest first'
            )
        fewest = 3 if self.fold_by == "signer" else 2
        if self.folds and len(self.folds) < fewest:
            raise ValueError(f"folds: with fold_by {self.fold_by}, expected at least {fewest}")
        return self


def _percents(folds: list[str]) -> list[str]:
    """Return those of `folds` that are whole numbers from 1 to 99, smallest first."""
    return [str(number) for number in range(1, 100) if str(number) in folds]
