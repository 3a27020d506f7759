"""Settings side by side: paired differences found another way, features read again, jobs of a table."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jiwer
import numpy as np
import pandas as pd
import pytest
import yaml
from demo_params import section

from engines.origins import Origins
from engines.pipeline import Pipeline
from engines.side_by_side import SideBySide
from engines.workflow import workflow
from signloom.errors import SignloomError
from signloom.evaluation.datasets import NAMES, TOGETHER
from signloom.evaluation.gloss import Answers, score_glosses
from signloom.features.backbones.registry import BACKBONES
from signloom.params.evaluation import EvaluationParams
from signloom.params.schema import Params
from workflow_scripts import side_by_side as stage

FEW = section(EvaluationParams, bootstrap=300, seed=1)
AS_WRITTEN = 0.5001e-4  # a metric file has four decimals
REFERENCES = [["A", "B", "C"], ["A", "B"], ["D"], ["C", "C", "B", "A"], ["B", "D"]] * 5
Lines = list[list[str]]


def said(seed: int, wrong: float) -> Lines:
    """Return the references, each gloss dropped or doubled with probability `wrong`."""
    rng = np.random.default_rng(seed)
    return [
        [
            word
            for gloss in line
            for word in [gloss] * int(rng.choice([1, 0, 2], p=[1 - wrong, wrong / 2, wrong / 2]))
        ]
        for line in REFERENCES
    ]


def write_run(folder: Path, setting: str, run: str, joint: Lines, blank: int = 80) -> None:
    """Write scores and predictions of a run whose test clips say `joint`; other data sets are empty."""
    variant, _, seed = run.partition("-")
    home = folder / "levels" / setting / (f"seeds/{seed}" if seed else "") / variant
    home.mkdir(parents=True)
    answers, tables = {}, []
    for data in NAMES:
        references = REFERENCES if data == "test" else []
        found = {"joint": joint, "ctc_beam": said(0, 0.5)} if references else {"joint": [], "ctc_beam": []}
        blanks = np.array([[blank, 100]] * len(references)).reshape(-1, 2)
        answers[data] = Answers(references, found, blanks)
        columns = {"reference": references, **found}
        texts = {name: [" ".join(line) for line in lines] for name, lines in columns.items()}
        ids = [f"c{i:02d}" for i in range(len(references))]
        table = pd.DataFrame({"data": data, "clip_id": ids, "signer_id": "s6", **texts})
        table[["blank_frames", "frames"]] = blanks.astype("int64")
        tables.append(table)
    answers |= {data: Answers.of([answers[part] for part in parts]) for data, parts in TOGETHER.items()}
    metrics = {data: score_glosses(found, "none", FEW) for data, found in answers.items()}
    (home / "scores.json").write_text(json.dumps(metrics))
    pd.concat(tables).to_csv(home / "predictions.csv", index=False)


def call(folder: Path, settings: list[str], seeds: list[int]) -> tuple[int, Path, Path]:
    """Run the stage on all runs in `folder`."""
    metrics, table = folder / "out" / "levels.json", folder / "out" / "levels.csv"
    made = {"table": "levels", "variant": "hybrid_clip", "settings": settings, "seeds": seeds}
    code = stage.main(
        ["--input"]
        + [f"metrics={path}" for path in sorted(folder.rglob("scores.json"))]
        + [f"predictions={path}" for path in sorted(folder.rglob("predictions.csv"))]
        + ["--output", f"metrics={metrics}", f"table={table}", "--params"]
        + [json.dumps({"side_by_side": made, "evaluation": FEW.model_dump()})]
    )
    return code, metrics, table


def errors_of(lines: Lines) -> list[int]:
    """Return the errors of every clip as jiwer counts them."""
    counts = []
    for reference, line in zip(REFERENCES, lines, strict=True):
        out = jiwer.process_words(" ".join(reference), " ".join(line))
        counts.append(out.substitutions + out.deletions + out.insertions)
    return counts


def test_the_paired_difference_to_the_first_setting_is_that_of_a_plain_bootstrap(tmp_path: Path) -> None:
    lines = {("a", 1): said(1, 0.3), ("a", 2): said(2, 0.3), ("b", 1): said(3, 0.1), ("b", 2): said(4, 0.1)}
    for (setting, seed), joint in lines.items():
        write_run(tmp_path, setting, "hybrid_clip" if seed == 1 else f"hybrid_clip-{seed}", joint)
    code, metrics, _ = call(tmp_path, ["a", "b"], [1, 2])
    assert code == 0
    got = json.loads(metrics.read_text())["test"]
    errors = {key: errors_of(joint) for key, joint in lines.items()}
    words = [len(reference) for reference in REFERENCES]

    def wer(setting: str, clips: list[int]) -> float:
        total = sum(words[i] for i in clips)
        return sum(sum(errors[setting, seed][i] for i in clips) / total for seed in (1, 2)) / 2

    draws = np.random.default_rng(FEW.seed).integers(0, len(words), (FEW.bootstrap, len(words))).tolist()
    for name, values in {
        "wer": [wer("b", clips) for clips in draws],
        "difference": [wer("b", clips) - wer("a", clips) for clips in draws],
    }.items():
        low, high = np.percentile(values, [2.5, 97.5])
        assert got["b"]["joint"][f"{name}_low"] == pytest.approx(low, abs=AS_WRITTEN)
        assert got["b"]["joint"][f"{name}_high"] == pytest.approx(high, abs=AS_WRITTEN)
    everyone = list(range(len(words)))
    assert got["b"]["joint"]["wer"] == pytest.approx(wer("b", everyone), abs=AS_WRITTEN)
    assert got["b"]["joint"]["difference"] == pytest.approx(
        wer("b", everyone) - wer("a", everyone), abs=AS_WRITTEN
    )
    assert "difference" not in got["a"]["joint"]
    # both say the same by their prefix beam
    assert got["b"]["ctc_beam"]["difference"] == 0


def test_with_one_seed_scores_are_those_of_the_run_itself(tmp_path: Path) -> None:
    write_run(tmp_path, "a", "hybrid_clip", said(1, 0.3), blank=70)
    write_run(tmp_path, "b", "hybrid_clip", said(2, 0.2))
    code, metrics, table = call(tmp_path, ["a", "b"], [42])
    assert code == 0
    got = json.loads(metrics.read_text())
    own = json.loads((tmp_path / "levels" / "a" / "hybrid_clip" / "scores.json").read_text())["test"]["joint"]
    joint = got["test"]["a"]["joint"]
    assert [joint[key] for key in ("wer", "wer_low", "wer_high")] == [
        round(own[key], 4) for key in ("wer", "wer_low", "wer_high")
    ]
    assert got["test"]["a"]["blank_ratio"] == pytest.approx(0.7)
    assert got["val"]["a"]["joint"]["wer_reason"] == "no reference gloss in this data set"
    rows = pd.read_csv(table)
    row = rows[(rows["data"] == "test") & (rows["setting"] == "b") & (rows["decoder"] == "joint")].iloc[0]
    assert row["difference"] == pytest.approx(got["test"]["b"]["joint"]["difference"])
    assert len(rows) == 5 * 2 * 2


def test_the_text_says_fewer_more_or_undecided(tmp_path: Path) -> None:
    for setting, wrong in {"first": 0.3, "good": 0.0, "bad": 0.9}.items():
        write_run(tmp_path, setting, "hybrid_clip", said(5, wrong))
    write_run(tmp_path, "same", "hybrid_clip", said(5, 0.3))
    _, metrics, _ = call(tmp_path, ["first", "good", "bad", "same"], [42])
    text = json.loads(metrics.read_text())["text"]
    verdicts = dict(
        sentence.split(" - first = ") for sentence in text.split(". ") if " - first = " in sentence
    )
    assert verdicts["good"].endswith("fewer errors")
    assert verdicts["bad"].endswith("more errors")
    assert verdicts["same"] == "+0.0 [+0.0, +0.0], p = 1.000: undecided"
    assert "corrected by Holm for 3 on a data set" in text
    assert "one seed" in text


def test_a_trial_with_random_weights_says_so(tmp_path: Path) -> None:
    for setting in ("a", "b"):
        write_run(tmp_path, setting, "hybrid_clip", said(1, 0.3))
    _, metrics, _ = call(tmp_path, ["a", "b"], [42])
    assert "random" not in metrics.read_text()
    for scores in tmp_path.rglob("hybrid_clip/scores.json"):
        parts = json.loads(scores.read_text()).items()
        scores.write_text(json.dumps({name: part | {"clip_weights": "random"} for name, part in parts}))
    _, metrics, _ = call(tmp_path, ["a", "b"], [42])
    got = json.loads(metrics.read_text())
    assert got["test"]["b"]["clip_weights"] == "random"
    assert "The clip features of a, b come of random weights" in got["text"]


def test_a_setting_without_its_run_and_settings_of_other_clips_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, "a", "hybrid_clip", said(1, 0.3))
    write_run(tmp_path, "b", "hybrid_clip", said(2, 0.3))
    assert call(tmp_path, ["a", "b"], [1, 2])[0] == 2
    assert "a lacks scores or predictions of hybrid_clip-2" in capsys.readouterr().err
    path = tmp_path / "levels" / "b" / "hybrid_clip" / "predictions.csv"
    pd.read_csv(path, keep_default_na=False)[1:].to_csv(path, index=False)
    assert call(tmp_path, ["a", "b"], [1])[0] == 2
    assert "different clips" in capsys.readouterr().err


@pytest.fixture
def tree(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(root)
    return dict(yaml.safe_load((root / "params.yaml").read_text("utf-8")))


def settings(tree: dict[str, Any], weights: str | None = None) -> dict[str, dict[str, Params]]:
    return SideBySide(Origins(Pipeline.load(tree)), weights).params


def test_every_network_of_the_registry_is_a_setting_with_its_own_pixels(tree: dict[str, Any]) -> None:
    found = {name: params.clip_features for name, params in settings(tree)["backbones"].items()}
    assert list(found) == list(BACKBONES)
    for name, clip in found.items():
        assert (clip.backbone, clip.mode) == (name, "windowed")
        if name != "i3d":
            assert (clip.resize, clip.crop) == (BACKBONES[name].resize, BACKBONES[name].crop)
        assert clip.stack_size >= BACKBONES[name].min_frames
    assert found["i3d"].model_dump() == tree["clip_features"]


def test_only_the_last_level_of_augmentation_mixes_clips(tree: dict[str, Any]) -> None:
    found = settings(tree)["augmentation"]
    levels = {name: params.frames.level for name, params in found.items()}
    assert list(levels.values()) == ["none", "light", "medium", "heavy", "heavy"]
    mixed = {n: (p.gloss_augment.mixup_p > 0, p.gloss_augment.cutmix_p > 0) for n, p in found.items()}
    assert [name for name, pair in mixed.items() if any(pair)] == ["heavy_mixed"]
    assert mixed["heavy_mixed"] == (True, True)
    assert {params.frames.copies for params in found.values()} == {1}


def test_random_weights_can_be_laid_over_every_setting(tree: dict[str, Any]) -> None:
    tables = settings(tree, "random")
    assert {p.clip_features.weights for table in tables.values() for p in table.values()} == {"random"}
    with pytest.raises(SignloomError, match="expected random, which fits every network"):
        settings(tree, "some.pt")


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"clip_features": {"backbon": "i3d"}}, r"levels\.b: .*unknown key clip_features\.backbon"),
        ({"clip_features": {"crop": 1}}, r"levels\.b: .*clip_features\.crop"),
        ({"splits": {"seed": 1}}, r"levels\.b: splits is not one of clip_features"),
        ({"frames": {"copies": 0}}, r"levels\.b: .*frames\.copies: hybrid_clip_aug of gloss"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(
    tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: dict[str, Any], message: str
) -> None:
    file = tmp_path / "side.yaml"
    file.write_text(
        yaml.safe_dump({"levels": {"variant": "hybrid_clip_aug", "settings": {"a": {}, "b": over}}})
    )
    monkeypatch.setattr("engines.side_by_side.FILE", file)
    with pytest.raises(SignloomError, match=message):
        settings(tree)


@pytest.mark.parametrize(
    ("table", "setting", "message"),
    [
        ("backbone", "i3d", "has no table backbone; it has backbones, augmentation"),
        ("augmentation", "strong", "has no setting strong in augmentation; it has none, light"),
    ],
)
def test_a_name_that_the_file_does_not_have_is_said_with_those_that_it_has(
    tree: dict[str, Any], table: str, setting: str, message: str
) -> None:
    side = SideBySide(Origins(Pipeline.load(tree)))
    wildcards = SimpleNamespace(table=table, setting=setting)
    with pytest.raises(SignloomError, match=message):
        side.stats(wildcards)
    if table not in side.tables:
        with pytest.raises(SignloomError, match=message):
            side.of_runs("scores.json")(wildcards)


def test_features_that_are_there_already_are_read_and_others_have_a_folder_of_their_own(
    tree: dict[str, Any],
) -> None:
    side = SideBySide(Origins(Pipeline.load(tree)))

    def read(setting: str, table: str = "augmentation") -> tuple[str, str]:
        variant = side.tables[table].variant
        wildcards = SimpleNamespace(table=table, setting=setting, variant=variant, seed="", fold="")
        return side.stats(wildcards), next(iter(side.copies(".npy")(wildcards)), "")

    assert read("i3d", "backbones") == ("build/clip_stats.npz", "")
    assert read("s3d", "backbones") == ("build/side_by_side/backbones/s3d/clip_stats.npz", "")
    assert read("light")[1] == "build/clip_features_augmented/00.npy"
    heavy = "build/side_by_side/augmentation/heavy/clip_features_augmented/00.npy"
    assert read("heavy") == read("heavy_mixed") == ("build/clip_stats.npz", heavy)


def test_the_jobs_of_a_table_are_its_own_features_and_one_training_a_setting(root: Path) -> None:
    def jobs(target: str) -> tuple[Counter[str], int]:
        with workflow(root, dag=True, target=target) as flow:
            count = int(flow.globals["flow"].params.shards.count)
            names = Counter(job.rule.name for job in flow.dag.jobs)
            for job in flow.dag.jobs:
                if job.rule.name == "side_train_gloss":
                    given = json.loads(job.params.given)
                    assert given["run"]["variant"] == job.wildcards.variant
                    assert "clip_features" not in given
            return names, count

    names, shards = jobs("backbones")
    expected = {"clip_features": 5 * shards, "stats_clip": 5, "train_gloss": 6, "evaluate_gloss": 6}
    assert {rule: names[f"side_{rule}"] for rule in expected} == expected
    assert (names["clip_features"], names["side_by_side"], names["train_gloss"]) == (shards, 1, 0)
    names, shards = jobs("augmentation")
    expected = {"clip_features_augmented": 3 * shards, "stats_clip": 0, "train_gloss": 5, "evaluate_gloss": 5}
    assert {rule: names[f"side_{rule}"] for rule in expected} == expected
    assert (names["clip_features_augmented"], names["side_clip_features"]) == (shards, 0)
