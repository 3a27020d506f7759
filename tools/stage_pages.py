"""Generate pages of the site from the rules and the typed parameters."""

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engines.pipeline import Pipeline
from engines.workflow import workflow
from signloom.errors import PARAMS_FILE
from signloom.params.load import read_yaml
from signloom.params.schema import Params

ROOT = Path(__file__).parent.parent
# entry points that params.yaml does not use, and a preset that runs them
ELSEWHERE = {"signer_stats": "auslan", "import_features": "boston104", "gloss_together": "boston104"}
# so that the pages are all there, whatever the parameters are now
OF_ALL = {"pipeline": {"families": ["sign2text", "gloss"]}}
OF_PRESETS = {"runs": {"seed": 42, "more_seeds": [43, 44]}}
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
    with workflow(root, preset, over=OF_PRESETS if preset else OF_ALL) as opened:
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
    return rendered(
        "stage.md.j2",
        stage=stage,
        before=[other.name for other in stages if other.written & stage.read],
        after=[other.name for other in stages if other.read & stage.written],
        sections=_tables(stage.parameters),
        all_sections=stage.parameters == [*Params.model_fields],
    )


def parameters_page() -> str:
    """Return the page of all parameters."""
    return rendered("parameters.md.j2", sections=_tables(Params.model_fields))


def rendered(template: str, **values: Any) -> str:
    """Return the text of a template of `tools/templates`."""
    pages = Environment(
        loader=FileSystemLoader(ROOT / "tools/templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return pages.get_template(template).render(values)


def _tables(names: Iterable[str]) -> dict[str, list[list[str]]]:
    """Return the cells of the parameters `names`, sections or `section.key`: one table for each section."""
    demo = read_yaml(ROOT / PARAMS_FILE)
    tables: dict[str, list[list[str]]] = {}
    for name in names:
        section, _, only = name.partition(".")
        entries = _section(section).model_json_schema()["properties"]
        for key in [only] if only else entries:
            entry = entries[key]
            cells = [f"`{key}`", _type(entry), _value(demo[section][key]), _bounds(entry)]
            tables.setdefault(section, []).append([*cells, _text(entry.get("description", ""))])
    return tables


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
    return re.sub(r"([|*\[\]])", r"\\\1", html.escape(text, quote=False))


def _bounds(entry: dict[str, Any]) -> str:
    """Return the allowed values of a parameter in words."""
    choices = entry.get("enum") or entry.get("items", {}).get("enum")
    if choices:
        return ", ".join(_value(choice) for choice in choices)
    found = [f"{sign} {entry[name]:g}" for name, sign in BOUNDS.items() if name in entry]
    return ", ".join(found)
