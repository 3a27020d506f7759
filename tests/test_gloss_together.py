"""Stage gloss_together: one seed answers as it does alone, several by their mean scores, strangers not."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import synthetic_gloss
import yaml
from demo_params import params_json

from engines.pipeline import Pipeline
from signloom.params.load import overlay
from signloom.params.variants import VARIANTS
from workflow_scripts import evaluate_gloss, train_gloss
from workflow_scripts import gloss_together as stage

SMALL = {
    "train_gloss": {"width": 16, "epochs": 15, "batch_size": 8, "warmup_epochs": 1.0},
    "hybrid": {"layers": 1, "heads": 2, "feedforward": 16, "decoder_layers": 1, "lr": 0.01},
    "tcn": {"layers": 1, "lr": 0.01},
}
SEEDS = [42, 43]
READ = ["splits", "glosses", "gloss_lines", "metadata", "pose", "pose_index", "mask", "pose_stats"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A made-up corpus, and the checkpoints of three seeds of two variants."""
    folder = tmp_path_factory.mktemp("corpus")
    inputs = synthetic_gloss.write_corpus(folder / "data", synthetic_gloss.Size(train=24, val=8))
    splits = pd.read_csv(folder / "data/splits.csv")
    splits.assign(signer_id="S").to_parquet(folder / "data/metadata.parquet", index=False)
    inputs["metadata"] = [folder / "data/metadata.parquet"]
    for variant in ("tcn_ctc", "hybrid_pose"):
        inputs[variant] = []
        for seed in SEEDS:
            out = folder / variant / str(seed)
            out.mkdir(parents=True)
            sections = SMALL | {"run": {"variant": variant, "seed": seed}}
            line = synthetic_gloss.arguments(inputs, out, variant, folder / "scratch", **sections)
            assert train_gloss.main(line) == 0
            inputs[variant].append(out / "best.pth")
    return inputs


def call(
    run: object, corpus: dict[str, list[Path]], variant: str, seeds: list[int], out: Path
) -> tuple[dict[str, dict[str, object]], pd.DataFrame]:
    """Return the metrics and the answers of a stage; its checkpoints are those of `seeds`."""
    chosen = [corpus[variant][SEEDS.index(seed)] for seed in seeds]
    inputs = {name: corpus[name] for name in READ} | {"checkpoint": chosen}
    sections = {
        "decode_gloss": {"batch_size": 4, "lm_weight": 0.2, "length_bonus": 0.5},
        "evaluation": {"bootstrap": 100, "seed": 1},
        "run": {"variant": variant, "seed": 42},
        "runs": {"more_seeds": seeds[1:]},
    }
    out.mkdir(exist_ok=True)
    files = {"metrics": out / f"{variant}.json", "predictions": out / f"{variant}.csv"}
    code = run.main(  # type: ignore[attr-defined]
        [
            *("--input", *(f"{name}={path}" for name, paths in inputs.items() for path in paths)),
            *("--output", *(f"{name}={path}" for name, path in files.items())),
            *("--params", params_json(sections)),
        ]
    )
    if code:
        return {}, pd.DataFrame()
    answers = pd.read_csv(files["predictions"], dtype=str, keep_default_na=False)
    return json.loads(files["metrics"].read_text()), answers


def test_one_seed_answers_as_it_does_alone(corpus: dict[str, list[Path]], tmp_path: Path) -> None:
    alone, own = call(evaluate_gloss, corpus, "hybrid_pose", [42], tmp_path / "a")
    together, answers = call(stage, corpus, "hybrid_pose", [42], tmp_path / "b")
    assert (answers["joint"] != "").any() and answers["joint"].equals(own["joint"])
    assert together["val"]["joint"] == alone["val"]["joint"]
    assert answers[["blank_frames", "frames"]].equals(own[["blank_frames", "frames"]])


@pytest.mark.parametrize("variant", ["tcn_ctc", "hybrid_pose"])
def test_several_seeds_have_one_answer_and_each_counts_every_frame(
    corpus: dict[str, list[Path]], variant: str, tmp_path: Path
) -> None:
    metrics, answers = call(stage, corpus, variant, SEEDS, tmp_path / "a")
    headline = VARIANTS[variant].headline
    assert metrics["val"]["seeds"] == 2 and metrics["val"][headline]["n"] == 8
    alone = [call(evaluate_gloss, corpus, variant, [42], tmp_path / "b")[1][headline]]
    assert not answers[headline].equals(alone[0]), "the other seeds say nothing"
    # every network counts every frame
    own = call(evaluate_gloss, corpus, variant, [42], tmp_path / "c")[1]
    assert answers["frames"].astype(int).tolist() == (2 * own["frames"].astype(int)).tolist()


def test_a_checkpoint_of_another_seed_is_refused(
    corpus: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = corpus | {"tcn_ctc": [corpus["tcn_ctc"][place] for place in (1, 0)]}
    assert call(stage, swapped, "tcn_ctc", SEEDS, tmp_path)[0] == {}
    assert "expected {'seed': 42, 'variant': 'tcn_ctc'}; train it again" in capsys.readouterr().err


def test_seeds_of_a_gloss_variant_are_put_together_where_there_are_several(root: Path) -> None:
    demo = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    assert Pipeline.load(demo).together("{variant}.json") == []
    several = Pipeline.load(overlay(demo, {"runs": {"more_seeds": [43]}}))
    assert several.together("{variant}.json") == [f"{name}.json" for name in several.variants]
