"""Compare batched CTC prefix and joint beam search with plain ones: same labels, how many times faster.

    python -m benchmarks.gloss_decoding                # 32 clips, beam 10, one thread
    python -m benchmarks.gloss_decoding --samples 4    # the plain searches on 4 clips only, times scaled

Posteriors are seeded and resemble a trained network's: mostly blanks, sometimes a gloss with rivals.
The decoder has the full size (3 layers, 512 wide, 8 heads) and seeded random weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import say_ratio
from signloom.decoding.beam import Hypothesis
from signloom.decoding.ctc import prefix_beam
from signloom.decoding.joint import Reader, joint_beam
from signloom.models.gloss import ATTENTION_NEVER, CTC_NEVER, GlossConfig, Hybrid
from signloom.text.vocabulary import BLANK, EOS, SOS

WEIGHT, TOKENS = 0.4, 32


def log_add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b)) of two floats; faster than NumPy on single numbers."""
    low, high = (a, b) if a < b else (b, a)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def textbook_prefix_beam(log_p: Tensor, beam: int) -> Hypothesis:
    """Return the best labelling of one clip (T, V), with a dictionary of prefixes, label by label."""
    kept: dict[tuple[int, ...], tuple[float, float]] = {
        (): (0.0, -math.inf)
    }  # log-probabilities of a prefix that ends in a blank and in a label
    for row in log_p.double().tolist():
        new: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(
            prefix: tuple[int, ...],
            blank: float,
            label: float,
            into: dict[tuple[int, ...], tuple[float, float]] = new,
        ) -> None:
            old = into.get(prefix, (-math.inf, -math.inf))
            into[prefix] = (log_add(old[0], blank), log_add(old[1], label))

        for prefix, (blank, label) in kept.items():
            both = log_add(blank, label)
            for token, value in enumerate(row):
                if token in CTC_NEVER:
                    continue
                if token == BLANK:
                    add(prefix, both + value, -math.inf)
                elif prefix and token == prefix[-1]:
                    add(prefix, -math.inf, label + value)
                    add((*prefix, token), -math.inf, blank + value)
                else:
                    add((*prefix, token), -math.inf, both + value)
        kept = dict(sorted(new.items(), key=lambda item: -log_add(*item[1]))[:beam])
    prefix, parts = next(iter(kept.items()))
    return Hypothesis(list(prefix), log_add(*parts))


