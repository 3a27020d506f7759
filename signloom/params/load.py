"""Load params.yaml and presets; an error names the file, the line and the expected key or value."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from signloom.errors import SignloomError
from signloom.params.schema import Params
from signloom.params.together import complaints

Tree = dict[str, Any]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
_OPENING = (
    yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken,
)  # fmt: skip
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_DEEPEST = 20
# YAML 1.1 reads 010 as 8 and 1:30 as 90, YAML 1.2 does not
_TWO_READINGS = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
_ENTRY = re.compile(r"\[\d+\]")  # the number of a list's entry in a key
# keys of earlier versions, and what to write instead
_RENAMED = {
    "quality.min_frames": "quality.min_seconds, which is min_frames / pose.fps or less",
    "positions.fps": "dataset.frame_rate",
}


def load_params(base: Path, preset: Path | None = None) -> Params:
    """Return the parameters of `base`, overridden by those of `preset`."""
    files = [base] if preset is None else [base, preset]
    merged: Tree = {}
    for file in files:
        merged = overlay(merged, read_yaml(file))
    return check_params(merged, files)


def overlay(under: Tree, over: Tree) -> Tree:
    """Return `under`, overridden by `over` key by key."""
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def read_yaml(file: Path, anchors: bool = False) -> Tree:
    """Return the mapping in `file`; raises SignloomError with the line for anything else.

    Without `anchors`, values that are written once and repeated by name are errors too.
    """
    if not file.exists():
        raise SignloomError(f"{file} does not exist")
    text = _utf8(file)
    try:
        _check_tokens(file, text, anchors)
        tree = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SignloomError(f"{file}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = str(error).partition("\n")[0]  # of a control character, a date that is none, endless brackets
        raise SignloomError(f"{file}: not valid YAML: {said}") from error
    for key, line in _repeated(yaml.compose(text, _Loader)):
        raise SignloomError(f"{file}:{line}: {key} stands here a second time; delete one of the two")
    if tree is None:
        raise SignloomError(f"{file}: it has no parameters; write one, or delete the file")
    if not isinstance(tree, dict):
        raise SignloomError(f"{file}:1: expected sections of parameters, found {type(tree).__name__}")
    return tree


def _check_tokens(file: Path, text: str, anchors: bool) -> None:
    """Raise SignloomError for what hides a value's place, is read in two ways, or is too deep to read."""
    depth = 0
    for token in yaml.scan(text, _Loader):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AliasToken | yaml.AnchorToken) and not anchors:
            raise SignloomError(
                f"{file}:{line}: {token.value} is an anchor or its repetition (& or *); write the value out"
            )
        if isinstance(token, yaml.ScalarToken) and token.plain and _TWO_READINGS.fullmatch(token.value):
            raise SignloomError(
                f"{file}:{line}: {token.value}: YAML programs read this as different numbers; write it "
                "without a leading zero or colons, or in quotes if it is a name"
            )
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEEPEST:
            raise SignloomError(
                f"{file}:{line}: lists or sections more than {_DEEPEST} deep; write them flat"
            )


def _utf8(file: Path) -> str:
    """Return the text of `file`; raises SignloomError with the line that is in another encoding."""
    if not file.is_file():
        raise SignloomError(f"{file} is not a file")
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SignloomError(f"{file}:{line}: not UTF-8; save the file in this encoding") from error


