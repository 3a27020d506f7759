"""Training of the gloss family, from the stage's inputs to its checkpoints."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from signloom.errors import SignloomError
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
from signloom.precision import warn_if_emulated
from signloom.stage import Job
from signloom.training.glosses.corpus import GlossCorpus
from signloom.training.glosses.data import TrainingGlosses
from signloom.training.glosses.history import COLUMNS, collapse_warning, merit
from signloom.training.glosses.losses import Loss
from signloom.training.glosses.validation import Figures, GlossValidation
from signloom.training.history import console_line
from signloom.training.progress import Progress, Stateful
from signloom.training.reproducible import reproducible
from signloom.training.schedule import BETAS, learning_rate

_EPOCH_STRIDE = 1_000_003  # a prime, so that seeds of epochs and of runs rarely meet
_CLIP_NORM = 5.0  # largest norm of a gradient, so that a rare bad batch moves the weights no further


def train(job: Job) -> None:
    """Train as `job` says.

    An interrupted run continues after its last complete epoch and gives the same bytes.
    """
    p = job.section("train_gloss", TrainGlossParams)
    with reproducible(p.threads):
        _train(job, p)


def _train(job: Job, p: TrainGlossParams) -> None:
    run = job.section("run", GlossRunParams)
    # the rule gives each run the sections that it uses
    kinds: dict[str, type[HybridParams | TcnParams]] = {"hybrid": HybridParams, "tcn": TcnParams}
    shape = job.section(run.row.section, kinds[run.row.section])
    features = job.section("gloss_augment", GlossAugmentParams)
    pose = job.augmentation("gloss_pose_augment", AugmentParams)
    recompose = job.section("gloss_recompose", GlossRecomposeParams)
    positions = job.augmentation("gloss_positions", GlossPositionsParams)
    warn_if_emulated("train_gloss.precision", p.precision, "product")
    kind = run.row.reads or job.section("tcn", TcnParams).input
    corpus = GlossCorpus.load(job, run, kind, p, timed=recompose.used)
    batches = TrainingGlosses(
        corpus.train, corpus.rows, run.seed, p.batch_size, features, pose, recompose, positions,
        token_dropout=shape.token_dropout if isinstance(shape, HybridParams) else 0.0,
    )  # fmt: skip
    how = Loss.of(shape, p.precision)
    validate = GlossValidation(corpus, p.batch_size, how)

    torch.manual_seed(run.seed)
    config = model_config(run, shape, p, corpus, joined=recompose.join_p > 0)
    trainer = Trainer(build(config), batches, p, how, shape.lr, run.seed)
    sections: dict[str, Section] = {"run": run, run.row.section: shape, "train_gloss": p}
    sections |= {"gloss_augment": features, "gloss_pose_augment": pose}
    sections |= {"gloss_recompose": recompose, "gloss_positions": positions}
    plain = {name: section.model_dump() for name, section in sections.items() if name in job.params}
    about = origin(job, run, config, plain, corpus)
    state: dict[str, Stateful] = {"optimiser": trainer.optimiser, "scaler": trainer.scaler}
    progress = Progress(job.scratch(), about, trainer.model, merit, COLUMNS, **state)
    for epoch in range(progress.resume(), p.epochs):
        started = time.monotonic()
        figures = trainer.epoch(epoch) | validate(trainer.model)
        for name in ("train_loss", "val_loss"):
            check_finite(name, epoch, figures[name], how.alone)
        best = progress.add({"epoch": epoch + 1, **{name: figures[name] for name in COLUMNS[1:]}})
        seconds = time.monotonic() - started
        print(console_line(progress.rows[-1], p.epochs, seconds, best, COLUMNS[1:]), flush=True)
        if warning := collapse_warning(progress.rows, how.alone):
            print(warning, file=sys.stderr, flush=True)
    progress.finish(job)


class Trainer:
    """A network, its optimiser and its batches."""

    def __init__(
        self,
        model: Hybrid | TcnCtc,
        batches: TrainingGlosses,
        p: TrainGlossParams,
        how: Loss,
        lr: float,
        seed: int,
    ) -> None:
        self.model, self.batches, self.p, self.how, self.seed = model.to(how.device), batches, p, how, seed
        self.lr = lr
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr, BETAS, weight_decay=p.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(how.device.type, enabled=p.precision == "fp16")

    def epoch(self, epoch: int) -> Figures:
        """Train one epoch; return mean losses, the share of blank frames and the last learning rate."""
        # dropout depends only on the epoch, so a resumed run needs no generator state
        torch.manual_seed(self.seed + _EPOCH_STRIDE * (epoch + 1))
        self.model.train()
        losses = torch.zeros(3, dtype=torch.float64, device=self.how.device)
        blanks = torch.zeros(2, dtype=torch.int64, device=self.how.device)
        steps = len(self.batches)
        warmup = round(self.p.warmup_epochs * steps)
        for i, batch in enumerate(self.batches.epoch(epoch)):
            rate = learning_rate(epoch * steps + i, steps * self.p.epochs, self.lr, warmup)
            sums = self.how(self.model, batch.to(self.how.device)).sums
            parts = torch.stack([self.how.total(sums), *sums.means()])
            self.step(parts[0], rate)
            losses += parts.detach()
            blanks += torch.stack([sums.blanks, sums.frames])
        total, ctc, ce = (losses / steps).tolist()
        return {
            "train_loss": total,
            "ctc_loss": ctc,
            "ce_loss": None if self.how.alone else ce,
            "train_blank_ratio": float(blanks[0] / blanks[1]),
            "lr": rate,
        }

    def step(self, loss: Tensor, rate: float) -> None:
        """Take one optimiser step on `loss` at learning rate `rate`."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP_NORM)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad()


