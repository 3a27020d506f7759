"""Two engines, one graph: drift, agreement job by job, and what a change reruns."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from checkouts import link_code
from snakemake.cli import parse_config
from snakemake.settings.types import ConfigSettings

from engines import conda_env, dvc_yaml
from engines.dvc_stage import wanted_by
from engines.given import BY_RULES, Given
from engines.import_closure import code_of, digest_of, has_code
from engines.pipeline import Pipeline
from engines.workflow import workflow
from signloom.errors import SignloomError
from signloom.params.features import GateParams
from signloom.params.load import load_params, overlay
from signloom.params.schema import Params

COMPARED = {"seeds": "more_seeds", "folds": "folds", "variants": "sign2text_variants"}
FIELDS: dict[str, Any] = dict(Params.model_fields)
SCRIPTS = Path(__file__).parent.parent.glob("workflow_scripts/[a-z]*.py")
STAGES = sorted(path.stem for path in SCRIPTS if path.stem != "job")


def test_dvc_yaml_is_what_the_rules_say(root: Path) -> None:
    expected = dvc_yaml.render(root)
    assert (root / "dvc.yaml").read_text("utf-8") == expected, "run `make dvc`"


def test_a_build_ends_with_its_page_and_the_command_that_asks_its_model(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workflow(root, "isolated_signs", dag=True) as flow:
        flow._onsuccess("")
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "report: build/isolated_signs/report/index.html",
        "predict: signloom predict VIDEO --bundle build/isolated_signs/export/sign_encoder_bundle.zip",
    ]


def test_a_preset_is_served_by_dvc_with_its_own_folders_and_parameter_files(root: Path) -> None:
    tree = yaml.safe_load(dvc_yaml.render(root, "signtalk,gpu_4gb"))
    train = tree["stages"]["train_sign2text"]
    assert train["wdir"] == "../../.."
    assert "--preset signtalk,gpu_4gb " in train["cmd"]
    assert all(out.startswith("build/signtalk-gpu_4gb/") for out in train["outs"])
    files = [next(iter(entry)) for entry in train["params"]]
    assert files == ["params.yaml", "config/presets/signtalk.yaml", "config/presets/gpu_4gb.yaml"]
    count = load_params(root / "params.yaml", root / "config/presets/signtalk.yaml").shards.count
    assert len(tree["stages"]["landmarks"]["matrix"]["shard"]) == count


def test_a_preset_may_not_be_called_like_a_folder_of_products() -> None:
    with pytest.raises(SignloomError, match="preset 'models'"):
        Pipeline.load({"preset": "models"})


def test_a_preset_that_is_named_twice_is_refused() -> None:
    with pytest.raises(SignloomError, match="preset 'gru' is named twice"):
        Pipeline.load({"preset": "gru,five_folds,gru"})


def test_presets_typed_for_preset_names_that_word() -> None:
    with pytest.raises(SignloomError, match=r"presets is no parameter; write preset=gru$"):
        Pipeline.load({"presets": "gru"})


def test_a_wrong_form_of_ones_own_is_said_before_any_job(root: Path, tmp_path: Path) -> None:
    demo = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    form = tmp_path / "mine.yaml"
    tree = overlay(demo, {"dataset": {"importer": str(form)}})
    with pytest.raises(SignloomError, match=r"mine\.yaml cannot be read"):
        Pipeline.load(tree)
    form.write_text("colums: {video: file}")
    with pytest.raises(SignloomError, match=r"mine\.yaml: "):
        Pipeline.load(tree)


@pytest.mark.parametrize("preset", ["", "boston104"])
def test_values_of_the_command_line_have_their_types_and_the_last_word(root: Path, preset: str) -> None:
    options = parse_config(
        ['runs={"more_seeds":[44,45], fold_by: clip, folds: [0,1]}', "sign2text={lr: 1e-3}"]
    )
    demo = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    flow = Pipeline.load(overlay(demo, options) | {"preset": preset}, options)
    assert flow.seeds == ["", "seeds/44/", "seeds/45/"]
    assert flow.folds == ["folds/0/", "folds/1/"]
    assert flow.params.sign2text.lr == 1e-3
    for text, said in (
        ("runs={more_seeds: [44, x]}", r"runs\.more_seeds: .*integer.*found 'x'"),
        ("runs={more_seeds: [44, 44]}", r"runs\.more_seeds: a value occurs twice"),
        ("sign2text={widht: 8}", r"unknown key sign2text\.widht"),
    ):
        wrong = parse_config([text])
        with pytest.raises(SignloomError, match=f"^--config or --configfile: {said}"):
            Pipeline.load(overlay(demo, wrong), wrong)


def test_the_code_of_a_planned_job_is_one_of_its_parameters(root: Path) -> None:
    with workflow(root) as opened:
        stages = {rule.name: rule for rule in opened.rules if rule.input.get("code")}
        assert len(stages) > 25
        for name, rule in stages.items():
            entry = next(str(path) for path in rule.input.code if str(path).startswith("workflow_scripts/"))
            stage = Path(entry).stem
            others = {Path(str(path)).stem for path in rule.input.code if "workflow_scripts" in str(path)}
            assert rule.params.code in {digest_of(one) for one in others - {"__init__", "job"}}, (name, stage)


def test_a_text_encoder_in_a_folder_is_an_input_of_stage_text(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_code(root, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "enc/inner").mkdir(parents=True)
    for name in ("config.json", "inner/model.safetensors"):
        (tmp_path / "enc" / name).touch()
    for encoder, files in (("./enc", ["enc/config.json", "enc/inner/model.safetensors"]), ("a/b", [])):
        with workflow(tmp_path, over={"text": {"encoder": encoder}}) as opened:
            text = opened.get_rule("text")
            assert [str(path) for path in text.input if str(path).startswith(("enc", "a/"))] == files


def test_a_configfile_has_the_last_word_over_a_preset_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("sign2text: {lr: 1.0e-4}\nruns: {more_seeds: [5]}\n")
    options = ConfigSettings(configfiles=[tmp_path / "mine.yaml"]).overwrite_config
    demo = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    flow = Pipeline.load(overlay(demo, options) | {"preset": "signtalk"}, options)
    assert (flow.params.sign2text.lr, flow.seeds) == (1e-4, ["", "seeds/5/"])
    (tmp_path / "wrong.yaml").write_text("sign2text: {lrr: 1}\n")
    said = ["snakemake", "-n", "-q", "all", "--configfile", str(tmp_path / "wrong.yaml")]
    told = subprocess.run(said, cwd=root, capture_output=True, text=True, check=False).stderr
    assert "error: --config or --configfile: unknown key sign2text.lrr; did you mean sign2text.lr" in told


@pytest.mark.parametrize("given", [{"normalise_by": "signer"}, {"stack": 3}, {"every": 2}])
def test_a_gloss_run_that_a_bundle_cannot_have_is_not_exported(given: dict[str, Any]) -> None:
    demo = yaml.safe_load(Path("params.yaml").read_text("utf-8"))
    flows = [Pipeline.load(tree) for tree in (demo, overlay(demo, {"train_gloss": given}))]
    assert [flow.of_exported_run("{variant}") for flow in flows] == [["hybrid_pose"], []]


def test_seeds_are_put_together_where_every_fold_has_several(root: Path) -> None:
    demo = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    runs = {"more_seeds": [43], "folds": ["s1", "s2", "s3"], "seeds_of_folds": True}
    several = Pipeline.load(overlay(demo, {"runs": runs})).of_ensembles("{fold}{run}e.npy")
    assert len(several) == 8 and {"folds/s1/e.npy", "folds/s1/seeds/43/e.npy"} < set(several)
    for fewer in ({"seeds_of_folds": False}, {"more_seeds": []}, {"folds": []}):
        assert Pipeline.load(overlay(demo, {"runs": runs | fewer})).of_ensembles("{fold}{run}e.npy") == []


def test_environment_yml_is_what_the_lock_says(root: Path) -> None:
    assert (root / "environment.yml").read_text("utf-8") == conda_env.render(root), "run `make env`"


def test_environment_yml_parses_as_conda_reads_it(root: Path) -> None:
    from rattler import MatchSpec

    tree = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    specs = [item for item in tree["dependencies"] if isinstance(item, str)]
    assert all(MatchSpec(spec).name is not None for spec in specs)
    pinned = dict(line.split("==") for line in tree["dependencies"][-1]["pip"])
    locked = conda_env.locked_versions(root)
    assert all(locked.get(name, version) == version for name, version in pinned.items())


@pytest.fixture(scope="module")
def jobs(root: Path) -> Iterator[dict[str, Any]]:
    """The jobs of a full Snakemake build of the demo, by DVC's name of the stage."""
    with workflow(root, dag=True) as flow:
        found = {}
        for job in flow.dag.jobs:
            if job.rule.name != "all":
                wildcards = dict(job.wildcards.items())
                shard = f"@{wildcards['shard']}" if "shard" in wildcards else ""
                run = f"-{wildcards['variant']}" if "variant" in wildcards else ""
                found[job.rule.name + run + shard] = job
        yield found


