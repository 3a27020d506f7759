"""Compare cached text embeddings with a frozen encoder that runs at every training step, at full size.

    OMP_NUM_THREADS=1 python -m benchmarks.cached_text --steps 3

It prints processor seconds per training step in fp32 both ways, measured in turns, and their ratio; it fails
below 1.1. Processor time is used, because wall time varies on a busy machine. The encoder has DistilBERT's
shape and random weights: its speed is the same, and nothing is downloaded. The gain grows with the number of
tokens of a sentence.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from transformers import DistilBertConfig, DistilBertModel

from benchmarks import say_ratio
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.training.sentences.losses import contrastive_loss, supervised_contrastive_loss, token_loss

TARGET = 1.1


def make_step(batch: int, frames: int, tokens: int) -> Callable[[bool], None]:
    """Return a training step of the full model on random input; its argument says whether text is cached."""
    torch.manual_seed(0)
    bert = DistilBertModel(DistilBertConfig()).eval().requires_grad_(False)
    model = Sign2Text(Sign2TextConfig(30522, 0, 101, 102, bert.config.dim))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    whole, half = torch.randn(batch, frames, 544), torch.randn(2 * batch, frames // 2, 544)
    ids = torch.randint(1000, 30000, (batch, tokens))
    labels = torch.arange(batch) // 2
    cached = torch.randn(batch, bert.config.dim)

    def valid(x: Tensor) -> Tensor:
        return torch.ones(x.shape[:2], dtype=torch.bool)

    def step(from_cache: bool) -> None:
        if from_cache:
            frozen = cached
        else:
            with torch.no_grad():
                frozen = bert(ids).last_hidden_state[:, 0]
        encoded, views = model.encode(whole, valid(whole)), model.encode(half, valid(half))
        loss = token_loss(*model.next_tokens(ids, encoded), 0.1)
        loss = loss + contrastive_loss(encoded.embedding, model.project_text(frozen), labels, 0.05)
        loss = loss + 0.5 * supervised_contrastive_loss(views.embedding, labels.repeat(2), 0.07)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()

    return step


def main(argv: list[str] | None = None) -> int:
    """Time both ways and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=16, help="length of a sentence in tokens")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    step = make_step(args.batch, args.frames, args.tokens)
    step(True), step(False)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(args.steps):
        for cached in (True, False):
            started = time.process_time()
            step(cached)
            seconds[cached].append(time.process_time() - started)
    with_cache, without = median(seconds[True]), median(seconds[False])
    ratio = without / with_cache
    print(f"a step: {with_cache:.2f} s with cached text, {without:.2f} s without: {ratio:.2f} times faster")
    say_ratio("a step against one that runs the text encoder", ratio)
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
