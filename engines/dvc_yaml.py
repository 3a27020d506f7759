"""Write dvc.yaml from the Snakemake rules, which define every command, dependency, output and parameter.

python -m engines.dvc_yaml                    write dvc.yaml
python -m engines.dvc_yaml --preset NAME      write config/presets/NAME/dvc.yaml
python -m engines.dvc_yaml --check            show what would change, exit 1 if anything would
"""

import argparse
import difflib
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from engines import code_digests
from engines.dvc_files import target
from engines.dvc_stage import CHECKED, command
from engines.generated import write_generated
from engines.given import BY_RULES
from engines.import_closure import code_of
from engines.pipeline import Pipeline
from engines.workflow import workflow
from signloom.dataset.shard_names import shard_names
from signloom.errors import PARAMS_FILE, PRESETS
from signloom.params.load import read_yaml
from signloom.params.schema import Params

SNAKEMAKE_ALONE = {"side_by_side.smk", "together.smk"}
HEADER = "# Written from the Snakemake rules by `make dvc`; change the rules, not this file.\n"


def render(root: Path, preset: str | None = None) -> str:
    """Return the text of the dvc.yaml of `preset` (None: that of params.yaml alone)."""
    with workflow(root, preset) as flow:
        loaded = Pipeline.load(dict(flow.globals["config"]))
        # Snakemake alone builds tables that compare settings, and the answers of all seeds together
        built = [rule for rule in flow.rules if Path(rule.snakefile).name not in SNAKEMAKE_ALONE]
        rules = [rule for rule in built if rule.name != "all"]
        stages = dict(stage for rule in rules for stage in _stages(rule, loaded))
        code = _code_stage(sorted({_script(rule) for rule in rules}), loaded)
    stages = {code_digests.STAGE: code, **stages}
    tree = {"stages": stages, "plots": _plots(loaded)}
    return HEADER + dump(tree)


def dump(tree: dict[str, Any]) -> str:
    """Return `tree` as YAML 1.2 text, written with the library that DVC reads it with.

    A writer of YAML 1.1 leaves `08` without quotes, which YAML 1.2 reads as the number 8.
    """
    writer, text = YAML(), io.StringIO()
    writer.width = 1000  # commands stay on one line
    writer.dump(tree, text)
    return text.getvalue()


class Place(NamedTuple):
    """Runs that are one DVC stage: the ending of its name, its wildcards and its matrix."""

    ending: str
    wildcards: dict[str, str]
    matrix: dict[str, Any]


def _places(names: set[str], flow: Pipeline) -> Iterator[Place]:
    """Yield the places of a rule with the wildcards `names`: the plain one, and one for each list of runs."""
    runs = flow.params.runs

    def either(wanted: bool, key: str, folder: str, item: str) -> list[tuple[str, str, dict[str, Any]]]:
        # DVC reads the lists of params.yaml itself, so that a longer list adds stages; it knows no presets
        values = getattr(runs, key) if flow.presets else f"${{runs.{key}}}"
        listed = [(f"-{folder}", f"{folder}/${{item.{item}}}/", {item: values})] if wanted and values else []
        return [("", "", {}), *listed]

    folds = either("fold" in names, "folds", "folds", "fold")
    variants = either("run" in names, "sign2text_variants", "variants", "variant")
    seeds = either(bool({"run", "seed"} & names), "more_seeds", "seeds", "seed")
    for fold, variant, seed in product(folds, variants, seeds):
        if not (fold[0] and seed[0]) or runs.seeds_of_folds:
            wildcards = {"fold": fold[1], "seed": seed[1], "run": variant[1] + seed[1]}
            yield Place(fold[0] + variant[0] + seed[0], wildcards, fold[2] | variant[2] | seed[2])


