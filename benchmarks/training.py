"""Compare epochs of training with the loop that the design documents describe: same clips, network and batch.

    OMP_NUM_THREADS=1 python -m benchmarks.training --family sentences --clips 48 --batch 16

The reference (`benchmarks/training_loops.py`) uses PyTorch's own layers and optimiser. It pads every clip
and text to the longest length allowed, runs the frozen sentence encoder at every step and projects every
position to the vocabulary. The script prints clips per second both ways, measured in turns over whole epochs,
and their ratio, for each number format. Then it trains both in fp32 without dropout from the same weights and
prints the largest relative difference of their losses. It fails if that is above 1e-4.

The networks have the sizes of the presets `signtalk` and `phoenix2014`. The clips are generated: 32 to 128
frames with sentences of 6 to 24 tokens, or 30 to 150 rows with 4 to 14 glosses. The frozen encoder has
DistilBERT's shape and random weights, so that nothing is downloaded. A GPU is used if there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from benchmarks import say_ratio
from benchmarks.training_loops import PlainHybrid, PlainSentences
from signloom.models.gloss import GlossConfig, Hybrid
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.load import load_params
from signloom.precision import autocast
from signloom.training.epochs import reproducible
from signloom.training.glosses.corpus import GlossClip
from signloom.training.glosses.data import Sample as GlossSample
from signloom.training.glosses.data import collate as collate_glosses
from signloom.training.glosses.losses import Loss
from signloom.training.optimiser import Optimiser
from signloom.training.sentences.corpus import Corpus
from signloom.training.sentences.data import Batch, pad
from signloom.training.sentences.train import batch_losses

LARGEST_DIFFERENCE = 1e-4
LR, DECAY = 3e-4, 1e-4
VOCABULARY, GLOSSES = 30522, 1232


class Family(Protocol):
    """A family's network, batches and losses, Signloom's way and the plain way."""

    largest_norm: float

    def batches(self, clips: int, batch: int) -> list[Any]:
        """Return an epoch of batches."""

    def network(self, dropout: float) -> nn.Module:
        """Return a network with seeded random weights."""

    def plain(self, ours: nn.Module) -> nn.Module:
        """Return the plain network with copies of the weights; its output for a batch is the loss."""

    def loss(self, model: nn.Module, batch: Any, precision: str) -> Tensor:
        """Return Signloom's loss of a batch."""


class Statistics(NamedTuple):
    """What the losses need of a corpus."""

    mean: Tensor
    std: Tensor
    glosses: None = None


