"""Stage train_gloss through its entry point, on a made-up corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import section

import signloom.training.glosses.train as training
from signloom.evaluation.gloss_model import open_rows
from signloom.models import checkpoints
from signloom.models.gloss import build
from signloom.models.trained_gloss import load_gloss
from signloom.params.gloss import GlossRunParams, TrainGlossParams
from signloom.training.glosses import history as gloss_history
from signloom.training.glosses.corpus import GlossCorpus, GlossFiles
from signloom.training.glosses.history import collapse_warning, merit
from tests.interruptions import killed_at_save
from tests.synthetic_gloss import Inputs, Size, arguments, write_corpus
from workflow_scripts.job import parse
from workflow_scripts.train_gloss import main

TINY = {"width": 16, "epochs": 3, "warmup_epochs": 1, "max_frames": 60}
HYBRID = {"layers": 1, "heads": 2, "feedforward": 32, "decoder_layers": 1, "lr": 3e-3, "ctc_weight": 0.3}
PLAIN = {name: 0.0 for name in ("feature_dropout_p", "noise_p", "time_mask_p", "mixup_p", "cutmix_p")}
STILL = {name: 0.0 for name in ("time_warp_p", "frame_dropout_p", "noise_p", "shift_p", "rotation_p")}
FILES = ("best.pth", "latest.pth", "history.csv", "metrics.jsonl")
COLUMNS = "epoch,train_loss,ctc_loss,ce_loss,val_loss,val_wer,train_blank_ratio,val_blank_ratio,lr"
COMMON = {
    "parameters",
    "vocabulary_hash",
    "stats_hash",
    "data_hash",
    "trackers",
    "git_commit",
    "versions",
    "model_config",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def run(inputs: Inputs, out: Path, variant: str = "hybrid_pose", seed: int = 42, **changes: dict) -> int:
    sections = {
        "train_gloss": TINY | changes.pop("train_gloss", {}),
        "hybrid": HYBRID | changes.pop("hybrid", {}),
    }
    return main(arguments(inputs, out, variant, out / "scratch", seed, **sections, **changes))


def outputs(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


@pytest.fixture(scope="module")
def undisturbed(corpus: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert run(corpus, out) == 0
    return out


def test_the_hybrid_learns_to_read_new_performances_without_an_error(tmp_path: Path) -> None:
    inputs = write_corpus(tmp_path / "corpus", Size(train=48, val=10))
    sizes = {"width": 32, "epochs": 30, "warmup_epochs": 2, "dropout": 0.0}
    off = {"gloss_augment": PLAIN, "gloss_pose_augment": STILL}
    assert run(inputs, tmp_path, train_gloss=sizes, hybrid={"lr": 5e-3}, **off) == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["val_wer"].min() == 0 < history["val_wer"].iloc[0]
    assert history["ctc_loss"].iloc[-1] < 0.3 * history["ctc_loss"].iloc[0]


def test_the_outputs_are_those_of_the_contract(undisturbed: Path, corpus: Inputs) -> None:
    assert (undisturbed / "history.csv").read_text().splitlines()[0] == COLUMNS
    history = pd.read_csv(undisturbed / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3] and history.notna().all(axis=None)
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [COLUMNS.split(",")] * 3
    assert [line["val_wer"] for line in lines] == history["val_wer"].tolist()
    total = 0.3 * history["ctc_loss"] + 0.7 * history["ce_loss"]
    np.testing.assert_allclose(history["train_loss"], total, rtol=1e-5)
    # 3 batches an epoch: the first rises to half of the rate of 4 warm-up shares, the last ends near 0
    assert history["lr"].iloc[0] == pytest.approx(3e-3 * 3 / 4) and 0 < history["lr"].iloc[-1] < 5e-4
    best, latest = (checkpoints.load(undisturbed / name) for name in FILES[:2])
    assert best["metrics"]["val_wer"] == history["val_wer"].min() and latest["epoch"] == 3
    assert (best["family"], best["input"], best["run"]) == (
        "gloss",
        "pose",
        {"variant": "hybrid_pose", "seed": 42},
    )
    assert best["vocabulary"] == json.loads(corpus["glosses"][0].read_text()) and set(best) >= COMMON
    with np.load(corpus["pose_stats"][0]) as stats:
        assert np.array_equal(best["pose_mean"].numpy(), stats["feature_mean"])
        assert np.array_equal(best["pose_std"].numpy(), stats["feature_std"])
    assert "clip_mean" not in best and "backbone" not in best
    build(best["model_config"]).load_state_dict(best["model"])
    (state,) = (undisturbed / "scratch" / "train_gloss").iterdir()
    assert not list(state.iterdir()), "the big state is gone"


@pytest.mark.parametrize(
    ("variant", "dim"),
    [("tcn_ctc", 16), ("hybrid_clip", 10), ("hybrid_clip_aug", 10), ("hybrid_both", 26)],
)
def test_every_variant_trains_and_says_what_it_reads(
    variant: str, dim: int, corpus: Inputs, tmp_path: Path
) -> None:
    assert run(corpus, tmp_path, variant, tcn={"lr": 3e-3}) == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert history["ce_loss"].isna().all() == (variant == "tcn_ctc")
    best = checkpoints.load(tmp_path / "best.pth")
    assert best["model_config"]["input_dim"] == dim
    families = {"pose": {"tcn_ctc", "hybrid_both"}, "clip": {"hybrid_clip", "hybrid_clip_aug", "hybrid_both"}}
    for family, readers in families.items():
        assert (f"{family}_mean" in best) == (variant in readers)
    about = {name: best.get(name) for name in ("backbone", "weights", "weights_sha256")}
    seen = {"backbone": "i3d", "weights": "random", "weights_sha256": ""}
    assert about == (seen if variant in families["clip"] else dict.fromkeys(seen))


def test_a_variant_is_given_no_more_than_it_reads(corpus: Inputs, tmp_path: Path) -> None:
    common = ("splits", "glosses", "gloss_lines")
    pose, clip = ("pose", "pose_index", "mask", "pose_stats"), ("clip", "clip_index", "clip_stats")
    for variant, names in (("hybrid_pose", pose), ("hybrid_clip", clip)):
        given = {name: corpus[name] for name in common + names}
        assert run(given, tmp_path / variant, variant, train_gloss={"epochs": 1}) == 0


def test_two_runs_give_the_same_bytes_and_another_seed_gives_others(
    corpus: Inputs, undisturbed: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    assert run(corpus, tmp_path / "again") == 0 and outputs(tmp_path / "again") == outputs(undisturbed)
    assert run(corpus, tmp_path / "other", seed=43) == 0
    assert all(a != b for a, b in zip(outputs(tmp_path / "other"), outputs(undisturbed), strict=True))


@pytest.mark.parametrize("moment", [1, 2, 4, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(
    moment: int, corpus: Inputs, undisturbed: Path, tmp_path: Path
) -> None:
    with killed_at_save(moment):
        run(corpus, tmp_path)
    assert not (tmp_path / "best.pth").exists()
    assert run(corpus, tmp_path) == 0
    assert outputs(tmp_path) == outputs(undisturbed)


def test_a_loss_that_is_no_number_stops_the_run_with_advice(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corpus, tmp_path, hybrid={"lr": 1e30}) == 2
    error = capsys.readouterr().err
    assert "_loss of epoch" in error and "lower hybrid.lr" in error
    real = training.Trainer.epoch
    changed = {"train_loss": float("inf")}
    monkeypatch.setattr(training.Trainer, "epoch", lambda self, n: real(self, n) | changed)
    assert run(corpus, tmp_path) == 2
    assert "train_loss of epoch 1 is inf" in capsys.readouterr().err
    assert not [file for file in FILES if (tmp_path / file).exists()], "nothing is written"


def test_infeasible_clips_are_named_and_too_many_stop_the_run(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corpus, tmp_path, train_gloss={"max_frames": 2, "max_infeasible": 1.0, "epochs": 1}) == 0
    assert "CTC cannot align" in capsys.readouterr().err
    assert np.isfinite(pd.read_csv(tmp_path / "history.csv").to_numpy()).all()
    strict = {"max_frames": 2, "max_infeasible": 0.05}
    assert run(corpus, tmp_path / "strict", train_gloss=strict) == 2
    assert "more than train_gloss.max_infeasible 0.05" in capsys.readouterr().err


def test_without_validation_clips_the_last_epoch_is_the_best(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    splits[splits["split"] != "val"].to_csv(tmp_path / "splits.csv", index=False)
    assert run(corpus | {"splits": [tmp_path / "splits.csv"]}, tmp_path) == 0
    assert "no validation clip has a gloss, so the last epoch" in capsys.readouterr().out
    history = pd.read_csv(tmp_path / "history.csv")
    assert history[["val_loss", "val_wer", "val_blank_ratio"]].isna().all(axis=None)
    assert checkpoints.load(tmp_path / "best.pth")["epoch"] == 3


def test_the_best_epoch_has_the_lowest_wer_then_the_lowest_loss() -> None:
    rows = [
        {"epoch": 1, "val_wer": 0.5, "val_loss": 1.0},
        {"epoch": 2, "val_wer": 0.4, "val_loss": 3.0},
        {"epoch": 3, "val_wer": 0.4, "val_loss": 2.0},
    ]
    assert max(rows, key=merit)["epoch"] == 3
    none = [{"epoch": n, "val_wer": None, "val_loss": None} for n in (1, 2)]
    assert max(none, key=merit)["epoch"] == 2


def test_a_collapse_is_named_once_and_says_what_to_change(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # so low a rate that the network learns blank and nothing else
    monkeypatch.setattr(gloss_history, "COLLAPSE_RATIO", 0.0001)
    assert run(corpus, tmp_path, "tcn_ctc", train_gloss={"epochs": 5}, tcn={"lr": 1e-3}) == 0
    assert pd.read_csv(tmp_path / "history.csv")["train_blank_ratio"].gt(0.0001).all()
    warnings = [line for line in capsys.readouterr().err.splitlines() if "collapse" in line]
    assert len(warnings) == 1 and "CTC collapse: for 3 epochs" in warnings[0]
    assert "max_frames" in warnings[0] and "hybrid" in warnings[0]


@pytest.mark.parametrize(
    ("train", "val", "warned"),
    [
        ([0.96, 0.97, 0.96], [0.1, 0.1, 0.1], "training"),
        ([0.1, 0.1, 0.1], [0.96, 0.97, 1.0], "validation"),
        ([0.96, 0.95, 0.96], [0.1, 0.96, 0.96], None),
        ([0.96, 0.97], [1.0, 1.0], None),
        ([0.96, 0.97, 0.96, 0.99], [0.1] * 4, None),
        ([0.96, 0.97, 0.96, 0.5, 0.96, 0.97, 0.96], [0.1] * 7, "training"),
        ([0.96, 0.97, 0.96], [None] * 3, "training"),
    ],
)
def test_the_warning_comes_after_three_epochs_above_and_not_again(
    train: list[float], val: list[float | None], warned: str | None
) -> None:
    rows = [{"train_blank_ratio": a, "val_blank_ratio": b} for a, b in zip(train, val, strict=True)]
    said = collapse_warning(rows, alone=False)
    assert (said is None) == (warned is None) and (warned or "") in (said or "")


def test_mixing_every_clip_still_trains(corpus: Inputs, tmp_path: Path) -> None:
    mixed = {"mixup_p": 0.5, "cutmix_p": 0.5, "mix_alpha": 1.0}
    assert run(corpus, tmp_path, gloss_augment=mixed, hybrid={"label_smoothing": 0.1}) == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


def test_a_single_training_clip_still_trains(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    pd.concat([splits[splits["split"] == "train"].iloc[:1], splits[splits["split"] == "val"]]).to_csv(
        tmp_path / "splits.csv", index=False
    )
    given = corpus | {"splits": [tmp_path / "splits.csv"]}
    short = {"epochs": 2, "warmup_epochs": 2}
    assert run(given, tmp_path, gloss_augment={"mixup_p": 1.0, "cutmix_p": 0.0}, train_gloss=short) == 0
    assert "never reaches hybrid.lr" in capsys.readouterr().err
    model = checkpoints.load(tmp_path / "latest.pth")["model"]
    assert all(torch.isfinite(tensor).all() for tensor in model.values())


@pytest.mark.parametrize("variant", ["hybrid_both", "tcn_ctc"])
def test_half_precision_lowers_the_loss_too(variant: str, corpus: Inputs, tmp_path: Path) -> None:
    assert run(corpus, tmp_path, variant, train_gloss={"precision": "bf16"}, tcn={"lr": 3e-3}) == 0
    loss = pd.read_csv(tmp_path / "history.csv")["train_loss"]
    assert loss.iloc[-1] < loss.iloc[0]


RECIPE = {
    "train_gloss": {"normalise_by": "signer", "stack": 3, "every": 2},
    "hybrid": {"token_dropout": 0.3},
    "gloss_recompose": {"crop_p": 0.4, "join_p": 0.4, "swap_p": 0.4},
    "gloss_positions": {"scale": 0.1, "rotation": 5, "shift": 0.1, "noise": 0.03},
}


@pytest.mark.parametrize(("variant", "dim"), [("hybrid_pose", 48), ("tcn_ctc", 48), ("hybrid_both", 78)])
def test_a_recipe_of_new_sentences_trains_to_the_same_bytes_and_is_read_back_alike(
    variant: str, dim: int, corpus: Inputs, tmp_path: Path
) -> None:
    for name in ("once", "again"):
        assert run(corpus, tmp_path / name, variant, tcn={"lr": 3e-3}, **RECIPE) == 0
    assert outputs(tmp_path / "once") == outputs(tmp_path / "again")
    history = pd.read_csv(tmp_path / "once/history.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    trained = load_gloss(tmp_path / "once/best.pth")
    # a joined sentence may have twice the 3 glosses of the longest one
    assert (trained.model.config.input_dim, trained.model.config.max_tokens) == (dim, 8)
    job = parse("train_gloss", arguments(corpus, tmp_path, variant, tmp_path), None)
    files = job.input_files(GlossFiles)
    found = open_rows(files, files.gloss_lines, trained)
    p = section(TrainGlossParams, **(TINY | RECIPE["train_gloss"]))
    seen = GlossCorpus.load(
        files, GlossRunParams(variant=variant, seed=42), "both" if variant == "hybrid_both" else "pose", p
    )
    every = pd.read_csv(corpus["splits"][0])["clip_id"]
    for clip_id in every:
        expected = seen.rows.network_input(clip_id)
        np.testing.assert_array_equal(found.network_input(clip_id), expected)
        assert len(expected) == found.length(clip_id) and expected.shape[1] == dim
    assert len({found.stats_of(name).mean.tobytes() for name in every}) == 3, "three signers"


def test_new_sentences_without_gloss_times_are_refused_in_one_line(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0])
    lines.assign(gloss_times="").to_csv(tmp_path / "untimed.csv", index=False)
    given = corpus | {"gloss_lines": [tmp_path / "untimed.csv"]}
    assert run(given, tmp_path, gloss_recompose={"swap_p": 0.1}) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert error.startswith("error: gloss_recompose: no training clip has gloss times")
    lines.drop(columns="signer_id").to_csv(tmp_path / "unsigned.csv", index=False)
    given = corpus | {"gloss_lines": [tmp_path / "unsigned.csv"]}
    assert run(given, tmp_path, train_gloss={"normalise_by": "signer"}) == 2
    assert "has no column signer_id" in capsys.readouterr().err