def _stages(rule: Any, flow: Pipeline) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the DVC stages of a rule: one per variant, as their dependencies differ, and per place."""
    names = set(rule.wildcard_names)
    for variant in flow.variants if "variant" in names else [""]:
        for place in _places(names, flow):
            name = f"{rule.name}-{variant}" if variant else rule.name
            yield name + place.ending, _stage(rule, flow, variant, place)


def _stage(rule: Any, flow: Pipeline, variant: str, place: Place) -> dict[str, Any]:
    """Return one DVC stage, a matrix over shards, seeds and folds that the rule runs once for."""
    wildcards = SimpleNamespace(variant=variant, shard="${item.shard}", **place.wildcards)
    outputs = _paths(rule.output, wildcards)
    stage: dict[str, Any] = {"desc": rule.docstring.strip()}
    if flow.preset:
        stage["wdir"] = "../../.."
    shards = {"shard": shard_names(flow.params.shards.count)} if "shard" in rule.wildcard_names else {}
    stage["matrix"] = place.matrix | shards
    # the digest makes DVC run the stage again when the rule's command has changed
    digest = hashlib.sha256(rule.shellcmd.encode()).hexdigest()[:8]
    stage["cmd"] = f"{command(','.join(flow.presets), rule.name, outputs[0])} # command {digest}"
    # Snakemake gives this rule a digest of the videos; DVC depends on their folder instead
    folders = [flow.params.dataset.videos] if hasattr(rule.params, "contents") else []
    given = _given(rule, flow, wildcards)
    # a key that a preset sets later is in no list of parameters, so this stage looks at the files themselves,
    # and says that dvc.yaml is old
    presets = [(PRESETS / f"{name}.yaml").as_posix() for name in flow.presets if rule.name == CHECKED[0]]
    code = code_digests.digests(flow.preset, _script(rule))
    inputs = {*_inputs(rule, flow, wildcards, given)}.difference(code_of(_script(rule)))
    stage["deps"] = sorted({*inputs, code, *folders, *presets})
    stage["params"] = _params(given, flow.presets)
    metrics = [path for path in outputs if path.startswith("metrics/")]
    stage["outs"] = [path for path in outputs if path not in metrics]
    stage["metrics"] = [{path: {"cache": False}} for path in metrics]
    return {key: value for key, value in stage.items() if value}


def _script(rule: Any) -> str:
    """Return the name of the script that a rule runs: that of rule `pose_features` imports ready features."""
    found = re.search(r"workflow_scripts\.(\w+)", rule.shellcmd)
    assert found, rule.name
    return found[1]


def _code_stage(names: list[str], flow: Pipeline) -> dict[str, Any]:
    """Return the DVC stage that writes the digests of the code of all others."""
    return {
        "desc": "Write digests of the code of every stage.",
        **({"wdir": "../../.."} if flow.preset else {}),
        "cmd": code_digests.command(",".join(flow.presets), names),
        "deps": sorted({path for name in names for path in code_of(name)}),
        "outs": [code_digests.digests(flow.preset, name) for name in names],
    }


def _inputs(rule: Any, flow: Pipeline, wildcards: SimpleNamespace, given: list[str]) -> list[str]:
    """Return the inputs of a stage; for one that compares runs, the folders of further runs.

    DVC cannot list the files of a list of parameters. A folder depends on every stage that writes into it.
    """
    paths = _paths(rule.input, wildcards)
    lists = {"seeds": {"runs", "runs.more_seeds"}, "folds": {"runs", "runs.folds"}}
    lists["variants"] = {"runs", "runs.sign2text_variants"}
    compared = [name for name, keys in lists.items() if keys & set(given)]
    if flow.presets or {"seed", "fold", "run"} & set(rule.wildcard_names) or not compared:
        return paths
    plain = [path for path in paths if not re.match(r"(build|metrics)/(seeds|folds|variants)/", path)]
    return plain + [flow.metric(name) for name in compared]


def _paths(items: Any, wildcards: SimpleNamespace) -> list[str]:
    """Return paths without repeats, with wildcards filled in, some of them with DVC's own syntax."""
    paths: list[str] = []
    for item in items:
        found = item(wildcards) if callable(item) else item
        paths += [str(path) for path in (found if isinstance(found, list) else [found])]
    values = vars(wildcards)

    def value(match: re.Match[str]) -> str:
        # DVC's `${item.name}` stays as it is
        return str(values.get(match[1], match[0]))

    return list(dict.fromkeys(re.sub(r"\{(\w+)[^}]*\}", value, path) for path in paths))