def _repeated(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """Yield every key that its mapping has twice, and its line; YAML would take the last one in silence."""
    if not isinstance(node, yaml.MappingNode):
        return
    names: set[str] = set()
    for name, value in node.value:
        if name.value in names:
            yield str(name.value), name.start_mark.line + 1
        names.add(name.value)
        yield from _repeated(value)


def check_params(tree: Tree, files: list[Path], elsewhere: dict[str, str] | None = None) -> Params:
    """Return `tree` as typed parameters; every key of the schema must be present.

    Raises SignloomError that names the first wrong key, its place (file and line in the last of `files` that
    has it, unless `elsewhere` names another), the expected value and the nearest known key.
    """
    known = dict(_known_keys(Params))
    places: dict[str, str] = {}
    for file in files:
        places |= _key_places(file)
    places |= elsewhere or {}
    for key in (key for key in tree if "." in str(key)):
        section, _, name = str(key).partition(".")
        raise SignloomError(
            f"{_where(key, places, files)}: write {key} as a section: {section}: {{{name}: ...}}"
        )
    for place in dotted_keys(tree):
        key = _ENTRY.sub("", place)
        if key not in known:
            advice = f"; now {_RENAMED[key]}" if key in _RENAMED else _nearest(key, known)
            raise SignloomError(f"{_where(place, places, files)}: unknown key {key}{advice}")
    try:
        params = Params.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])[1:]
        key = _ENTRY.sub("", place)
        if not key:  # a check of all sections, which names the key itself
            key, _, said = complaint(error).partition(": ")
            raise SignloomError(f"{_where(key, places, files)}: {key}: {said}") from error
        if first["type"] == "missing" and key in known:
            # a later file may have an entry of a list without the key, and no section without it
            where = _top(files) if place == key else _where(_above(place), places, files)
            raise SignloomError(f"{where}: missing key {key}; expected {known[key]}") from error
        said = complaint(error)
        # a section's own check begins with the parameter's name
        name, colon, rest = said.partition(": ")
        if colon and f"{key}.{name}" in known:
            place, key, said = f"{place}.{name}", f"{key}.{name}", rest
        raise SignloomError(f"{_where(place, places, files)}: {key}: {said}") from error
    for said in complaints(params):
        raise SignloomError(f"{_where(said.partition(': ')[0], places, files)}: {said}")
    return params


def complaint(error: ValidationError) -> str:
    """Return what is wrong with the first wrong value, and the value unless it is a whole section."""
    first = error.errors()[0]
    said = first["msg"].removeprefix("Value error, ")
    whole = first["type"] == "missing" or isinstance(first["input"], dict)
    return said if whole else f"{said}, found {first['input']!r}"


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every dotted key of the schema with a text for its type."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        entry = get_args(kind)[0] if get_origin(kind) is list else kind
        yield prefix + name, "a section" if _is_section(kind) else _type_name(kind)
        if _is_section(entry):
            yield from _known_keys(entry, f"{prefix}{name}.")


def _is_section(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _type_name(kind: Any) -> str:
    """Return the name of a type without its limits and checks, such as `list[int] | None`."""
    outer, inner = get_origin(kind), get_args(kind)
    if outer is Annotated:
        return _type_name(inner[0])
    if outer in (Union, UnionType):
        return " | ".join(map(_type_name, inner))
    if outer is list:
        return f"list[{_type_name(inner[0])}]"
    if kind is NoneType:
        return "None"
    if _is_section(kind):
        return "section"
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def dotted_keys(tree: Tree, prefix: str = "") -> Iterator[str]:
    """Yield every key of `tree`, sections and parameters, with the names above it.

    Entries of lists are among them, by their number from 0: `gloss.hypotheses[0].better`.
    """
    for key, value in tree.items():
        yield from _keys_of(value, f"{prefix}{key}")


def _keys_of(value: Any, key: str) -> Iterator[str]:
    """Yield `key` and the keys inside its `value`."""
    yield key
    if isinstance(value, dict):
        yield from dotted_keys(value, f"{key}.")
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _keys_of(entry, f"{key}[{number}]")


def _nearest(key: str, known: dict[str, str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]} ({known[close[0]]})?"
    section = key.rpartition(".")[0]
    inside = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section]
    return f"; expected one of {', '.join(inside)}" if inside else ""


def _where(key: str, places: dict[str, str], files: list[Path]) -> str:
    """Return the place of `key`, or of the nearest section above it."""
    while key:
        if key in places:
            return places[key]
        key = _above(key)
    return _top(files)


def _top(files: list[Path]) -> str:
    return f"{files[0]}:1" if files else "the parameters"


def _above(key: str) -> str:
    """Return the section or list that has `key`, or ""."""
    return key[: max(key.rfind("."), key.rfind("["), 0)]


def _key_places(file: Path) -> dict[str, str]:
    """Return file:line of every key in `file`, as `dotted_keys` names them."""
    found: dict[str, str] = {}

    def walk(node: yaml.Node | None, key: str) -> None:
        if isinstance(node, yaml.MappingNode):
            inside = [(f"{key}.{name.value}".removeprefix("."), name, value) for name, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inside = [(f"{key}[{number}]", entry, entry) for number, entry in enumerate(node.value)]
        else:
            return
        for below, named, value in inside:
            found[below] = f"{file}:{named.start_mark.line + 1}"
            walk(value, below)

    walk(yaml.compose(_utf8(file), _Loader), "")
    return found
