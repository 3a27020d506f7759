"""The file that DVC gets: what DVC itself reads of it, whatever the number of shards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from engines import adopt, code_digests, dvc_stage, dvc_yaml
from engines.workflow import workflow
from signloom.dataset.shard_names import shard_names
from signloom.params.load import load_params
from tests.checkouts import change_params, link_code


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A DVC repository with the project's code and parameters, and no products."""
    link_code(root, tmp_path)
    Repo.init(str(tmp_path), no_scm=True).close()
    return tmp_path


def with_shards(checkout: Path, count: int) -> None:
    """Write params.yaml with `count` shards, and dvc.yaml from the rules."""
    change_params(checkout, {"shards": {"count": count}})
    (checkout / "dvc.yaml").write_text(dvc_yaml.render(checkout), "utf-8")


def test_an_old_dvc_yaml_is_said_by_the_stages_that_run_when_it_gets_old(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(dvc_stage, "snakemake", lambda *given: 0)
    with_shards(checkout, 2)
    code_digests.refresh(None)
    assert dvc_stage.main(["manifest", "build/manifest.parquet"]) == 0
    change_params(checkout, {"shards": {"count": 3}})
    assert dvc_stage.main(["manifest", "build/manifest.parquet"]) == 2
    assert "dvc.yaml is not what the rules give now; run make dvc, and again" in capsys.readouterr().err
    assert dvc_stage.main(["text", "build/text/tokenizer.json"]) == 0


def test_a_build_of_everything_stops_where_a_parameter_gives_other_stages(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(dvc_stage, "asks_for_all", lambda words, file: True)
    monkeypatch.setattr(dvc_stage, "_build_or_say", lambda *given: 0)
    with_shards(checkout, 1)
    code_digests.refresh(None)
    text = ["text", "build/text/tokenizer.json"]
    change_params(checkout, {"runs": {"more_seeds": [43]}, "sign2text": {"lr": 0.002}})
    assert dvc_stage.main(text) == 0
    # neither sources nor manifest would run again for these
    for changed in ({"gloss": {"variants": ["hybrid_pose"]}}, {"pipeline": {"families": ["gloss"]}}):
        change_params(checkout, changed)
        assert dvc_stage.main(text) == 2
        assert "dvc.yaml is not what the rules give now; run make dvc" in capsys.readouterr().err
        (checkout / "dvc.yaml").write_text(dvc_yaml.render(checkout), "utf-8")


def test_a_preset_and_a_list_of_withdrawn_clips_are_dependencies(checkout: Path) -> None:
    preset = checkout / "config/presets/own.yaml"
    preset.unlink(missing_ok=True)
    preset.write_text("evaluation: {bootstrap: 150}\n", "utf-8")
    table = checkout / load_params(checkout / "params.yaml").dataset.table
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("video,sentence\n", "utf-8")
    before = yaml.safe_load(dvc_yaml.render(checkout, "own"))["stages"]
    assert "config/presets/own.yaml" in before["sources"]["deps"]
    assert "config/presets/own.yaml" not in before["manifest"]["deps"]
    (table.parent / "withdrawn.csv").write_text("clip_id,signer_id,video_hash,withdrawn_on\n", "utf-8")
    after = yaml.safe_load(dvc_yaml.render(checkout, "own"))["stages"]["sources"]["deps"]
    assert {*after} - {*before["sources"]["deps"]} == {f"{table.parent.relative_to(checkout)}/withdrawn.csv"}


def test_both_engines_build_the_same_files_of_seeds_folds_and_variants(root: Path, checkout: Path) -> None:
    if not (checkout / "data").exists():
        (checkout / "data").symlink_to(root / "data")
    grid = {"more_seeds": [43], "sign2text_variants": ["tcn"], "folds": ["s1", "s2", "s3", "s4", "s5", "s6"]}
    change_params(checkout, {"runs": grid | {"seeds_of_folds": True}})
    (checkout / "dvc.yaml").write_text(dvc_yaml.render(checkout), "utf-8")
    with workflow(checkout, dag=True) as flow:
        planned = {str(output) for job in flow.dag.jobs if job.rule.name != "all" for output in job.output}
    with Repo(str(checkout)) as repo:
        stages = [stage for stage in repo.index.stages if stage.name != code_digests.STAGE]
        written = {out.def_path for stage in stages for out in stage.outs}
    # the answers of all seeds together are Snakemake's alone
    planned = {path for path in planned if "/together/" not in path}
    assert written - planned == set() and planned - written == set()


@pytest.mark.parametrize("count", [1, 8, 9, 10, 12, 100, 101])
def test_dvc_reads_a_stage_for_every_shard_with_the_files_of_that_shard(checkout: Path, count: int) -> None:
    with_shards(checkout, count)
    with Repo(str(checkout)) as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
    names = shard_names(count)
    for rule in ("landmarks", "pose_features", "clip_features", "clip_features_augmented"):
        found = [name for name in stages if name.partition("@")[0] == rule]
        assert sorted(found) == [f"{rule}@{name}" for name in names]
    for name in names:
        stage = stages[f"landmarks@{name}"]
        assert f"build/shards/{name}.csv" in {dep.def_path for dep in stage.deps}
        assert f"build/landmarks/{name}.npy" in {out.def_path for out in stage.outs}
        assert f" landmarks build/landmarks/{name}.npy #" in stage.cmd
    written = {out.def_path for out in stages["manifest"].outs}
    assert {f"build/shards/{name}.csv" for name in names} <= written


def test_a_longer_list_of_seeds_or_folds_adds_stages_without_another_dvc_yaml(checkout: Path) -> None:
    with_shards(checkout, 1)
    more = {"more_seeds": [43, 44], "folds": ["s1", "s2", "s3"], "sign2text_variants": ["gru_attention"]}
    change_params(checkout, {"runs": more})
    with Repo(str(checkout)) as repo:
        stages = {stage.name: stage for stage in repo.index.stages}

    def files(name: str) -> tuple[set[str], set[str]]:
        stage = stages[name]
        return {dep.def_path for dep in stage.deps}, {out.def_path for out in stage.outs}

    read, written = files("train_sign2text-seeds@44")
    assert {"build/splits.csv", "build/global_stats.npz"} <= read
    assert "build/seeds/44/models/sign2text/best.pth" in written
    read, written = files("train_gloss-hybrid_clip_aug-folds@s2")
    assert {"build/folds/s2/splits.csv", "build/folds/s2/clip_stats.npz"} <= read
    assert "build/folds/s2/clip_features_augmented/00.npy" in read
    assert not {path for path in read if path.startswith("build/text/")}, "the vocabulary of another fold"
    assert "build/folds/s2/models/gloss/hybrid_clip_aug/best.pth" in written
    # one that compares runs waits for all of them
    assert {"metrics/seeds", "metrics/folds"} <= files("runs")[0]
    assert {f"evaluate_sign2text-folds@{name}" for name in ("s1", "s2", "s3")} <= set(stages)
    variants = sorted(name for name in stages if name.startswith("train_sign2text-variants"))
    assert variants == [
        "train_sign2text-variants-seeds@gru_attention-43",
        "train_sign2text-variants-seeds@gru_attention-44",
        "train_sign2text-variants@gru_attention",
    ]


@pytest.mark.parametrize(
    "text", ["08", "8", "0o7", "1e3", "1_000", "on", "no", "null", "12:30", "2026-01-01"]
)
def test_a_text_stays_that_text_for_dvc(tmp_path: Path, text: str) -> None:
    from dvc.utils.serialize import load_yaml

    path = tmp_path / "tree.yaml"
    path.write_text(dvc_yaml.dump({"matrix": {"shard": [text]}}), "utf-8")
    assert load_yaml(path) == {"matrix": {"shard": [text]}}


def test_a_command_stays_on_one_line() -> None:
    command = "snakemake --cores all -- " + "build/" * 40 + "npy"
    assert f"cmd: {command}\n" in dvc_yaml.dump({"cmd": command})


def test_what_dvc_says_when_it_takes_nothing_over_is_shown(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with_shards(checkout, 1)
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(adopt, "snakemake_jobs_left", lambda preset: "")
    assert adopt.main([]) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: DVC could not record the products of dvc.yaml")
    assert "does not exist" in said


def test_a_changed_command_of_a_rule_reruns_its_stage_under_dvc(root: Path, checkout: Path) -> None:
    def command(name: str) -> str:
        return str(yaml.safe_load(dvc_yaml.render(checkout))["stages"][name]["cmd"])

    before = command("splits"), command("metadata")
    (checkout / "rules").unlink()
    shutil.copytree(root / "rules", checkout / "rules")
    rules = checkout / "rules/data.smk"
    text = rules.read_text("utf-8")
    changed = text.replace("workflow_scripts.splits {", "workflow_scripts.splits  {")
    assert changed != text
    rules.write_text(changed, "utf-8")
    assert command("splits") != before[0]
    assert command("metadata") == before[1]


def test_what_snakemake_says_of_an_unknown_preset_is_said_and_not_that_work_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert adopt.main(["--preset", "signtalkk"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "error: config/presets/signtalkk.yaml does not exist; did you mean signtalk? expected one of"
    )
