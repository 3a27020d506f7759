"""Which epoch of a sign2text training is the best, and trainings that cannot learn or lost their state."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from signloom.models import checkpoints
from signloom.report.sentences.section import best_epoch
from tests.interruptions import killed_at_save
from tests.synthetic_signs import Size, arguments, write_corpus
from tests.test_train_sign2text import TINY, Inputs, outputs, run
from workflow_scripts.train_sign2text import main


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"), Size(signers=4))


def test_ranks_by_a_projection_that_nothing_trains_choose_no_epoch(corpus: Inputs, tmp_path: Path) -> None:
    changes = {"lambda_clip": 0.0, "lambda_class": 0.0, "lambda_gloss": 0.0, "epochs": 4}
    assert run(corpus, tmp_path, tmp_path / "scratch", **changes) == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history[["val_inst_top1", "val_pos_sim", "val_neg_sim"]].isna().all(axis=None)
    rows = pd.read_json(tmp_path / "metrics.jsonl", lines=True)
    assert best_epoch(rows.assign(val_inst_top1=float("nan"))) == rows["val_loss"].idxmin() + 1


def test_signs_trained_by_supervised_contrast_alone_have_a_best_epoch_that_learned(tmp_path: Path) -> None:
    inputs = write_corpus(tmp_path / "corpus", Size(signs=4, sentences=4, signers=6, isolated=True))
    changes = {"task": "signs", "lambda_clip": 0.0, "lambda_class": 0.0, "lambda_supcon": 1.0, "lr": 2e-3}
    sections = {"sign2text": TINY | changes | {"instances_per_class": 2, "epochs": 12, "warmup_epochs": 1.0}}
    assert main(arguments(inputs, tmp_path, sections, tmp_path / "scratch")) == 0
    rows = pd.read_json(tmp_path / "metrics.jsonl", lines=True)
    # no two validation clips are of one sign, so the training loss chooses
    assert rows["val_loss"].isna().all() and rows["train_loss"].min() < 0.9 * rows["train_loss"].iloc[0]
    best = checkpoints.load(tmp_path / "best.pth")["epoch"]
    assert best == rows["train_loss"].idxmin() + 1 == best_epoch(rows.assign(val_inst_top1=float("nan"))) > 1


def test_glosses_that_no_clip_has_rows_for_are_refused_and_some_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = write_corpus(tmp_path / "corpus", Size(signers=4))
    lines = pd.read_csv(inputs["gloss_lines"][0], dtype=str, keep_default_na=False)
    splits = pd.read_csv(inputs["splits"][0])
    training = set(splits.loc[splits["split"] == "train", "clip_id"])
    first = lines.index[lines["clip_id"].isin(training)][0]
    many = " ".join([lines["gloss"].iloc[first].split()[0]] * 40)  # needs a blank between any two
    lines.assign(gloss=many).to_csv(inputs["gloss_lines"][0], index=False)
    assert run(inputs, tmp_path, tmp_path / "scratch") == 2
    said = capsys.readouterr().err
    assert "every training clip with glosses has too few rows" in said and "needs 79" in said
    lines.loc[first, "gloss"] = many
    lines.to_csv(inputs["gloss_lines"][0], index=False)
    assert run(inputs, tmp_path, tmp_path / "scratch", epochs=1) == 0
    said = capsys.readouterr().err
    assert f"the glosses of 1 of {len(training)} training clips are not learnt" in said
    assert "warmup_epochs" in said and "never reaches sign2text.lr" in said


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"PK\x03\x04 cut"])
def test_a_state_that_a_power_cut_destroyed_starts_the_training_again(
    content: bytes, corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(corpus, whole, whole / "scratch") == 0
    with killed_at_save(4):
        run(corpus, cut, cut / "scratch")
    (state,) = cut.rglob("state.pt")
    state.write_bytes(content)
    assert run(corpus, cut, cut / "scratch") == 0
    assert "training starts again from the first epoch" in capsys.readouterr().err
    assert outputs(cut) == outputs(whole)


def test_a_state_that_the_disk_fails_to_read_ends_the_training_and_is_kept(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(corpus, whole, whole / "scratch") == 0
    with killed_at_save(4):
        run(corpus, cut, cut / "scratch")
    (state,) = cut.rglob("state.pt")
    kept = state.rename(tmp_path / "kept.pt")
    state.symlink_to("/proc/self/mem")  # its first page cannot be read: errno EIO
    assert run(corpus, cut, cut / "scratch") == 2
    assert ": Input/output error; check the disk" in capsys.readouterr().err
    kept.rename(state)
    assert run(corpus, cut, cut / "scratch") == 0
    assert "resuming after epoch" in capsys.readouterr().out and outputs(cut) == outputs(whole)
