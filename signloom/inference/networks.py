"""Run the exported networks on the CPU with ONNX Runtime."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from signloom.errors import SignloomError
from signloom.inference.beam import NextLogProbs, Tokens
from signloom.inference.bundle import Bundle

Array = npt.NDArray[np.float32]
Clip = tuple[npt.NDArray[np.floating], npt.NDArray[np.integer]]  # features (T, 540), mask (T, 4)

MASK_DIM = 4
_BATCH = 16
_PADDING = -1  # value of the mask in padded frames


class Encoded(NamedTuple):
    """The encoder's output for several clips, in their order."""

    embeddings: Array  # (N, E), unit rows
    frames: list[Array]  # (T', width) per clip


class GlossRows(NamedTuple):
    """The gloss network's output for one clip."""

    frames: Array  # (T', width)
    greedy: list[int]  # the glosses of CTC's best path
    log_probs: Array  # (T', vocabulary) of CTC


class Networks:
    """The networks of a bundle; each is loaded when it is first used."""

    def __init__(self, bundle: Bundle, threads: int, int8: bool) -> None:
        self._bundle, self._threads = bundle, threads
        self._encoder = "sign_encoder.int8.onnx" if int8 else "sign_encoder.onnx"
        # int8 scales its numbers by all clips of a batch, and an answer must not depend on the other clips
        self._batch = 1 if int8 else _BATCH
        self._loaded: dict[str, _Network] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the loaded networks out of a copy, as they cannot be pickled."""
        return self.__dict__ | {"_loaded": {}}

    def encode(self, clips: Sequence[Clip]) -> Encoded:
        """Encode clips that have at least one frame, in batches of similar lengths."""
        lengths = [len(features) for features, _ in clips]
        order = np.argsort(lengths, kind="stable")
        embeddings: list[Array] = [np.empty(0, np.float32)] * len(clips)
        frames = list(embeddings)
        for start in range(0, len(order), self._batch):
            places = order[start : start + self._batch].tolist()
            found = self._needed(self._encoder).run(
                ["embedding", "frames"], pad([clips[place] for place in places])
            )
            for place, embedding, states in zip(places, *found, strict=True):
                embeddings[place], frames[place] = embedding, states[: lengths[place]]
        return Encoded(np.array(embeddings, np.float32), frames)

    def sentence_decoder(self, frames: Array) -> NextLogProbs:
        """Return the sentence decoder over the encoder's `frames` (T', width) of one clip."""
        return _over(self._needed("sign_decoder.onnx"), frames)

    def gloss_decoder(self, frames: Array) -> NextLogProbs | None:
        """Return the gloss decoder over the gloss network's `frames`, None if the bundle has none."""
        decoder = self._network("gloss_decoder.onnx")
        return _over(decoder, frames) if decoder else None

    def glosses(self, clip: Clip) -> GlossRows | None:
        """Run the gloss network on one clip; return None if the bundle has none."""
        network = self._network("gloss_model.onnx")
        if network is None:
            return None
        frames, greedy, log_probs = network.run(["frames", "greedy", "log_probs"], pad([clip]))
        return GlossRows(frames[0], greedy[0][greedy[0] >= 0].tolist(), log_probs[0])

    def _network(self, file: str) -> "_Network | None":
        """Return a network, None if the bundle has none."""
        if file not in self._loaded and file in self._bundle.names:
            self._loaded[file] = _Network(self._bundle, file, self._threads)
        return self._loaded.get(file)

    def _needed(self, file: str) -> "_Network":
        """Return a network; raises SignloomError if the bundle has none."""
        self._bundle.need(file)
        found = self._network(file)
        assert found is not None
        return found


class _Network:
    """A network of a bundle; raises SignloomError with its file's name if it cannot run."""

    def __init__(self, bundle: Bundle, file: str, threads: int) -> None:
        self._bundle, self._file = bundle, file
        self._session = session(bundle.read(file), threads, f"{bundle.path}: {file}")

    def run(self, outputs: list[str], inputs: dict[str, npt.NDArray[Any]]) -> list[Any]:
        """Return the `outputs` for `inputs`, by name."""
        with self._bundle.fits(self._file):
            return list(self._session.run(outputs, inputs))


def session(model: bytes, threads: int, name: str) -> Any:
    """Return an ONNX Runtime session on `threads` threads; raise SignloomError if it cannot run `model`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors only: hints about the graph do not help users
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has no base class for its errors
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(
            f"{name}: onnxruntime {onnxruntime.__version__} cannot run it ({reason}); install a newer version"
        ) from error


def pad(clips: Sequence[Clip]) -> dict[str, npt.NDArray[Any]]:
    """Return clips as one block, `sequence` (B, T, 540) and `mask` (B, T, 4), padded to the longest."""
    longest = max(len(features) for features, _ in clips)
    sequence = np.zeros((len(clips), longest, clips[0][0].shape[1]), np.float32)
    mask = np.full((len(clips), longest, clips[0][1].shape[1]), _PADDING, np.int8)
    for row, (features, present) in enumerate(clips):
        sequence[row, : len(features)] = features
        mask[row, : len(features)] = present
    return {"sequence": sequence, "mask": mask}


def checked(clip: Clip, parts: dict[str, list[int]]) -> Clip:
    """Return a clip whose mask says 0 for a part with a NaN; `parts` has first and end column of each.

    Rows that are no landmarks may lack numbers, as in training; a clip of them without a number has no part.
    Raises SignloomError if the layout of the clip differs from the bundle's.
    """
    features, mask = clip
    width = max(end for _, end in parts.values())
    if features.ndim != 2 or features.shape[1] != width or mask.shape != (len(features), MASK_DIM):
        raise SignloomError(
            f"features of shape {features.shape} with a mask of shape {mask.shape}; expected "
            f"(frames, {width}) and (frames, {MASK_DIM})"
        )
    if not ((mask == 0) | (mask == 1)).all():
        raise SignloomError("a mask has other values than 0 (missing) and 1 (present)")
    if np.isinf(features).any():
        raise SignloomError("a feature is infinite; use NaN for missing values")
    missing = np.isnan(features)
    if [0, width] in parts.values():
        return features, mask * (not missing.all())
    broken = [missing[:, first:end].any(axis=1) for first, end in parts.values()]
    return features, mask * ~np.stack(broken, axis=1)


def _over(decoder: _Network, frames: Array) -> NextLogProbs:
    def next_log_probs(tokens: Tokens) -> Array:
        (log_probs,) = decoder.run(["log_probs"], {"tokens": tokens, "frames": frames[None]})
        return np.asarray(log_probs)

    return next_log_probs
