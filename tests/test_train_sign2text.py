"""Stage train_sign2text through its entry point, on a made-up corpus."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import signloom.training.sign2text as training
from signloom.evaluation.sign2text import alignment as evaluated_alignment
from signloom.features.shards import FeatureShards
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.load import load_params, read_yaml
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.params.text import TextParams
from signloom.report.plots import curves
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer
from signloom.training import checkpoints
from signloom.training.corpus import Corpus, FrozenText
from signloom.training.data import ClipSet, Texts, TrainingClips, TrainingLoader, draw_text
from signloom.training.progress import Progress
from signloom.training.validation import Validation, alignment
from tests.synthetic_signs import Size, arguments, write_corpus
from workflow_scripts.train_sign2text import main

TINY = {
    **{"width": 16, "layers": 1, "heads": 2, "feedforward": 32, "decoder_layers": 1, "embedding_dim": 16},
    **{"batch_size": 8, "epochs": 3, "decode_every": 2, "workers": 0, "threads": 1, "seq_len": 32},
}
FULL = {
    **{"encoder": "transformer", "width": 512, "layers": 6, "heads": 8, "feedforward": 2048},
    **{"decoder_layers": 6, "dropout": 0.2, "token_dropout": 0.0, "embedding_dim": 256, "seq_len": 128},
    **{"dual_view": True, "lambda_ce": 1.0, "lambda_clip": 1.0, "lambda_supcon": 0.5},
    **{"clip_temperature": 0.05, "supcon_temperature": 0.07, "label_smoothing": 0.1, "variation_p": 0.5},
    **{"batch_size": 64, "instances_per_class": 2, "accumulation": 1, "epochs": 50, "lr": 3e-4},
    **{"betas": [0.9, 0.98], "weight_decay": 1e-4, "warmup_epochs": 0.0, "restarts": 0, "clip_norm": 1.0},
    **{"decode_every": 5, "workers": 4, "seed": 42},
}
FILES = ("best.pth", "latest.pth", "history.csv", "metrics.jsonl")
COLUMNS = (
    "epoch,train_loss,ce_loss,clip_loss,supcon_loss,"
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
    assert plain <= set(best) and best["parameters"]["sign2text"]["width"] == 16
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


class Killed(BaseException):
    """What a kill leaves behind: nothing catches it."""


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(
    moment: int, corpus: Inputs, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = 0
    really_save = checkpoints.save

    def save(path: Path, content: dict) -> None:
        nonlocal saves
        saves += 1
        if saves == moment:
            raise Killed
        really_save(path, content)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoints, "save", save)
        run(corpus, tmp_path, tmp_path / "scratch")
    assert not (tmp_path / "best.pth").exists()
    assert run(corpus, tmp_path, tmp_path / "scratch") == 0
    assert outputs(tmp_path) == outputs(undisturbed)
    (state,) = (tmp_path / "scratch" / "train_sign2text").iterdir()
    assert [path.name for path in state.iterdir()] == ["tb"]


@pytest.mark.parametrize("dual_view", [False, True])
def test_a_loss_without_weight_is_not_computed_and_leaves_its_cells_empty(
    dual_view: bool, corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> torch.Tensor:
        raise AssertionError("computed for nothing")

    line = training.console_line

    def killed_after_two(row: dict, *rest: object) -> str:
        if row["epoch"] == 2:
            raise Killed
        return line(row, *rest)

    monkeypatch.setattr(training, "supervised_contrastive_loss", never)
    changes = {"lambda_supcon": 0.0, "dual_view": dual_view}
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert run(corpus, whole, whole / "scratch", **changes) == 0
    assert (whole / "history.csv").read_text().splitlines()[0] == COLUMNS
    history = pd.read_csv(whole / "history.csv")
    assert history["supcon_loss"].isna().all() and history["clip_loss"].notna().all()
    total = history["ce_loss"] + history["clip_loss"]
    assert history["train_loss"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-5)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "console_line", killed_after_two)
        run(corpus, resumed, resumed / "scratch", **changes)
    assert run(corpus, resumed, resumed / "scratch", **changes) == 0
    assert outputs(resumed) == outputs(whole)
    columns = {"clip_loss": "clip and sentence", "supcon_loss": "two views of a clip"}
    drawn = curves("contrastive", "Contrastive losses.", history, columns, best=1).svg
    assert "clip and sentence" in drawn and "two views" not in drawn


def test_a_resumed_run_does_not_train_finished_epochs_again(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = training.console_line

    def killed_after_two(row: dict, *rest: object) -> str:
        if row["epoch"] == 2:
            raise Killed
        return line(row, *rest)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "console_line", killed_after_two)
        run(corpus, tmp_path, tmp_path / "scratch")
    capsys.readouterr()
    run(corpus, tmp_path, tmp_path / "scratch")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "going on after epoch 2" and lines[1].startswith("epoch 3/3")


def batches(corpus: Inputs, workers: int) -> list[list[bytes]]:
    p = Sign2TextParams(**(TINY | {"workers": workers, "batch_size": 4}))
    texts = Texts(pd.read_parquet(corpus["texts"][0]), TextTokenizer.load(corpus["tokenizer"][0]), 64)
    clips = ClipSet.of(read_splits(corpus["splits"][0]), "train")
    shards = FeatureShards(corpus["features"], corpus["index"], corpus["mask"])
    loader = TrainingLoader(TrainingClips(clips, shards, texts, p, AugmentParams()))
    seen = []
    for epoch in (0, 1):
        for batch in loader.epoch(epoch):
            tensors = [*batch[1:], *(tensor for view in batch.views for tensor in view)]
            seen.append([tensor.numpy().tobytes() for tensor in tensors])
    return seen


def test_batches_do_not_depend_on_the_number_of_loader_processes(corpus: Inputs) -> None:
    alone, together = batches(corpus, 0), batches(corpus, 2)
    assert alone == together
    assert alone[0] != alone[len(alone) // 2], "epochs draw anew"


def test_validation_clips_are_the_centre_of_what_is_stored_and_never_augmented(corpus: Inputs) -> None:
    longest = 20
    p = Sign2TextParams(**(TINY | {"seq_len": longest}))
    tokenizer = TextTokenizer.load(corpus["tokenizer"][0])
    splits = read_splits(corpus["splits"][0])
    c = Corpus(
        FeatureShards(corpus["features"], corpus["index"], corpus["mask"]),
        *(ClipSet.of(splits, name) for name in ("train", "val")),
        Texts(pd.read_parquet(corpus["texts"][0]), tokenizer, 64),
        tokenizer,
        torch.zeros(540),
        torch.ones(540),
    )
    assert {c.shards.length(clip_id) > longest for clip_id in c.val.ids} == {True}
    loader = Validation(c, FrozenText(lambda rows: torch.zeros(len(rows), 8), 8), p).batches
    for _ in range(2):  # epochs
        rows = [row for batch in loader for row in batch.views[0].features.numpy()]
        for clip_id, row in zip(c.val.ids, rows, strict=True):
            start = (c.shards.length(clip_id) - longest) // 2
            np.testing.assert_array_equal(row, c.shards.clip(clip_id)[start : start + longest])


def test_a_score_that_never_rises_above_0_leaves_a_best_checkpoint_and_ties_go_by_loss(
    tmp_path: Path,
) -> None:
    progress = Progress(tmp_path, {}, torch.nn.Linear(1, 1))
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

    def watched(embeddings: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
        half = len(labels) // 2
        assert torch.equal(labels[:half], labels[half:]) and temperature == 0.07
        shapes.append((len(embeddings), (embeddings[:half] - embeddings[half:]).abs().max().item()))
        return real(embeddings, labels, temperature)

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
    assert "no clip with a sentence is in the training split" in capsys.readouterr().err
    assert not (tmp_path / "best.pth").exists()


def test_a_single_training_clip_still_trains(corpus: Inputs, tmp_path: Path) -> None:
    splits = pd.read_csv(corpus["splits"][0])
    train = splits[splits["split"] == "train"].iloc[:1]
    pd.concat([train, splits[splits["split"] == "val"]]).to_csv(tmp_path / "splits.csv", index=False)
    given = corpus | {"splits": [tmp_path / "splits.csv"]}
    assert run(given, tmp_path, tmp_path / "scratch", batch_size=64, epochs=1) == 0
    first, last = (checkpoints.load(tmp_path / name)["model"] for name in ("best.pth", "latest.pth"))
    assert all(torch.isfinite(tensor).all() for tensor in last.values()) and first.keys() == last.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"encoder": "gru_attention"},
        {"accumulation": 3, "restarts": 1, "warmup_epochs": 1.0},
        {"dual_view": False, "lambda_supcon": 0.0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_way_to_train_lowers_the_loss(changes: dict, corpus: Inputs, tmp_path: Path) -> None:
    assert run(corpus, tmp_path, tmp_path / "scratch", epochs=4, lr=3e-3, **changes) == 0
    loss = pd.read_csv(tmp_path / "history.csv")["train_loss"]
    assert loss.iloc[-1] < loss.iloc[0]


# the scaler of fp16 begins too high and leaves out its first steps
@pytest.mark.parametrize(("precision", "near"), [("bf16", 0.02), ("fp16", 0.4)])
def test_half_precision_is_what_the_network_is_trained_in(
    precision: str, near: float, corpus: Inputs, undisturbed: Path, tmp_path: Path
) -> None:
    assert run(corpus, tmp_path, tmp_path / "scratch", precision=precision) == 0
    half, full = (pd.read_csv(folder / "history.csv")["train_loss"] for folder in (tmp_path, undisturbed))
    assert (half != full).all()
    np.testing.assert_allclose(half, full, rtol=near)


def test_accumulated_batches_make_one_step(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    real = training.learning_rate
    monkeypatch.setattr(training, "learning_rate", lambda *a: steps.append(a[:2]) or real(*a))
    run(corpus, tmp_path, tmp_path / "scratch", batch_size=4, accumulation=2, epochs=2)
    # 12 clips are 3 batches: one step of two batches and one of the last
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_training_agrees_with_evaluation_on_alignment() -> None:
    rng = np.random.default_rng(0)
    clips, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.normal(size=(2, 6, 4)))
    names = ["a", "b", "c"]
    own = [0, 1, 2, 2, 1, 0]
    ours = alignment(torch.from_numpy(clips), torch.from_numpy(texts[:3]), torch.tensor(own))
    theirs = evaluated_alignment(clips, [names[i] for i in own], texts[:3][own])
    for name, value in ours.items():
        assert value == pytest.approx(theirs[name].mean())


def test_a_sentence_that_occurs_twice_does_not_hurt_top_one() -> None:
    texts, own = torch.eye(3), torch.tensor([0, 1, 2, 2, 1, 0])
    assert alignment(texts[own], texts, own)["inst_top1"] == 1


def test_variations_are_drawn_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_text([4, 7, 9], 0.3, rng) for _ in range(4000)]
    assert drawn.count(4) / 4000 == pytest.approx(0.7, abs=0.03)
    assert drawn.count(7) == pytest.approx(drawn.count(9), rel=0.15)
    assert {draw_text([5], 1.0, rng) for _ in range(9)} == {5}


def test_live_text_gives_the_losses_of_cached_text(
    corpus: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = tiny_encoder(tmp_path / "encoder", corpus["tokenizer"][0])
    text = {"encoder": str(encoder), "weights": "pretrained", "pooling": "cls"}
    from signloom.text.encoders import load_encoder

    rows = load_encoder(TextParams(**text)).embed(pd.read_parquet(corpus["texts"][0])["text"].tolist())
    np.save(tmp_path / "text_embeddings.npy", rows)
    given = corpus | {"embeddings": [tmp_path / "text_embeddings.npy"]}
    losses = []
    for cached in (True, False):
        params = {"sign2text": TINY | {"cached_text": cached, "epochs": 1}, "text": text}
        out = tmp_path / str(cached)
        assert main(arguments(given, out, params, out)) == 0
        losses.append(json.loads((out / "metrics.jsonl").read_text())["clip_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def tiny_encoder(folder: Path, tokenizer: Path) -> Path:
    """Write a DistilBERT of 16 values with random weights."""
    from transformers import DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

    names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<sos>", "sep_token": "<eos>"}
    PreTrainedTokenizerFast(tokenizer_file=str(tokenizer), **names).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        size = TextTokenizer.load(tokenizer).size
        config = DistilBertConfig(vocab_size=size, dim=16, hidden_dim=32, n_layers=1, n_heads=2)
        DistilBertModel(config).save_pretrained(folder)
    return folder


def test_the_full_preset_builds_trains_two_steps_and_decodes(root: Path, corpus: Inputs) -> None:
    """At the sizes of `signtalk`; its DistilBERT has random weights here, because nothing is downloaded."""
    from transformers import DistilBertConfig, DistilBertModel

    params = load_params(root / "params.yaml", root / "config/presets/signtalk.yaml")
    p = params.sign2text
    assert p.model_dump(include=set(FULL)) == FULL
    assert (params.augment.body, params.augment.body_p) == (0, 0)
    assert (params.text.encoder, params.text.pooling) == ("distilbert-base-uncased", "cls")
    assert (params.text.tokenizer, params.text.weights, params.text.max_tokens) == (
        "encoder",
        "pretrained",
        64,
    )
    assert (params.dataset.importer, params.dataset.variations) == ("signtalk", None)
    assert (params.splits.mode, params.shards.count) == ("clip", 100)
    own = read_yaml(root / "config/presets/signtalk.yaml")
    for section in ("sign2text", "augment"):
        assert set(own[section]) == set(getattr(params, section).model_dump()), "the demo's tuning gets in"
    c = Corpus(
        FeatureShards(corpus["features"], corpus["index"], corpus["mask"]),
        ClipSet.of(read_splits(corpus["splits"][0]), "train"),
        ClipSet.of(read_splits(corpus["splits"][0]), "val"),
        Texts(pd.read_parquet(corpus["texts"][0]), TextTokenizer.load(corpus["tokenizer"][0]), 64),
        TextTokenizer.load(corpus["tokenizer"][0]),
        torch.zeros(540),
        torch.ones(540),
    )
    p = p.model_copy(update={"batch_size": 8, "workers": 0})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert = DistilBertModel(DistilBertConfig()).eval()
        config = training.model_config(p, params.text, c, bert.config.dim)
        model = Sign2Text(Sign2TextConfig(**(config.to_dict() | {"vocab_size": bert.config.vocab_size})))

    def embed(rows: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return bert(c.texts.tokens(rows)).last_hidden_state[:, 0].clone()

    frozen = FrozenText(embed, bert.config.dim)
    optimiser = torch.optim.AdamW(model.parameters(), lr=p.lr)
    losses = []
    clips = TrainingClips(c.train, c.shards, c.texts, p, params.augment)
    for batch in itertools.islice(TrainingLoader(clips).epoch(0), 2):
        loss = training.batch_losses(model, batch, frozen, c, p).total
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    figures = Validation(c, frozen, p)(model, decode=True)
    assert np.isfinite(losses).all() and losses[1] != losses[0]
    assert figures["val_wer"] >= 0 and -1 <= figures["val_pos_sim"] <= 1