def _given(rule: Any, flow: Pipeline, wildcards: SimpleNamespace) -> list[str]:
    """Return the names of the parameters that a stage depends on."""
    given = rule.params.given
    # the names of folds and variants and the numbers of seeds are in the paths, not among the parameters
    sections = json.loads(given(wildcards) if callable(given) else given)
    names = _names(sections, flow.params)
    if "run" in sections and not wildcards.seed:
        names.append("runs.seed")
    if "fold" in sections:
        names += ["runs.fold_by", "runs.folds"]
    return names


def _names(given: dict[str, Any], params: Params) -> list[str]:
    """Return the names of a stage's parameters: whole sections, or single keys as `section.key`."""
    names = []
    for section, values in given.items():
        if section not in BY_RULES:
            whole = set(values) == set(type(getattr(params, section)).model_fields)
            names += [section] if whole else [f"{section}.{key}" for key in values]
    return names


def _params(names: list[str], presets: list[str]) -> list[Any]:
    """Return DVC's parameter entries for params.yaml and for the presets laid over it."""
    if not presets or not names:
        return names
    files = [PRESETS / f"{name}.yaml" for name in presets]
    over = {file.as_posix(): [name for name in names if _has(read_yaml(file), name)] for file in files}
    return [{PARAMS_FILE.as_posix(): names}, *({file: keys} for file, keys in over.items() if keys)]


def _has(tree: dict[str, Any], name: str) -> bool:
    """Return whether a preset sets a section, or the parameter `section.key`."""
    section, _, key = name.partition(".")
    return section in tree and (not key or key in tree[section])


def _plots(flow: Pipeline) -> list[dict[str, Any]]:
    """Return the plots of `dvc plots`: training curves of both families, calibration and ablation."""
    # DVC resolves these paths from the folder of dvc.yaml, not from the stages' wdir
    up = "../../../" if flow.preset else ""
    plots = []
    if "sign2text" in flow.params.pipeline.families:
        history = up + flow.product("models/sign2text/history.csv")
        curves = {
            "losses": ["train_loss", "ce_loss", "gloss_loss", "clip_loss", "class_loss", "supcon_loss"],
            "alignment": ["val_inst_top1", "val_pos_sim", "val_neg_sim"],
            "validation WER": ["val_wer"],
        }
        plots += [_curves(f"sign2text: {name}", {history: columns}) for name, columns in curves.items()]
        curve = up + flow.product("inference/curve.csv")
        accepted = {"x": {curve: "false_accept_rate"}, "y": {curve: "accepted_and_right"}}
        plots.append({"calibration": {**accepted, "template": "calibration", "title": "calibration"}})
    if "gloss" in flow.params.pipeline.families:
        files = [up + path for path in flow.of_runs(flow.product("{seed}models/gloss/{variant}/history.csv"))]
        for column in ("train_loss", "val_wer", "val_blank_ratio"):
            plots.append(_curves(f"gloss: {column}", {file: [column] for file in files}))
        # template in .dvc/plots: DVC's own bars do not start at 0 and cannot group by decoder
        table = up + flow.product("predictions/ablation.csv")
        bars = {"x": {table: "wer"}, "y": {table: "variant"}}
        plots.append({"gloss ablation": {**bars, "template": "ablation", "title": "gloss: ablation"}})
    return plots


def _curves(title: str, columns: dict[str, list[str]]) -> dict[str, Any]:
    # DVC's own line template reads an empty cell as 0
    curves = {"x": dict.fromkeys(columns, "epoch"), "y": columns, "template": "curves", "title": title}
    return {title.replace(":", ""): curves}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", metavar="NAME")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--stages", action="store_true", help="check the stages alone, not the plots")
    args = parser.parse_args(argv)
    path, text = target(Path(), args.preset), render(Path(), args.preset)
    old = path.read_text("utf-8") if path.exists() else ""
    if args.check:
        if args.stages:
            old, text = (whole.partition("\nplots:\n")[0] for whole in (old, text))
        diff = difflib.unified_diff(old.splitlines(True), text.splitlines(True), str(path), "the rules")
        sys.stdout.writelines(diff)
        return int(old != text)
    return write_generated(path, text)


if __name__ == "__main__":
    sys.exit(main())