class PlainCtcPrefix:
    """CTC prefix scores of one clip (T, V), label by label, as in Watanabe et al. 2017, algorithm 2."""

    def __init__(self, log_p: Tensor) -> None:
        self.log_p = log_p.double().numpy()

    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the forward probabilities (T,) of the empty prefix, ending in a label and in a blank."""
        return np.full(len(self.log_p), -np.inf), self.log_p[:, BLANK].cumsum()

    def extend(
        self, prefix: list[int], token: int, state: tuple[np.ndarray, np.ndarray]
    ) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
        """Return log P(prefix + token ...) and the forward probabilities of prefix + token."""
        old_label, old_blank = state
        frames = len(self.log_p)
        label, blank = np.full(frames, -np.inf), np.full(frames, -np.inf)
        if not prefix and frames:
            label[0] = self.log_p[0, token]
        score = label[0] if frames else -np.inf
        for t in range(1, frames):
            repeat = bool(prefix) and prefix[-1] == token
            phi = old_blank[t - 1] if repeat else np.logaddexp(old_blank[t - 1], old_label[t - 1])
            label[t] = np.logaddexp(label[t - 1], phi) + self.log_p[t, token]
            blank[t] = np.logaddexp(blank[t - 1], label[t - 1]) + self.log_p[t, BLANK]
            score = np.logaddexp(score, phi + self.log_p[t, token])
        return float(score), (label, blank)


def plain_joint_beam(
    model: Hybrid, frames: Tensor, log_p: Tensor, beam: int, ctc_weight: float, max_tokens: int
) -> Hypothesis:
    """Return the best hypothesis of one clip, `frames` (T, D) and `log_p` (T, V), without padding.

    Every prefix is decoded from the start at every step, one hypothesis at a time. CTC scores are computed
    label by label, and only for the 3 x `beam` labels that attention ranks highest, a usual short cut.
    """
    ctc = PlainCtcPrefix(log_p)
    alive: list[tuple[list[int], float, float, Any]] = [([], 0.0, 0.0, ctc.start())]
    best: Hypothesis | None = None
    valid = torch.ones(1, len(frames), dtype=torch.bool)
    for _ in range(max_tokens - 1):
        candidates = []
        for tokens, attention, _, state in alive:
            prefix = torch.tensor([[SOS, *tokens]])
            cache = model.start(frames[None], valid)
            for token in prefix[0]:
                logits, cache = model.step(token[None], cache)
            values = logits[0].double().log_softmax(0)
            values[list(ATTENTION_NEVER)] = -torch.inf
            for token in {EOS, *values.topk(min(3 * beam, len(values))).indices.tolist()}:
                if token in ATTENTION_NEVER:
                    continue
                sum_attention = attention + float(values[token])
                if token == EOS:
                    ctc_score = float(np.logaddexp(state[0][-1], state[1][-1]))
                    new = state
                else:
                    ctc_score, new = ctc.extend(tokens, token, state)
                score = ctc_weight * ctc_score + (1 - ctc_weight) * sum_attention
                candidates.append(([*tokens, token], sum_attention, score, new))
        candidates.sort(key=lambda candidate: -candidate[2])
        for tokens, _, score, _ in candidates[:beam]:
            if tokens[-1] == EOS and (best is None or score > best.score):
                best = Hypothesis(tokens[:-1], score)
        alive = [candidate for candidate in candidates if candidate[0][-1] != EOS][:beam]
        if not alive or (best is not None and alive[0][2] <= best.score):
            break
    if best is None:
        best = Hypothesis(alive[0][0], alive[0][2])
    return best


def make_posteriors(clips: int, vocabulary: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return log-probabilities (B, 150, V) with a gloss about every ten frames, and lengths (B,)."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(75, 151, (clips,), generator=generator)
    logits = torch.randn(clips, 150, vocabulary, generator=generator)
    logits[:, :, BLANK] += 9.0
    signed = torch.rand(clips, 150, generator=generator) < 0.1
    glosses = torch.randint(5, vocabulary, (clips, 150, 3), generator=generator)
    logits.scatter_add_(2, glosses, 9.0 * signed[:, :, None] * torch.rand(glosses.shape, generator=generator))
    logits[:, :, list(CTC_NEVER)] = -torch.inf
    return logits.log_softmax(2), lengths


def make_model(vocabulary: int, seed: int) -> Hybrid:
    """Return a full-size network with seeded random weights and sharpened logits."""
    torch.manual_seed(seed)
    model = Hybrid(GlossConfig("hybrid", 16, vocabulary, layers=1, max_tokens=32)).eval()
    with torch.no_grad():
        model.output.weight.mul_(6.0)  # random logits are nearly flat
    return model


def timed(search: Callable[[], list[Hypothesis]]) -> tuple[list[Hypothesis], float]:
    """Return the result of `search` and its seconds."""
    started = time.perf_counter()
    return search(), time.perf_counter() - started


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32, help="clips")
    parser.add_argument("--samples", type=int, help="number of clips for the plain searches (default: all)")
    parser.add_argument("--vocabulary", type=int, default=500)
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    torch.set_num_threads(1)
    samples = min(args.samples or args.batch, args.batch)
    log_p, lengths = make_posteriors(args.batch, args.vocabulary, args.seed)
    model = make_model(args.vocabulary, args.seed)
    memory = torch.randn(args.batch, 150, 512, generator=torch.Generator().manual_seed(args.seed))
    valid = torch.arange(150) < lengths[:, None]
    joint = partial(joint_beam, beam=args.beam, ctc_weight=WEIGHT, max_tokens=TOKENS)
    clips = [(memory[i, : lengths[i]], log_p[i, : lengths[i]]) for i in range(samples)]
    searches: dict[str, tuple[Callable[[], list[Hypothesis]], Callable[[], list[Hypothesis]]]] = {
        "CTC prefix beam": (
            lambda: prefix_beam(log_p, lengths, args.beam),
            lambda: [textbook_prefix_beam(own, args.beam) for _, own in clips],
        ),
        "joint one-pass beam": (
            lambda: joint([Reader(model, memory, valid, log_p)]),
            lambda: [plain_joint_beam(model, *clip, args.beam, WEIGHT, TOKENS) for clip in clips],
        ),
    }
    print("| search | batched, ms a clip | plain, ms a clip | ratio | same answers |")
    print("|---|---|---|---|---|")
    right, found = True, {}
    for name, (batched, plain) in searches.items():
        batched()  # warm up
        fast, fast_s = timed(batched)
        slow, slow_s = timed(plain)
        same = sum(a.tokens == b.tokens for a, b in zip(fast, slow, strict=False))
        right = right and same == samples
        ours, theirs = 1000 * fast_s / args.batch, 1000 * slow_s / samples
        row = f"{ours:.1f} | {theirs:.0f} | {theirs / ours:.0f} | {same} of {samples}"
        print(f"| {name} | {row} |", flush=True)
        found[name] = theirs / ours
    for name, ratio in found.items():
        say_ratio(f"{name} against the plain search", ratio)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
