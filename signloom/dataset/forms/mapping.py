"""Forms: YAML files that say where the values of an annotation table are; docs/design/annotation-forms.md."""

import re
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from signloom.errors import SignloomError
from signloom.params.base import Section

Ours = Literal[
    "video",
    "sentence",
    "gloss",
    "sentence_id",
    "signer_id",
    "split",
    "start",
    "end",
    "category",
    "gloss_times",
    "text_variations",
    "consent",
    "until",
]
_IN_BRACES = re.compile(r"\{([^{}]+)\}")


class Column(Section):
    """The source of one of our values: their column, or a text with their columns in braces."""

    column: str | list[str] = Field(description="their column or a text; a list of places for `video`")
    take: str = Field("", description="regular expression; its group `value` is the value")
    spaces: str | None = Field(None, description="what takes the place of spaces inside the value")
    default: str = Field("", description="the value of an empty cell")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str | list) else value

    @field_validator("take")
    @classmethod
    def _has_group(cls, value: str) -> str:
        try:
            if value and "value" not in re.compile(value).groupindex:
                raise ValueError("expected a group `(?P<value>...)`")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @property
    def texts(self) -> list[str]:
        """The texts with their columns in braces."""
        given = [self.column] if isinstance(self.column, str) else self.column
        return [text if "{" in text else f"{{{text}}}" for text in given]

    @property
    def names(self) -> set[str]:
        """The names of their columns."""
        return {name for text in self.texts for name in names_in(text)}


class Times(Section):
    """The unit of start and end."""

    unit: Literal["s", "ms", "frames", "clock"] = "s"
    fps: float | str = Field(0.0, description="frames a second, or the column that has them")
    first: int = Field(0, description="number of the first frame")
    to_end: str | int = Field("", description="the value that means the end of the file")

    @model_validator(mode="after")
    def _rate(self) -> Self:
        if self.unit == "frames" and not self.fps:
            raise ValueError("unit frames needs fps: a number, or the name of a column")
        return self


class Join(Section):
    """A second table beside the first; its columns are added to the rows with the same key."""

    file: str
    column: str = Field(description="column of the first table")
    key: str = Field(description="column of this table")
    header: list[str] = Field([], description="names of its columns if it has no line of names")
    optional: bool = Field(False, description="whether rows may lack an entry")


class Form(Section):
    """One form of annotation tables."""

    files: dict[str, str] = Field({}, description="the file of each split")
    separator: Literal[",", ";", "|", "\t", " "] | None = None
    quoted: bool = True
    header: list[str] = Field([], description="names of the columns if no line names them")
    columns: dict[Ours, Column]
    times: Times = Times()
    join: Join | None = None

    @field_validator("columns")
    @classmethod
    def _enough(cls, value: dict[Ours, Column]) -> dict[Ours, Column]:
        if "video" not in value or not {"sentence", "gloss"} & set(value):
            raise ValueError("expected `video`, and `sentence` or `gloss`")
        return value

    @property
    def needed(self) -> list[str]:
        """Their columns that the table must have, apart from those of the joined table."""
        names = {name for column in self.columns.values() for name in column.names}
        names -= {"split"} if self.files else set()
        if isinstance(self.times.fps, str):
            names.add(self.times.fps)
        return sorted(names | ({self.join.column} if self.join else set()))


def read_form(file: Path) -> Form:
    """Return the form in `file`; raises SignloomError that names the file and the wrong key."""
    try:
        tree = yaml.safe_load(file.read_text("utf-8"))
        return Form.model_validate(tree)
    except OSError as error:
        raise SignloomError(f"dataset.importer: {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SignloomError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the form"
        raise SignloomError(f"{file}: {key}: {first['msg']}, found {first['input']!r}") from error


def names_in(text: str) -> list[str]:
    """Return the names of the columns in braces."""
    return _IN_BRACES.findall(text)


def filled(text: str, record: dict[str, Any]) -> str:
    """Return `text` with the columns in braces replaced by the values of `record`."""
    return _IN_BRACES.sub(lambda found: str(record[found[1]]).strip(), text)


def shipped() -> dict[str, Path]:
    """Return the forms that come with Signloom, by name."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}
