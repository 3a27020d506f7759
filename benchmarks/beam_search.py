"""Compare batched, cached beam search with a plain one: same tokens, and how many times faster.

    python -m benchmarks.beam_search                  # the full comparison; the plain search takes minutes
    python -m benchmarks.beam_search --samples 4      # the plain search on 4 clips only, its time scaled

The decoder has the size of the `signtalk` preset (6 layers, 512 wide, 8 heads, feed-forward 2048, vocabulary
30,522) and seeded random weights; 32 clips of up to 128 frames, beam 4, at most 32 steps, one thread.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch
from torch import Tensor

from benchmarks import say_ratio
from signloom.decoding.attention import attention_beam
from signloom.decoding.beam import Hypothesis, length_penalty
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.text.vocabulary import Symbols

SYMBOLS = Symbols(pad=0, start=101, end=102)
BEAM, ALPHA, STEPS = 4, 0.8, 32


def plain_beam(
    model: Sign2Text,
    frames: Tensor,
    symbols: Symbols,
    beam: int,
    alpha: float,
    max_tokens: int,
    stacked: bool = False,
) -> Hypothesis:
    """Return the best hypothesis of one clip, `frames` (T, D) without padding.

    This is the textbook search: it decodes every prefix from the start at every step, one after the other or,
    with `stacked`, all beams of a clip together. It runs all steps, even if no beam can still win.
    """
    alive: list[tuple[float, list[int]]] = [(0.0, [])]
    best: Hypothesis | None = None
    limit = max_tokens - 1
    for step in range(1, limit + 1):
        prefixes = [torch.tensor([[symbols.start, *tokens]]) for _, tokens in alive]
        if stacked:
            log_p = _next_log_p(model, torch.cat(prefixes), frames)
        else:
            log_p = torch.cat([_next_log_p(model, prefix, frames) for prefix in prefixes])
        candidates = []
        for row, (score, tokens) in enumerate(alive):
            values = score + log_p[row]
            values[[symbols.pad, symbols.start]] = -torch.inf
            top = values.sort(descending=True, stable=True)
            ranked = zip(top.values[: 2 * beam].tolist(), top.indices[: 2 * beam].tolist(), strict=True)
            candidates += [(value, [*tokens, token]) for value, token in ranked]
        candidates.sort(key=lambda candidate: -candidate[0])
        candidates = candidates[: 2 * beam]
        for score, tokens in candidates[:beam]:
            score /= length_penalty(step, alpha)
            if tokens[-1] == symbols.end and (best is None or score > best.score):
                best = Hypothesis(tokens[:-1], score)
        alive = [candidate for candidate in candidates if candidate[1][-1] != symbols.end][:beam]
    if best is None:
        best = Hypothesis(alive[0][1], alive[0][0] / length_penalty(limit, alpha))
    return best


def _next_log_p(model: Sign2Text, prefixes: Tensor, frames: Tensor) -> Tensor:
    """Return log-probabilities (N, V) of the next token of `prefixes` (N, L) for one clip (T, D)."""
    context = frames.expand(len(prefixes), -1, -1)
    everywhere = torch.ones(context.shape[:2], dtype=torch.bool)
    return torch.log_softmax(model.decode(prefixes, context, everywhere)[:, -1].float(), -1)


def make_model(seed: int) -> Sign2Text:
    """Return a decoder of the signtalk size with seeded random weights behind a small encoder."""
    torch.manual_seed(seed)
    config = Sign2TextConfig(
        vocab_size=30522,
        pad_id=SYMBOLS.pad,
        bos_id=SYMBOLS.start,
        eos_id=SYMBOLS.end,
        text_dim=768,
        layers=1,
        max_tokens=STEPS + 1,
    )
    model = Sign2Text(config).eval()
    with torch.no_grad():
        # random logits are nearly flat; sharpen them, so that rounding does not decide between beams
        model.output.weight.mul_(6.0)
    return model


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32, help="clips")
    parser.add_argument("--samples", type=int, help="number of clips for the plain search (default: all)")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = make_model(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    lengths = torch.randint(64, 129, (args.batch,), generator=generator)
    frames = torch.randn(args.batch, 128, 512, generator=generator)
    valid = torch.arange(128)[None] < lengths[:, None]

    attention_beam(model, frames[:2], valid[:2], SYMBOLS, beam=BEAM, alpha=ALPHA, max_tokens=4)  # warm up
    started = time.perf_counter()
    fast = attention_beam(model, frames, valid, SYMBOLS, beam=BEAM, alpha=ALPHA, max_tokens=STEPS + 1)
    fast_s = time.perf_counter() - started
    lengths_found = sorted({len(found.tokens) for found in fast})
    print(
        f"batched and cached: {fast_s:.2f} s for {args.batch} clips, tokens found {lengths_found}", flush=True
    )

    samples = args.samples or args.batch
    clips = [frames[i, : lengths[i]] for i in range(samples)]
    right = True
    for stacked, name in ((False, "plain, prefix by prefix"), (True, "plain, a clip's beams stacked")):
        started = time.perf_counter()
        plain = [plain_beam(model, clip, SYMBOLS, BEAM, ALPHA, STEPS + 1, stacked) for clip in clips]
        plain_s = time.perf_counter() - started
        scaled = plain_s * args.batch / samples
        note = f", scaled to {args.batch} clips {scaled:.2f} s" if samples < args.batch else ""
        same = sum(a.tokens == b.tokens for a, b in zip(fast, plain, strict=False))
        right = right and same == samples
        print(f"{name}: {plain_s:.2f} s for {samples} clips{note}; same tokens {same} of {samples}")
        say_ratio(f"against {name}", scaled / fast_s)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
