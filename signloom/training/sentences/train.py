"""Training of the sign2text family, from the stage's inputs to its checkpoints."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from signloom.errors import SignloomError
from signloom.files import hash_files
from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.base import Section
from signloom.params.run import RunParams
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.params.text import TextParams
from signloom.precision import autocast, warn_if_emulated
from signloom.training.events import EventLog
from signloom.training.history import console_line
from signloom.training.progress import Progress, TrainedFiles
from signloom.training.reproducible import reproducible
from signloom.training.schedule import BETAS, learning_rate
from signloom.training.sentences.corpus import Corpus, SentenceFiles, read_text_embeddings
from signloom.training.sentences.data import Batch, TrainingClips, TrainingLoader
from signloom.training.sentences.losses import contrastive_loss, supervised_contrastive_loss, token_loss
from signloom.training.sentences.validation import Validation

_EPOCH_STRIDE = 1_000_003  # a prime, so that seeds of epochs and of runs rarely meet
_CLIP_NORM = 1.0  # largest norm of a gradient, so that a rare bad batch moves the weights no further


class SentenceTraining(Section):
    """The parameters of a training."""

    run: RunParams
    sign2text: Sign2TextParams
    augment: AugmentParams
    text: TextParams


def train(files: SentenceFiles, trained: TrainedFiles, params: SentenceTraining, scratch: Path) -> None:
    """Train on `files` and write `trained`.

    A run that was interrupted continues from its state in the folder `scratch`, after its last complete
    epoch, and gives the same bytes.
    """
    with reproducible(params.sign2text.threads):
        _train(files, trained, params, scratch)


def _train(files: SentenceFiles, trained: TrainedFiles, params: SentenceTraining, scratch: Path) -> None:
    p, text, seed = params.sign2text, params.text, params.run.seed
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    warn_if_emulated("sign2text.precision", p.precision, "product")
    corpus = Corpus.load(files, text.max_tokens, device)
    frozen = read_text_embeddings(files.embeddings, len(corpus.texts.texts)).to(device)
    clips = TrainingClips(corpus.train, corpus.shards, corpus.texts, p, params.augment, seed)
    batches = TrainingLoader(clips)
    validate = Validation(corpus, frozen, p)

    torch.manual_seed(seed)
    config = model_config(p, text, corpus, frozen.shape[1])
    model = Sign2Text(config).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), p.lr, BETAS, weight_decay=p.weight_decay, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=p.precision == "fp16")
    about = origin(files, config, params, corpus)
    progress = Progress(scratch, about, model, optimiser=optimiser, scaler=scaler)
    done = progress.resume()
    events = EventLog(scratch / "tb", done)

    steps = -(-len(batches) // p.accumulation)  # optimiser steps per epoch
    for epoch in range(done, p.epochs):
        started = time.monotonic()
        # dropout depends only on the epoch, so a resumed run needs no generator state
        torch.manual_seed(seed + _EPOCH_STRIDE * (epoch + 1))
        model.train()
        sums = torch.zeros(4, dtype=torch.float64, device=device)
        for i, batch in enumerate(batches.epoch(epoch)):
            losses = batch_losses(model, batch.to(device), frozen, corpus, p)
            first = i - i % p.accumulation
            last = min(first + p.accumulation, len(batches)) - 1
            scaler.scale(losses.total / (last - first + 1)).backward()  # type: ignore[no-untyped-call]
            sums += torch.stack(losses).detach()
            if i < last:
                continue
            step = epoch * steps + i // p.accumulation
            lr = learning_rate(step, steps * p.epochs, p.lr, round(p.warmup_epochs * steps), p.restarts)
            for group in optimiser.param_groups:
                group["lr"] = lr
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()

        means = (sums / len(batches)).tolist()
        if not torch.isfinite(sums).all():
            raise SignloomError(
                f"the training loss of epoch {epoch + 1} is {means[0]}: lower sign2text.lr, "
                "or choose another sign2text.precision"
            )
        names = ("train_loss", "ce_loss", "clip_loss", "supcon_loss")
        decode = (epoch + 1) % p.decode_every == 0 or epoch + 1 == p.epochs
        train_row: dict[str, float | None] = dict(zip(names, means, strict=True))
        if not p.lambda_supcon:
            train_row["supcon_loss"] = None
        best = progress.add({"epoch": epoch + 1, **train_row, **validate(model, decode), "lr": lr})
        events.add(progress.rows[-1])
        print(console_line(progress.rows[-1], p.epochs, time.monotonic() - started, best), flush=True)
    events.close()
    progress.finish(trained)


class Losses(NamedTuple):
    """The losses of a batch, each a scalar; `supcon` is 0 if its weight is 0."""

    total: Tensor
    ce: Tensor
    clip: Tensor
    supcon: Tensor


def batch_losses(
    model: Sign2Text, batch: Batch, frozen: Tensor, corpus: Corpus, p: Sign2TextParams
) -> Losses:
    """Return the losses of a batch; `frozen` (texts, dim) has the sentence embeddings of the frozen encoder.

    Token and text losses use the whole clips; the supervised contrastive loss uses their half views. If its
    weight is 0, it is not computed and the half views are not encoded.
    """
    views = batch.views if p.lambda_supcon else batch.views[:1]
    with autocast(batch.tokens.device, p.precision):
        whole, *halves = (model.encode(*view.inputs(corpus.mean, corpus.std)) for view in views)
        text = model.project_text(frozen[batch.text_rows])
        logits, targets = model.next_tokens(batch.tokens, whole)
    ce = token_loss(logits, targets, p.label_smoothing)
    clip = contrastive_loss(whole.embedding, text, batch.sentences)
    total = ce + p.lambda_clip * clip
    if not p.lambda_supcon:
        return Losses(total, ce, clip, torch.zeros_like(ce))
    embeddings = [view.embedding for view in halves or [whole]]
    labels = batch.sentences.repeat(len(embeddings))
    supcon = supervised_contrastive_loss(torch.cat(embeddings), labels)
    return Losses(total + p.lambda_supcon * supcon, ce, clip, supcon)


def model_config(p: Sign2TextParams, text: TextParams, corpus: Corpus, text_dim: int) -> Sign2TextConfig:
    """Return the shape of the network that the parameters, the tokenizer and the text encoder ask for."""
    return Sign2TextConfig(
        vocab_size=corpus.tokenizer.size,
        pad_id=corpus.tokenizer.pad,
        bos_id=corpus.tokenizer.start,
        eos_id=corpus.tokenizer.end,
        text_dim=text_dim,
        encoder=p.encoder,
        width=p.width,
        layers=p.layers,
        heads=p.heads,
        feedforward=p.feedforward,
        decoder_layers=p.decoder_layers,
        dropout=p.dropout,
        token_dropout=p.token_dropout,
        embedding_dim=p.embedding_dim,
        seq_len=p.seq_len,
        max_tokens=text.max_tokens,
    )


def origin(
    files: SentenceFiles, config: Sign2TextConfig, params: SentenceTraining, corpus: Corpus
) -> dict[str, Any]:
    """Return what a checkpoint needs besides weights, epoch and metrics to be used on its own."""
    data = [*files.features, *files.mask, *files.index, files.splits, files.texts, files.embeddings]
    return {
        "family": "sign2text",
        "model_config": config.to_dict(),
        "feature_mean": corpus.mean,
        "feature_std": corpus.std,
        "parameters": params.model_dump(),
        "vocabulary_hash": hash_files([files.tokenizer]),
        "stats_hash": hash_files([files.stats]),
        "data_hash": hash_files(data),
        "git_commit": checkpoints.git_commit(),
        "versions": checkpoints.versions(),
    }
