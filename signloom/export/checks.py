"""Check that exported networks give the same answers as the trained ones."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from signloom.decoding.ctc import greedy
from signloom.errors import SignloomError
from signloom.export.clip_networks import DecoderNetwork
from signloom.inference.networks import Clip, pad, session

TOLERANCE = 1e-4
INT8_COSINE = 0.99  # lowest cosine to the float embeddings; sentences of a gallery differ by far more

Arrays = list[npt.NDArray[Any]]
Inputs = dict[str, npt.NDArray[Any]]


def check_clips(name: str, model: bytes, network: nn.Module, batches: Sequence[list[Clip]]) -> str:
    """Return how well ONNX Runtime agrees with PyTorch on `batches`; raises SignloomError if it does not."""
    run = _in_onnxruntime(name, model)
    return _compare(name, model, run, network, map(pad, batches), f"{len(batches)} batches")


def check_torchscript(name: str, model: bytes, network: nn.Module, batches: Sequence[list[Clip]]) -> str:
    """Check a TorchScript file as `check_clips` checks an ONNX file."""
    loaded = torch.jit.load(io.BytesIO(model))  # type: ignore[no-untyped-call]
    run = partial(_in_pytorch, loaded)
    return _compare(name, model, run, network, map(pad, batches), f"{len(batches)} batches")


def check_decoder(
    name: str, model: bytes, network: DecoderNetwork, frames: Sequence[npt.NDArray[Any]], longest: int
) -> str:
    """Check a decoder in the same way, on clips' `frames` (T, width) and prefixes up to `longest` tokens."""
    rng, vocabulary = np.random.default_rng(0), network.model.output.out_features
    lengths = sorted({1, min(3, longest), longest})
    shapes = [(1, length) for length in lengths] + [(4, lengths[-1])]
    prefixes: Iterator[Inputs] = (
        {"tokens": rng.integers(0, vocabulary, shape), "frames": states[None]}
        for states in frames
        for shape in shapes
    )
    run = _in_onnxruntime(name, model)
    return _compare(name, model, run, network, prefixes, f"{len(frames)} clips")


def check_int8(name: str, model: bytes, exact: bytes, batches: Sequence[list[Clip]]) -> str:
    """Return the lowest cosine of embeddings to those of `exact`; raises SignloomError if it is too low."""
    runtimes, lowest = [session(model, 1, name), session(exact, 1, name)], 1.0
    for batch in batches:
        one, other = (runtime.run(["embedding"], pad(batch))[0] for runtime in runtimes)
        lowest = min(lowest, float((one * other).sum(1).min()))
    if not lowest >= INT8_COSINE:
        raise SignloomError(
            f"{name}: an embedding in 8 bits has cosine {lowest:.3f} to the same embedding in 32 bits, less "
            f"than {INT8_COSINE}; nothing was exported"
        )
    return f"{name}: {len(model) / 1e6:.1f} MB, cosine to 32 bits {lowest:.5f} or more"


def _in_onnxruntime(name: str, model: bytes) -> Callable[[Inputs], Arrays]:
    return partial(session(model, 1, name).run, None)


def _in_pytorch(network: Callable[..., Any], inputs: Inputs) -> Arrays:
    with torch.inference_mode():
        made = network(*map(torch.from_numpy, inputs.values()))
    return [part.numpy() for part in (made if isinstance(made, tuple) else (made,))]


def _compare(
    name: str,
    model: bytes,
    run: Callable[[Inputs], Arrays],
    network: nn.Module,
    examples: Iterable[Inputs],
    what: str,
) -> str:
    """Return how well an exported network, which `run` computes, agrees with its original on `examples`."""
    worst = 0.0
    for inputs in examples:
        found = run(inputs)
        first, *_ = inputs.values()
        worst = max(worst, _deviation(name, found, _in_pytorch(network, inputs), str(first.shape)))
        if len(found) == 3:
            _check_greedy(name, found[1], found[2], inputs["mask"])
    return f"{name}: {len(model) / 1e6:.1f} MB, agrees with PyTorch to {worst:.1e} on {what}"


def _deviation(name: str, found: Arrays, expected: Arrays, what: str) -> float:
    """Return the largest difference; raises SignloomError if it is NaN or above the tolerance."""
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            raise SignloomError(
                f"{name}: shape {one.shape}, but PyTorch gives {other.shape}, on input {what}; "
                "nothing was exported"
            )
        if one.dtype == np.int64:
            continue  # rounding may change which label is likeliest
        same = one == other  # equal infinities would have a difference of NaN
        difference = np.abs(np.where(same, 0.0, one) - np.where(same, 0.0, other)).max()
        if not difference <= TOLERANCE:
            raise SignloomError(
                f"{name}: differs from PyTorch by {difference:.1e} on input {what}, more than {TOLERANCE}; "
                "nothing was exported"
            )
        worst = max(worst, float(difference))
    return worst


def _check_greedy(
    name: str,
    log_probs: npt.NDArray[np.float32],
    path: npt.NDArray[np.int64],
    mask: npt.NDArray[np.int8],
) -> None:
    lengths = np.minimum((mask[:, :, 0] >= 0).sum(1), log_probs.shape[1])
    expected = greedy(torch.from_numpy(log_probs), torch.from_numpy(lengths))
    if [row[row >= 0].tolist() for row in path] != expected:
        raise SignloomError(
            f"{name}: its best path does not match its own log-probabilities; nothing was exported"
        )