def check_finite(name: str, epoch: int, loss: float | None, alone: bool) -> None:
    """Raise SignloomError if a loss is NaN or infinite, before anything of the epoch is saved."""
    if loss is not None and not math.isfinite(loss):
        raise SignloomError(
            f"{name} of epoch {epoch + 1} is {loss}: lower {'tcn' if alone else 'hybrid'}.lr, "
            "or choose another train_gloss.precision"
        )


def model_config(
    run: GlossRunParams,
    shape: HybridParams | TcnParams,
    p: TrainGlossParams,
    corpus: GlossCorpus,
    joined: bool,
) -> GlossConfig:
    """Return the shape of the network that the parameters, the features and the vocabulary ask for.

    `joined` says that training may join two gloss lines into one.
    """
    longest = max(len(clip.ids) for clip in corpus.train + corpus.val)
    sizes = shape.model_dump(include={"layers", "heads", "feedforward", "decoder_layers", "kernel"})
    return GlossConfig(
        network=run.row.network,
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
    job: Job,
    run: GlossRunParams,
    config: GlossConfig,
    sections: dict[str, dict[str, Any]],
    corpus: GlossCorpus,
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
    inputs = {"pose": ("pose", "pose_index", "mask"), "clip": ("clip", "clip_index")}
    data = ["splits", "gloss_lines", *(name for family in rows.stats for name in inputs[family])]
    if run.row.copies:
        data += ["copies", "copies_index"]
    return {
        "family": "gloss",
        "run": run.model_dump(),
        "input": rows.kind,
        "stack": rows.stack,
        "every": rows.every,
        "signers": None if rows.signers is None else list(rows.signers.stats),
        "vocabulary": corpus.vocabulary,
        "model_config": config.to_dict(),
        **stats,
        **rows.backbone(),
        "parameters": sections,
        "vocabulary_hash": hash_files(job.input_list("glosses")),
        "stats_hash": hash_files(
            [path for family in rows.stats for path in job.input_list(f"{family}_stats")]
        ),
        "data_hash": hash_files([path for name in data for path in job.input_list(name)]),
        "git_commit": checkpoints.git_commit(),
        "versions": checkpoints.versions(),
    }
