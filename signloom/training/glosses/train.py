"""Training of the gloss family, from the stage's inputs to its checkpoints."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from signloom.augment.feature_rows import warn_of_layout
from signloom.errors import SignloomError
from signloom.features.shards import trackers
from signloom.files import hash_files
from signloom.models import checkpoints
from signloom.models.gloss import GlossConfig, Hybrid, TcnCtc, build
from signloom.params.base import Section
from signloom.params.gloss import (
    GlossAugmentParams,
    GlossPositionsParams,
    GlossRecomposeParams,
    GlossRunParams,
    HybridParams,
    TcnParams,
    TrainGlossParams,
)
from signloom.params.sign2text import AugmentParams
from signloom.params.variants import Kind
from signloom.precision import warn_if_emulated
from signloom.training.epochs import check_finite, reproducible, run_epochs, shown_batches
from signloom.training.glosses.corpus import GlossCorpus, GlossFiles
from signloom.training.glosses.data import TrainingGlosses
from signloom.training.glosses.history import COLUMNS, collapse_warning, merit
from signloom.training.glosses.losses import Loss
from signloom.training.glosses.validation import GlossValidation
from signloom.training.optimiser import Optimiser, learning_rate, warn_of_warmup
from signloom.training.progress import Progress, Row, TrainedFiles

_LARGEST_NORM = 5.0  # largest norm of a gradient, so that a rare bad batch moves the weights no further


class GlossTraining(Section):
    """The parameters of a training; a variant is not given the sections that it does not use."""

    run: GlossRunParams
    hybrid: HybridParams | None = None
    tcn: TcnParams | None = None
    train_gloss: TrainGlossParams
    gloss_augment: GlossAugmentParams
    gloss_pose_augment: AugmentParams = AugmentParams.off()
    gloss_recompose: GlossRecomposeParams
    gloss_positions: GlossPositionsParams = GlossPositionsParams.off()

    @property
    def shape(self) -> HybridParams | TcnParams:
        """The section of the network; raises SignloomError if it was not given."""
        found = self.tcn if self.run.row.ctc_alone else self.hybrid
        if found is None:
            raise SignloomError(f"--params has no section {self.run.row.section!r}; add it")
        return found

    @property
    def kind(self) -> Kind:
        """Which features the network reads; without `tcn`, the variant says it alone."""
        return self.run.row.kind(self.tcn.input if self.tcn else "pose")

    def given(self) -> dict[str, dict[str, Any]]:
        """Return the sections that were given."""
        return {name: value for name, value in self.model_dump().items() if name in self.model_fields_set}


def train(files: GlossFiles, trained: TrainedFiles, params: GlossTraining, scratch: Path) -> None:
    """Train on `files` and write `trained`.

    A run that was interrupted continues from its state in the folder `scratch`, after its last complete
    epoch, and gives the same bytes.
    """
    with reproducible(params.train_gloss.threads):
        _train(files, trained, params, scratch)


def _train(files: GlossFiles, trained: TrainedFiles, params: GlossTraining, scratch: Path) -> None:
    run, p, shape, recompose = params.run, params.train_gloss, params.shape, params.gloss_recompose
    warn_if_emulated("train_gloss.precision", p.precision, "product")
    warn_of_warmup("train_gloss", p.warmup_epochs, p.epochs, f"{run.row.section}.lr")
    corpus = GlossCorpus.load(files, run, params.kind, p, timed=recompose.used)
    batches = TrainingGlosses(
        corpus.train, corpus.rows, run.seed, p.batch_size, params.gloss_augment, params.gloss_pose_augment,
        recompose, params.gloss_positions,
        token_dropout=shape.token_dropout if isinstance(shape, HybridParams) else 0.0,
    )  # fmt: skip
    if "pose" in corpus.rows.stats:
        warn_of_layout("gloss_pose_augment", len(corpus.rows.stats["pose"].std), params.gloss_pose_augment)
    loss = Loss.of(shape, p.precision)
    validate = GlossValidation(corpus, p.batch_size, loss)

    torch.manual_seed(run.seed)
    config = model_config(params, corpus)
    trainer = Trainer(build(config), batches, params, loss)
    progress = Progress(scratch, origin(files, params, config, corpus), trainer.optimiser, merit)
    progress.resume()

    def train_epoch(epoch: int) -> Row:
        figures = trainer.epoch(epoch) | validate(trainer.model)
        for name in ("train_loss", "val_loss"):
            check_finite(name, epoch, figures[name], f"{run.row.section}.lr", "train_gloss.precision")
        return {name: figures[name] for name in COLUMNS[1:]}

    def warn(rows: Sequence[Row]) -> None:
        if warning := collapse_warning(rows, loss.alone):
            print(warning, file=sys.stderr, flush=True)

    run_epochs(progress, train_epoch, warn, run.seed, p.epochs, COLUMNS[1:])
    progress.finish(trained, COLUMNS)


class Trainer:
    """A network, its optimiser and its batches."""

    def __init__(
        self, model: Hybrid | TcnCtc, batches: TrainingGlosses, params: GlossTraining, loss: Loss
    ) -> None:
        self.model, self.batches, self.loss = model.to(loss.device), batches, loss
        p = self.p = params.train_gloss
        self.lr = params.shape.lr
        self.optimiser = Optimiser(self.model, self.lr, p.weight_decay, p.precision, _LARGEST_NORM)

    def epoch(self, epoch: int) -> Row:
        """Train one epoch; return mean losses, the share of blank frames and the last learning rate."""
        losses = torch.zeros(3, dtype=torch.float64, device=self.loss.device)
        blanks = torch.zeros(2, dtype=torch.int64, device=self.loss.device)
        steps = len(self.batches)
        warmup = round(self.p.warmup_epochs * steps)
        for i, batch in enumerate(shown_batches(self.batches.epoch(epoch), f"epoch {epoch + 1}", steps)):
            rate = learning_rate(epoch * steps + i, steps * self.p.epochs, self.lr, warmup)
            sums = self.loss(self.model, batch.to(self.loss.device)).sums
            parts = torch.stack([self.loss.total(sums), *sums.means()])
            self.optimiser.add(parts[0])
            self.optimiser.step(rate)
            losses += parts.detach()
            blanks += torch.stack([sums.blanks, sums.frames])
        total, ctc, ce = (losses / steps).tolist()
        return {
            "train_loss": total,
            "ctc_loss": ctc,
            "ce_loss": None if self.loss.alone else ce,
            "train_blank_ratio": float(blanks[0] / blanks[1]),
            "lr": rate,
        }


def model_config(params: GlossTraining, corpus: GlossCorpus) -> GlossConfig:
    """Return the shape of the network that the parameters, the features and the vocabulary ask for."""
    row, p = params.run.row, params.train_gloss
    longest = max(len(clip.ids) for clip in corpus.train + corpus.val)
    joined = params.gloss_recompose.join_p > 0  # training may join two gloss lines into one
    sizes = params.shape.model_dump(include={"layers", "heads", "feedforward", "decoder_layers", "kernel"})
    return GlossConfig(
        network=row.network,
        input_dim=corpus.rows.dim,
        vocab_size=len(corpus.vocabulary),
        width=p.width,
        dropout=p.dropout,
        max_frames=p.max_frames,
        # 1.5 times the longest line, plus start and end, because test lines may be longer
        max_tokens=longest + (longest if joined else longest // 2) + 2,
        **sizes,
    )


def origin(
    files: GlossFiles, params: GlossTraining, config: GlossConfig, corpus: GlossCorpus
) -> dict[str, Any]:
    """Return what a checkpoint needs besides weights, epoch and metrics to be used on its own."""
    rows = corpus.rows
    stats = {
        f"{family}_{name}": torch.from_numpy(getattr(values, name))
        for family, values in rows.stats.items()
        for name in ("mean", "std")
    }
    if rows.signers is not None:
        signers = rows.signers.stats
        stats |= {
            f"signer_{name}": torch.from_numpy(np.stack([getattr(own, name) for own in signers.values()]))
            for name in ("mean", "std")
        }
    data = [files.splits, files.gloss_lines]
    if rows.pose is not None:
        data += [*files.pose, *files.pose_index, *files.mask]
    if rows.clip is not None:
        data += [*files.clip, *files.clip_index]
    if params.run.row.copies:
        data += [*files.copies, *files.copies_index]
    return {
        "family": "gloss",
        "run": params.run.model_dump(),
        "input": rows.kind,
        "stack": rows.stack,
        "every": rows.every,
        "signers": None if rows.signers is None else list(rows.signers.stats),
        "vocabulary": corpus.vocabulary,
        "model_config": asdict(config),
        **stats,
        **rows.backbone(),
        "parameters": params.given(),
        "vocabulary_hash": hash_files([files.glosses]),
        "stats_hash": hash_files(getattr(files, f"{family}_stats") for family in rows.stats),
        "data_hash": hash_files(data),
        "trackers": [] if rows.pose is None else trackers(files.pose_index),
        "git_commit": checkpoints.library_commit(),
        "versions": checkpoints.versions(),
    }
