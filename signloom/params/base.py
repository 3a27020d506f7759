"""The base of every parameter section."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """A section of params.yaml: unknown keys and wrong types are errors, and values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _exponent(cls, value: Any, info: ValidationInfo) -> Any:
        """Read `1e-3` as a number; YAML 1.1 reads it as text, because it has no decimal point."""
        if info.field_name and cls.model_fields[info.field_name].annotation is float:
            try:
                return float(value) if isinstance(value, str) else value
            except ValueError:
                return value
        return value