class Sentences:
    """Landmarks to sentences, `signtalk` sizes."""

    largest_norm = 1.0

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(1)
        self.device = device
        self.bert = DistilBertModel(DistilBertConfig()).eval().requires_grad_(False).to(device)
        self.corpus = Statistics(torch.zeros(540, device=device), torch.ones(540, device=device))
        self.params = load_params(Path("params.yaml"), Path("config/presets/signtalk.yaml")).sign2text
        self.frozen = torch.zeros(0, self.bert.config.dim, device=device)

    def batches(self, clips: int, batch: int) -> list[Batch]:
        """Return batches of sentences with two clips each, every clip with its two half views."""
        rng = np.random.default_rng(2)
        return [self._batch(rng, number, batch) for number in range(max(1, clips // batch))]

    def _batch(self, rng: np.random.Generator, number: int, size: int) -> Batch:
        wholes = [rng.standard_normal((int(rng.integers(32, 129)), 540), np.float32) for _ in range(size)]
        views = [
            pad([(clip, np.ones((len(clip), 4), np.uint8)) for clip in clips])
            for clips in (wholes, [clip[::2] for clip in wholes], [clip[1::2] for clip in wholes])
        ]
        sentences = torch.arange(size) // 2 + number * size
        rows = torch.arange(size) + number * size
        lines = [[101, *rng.integers(1000, 30000, rng.integers(4, 23)), 102] for _ in range(-(-size // 2))]
        longest = max(map(len, lines))
        tokens = torch.tensor([lines[i // 2] + [0] * (longest - len(lines[i // 2])) for i in range(size)])
        with torch.no_grad():  # once, as stage `text` does
            ids = tokens.to(self.device)
            said = self.bert(ids, attention_mask=ids != 0).last_hidden_state[:, 0]
        self.frozen = torch.cat([self.frozen[: number * size], said])
        return Batch(views, sentences, rows, tokens, torch.zeros(size, 0).long()).to(self.device)

    def network(self, dropout: float) -> Sign2Text:
        """Return Signloom's network."""
        torch.manual_seed(0)
        config = Sign2TextConfig(VOCABULARY, 0, 101, 102, self.bert.config.dim, dropout=dropout)
        return Sign2Text(config).to(self.device)

    def plain(self, ours: nn.Module) -> nn.Module:
        """Return the reference."""
        assert isinstance(ours, Sign2Text)
        return PlainSentences(ours, self.bert, *self.corpus[:2]).to(self.device)

    def loss(self, model: nn.Module, batch: Batch, precision: str) -> Tensor:
        """Return the sum of the losses of stage `train_sign2text`."""
        assert isinstance(model, Sign2Text)
        p = self.params.model_copy(update={"precision": precision})
        return batch_losses(model, batch, self.frozen, cast(Corpus, self.corpus), p).total


class Glosses:
    """Features to glosses, `phoenix2014` sizes."""

    largest_norm = 5.0

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def batches(self, clips: int, batch: int) -> list[Any]:
        """Return batches sorted by length."""
        rng = np.random.default_rng(3)
        return [
            collate_glosses([self._sample(rng) for _ in range(batch)]).to(self.device)
            for _ in range(max(1, clips // batch))
        ]

    def _sample(self, rng: np.random.Generator) -> GlossSample:
        rows = rng.standard_normal((int(rng.integers(30, 151)), 544), np.float32)
        ids = tuple(rng.integers(5, GLOSSES, rng.integers(4, 15)).tolist())
        return GlossSample(rows, GlossClip("", "", ids, True, ()))

    def network(self, dropout: float) -> Hybrid:
        """Return Signloom's network."""
        torch.manual_seed(0)
        return Hybrid(GlossConfig("hybrid", 544, GLOSSES, dropout=dropout)).to(self.device)

    def plain(self, ours: nn.Module) -> nn.Module:
        """Return the reference."""
        assert isinstance(ours, Hybrid)
        return PlainHybrid(ours, 0.3).to(self.device)

    def loss(self, model: nn.Module, batch: Any, precision: str) -> Tensor:
        """Return the sum of the losses of stage `train_gloss`."""
        assert isinstance(model, Hybrid)
        loss = Loss(0.3, 0.1, False, precision, self.device)
        return loss.total(loss(model, batch).sums)


class Way(NamedTuple):
    """A way to train: a step that returns the loss, and the context in which steps run."""

    step: Callable[[Any], Tensor]
    context: Callable[[], AbstractContextManager[None]]


def signloom(family: Family, model: nn.Module, precision: str) -> Way:
    """Return Signloom's way, in which two runs give the same bytes."""
    model.train()
    optimiser = Optimiser(model, LR, DECAY, precision, family.largest_norm)

    def step(batch: Any) -> Tensor:
        loss = family.loss(model, batch, precision)
        optimiser.add(loss)
        optimiser.step(LR)
        return loss.detach()

    return Way(step, partial(reproducible, torch.get_num_threads()))


def plainly(family: Family, ours: nn.Module, precision: str) -> Way:
    """Return the design documents' way, from the weights of `ours`."""
    model = family.plain(ours).train()
    if isinstance(model, PlainSentences):
        model.bert.eval()
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    adamw = torch.optim.AdamW(trained, LR, (0.9, 0.98), weight_decay=DECAY)

    def step(batch: Any) -> Tensor:
        with autocast(batch[1].device, precision):
            loss: Tensor = model(batch)
        adamw.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, family.largest_norm)
        adamw.step()
        return loss.detach()

    return Way(step, nullcontext)


def epoch_seconds(way: Way, batches: Sequence[Any]) -> float:
    """Return the time of an epoch; the losses are read at its end, as training does."""
    with way.context():
        started = time.perf_counter()
        torch.stack([way.step(batch) for batch in batches]).cpu()
        return time.perf_counter() - started


def losses(way: Way, batches: Sequence[Any]) -> list[float]:
    """Return the loss of every step of an epoch."""
    with way.context():
        return [float(way.step(batch)) for batch in batches]


def compare_speed(family: Family, args: argparse.Namespace) -> None:
    """Print clips per second of each way and format, and the ratios."""
    batches = family.batches(args.clips, args.batch)
    clips = args.batch * len(batches)
    ways = {
        f"{name} {precision}": way(family, family.network(0.2), precision)
        for precision in args.precision
        for name, way in (("plain", plainly), ("signloom", signloom))
    }
    for way in ways.values():  # the first steps load libraries
        epoch_seconds(way, batches[:2])
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            times[name].append(epoch_seconds(way, batches))
    found = {name: clips / median(seconds) for name, seconds in times.items()}
    for name, speed in found.items():
        against = ", ".join(
            f"{speed / found[other]:.2f}x {other}" for other in found if other.startswith("plain")
        )
        print(f"{name}: {speed:,.1f} clips/s, {against}")
    for precision in args.precision:
        ratio = found[f"signloom {precision}"] / found[f"plain {precision}"]
        say_ratio(f"{args.family} {precision} against plain {precision}", ratio)


def compare_losses(family: Family, args: argparse.Namespace) -> float:
    """Return the largest relative difference between the losses of the two ways in fp32."""
    batches = family.batches(args.clips, args.batch)
    network = family.network(0.0)
    plain = losses(plainly(family, network, "fp32"), batches)
    ours = losses(signloom(family, network, "fp32"), batches)
    return max(abs(a - b) / abs(b) for a, b in zip(ours, plain, strict=True))


def main(argv: list[str] | None = None) -> int:
    """Time both ways and compare their losses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", choices=("sentences", "glosses"), default="sentences")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=("fp32", "bf16", "fp16"))
    args = parser.parse_args(argv)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"processor, {args.threads} thread(s)"
    print(f"{args.family}, {args.clips} clips in batches of {args.batch}, {where}")
    torch.set_num_threads(args.threads)
    family: Family = Sentences(device) if args.family == "sentences" else Glosses(device)
    compare_speed(family, args)
    difference = compare_losses(family, args)
    print(f"losses of the same steps in fp32 differ by at most {difference:.1e}")
    return 0 if difference <= LARGEST_DIFFERENCE else 1


if __name__ == "__main__":
    sys.exit(main())
