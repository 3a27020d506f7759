"""Generate pages of the site from the rules and the typed parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engines.pipeline import PARAMS_FILE, Pipeline
from engines.workflow import workflow
from signloom.params.load import read_yaml
from signloom.params.schema import Params

ROOT = Path(__file__).parent.parent
# entry points that params.yaml does not use, and a preset that runs them
ELSEWHERE = {"import_features": "boston104"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Stage:
    """A rule with its parameters and its files, as patterns by name."""

    name: str  # of the entry point, also that of the rule except for import_features
    purpose: str
    scattered: str  # once, once per shard, once per gloss run
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    parameters: list[str]  # sections, or single parameters as `section.key`

    @property
    def read(self) -> set[str]:
        """All patterns that the stage reads."""
        return {path for paths in self.inputs.values() for path in paths}

    @property
    def written(self) -> set[str]:
        """All patterns that the stage writes."""
        return {path for paths in self.outputs.values() for path in paths}


def read_stages(root: Path) -> list[Stage]:
    """Return every stage of the rules in `root`, in their order."""
    stages = _read(root, None)
    for name, preset in ELSEWHERE.items():
        stages += [stage for stage in _read(root, preset) if stage.name == name]
    return stages


def _read(root: Path, preset: str | None) -> list[Stage]:
    with workflow(root, preset) as opened:
        flow = Pipeline.load(dict(opened.globals["config"]))
        # skip targets (no outputs) and tables on request, which the page of clip_features describes
        rules = [rule for rule in opened.rules if rule.output and "side_by_side" not in str(rule.snakefile)]
        return [_stage(rule, flow) for rule in rules]


def _stage(rule: Any, flow: Pipeline) -> Stage:
    names = rule.wildcard_names
    variants = flow.variants if "variant" in names else [""]
    plain = {"seed": "", "fold": "", "run": "", "shard": "{shard}"}
    jobs = [SimpleNamespace(variant=variant, **plain) for variant in variants]
    given: dict[str, Any] = {}
    for job in jobs:
        found = rule.params.given
        given |= json.loads(found(job) if callable(found) else found)
    parameters = []
    for section in Params.model_fields:
        values = given.get(section, {})
        whole = set(values) == set(_section(section).model_fields)
        parameters += [section] if whole else [f"{section}.{key}" for key in values]
    return Stage(
        re.findall(r"workflow_scripts\.(\w+)", rule.shellcmd)[0],
        rule.docstring.strip(),
        _scattered(set(names)),
        _files(rule.input.items(), jobs, flow),
        _files(rule.output.items(), jobs, flow),
        parameters,
    )


def _scattered(names: set[str]) -> str:
    """Return how often a rule with the wildcards `names` runs, in words."""
    if "run" in names:
        names = names | {"variant", "seed"}
    each = [name for name in ("shard", "variant", "seed", "fold") if name in names]
    return "once for each " + " and ".join(each) if each else "once"


def _section(name: str) -> Any:
    return Params.model_fields[name].annotation


def _files(
    items: Iterable[tuple[str, Any]], jobs: list[SimpleNamespace], flow: Pipeline
) -> dict[str, list[str]]:
    """Return the patterns of named files, with `<shard>` and `<variant>` for every shard and variant."""
    named: dict[str, list[str]] = {}
    for name, value in items:
        found = [one(job) if callable(one) else one for one in _list(value) for job in jobs]
        paths = [str(path) for one in found for path in _list(one)]
        if name != "code" and paths:
            named[name] = list(dict.fromkeys(_pattern(path, flow) for path in paths))
    return named


def _list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) or callable(value) else list(value)


def _pattern(path: str, flow: Pipeline) -> str:
    variants = "|".join(sorted(flow.variants, key=len, reverse=True))
    path = re.sub(r"\{(seed|fold|run)[^}]*\}", "", path)
    path = re.sub(r"\{(shard|variant)[^}]*\}", r"<\1>", path)
    path = re.sub(rf"/({'|'.join(flow.shards)})(?=\.)", "/<shard>", path)
    return re.sub(rf"(?<=gloss/)({variants})(?=[./])", "<variant>", path) if variants else path


def stage_page(stage: Stage, stages: list[Stage]) -> str:
    """Return the page of one stage."""
    before = [other.name for other in stages if other.written & stage.read]
    after = [other.name for other in stages if other.read & stage.written]
    lines = [
        f"# {stage.name}",
        stage.purpose,
        f"It runs {stage.scattered}. Its command is `python -m workflow_scripts.{stage.name}`.",
        f"It reads the outputs of {_links(before)}" if before else "",
        f"Its outputs are read by {_links(after)}" if after else "",
        "## Inputs",
        _file_table(stage.inputs),
        "## Outputs",
        _file_table(stage.outputs),
        "## Parameters",
        *_parameter_part(stage.parameters),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _links(names: list[str]) -> str:
    return ", ".join(f"[{name}]({name}.md)" for name in names) + "."


def _file_table(files: dict[str, list[str]]) -> str:
    rows = [f"| `{name}` | {'<br>'.join(f'`{path}`' for path in paths)} |" for name, paths in files.items()]
    return "\n".join(["| name | files |", "|---|---|", *rows])


def _parameter_part(parameters: list[str]) -> list[str]:
    if not parameters:
        return ["None. The stage depends only on its inputs and its code."]
    if parameters == [*Params.model_fields]:
        return ["All sections of `params.yaml`, which [Parameters](../parameters.md) lists."]
    chosen: dict[str, list[str]] = {}
    for name in parameters:
        section, _, key = name.partition(".")
        chosen.setdefault(section, []).extend([key] if key else _section(section).model_fields)
    note = "The stage runs again if one of these changes. It reads no other parameter."
    parts = [part for section, keys in chosen.items() for part in _section_part(section, keys, "###")]
    return [note, *parts]


def stages_index(stages: list[Stage]) -> str:
    """Return the page that lists every stage."""
    rows = [f"| [{stage.name}]({stage.name}.md) | {stage.scattered} | {stage.purpose} |" for stage in stages]
    text = (
        "Every stage is one rule of `rules/` with an entry point `workflow_scripts/<stage>.py`. "
        "These pages are generated from the rules and the typed parameters when the site is built. "
        "Paths are those of the demo. A preset's paths have its name after `build/` and `metrics/`."
    )
    return "\n".join(
        ["# Stages", "", text, "", "| stage | runs | what it does |", "|---|---|---|", *rows, ""]
    )


def parameters_page(root: Path) -> str:
    """Return the page of all parameters."""
    text = "All parameters are in `params.yaml`, set for the demo. A preset has only the values that differ."
    sections = [
        part
        for name in Params.model_fields
        for part in _section_part(name, [*_section(name).model_fields], "##", root)
    ]
    return "\n\n".join(["# Parameters", text, *sections]) + "\n"


def _section_part(section: str, keys: list[str], level: str, root: Path = ROOT) -> list[str]:
    """Return a heading and a table of the parameters `keys` of a section."""
    schema = _section(section).model_json_schema()
    demo = read_yaml(root / PARAMS_FILE)[section]
    rows = []
    for key in keys:
        entry = schema["properties"][key]
        cells = [f"`{key}`", _type(entry), _value(demo[key])]
        cells += [_bounds(entry), _text(entry.get("description", ""))]
        rows.append("| " + " | ".join(cells) + " |")
    head = ["| parameter | type | demo | allowed | what it is |", "|---|---|---|---|---|"]
    return [f"{level} `{section}`", "\n".join([*head, *rows])]


def _type(entry: dict[str, Any]) -> str:
    if "anyOf" in entry:
        return " or ".join(_type(one) for one in entry["anyOf"])
    if "enum" in entry:
        return "choice"
    if "$ref" in entry:
        return str(entry["$ref"]).rpartition("/")[2].lower()
    kind = str(entry["type"])
    return f"list of {_type(entry['items'])}" if kind == "array" else kind.replace("null", "none")


def _value(value: Any) -> str:
    return "" if value == "" else f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _text(text: str) -> str:
    """Return text as plain Markdown for a table cell."""
    return re.sub(r"([|<>*\[\]])", r"\\\1", text)


def _bounds(entry: dict[str, Any]) -> str:
    """Return the allowed values of a parameter in words."""
    choices = entry.get("enum") or entry.get("items", {}).get("enum")
    if choices:
        return ", ".join(_value(choice) for choice in choices)
    found = [f"{sign} {entry[name]:g}" for name, sign in BOUNDS.items() if name in entry]
    return ", ".join(found)
