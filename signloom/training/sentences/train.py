"""Training of the sign2text family, from the stage's inputs to its checkpoints."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from signloom.augment.feature_rows import Geometry, warn_of_layout
from signloom.features.shards import trackers
from signloom.files import hash_files
from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.base import RunParams, Section
from signloom.params.features import PositionsParams
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.params.text import TextParams
from signloom.precision import autocast, warn_if_emulated
from signloom.training.epochs import check_finite, reproducible, run_epochs, shown_batches
from signloom.training.optimiser import Optimiser, learning_rate, warn_of_warmup
from signloom.training.progress import Progress, Row, TrainedFiles
from signloom.training.sentences.corpus import (
    Corpus,
    SentenceFiles,
    read_text_embeddings,
    warn_of_lengths,
)
from signloom.training.sentences.data import Batch, TrainingClips, TrainingLoader, stacked
from signloom.training.sentences.glosses import Invented, NewSentences, drawing, gloss_loss
from signloom.training.sentences.history import COLUMNS, CONSOLE, merit
from signloom.training.sentences.losses import (
    class_loss,
    contrastive_loss,
    supervised_contrastive_loss,
    token_loss,
)
from signloom.training.sentences.validation import Validation

_LARGEST_NORM = 1.0  # largest norm of a gradient, so that a rare bad batch moves the weights no further


_GROWTH = ("sign2text.lr", "sign2text.precision")  # what makes losses grow without bound


class SentenceTraining(Section):
    """The parameters of a training."""

    run: RunParams
    sign2text: Sign2TextParams
    augment: AugmentParams
    text: TextParams
    positions: PositionsParams


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
    corpus = Corpus.load(files, text.max_tokens, device, reads_glosses(p))
    warn_of_lengths(corpus, p.seq_len)
    warn_of_warmup("sign2text", p.warmup_epochs, p.epochs, "sign2text.lr")
    frozen = read_text_embeddings(files.embeddings, len(corpus.texts.texts)).to(device)
    geometry = Geometry(corpus.std.cpu().numpy(), params.positions.layout)
    warn_of_layout("augment", len(corpus.std), params.augment, geometry)
    clips = TrainingClips(corpus.train, corpus.shards, corpus.texts, p, params.augment, seed, geometry)
    batches = TrainingLoader(clips)
    validate = Validation(corpus, frozen, p)
    invent = corpus.new_sentences(text.max_tokens, p.seq_len) if p.recombine_p else None

    torch.manual_seed(seed)
    config = model_config(p, text, corpus, frozen.shape[1])
    model = Sign2Text(config).to(device)
    optimiser = Optimiser(model, p.lr, p.weight_decay, p.precision, _LARGEST_NORM)
    progress = Progress(scratch, origin(files, config, params, corpus), optimiser, merit)
    done = progress.resume()
    # TensorBoard drops the events after the last complete epoch
    events = SummaryWriter(str(scratch / "tb"), purge_step=done + 1 if done else None)
    learning = _Learning(model, optimiser, batches, frozen, corpus, p, seed, invent)

    def train_epoch(epoch: int) -> Row:
        losses, lr = learning.epoch(epoch)
        check_finite("the training loss", epoch, float(losses[0]), *_GROWTH)
        means = _shown(losses, p, corpus)
        if epoch == 0 and means["supcon_loss"] == 0:
            print(
                "warning: train_sign2text: no batch has two views or clips of one sentence, so lambda_supcon "
                "teaches nothing; set dual_view to true, or instances_per_class to 2",
                file=sys.stderr,
            )
        return {**means, **_validated(validate, model, epoch, p), "lr": lr}

    def log(rows: Sequence[Row]) -> None:
        for name, value in rows[-1].items():
            if name != "epoch" and value is not None:
                events.add_scalar(name, value, rows[-1]["epoch"])

    run_epochs(progress, train_epoch, log, seed, p.epochs, CONSOLE)
    events.close()
    progress.finish(trained, COLUMNS)


@dataclass(frozen=True)
class _Learning:
    """What an epoch of training needs."""

    model: Sign2Text
    optimiser: Optimiser
    batches: TrainingLoader
    frozen: Tensor
    corpus: Corpus
    p: Sign2TextParams
    seed: int
    invent: NewSentences | None

    def epoch(self, epoch: int) -> tuple[list[float], float]:
        """Train for an epoch; return the means of `Losses` over its batches, and the last learning rate."""
        p, count = self.p, len(self.batches)
        steps = -(-count // p.accumulation)  # optimiser steps per epoch
        sums = torch.zeros(len(Losses._fields), dtype=torch.float64, device=self.frozen.device)
        for i, batch in enumerate(shown_batches(self.batches.epoch(epoch), f"epoch {epoch + 1}", count)):
            losses = self._losses(epoch, i, batch)
            first = i - i % p.accumulation
            last = min(first + p.accumulation, count) - 1
            self.optimiser.add(losses.total / (last - first + 1))
            sums += torch.stack(losses).detach()
            if i == last:
                step = epoch * steps + i // p.accumulation
                lr = learning_rate(step, steps * p.epochs, p.lr, round(p.warmup_epochs * steps), p.restarts)
                self.optimiser.step(lr)
        return (sums / count).tolist(), lr

    def _losses(self, epoch: int, number: int, batch: Batch) -> "Losses":
        new = None
        if self.invent:
            rng = drawing(self.seed, epoch, number)
            drawn = self.invent.draw(batch.sentences, batch.views[0].lengths, self.p.recombine_p, rng)
            new = None if drawn is None else drawn.to(self.frozen.device)
        on_device = batch.to(self.frozen.device)
        return batch_losses(self.model, on_device, self.frozen, self.corpus, self.p, new)


def _shown(losses: Sequence[float], p: Sign2TextParams, corpus: Corpus) -> Row:
    """Return the mean `losses` of an epoch by name, None for those that are not used."""
    total, *means = losses
    used = {
        "ce_loss": p.task == "sentences",
        "gloss_loss": corpus.glosses is not None,
        "clip_loss": True,
        "class_loss": p.lambda_class > 0,
        "supcon_loss": p.lambda_supcon > 0,
    }
    kept = {name: mean if used[name] else None for name, mean in zip(used, means, strict=True)}
    return {"train_loss": total, **kept}


def _validated(validate: Validation, model: Sign2Text, epoch: int, p: Sign2TextParams) -> Row:
    """Return the figures of validation; raises SignloomError if the network has broken."""
    decode = (epoch + 1) % p.decode_every == 0 or epoch + 1 == p.epochs
    found = validate(model, decode)
    # the last step may have broken the network after its loss was known
    if found.get("val_loss") is not None:
        check_finite("the validation loss", epoch, found["val_loss"], *_GROWTH)
    largest = max(float(weight.detach().abs().max()) for weight in model.parameters())
    check_finite("the largest weight", epoch, largest, *_GROWTH)
    return found


class Losses(NamedTuple):
    """The losses of a batch, each a scalar.

    `ce` is 0 without a decoder, `gloss` without glosses, and the last two without weight.
    """

    total: Tensor
    ce: Tensor
    gloss: Tensor
    clip: Tensor
    classes: Tensor
    supcon: Tensor


def batch_losses(
    model: Sign2Text,
    batch: Batch,
    frozen: Tensor,
    corpus: Corpus,
    p: Sign2TextParams,
    new: Invented | None = None,
) -> Losses:
    """Return the losses of a batch; `frozen` (texts, dim) has the sentence embeddings of the frozen encoder.

    With `new` sentences, the cross-entropy is the mean of that of the clips and that of these.

    The supervised contrastive loss uses the half views of the clips, all others the whole clips. If its
    weight is 0, it is not computed and the half views are not encoded.
    """
    view, *halves = batch.views
    with autocast(batch.tokens.device, p.precision):
        whole = model.encode(*view.inputs(corpus.mean, corpus.std))
        embeddings = whole.embedding
        if halves and p.lambda_supcon:
            embeddings = model.embeddings(*stacked(halves).inputs(corpus.mean, corpus.std))
        text = model.project_text(frozen[batch.text_rows])
        decoded = model.next_tokens(batch.tokens, whole) if p.task == "sentences" else None
        read = model.next_tokens(new.tokens, model.spelled(new.shares, new.valid)) if new else None
    clip = contrastive_loss(whole.embedding, text, batch.sentences)
    ce = token_loss(*decoded, p.label_smoothing) if decoded else torch.zeros_like(clip)
    if read:
        ce = (ce + token_loss(*read, p.label_smoothing)) / 2
    gloss = torch.zeros_like(clip)
    if whole.glosses is not None:
        summed, clips = gloss_loss(whole.glosses, batch.views[0].lengths, batch.glosses)
        gloss = summed / clips.clamp(min=1)
    classes = torch.zeros_like(clip)
    if p.lambda_class:
        known = model.project_text(frozen[corpus.class_rows])
        classes = class_loss(whole.embedding, known, corpus.class_of(batch.sentences), p.label_smoothing)
    total = ce + p.lambda_gloss * gloss + p.lambda_clip * clip + p.lambda_class * classes
    if not p.lambda_supcon:
        return Losses(total, ce, gloss, clip, classes, torch.zeros_like(clip))
    labels = batch.sentences.repeat(len(halves) or 1)
    supcon = supervised_contrastive_loss(embeddings, labels)
    return Losses(total + p.lambda_supcon * supcon, ce, gloss, clip, classes, supcon)


def reads_glosses(p: Sign2TextParams) -> bool:
    """Return whether the sentence decoder is to read glosses, if the corpus has them."""
    return p.task == "sentences" and p.lambda_gloss > 0


def model_config(p: Sign2TextParams, text: TextParams, corpus: Corpus, text_dim: int) -> Sign2TextConfig:
    """Return the shape of the network that the parameters, the tokenizer and the text encoder ask for."""
    shape = {name: value for name, value in p if name in Sign2TextConfig.__annotations__}
    if p.task == "signs":
        shape["decoder_layers"] = 0
    if corpus.glosses:
        shape["glosses"] = len(corpus.glosses.vocabulary)
    return Sign2TextConfig(
        vocab_size=corpus.tokenizer.size,
        pad_id=corpus.tokenizer.pad,
        bos_id=corpus.tokenizer.start,
        eos_id=corpus.tokenizer.end,
        text_dim=text_dim,
        feature_dim=len(corpus.mean),
        max_tokens=text.max_tokens,
        **shape,
    )


def origin(
    files: SentenceFiles, config: Sign2TextConfig, params: SentenceTraining, corpus: Corpus
) -> dict[str, Any]:
    """Return what a checkpoint needs besides weights, epoch and metrics to be used on its own."""
    data = [*files.features, *files.mask, *files.index, files.splits, files.texts, files.embeddings]
    if corpus.glosses and files.glosses and files.gloss_lines:
        data += [files.glosses, files.gloss_lines]
    return {
        "family": "sign2text",
        "model_config": asdict(config),
        "feature_mean": corpus.mean,
        "feature_std": corpus.std,
        "parameters": params.model_dump(),
        "vocabulary_hash": hash_files([files.tokenizer]),
        "stats_hash": hash_files([files.stats]),
        "data_hash": hash_files(data),
        "trackers": trackers(files.index),
        "git_commit": checkpoints.library_commit(),
        "versions": checkpoints.versions(),
    }
