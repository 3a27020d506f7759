"""The base of every parameter section."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """A section of params.yaml: unknown keys and values of another type are errors; nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _exponent(cls, value: Any, info: ValidationInfo) -> Any:
        """Take `1e-3` for a number, which YAML 1.1 takes for text since it has no point."""
        if info.field_name and cls.model_fields[info.field_name].annotation is float:
            try:
                return float(value) if isinstance(value, str) else value
            except ValueError:
                return value
        return value