@pytest.fixture(scope="module")
def stages(root: Path) -> dict[str, Any]:
    """The stages as DVC itself reads them from the committed dvc.yaml."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return {stage.name: stage for stage in repo.index.stages}


def test_both_engines_have_the_same_jobs(jobs: dict[str, Any], stages: dict[str, Any]) -> None:
    assert sorted([*jobs, "code"]) == sorted(stages)


def test_both_engines_agree_on_every_dependency_and_output(
    root: Path, jobs: dict[str, Any], stages: dict[str, Any]
) -> None:
    from dvc.dependency.param import ParamsDependency

    for name, job in jobs.items():
        files = [dep.def_path for dep in stages[name].deps if not isinstance(dep, ParamsDependency)]
        # Snakemake has a digest of the videos that the table names, where DVC looks at their folder
        folder = ["data/demo/videos"] if name == "sources" else []
        # a stage that compares runs depends on the folders of those that a longer list would add
        runs = json.loads(job.params.given).get("runs", {})
        folder += [f"metrics/{kind}" for kind, key in COMPARED.items() if key in runs]
        # DVC has one file for the stage's modules
        (script,) = re.findall(r"workflow_scripts\.(\w+)", job.rule.shellcmd)
        modules, digests = set(code_of(script)), f"build/code/{script}.txt"
        assert modules < set(map(str, job.input)), name
        assert sorted(files) == sorted({*map(str, job.input), *folder, digests} - modules), name
        assert sorted(out.def_path for out in stages[name].outs) == sorted(map(str, job.output)), name


def leaves(names: Iterable[str]) -> list[str]:
    """Return sections and parameters as parameters alone."""
    found = set()
    for name in names:
        section, _, key = name.partition(".")
        found |= {f"{section}.{k}" for k in ([key] if key else FIELDS[section].annotation.model_fields)}
    return sorted(found)


def test_both_engines_agree_on_every_command_and_parameter(
    jobs: dict[str, Any], stages: dict[str, Any]
) -> None:
    for name, job in jobs.items():
        rule, output = wanted_by(stages[name])
        assert rule == job.rule.name and output in map(str, job.output), name
        given = json.loads(job.params.given)
        tracked = [key for dep in stages[name].deps for key in getattr(dep, "params", [])]
        read = [f"{section}.{key}" for section in set(given) - BY_RULES for key in given[section]]
        # the seed of the plain run is a parameter, that of another run stands in the paths
        read += ["runs.seed"] if "run" in given else []
        assert leaves(tracked) == leaves(read), name
        assert f"workflow_scripts.{job.rule.name} " in job.rule.shellcmd


def test_every_section_is_used_by_some_stage(jobs: dict[str, Any]) -> None:
    # the report shows them all
    given = [json.loads(job.params.given) for name, job in jobs.items() if name != "report"]
    used = {key for sections in given for key in sections} - BY_RULES
    # which rules there are, and which files the report reads, is no parameter of a stage
    assert used == set(Params.model_fields) - {"pipeline", "report"}


def test_a_gloss_run_reads_the_features_of_its_variant_and_no_others(jobs: dict[str, Any]) -> None:
    def read(run: str) -> set[str]:
        paths = [str(path) for path in jobs[f"train_gloss-{run}"].input]
        folders = {path.split("/")[1] for path in paths if path.endswith(".npy")}
        return folders & {"pose_features", "clip_features", "clip_features_augmented"}

    assert read("hybrid_pose") == {"pose_features"}
    assert read("hybrid_clip") == {"clip_features"}
    assert read("hybrid_clip_aug") == {"clip_features", "clip_features_augmented"}
    assert read("hybrid_both") == {"pose_features", "clip_features"}


def test_every_seed_but_the_first_has_a_run_of_its_own(root: Path) -> None:
    tree = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    tree["gloss"]["variants"] = ["tcn_ctc", "hybrid_pose"]
    tree["runs"]["more_seeds"] = [43]
    flow = Pipeline.load(tree)
    assert flow.of_runs("{seed}gloss/{variant}") == [
        "gloss/tcn_ctc",
        "seeds/43/gloss/tcn_ctc",
        "gloss/hybrid_pose",
        "seeds/43/gloss/hybrid_pose",
    ]
    first, second = (SimpleNamespace(variant="tcn_ctc", seed=seed) for seed in flow.seeds)
    given = Given(flow.params).to_training
    assert json.loads(given(first))["run"] == {"variant": "tcn_ctc", "seed": tree["runs"]["seed"]}
    assert json.loads(given(second))["run"] == {"variant": "tcn_ctc", "seed": 43}


def test_a_longer_list_of_shares_changes_nothing_for_a_share(root: Path) -> None:
    tree = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    given = []
    for folds in (["25", "50"], ["12", "25", "50"]):
        tree["runs"] |= {"fold_by": "share", "folds": folds}
        to_share = Given(Pipeline.load(tree).params).to_fold("splits")
        given.append(to_share(SimpleNamespace(fold="folds/25/")))
    assert given[0] == given[1]
    assert json.loads(given[0])["fold"] == {"by": "share", "name": "25", "all": []}


def test_a_variant_of_sign2text_is_given_what_it_changes_and_its_seed(root: Path) -> None:
    given = Given(Pipeline.load(yaml.safe_load((root / "params.yaml").read_text("utf-8"))).params)
    runs = ["", "variants/no_contrastive/", "variants/no_contrastive/seeds/43/"]
    plain, variant, seed = (
        json.loads(given.to_run("sign2text")(SimpleNamespace(run=run, fold=""))) for run in runs
    )
    assert variant == plain | {"sign2text": plain["sign2text"] | {"lambda_clip": 0.0}} != plain
    assert seed == variant | {"run": {"seed": 43}}


def test_a_training_is_given_what_its_network_and_its_features_use(jobs: dict[str, Any]) -> None:
    def given(run: str) -> set[str]:
        return set(json.loads(jobs[f"train_gloss-{run}"].params.given))

    shared = {"run", "train_gloss", "gloss_augment", "gloss_recompose"}
    assert given("tcn_ctc") == shared | {"tcn", "gloss_pose_augment", "gloss_positions"}
    assert given("hybrid_pose") == shared | {"hybrid", "gloss_pose_augment", "gloss_positions"}
    assert given("hybrid_clip") == given("hybrid_clip_aug") == shared | {"hybrid"}
    assert given("hybrid_both") == shared | {"hybrid", "gloss_pose_augment"}


def test_a_stage_that_is_given_single_parameters_reads_no_whole_section(
    root: Path, jobs: dict[str, Any]
) -> None:
    partly = 0
    for job in jobs.values():
        source = (root / "workflow_scripts" / f"{job.rule.name}.py").read_text("utf-8")
        for section, values in json.loads(job.params.given).items():
            if section not in BY_RULES and set(values) != set(FIELDS[section].annotation.model_fields):
                partly += 1
                if set(values) == set(GateParams.model_fields):  # this part of a section has its own class
                    assert "QualityParams" not in source, job.rule.name
                    continue
                assert f'section("{section}"' not in source, job.rule.name
                assert all(f'value("{section}.{key}"' in source for key in values), job.rule.name
    assert partly


GLOSS_ONLY = {"train_gloss", "evaluate_gloss", "ablation", "report", "pose_features", "stats_pose", "text"}


@pytest.mark.parametrize("preset", ["boston104", "phoenix2014"])
def test_a_preset_without_the_sentence_family_has_none_of_its_stages(root: Path, preset: str) -> None:
    with workflow(root, preset) as flow:
        rules = {rule.name for rule in flow.rules}
    assert rules >= GLOSS_ONLY
    sentences = {"train_sign2text", "embed", "prototypes", "calibrate", "export", "evaluate_inference"}
    assert not rules & sentences
    assert ("landmarks" in rules) == (preset == "phoenix2014")
    stages = yaml.safe_load(dvc_yaml.render(root, preset))["stages"]
    report = stages["report"]["deps"]
    assert not any("sign2text" in path or "inference" in path for path in report if "metrics/" in path)


def test_isolated_signs_have_no_sentence_decoder_to_export(root: Path) -> None:
    exported = {
        preset: [Path(path).name for path in stages["export"]["outs"]]
        for preset in ("isolated_signs", "signtalk")
        if (stages := yaml.safe_load(dvc_yaml.render(root, preset))["stages"])
    }
    assert set(exported["signtalk"]) - set(exported["isolated_signs"]) == {
        "sign_decoder.onnx",
        "tokenizer.json",
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_no_module_outside_its_closure(root: Path, stage: str) -> None:
    code = (
        "import sys, pathlib, importlib; importlib.import_module('workflow_scripts.' + sys.argv[1]);"
        "root = pathlib.Path().resolve();"
        "files = [getattr(m, '__file__', None) for n, m in list(sys.modules.items())"
        " if n.split('.')[0] in ('signloom', 'workflow_scripts', 'engines')];"
        "print(*[pathlib.Path(f).relative_to(root).as_posix() for f in files if f])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, stage], cwd=root, capture_output=True, text=True, check=True
    )
    loaded = {path for path in done.stdout.split() if has_code(root / path)}
    assert loaded <= set(code_of(stage, root))


def test_pose_features_code_is_no_dependency_of_landmarks(root: Path) -> None:
    assert "signloom/features/pose/pose_features.py" in code_of("pose_features", root)
    assert "signloom/features/pose/pose_features.py" not in code_of("landmarks", root)


def test_a_table_beside_a_module_is_code_of_the_stages_that_import_it(root: Path) -> None:
    assert "signloom/features/backbones/registry.yaml" in code_of("clip_features", root)
    assert "signloom/augment/frames.yaml" in code_of("clip_features_augmented", root)


def test_the_library_imports_no_engine(root: Path) -> None:
    for path in sorted((root / "signloom").rglob("*.py")):
        text = path.read_text("utf-8")
        for engine in ("snakemake", "dvc", "engines"):
            assert f"import {engine}" not in text and f"from {engine}" not in text, path
