"""The base of every parameter section: the classes say what a value may be, params.yaml what it is."""

from __future__ import annotations

from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator

# PyTorch takes 64 bits, of which trainings add a part for each epoch
LARGEST_SEED = 2**53


class Section(BaseModel):
    """A section of params.yaml: unknown keys and wrong types are errors, and values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _exponent(cls, value: Any, info: ValidationInfo) -> Any:
        """Read `1e-3` as a number; YAML 1.1 reads it as text, because it has no decimal point."""
        kind = cls.model_fields[info.field_name].annotation if info.field_name else None
        if not isinstance(value, str) or float not in (kind, *get_args(kind)):
            return value
        try:
            return float(value)
        except ValueError:
            return value

    @classmethod
    def only(cls, key: str) -> type[Section]:
        """Return a section that has the parameter `key` alone, with its type and limits."""
        field = cls.model_fields[key]
        definition: Any = (field.annotation, field)
        return create_model(cls.__name__, __base__=Section, **{key: definition})


class RunParams(Section):
    """Section `run`: one training; the rule makes it from its wildcards."""

    seed: int = Field(ge=0, le=LARGEST_SEED)


class Augmentation(Section):
    """A section of probabilities and strengths, in which 0 changes nothing."""

    @classmethod
    def off(cls) -> Self:
        """Return the section with every value 0."""
        return cls.model_validate(dict.fromkeys(cls.model_fields, 0))
