"""Stage train_sign2text through its entry point, on a made-up corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import signloom.training.sentences.train as training
from signloom.evaluation.embed import encode_clips
from signloom.features.shards import FeatureShards
from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text
from signloom.models.trained_sign2text import load_trained
from signloom.report.plots import curves
from signloom.training import epochs
from signloom.training.optimiser import Optimiser
from signloom.training.progress import Progress
from signloom.training.sentences.history import merit
from tests.interruptions import Killed, killed_at_save
from tests.synthetic_signs import Size, arguments, write_corpus
from workflow_scripts.train_sign2text import main

TINY = {
    **{"width": 16, "layers": 1, "heads": 2, "feedforward": 32, "decoder_layers": 1, "embedding_dim": 16},
    **{"batch_size": 8, "epochs": 3, "decode_every": 2, "workers": 0, "threads": 1, "seq_len": 32},
}
FILES = ("best.pth", "latest.pth", "history.csv", "metrics.jsonl")
COLUMNS = (
    "epoch,train_loss,ce_loss,gloss_loss,clip_loss,class_loss,supcon_loss,"
    "val_inst_top1,val_pos_sim,val_neg_sim,val_wer,val_bleu4,lr"
)

Inputs = dict[str, list[Path]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"), Size(signers=4))


def run(inputs: Inputs, out: Path, scratch: Path, **changes: object) -> int:
    return main(arguments(inputs, out, {"sign2text": TINY | changes}, scratch))


def outputs(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_a_validation_that_takes_long_shows_its_batches(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(epochs, "track", lambda items, label, *_, **__: shown.append(label) or items)
    assert run(corpus, tmp_path, tmp_path / "scratch", epochs=1, decode_every=1) == 0
    assert shown == ["epoch 1", "validate", "decode"]


@pytest.fixture(scope="module")
def undisturbed(corpus: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert run(corpus, out, out / "scratch") == 0
    return out


def test_the_model_learns_to_read_a_signer_that_it_never_saw(tmp_path: Path) -> None:
    inputs = write_corpus(tmp_path / "corpus", Size(signs=5, sentences=5, signers=8, frames=7))
    sizes = {
        "width": 48,
        "feedforward": 96,
        "layers": 2,
        "heads": 4,
        "dropout": 0.1,
        "lr": 2e-3,
        "epochs": 40,
    }
    how = {"variation_p": 0.0, "dual_view": False, "warmup_epochs": 2, "decode_every": 10}
    sections = {"sign2text": TINY | sizes | how, "augment": {"body": 0.15, "body_p": 0.8}}
    assert main(arguments(inputs, tmp_path, sections, tmp_path / "scratch")) == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["val_inst_top1"].iloc[-1] >= 0.8
    assert history["val_wer"].iloc[-1] <= 0.2 < history["val_wer"].iloc[9]
    assert (history["val_pos_sim"] - history["val_neg_sim"]).iloc[-1] > 0.2


def test_the_outputs_are_those_of_the_contract(undisturbed: Path, corpus: Inputs) -> None:
    assert (undisturbed / "history.csv").read_text().splitlines()[0] == COLUMNS
    history = pd.read_csv(undisturbed / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["val_wer"].isna().tolist() == [True, False, False], (
        "decoded every 2 epochs and at the last"
    )
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert [line["train_loss"] for line in lines] == history["train_loss"].tolist()
    best = checkpoints.load(undisturbed / "best.pth")
    assert best["metrics"]["val_inst_top1"] == history["val_inst_top1"].max()
    assert checkpoints.load(undisturbed / "latest.pth")["epoch"] == 3
    with np.load(corpus["stats"][0]) as stats:
        assert np.array_equal(best["feature_mean"].numpy(), stats["feature_mean"])
    plain = {"parameters", "vocabulary_hash", "stats_hash", "data_hash", "git_commit", "versions"}
    assert plain <= set(best) and best["trackers"] == [] and best["parameters"]["sign2text"]["width"] == 16
    model = Sign2Text(best["model_config"])
    model.load_state_dict(best["model"])


def test_the_big_state_is_gone_and_the_events_stay(undisturbed: Path) -> None:
    (state,) = (undisturbed / "scratch" / "train_sign2text").iterdir()
    assert [path.name for path in state.iterdir()] == ["tb"]
    assert [path.name.startswith("events") for path in (state / "tb").iterdir()] == [True]


def test_one_line_an_epoch_and_a_summary(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(corpus, tmp_path, tmp_path / "scratch", epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1/2  train_loss") and lines[1].startswith("epoch 2/2  train_loss")
    assert "parameters" in lines[2] and f"wrote {tmp_path / 'best.pth'}" in lines[-4]


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(
    moment: int, corpus: Inputs, undisturbed: Path, tmp_path: Path
) -> None:
    with killed_at_save(moment):
        run(corpus, tmp_path, tmp_path / "scratch")
    assert not (tmp_path / "best.pth").exists()
    assert run(corpus, tmp_path, tmp_path / "scratch") == 0
    assert outputs(tmp_path) == outputs(undisturbed)
    (state,) = (tmp_path / "scratch" / "train_sign2text").iterdir()
    assert [path.name for path in state.iterdir()] == ["tb"]


@contextmanager
def killed_after_two() -> Iterator[None]:
    """Cut off a training after its second epoch."""
    line = epochs.console_line

    def console_line(row: dict, *rest: object) -> str:
        if row["epoch"] == 2:
            raise Killed
        return line(row, *rest)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(epochs, "console_line", console_line)
        yield


@pytest.mark.parametrize("dual_view", [False, True])
def test_a_loss_without_weight_is_not_computed_and_leaves_its_cells_empty(
    dual_view: bool, corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> torch.Tensor:
        raise AssertionError("computed for nothing")

    for name in ("supervised_contrastive_loss", "class_loss", "gloss_loss"):
        monkeypatch.setattr(training, name, never)
    changes = {"lambda_gloss": 0.0, "lambda_supcon": 0.0, "lambda_class": 0.0, "dual_view": dual_view}
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert run(corpus, whole, whole / "scratch", **changes) == 0
    assert (whole / "history.csv").read_text().splitlines()[0] == COLUMNS
    history = pd.read_csv(whole / "history.csv")
    assert (
        history[["gloss_loss", "class_loss", "supcon_loss"]].isna().all(axis=None)
        and history["clip_loss"].notna().all()
    )
    total = history["ce_loss"] + history["clip_loss"]
    assert history["train_loss"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-5)
    with killed_after_two():
        run(corpus, resumed, resumed / "scratch", **changes)
    assert run(corpus, resumed, resumed / "scratch", **changes) == 0
    assert outputs(resumed) == outputs(whole)
    columns = {"clip_loss": "clip and sentence", "supcon_loss": "two views of a clip"}
    drawn = curves("contrastive", "Contrastive losses.", history, columns, best=1).svg
    assert "clip and sentence" in drawn and "two views" not in drawn


def test_a_resumed_run_does_not_train_finished_epochs_again(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with killed_after_two():
        run(corpus, tmp_path, tmp_path / "scratch")
    capsys.readouterr()
    run(corpus, tmp_path, tmp_path / "scratch")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "resuming after epoch 2" and lines[1].startswith("epoch 3/3")


def test_a_score_that_never_rises_above_0_leaves_a_best_checkpoint_and_ties_go_by_loss(
    tmp_path: Path,
) -> None:
    progress = Progress(tmp_path, {}, Optimiser(torch.nn.Linear(1, 1), 0.1, 0.0, "fp32", 1.0), merit)
    losses = [3.0, 1.0, 2.0, 1.0]
    rows = [{"epoch": n, "train_loss": 9.0, "val_loss": loss} for n, loss in enumerate(losses, 1)]
    assert [progress.add(row | {"val_inst_top1": 0.0}) for row in rows] == [True, True, False, False]
    (best,) = tmp_path.glob("best-*.pt")
    assert checkpoints.load(best)["epoch"] == 2


def test_the_supervised_loss_compares_the_two_half_views_of_every_clip(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    real = training.supervised_contrastive_loss

    def watched(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        half = len(labels) // 2
        assert torch.equal(labels[:half], labels[half:])
        shapes.append((len(embeddings), (embeddings[:half] - embeddings[half:]).abs().max().item()))
        return real(embeddings, labels)

    monkeypatch.setattr(training, "supervised_contrastive_loss", watched)
    assert run(corpus, tmp_path, tmp_path / "scratch", epochs=1, dual_view=True, lambda_supcon=0.5) == 0
    assert [rows for rows, _ in shapes] == [2 * 8, 2 * 8]
    assert min(apart for _, apart in shapes) > 0, "the views are two"


def test_without_validation_clips_the_training_loss_decides(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    splits[splits["split"] != "val"].to_csv(tmp_path / "splits.csv", index=False)
    assert run(corpus | {"splits": [tmp_path / "splits.csv"]}, tmp_path, tmp_path / "scratch") == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["val_inst_top1"].isna().all()
    best = checkpoints.load(tmp_path / "best.pth")
    assert best["metrics"]["train_loss"] == history["train_loss"].min()
    assert "no validation clip" in capsys.readouterr().out


def test_no_training_clip_is_an_error(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    splits.loc[splits["split"] == "train", "sentence_id"] = -1
    splits.to_csv(tmp_path / "splits.csv", index=False)
    assert run(corpus | {"splits": [tmp_path / "splits.csv"]}, tmp_path, tmp_path / "scratch") == 2
    assert "the training split has no clip with a sentence" in capsys.readouterr().err
    assert not (tmp_path / "best.pth").exists()


def test_a_single_training_clip_still_trains(corpus: Inputs, tmp_path: Path) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    train = splits[splits["split"] == "train"].iloc[:1]
    # its glosses cannot be learnt if it is cropped
    pd.concat([train, splits[splits["split"] == "val"]]).to_csv(tmp_path / "splits.csv", index=False)
    given = corpus | {"splits": [tmp_path / "splits.csv"]}
    assert run(given, tmp_path, tmp_path / "scratch", batch_size=64, epochs=1, seq_len=64) == 0
    first, last = (checkpoints.load(tmp_path / name)["model"] for name in ("best.pth", "latest.pth"))
    assert all(torch.isfinite(tensor).all() for tensor in last.values()) and first.keys() == last.keys()


def without_glosses(corpus: Inputs, folder: Path, splits: tuple[str, ...]) -> Inputs:
    """The corpus with empty gloss lines for the clips of `splits`."""
    table = pd.read_csv(corpus["splits"][0])
    lines = pd.read_csv(corpus["gloss_lines"][0], keep_default_na=False)
    lines.loc[table["split"].isin(splits), "gloss"] = ""
    lines.to_csv(folder / "lines.csv", index=False)
    return corpus | {"gloss_lines": [folder / "lines.csv"]}


def test_a_corpus_without_glosses_trains_as_if_they_were_not_asked_for(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, asked, off = without_glosses(corpus, tmp_path, ("train",)), tmp_path / "asked", tmp_path / "off"
    assert run(bare, asked, asked / "scratch", lambda_gloss=1.0) == 0
    assert "no training clip has a gloss" in capsys.readouterr().out
    assert run(corpus, off, off / "scratch", lambda_gloss=0.0) == 0
    assert (asked / "history.csv").read_bytes() == (off / "history.csv").read_bytes()
    models = [checkpoints.load(folder / "latest.pth")["model"] for folder in (asked, off)]
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_clips_without_a_gloss_line_train_beside_those_that_have_one(corpus: Inputs, tmp_path: Path) -> None:
    lines = pd.read_csv(corpus["gloss_lines"][0])
    lines["gloss"] = lines["gloss"].where(lines["clip_id"].str.startswith("signer0"), "")
    lines.to_csv(tmp_path / "lines.csv", index=False)
    assert run(corpus | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path, tmp_path / "scratch") == 0
    history = pd.read_csv(tmp_path / "history.csv")
    assert (history["gloss_loss"] > 0).all()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(row["val_gloss_loss"] is None for row in rows), "no validation clip has a line"


def test_glosses_are_needed_only_where_they_are_asked_for(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = {name: paths for name, paths in corpus.items() if name not in ("glosses", "gloss_lines")}
    assert run(plain, tmp_path, tmp_path / "scratch", lambda_gloss=1.0) == 2
    assert "sign2text.lambda_gloss" in capsys.readouterr().err
    for change in ({"lambda_gloss": 0.0}, {"task": "signs"}):
        assert run(plain, tmp_path, tmp_path / "scratch", epochs=1, **change) == 0


def test_clips_that_are_cropped_are_counted_and_glosses_that_cannot_be_learnt_stop_it(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corpus, tmp_path / "some", tmp_path / "scratch", epochs=1) == 0
    said = capsys.readouterr().err
    assert "training clips are longer than sign2text.seq_len 32: they are cropped, and their glosses" in said
    assert run(corpus, tmp_path / "none", tmp_path / "scratch", epochs=1, seq_len=2) == 2
    assert (
        "no gloss could be learnt; the longest has 56 rows; raise sign2text.seq_len"
        in capsys.readouterr().err
    )
    assert run(corpus, tmp_path / "all", tmp_path / "scratch", epochs=1, seq_len=64) == 0
    assert "longer than sign2text.seq_len" not in capsys.readouterr().err


def test_a_last_step_that_breaks_the_network_is_one_line(
    corpus: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"epochs": 1, "batch_size": 64, "lr": 1e30, "warmup_epochs": 0.0}
    assert run(corpus, tmp_path, tmp_path / "scratch", **given) == 2
    said = capsys.readouterr().err
    assert "the validation loss" in said and "sign2text.lr" in said and "Traceback" not in said
    assert not (tmp_path / "best.pth").exists()


def test_the_validation_loss_counts_the_gloss_reader(corpus: Inputs, tmp_path: Path) -> None:
    assert run(corpus, tmp_path, tmp_path / "scratch", lambda_gloss=2.0, lambda_clip=3.0, seq_len=64) == 0
    for row in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()):
        parts = row["val_ce_loss"] + 2 * row["val_gloss_loss"] + 3 * row["val_clip_loss"]
        assert row["val_loss"] == pytest.approx(parts, rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"recombine_p": 0.0},
        {"lambda_gloss": 0.0},
        {"precision": "bf16"},
        {"encoder": "gru_attention"},
        {"encoder": "tcn", "layers": 2},
        {"lambda_class": 1.0, "lambda_clip": 0.0},
        {"accumulation": 3, "restarts": 1, "warmup_epochs": 1.0},
        {"dual_view": False, "lambda_supcon": 0.0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_way_to_train_lowers_the_loss(changes: dict, corpus: Inputs, tmp_path: Path) -> None:
    assert run(corpus, tmp_path, tmp_path / "scratch", epochs=4, lr=3e-3, **changes) == 0
    loss = pd.read_csv(tmp_path / "history.csv")["train_loss"]
    assert loss.iloc[-1] < loss.iloc[0]


def test_the_validation_loss_tells_clips_from_all_texts_of_training(corpus: Inputs, tmp_path: Path) -> None:
    changes = {"task": "signs", "lambda_clip": 0.0, "lambda_class": 1.0, "label_smoothing": 0.0}
    assert run(corpus, tmp_path, tmp_path / "scratch", **changes) == 0
    (*_, last) = (json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())
    splits = pd.read_csv(corpus["splits"][0])
    val = splits[(splits["split"] == "val") & (splits["sentence_id"] >= 0)].sort_values("clip_id")
    known = sorted(set(splits.loc[splits["split"] == "train", "sentence_id"]) - {-1})
    trained = load_trained(tmp_path / "latest.pth", corpus["stats"][0])
    shards = FeatureShards(corpus["features"], corpus["index"], corpus["mask"])
    texts = pd.read_parquet(corpus["texts"][0]).drop_duplicates("sentence_id").reset_index()
    rows = texts.set_index("sentence_id")["index"].loc[known]
    device = next(trained.model.parameters()).device
    frozen = torch.from_numpy(np.load(corpus["embeddings"][0])[rows]).to(device)
    losses = []
    for clip, sentence in zip(val["clip_id"], val["sentence_id"], strict=True):
        ((_, encoded),) = encode_clips(trained, shards, [clip], 1, "")
        with torch.inference_mode():
            cosines = (encoded.embedding @ trained.model.project_text(frozen).T)[0].cpu().numpy() / 0.1
        if sentence in known:
            losses.append(np.log(np.exp(cosines).sum()) - cosines[known.index(sentence)])
    assert losses and last["val_loss"] == pytest.approx(np.mean(losses), rel=1e-4)


# the scaler of fp16 begins too high and leaves out its first steps
@pytest.mark.parametrize(("precision", "near"), [("bf16", 0.02), ("fp16", 0.4)])
def test_half_precision_is_what_the_network_is_trained_in(
    precision: str, near: float, corpus: Inputs, undisturbed: Path, tmp_path: Path
) -> None:
    assert run(corpus, tmp_path, tmp_path / "scratch", precision=precision) == 0
    half, full = (pd.read_csv(folder / "history.csv")["train_loss"] for folder in (tmp_path, undisturbed))
    assert (half != full).all()
    # on a GPU later epochs drift apart sooner
    compared = 1 if torch.cuda.is_available() else len(full)
    np.testing.assert_allclose(half[:compared], full[:compared], rtol=near)


def test_accumulated_batches_make_one_step(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, totals, added = [], [], []
    rate, losses_of, add = training.learning_rate, training.batch_losses, Optimiser.add

    def batch_losses(*given: object) -> training.Losses:
        losses = losses_of(*given)
        totals.append(losses.total.item())
        return losses

    monkeypatch.setattr(training, "batch_losses", batch_losses)
    monkeypatch.setattr(Optimiser, "add", lambda *a: added.append(a[1].item()) or add(*a))
    monkeypatch.setattr(training, "learning_rate", lambda *a: steps.append((*a[:2], a[3])) or rate(*a))
    changes = {"batch_size": 4, "accumulation": 2, "epochs": 2, "warmup_epochs": 1.5}
    assert run(corpus, tmp_path, tmp_path / "scratch", **changes) == 0
    # 12 clips are 3 batches: one step of two batches and one of the last
    assert steps == [(0, 4, 3), (1, 4, 3), (2, 4, 3), (3, 4, 3)]
    shares = [total / count for total, count in zip(totals, [2, 2, 1] * 2, strict=True)]
    assert added == pytest.approx(shares, rel=1e-5)
