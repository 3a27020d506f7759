"""Load a trained gloss network and decode clips with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from signloom.decoding.attention import attention_beam
from signloom.decoding.ctc import greedy, prefix_beam
from signloom.decoding.joint import joint_beam
from signloom.decoding.language_model import GlossNgram
from signloom.errors import SignloomError
from signloom.features.gloss_rows import GlossRows, SignerStats, Stats
from signloom.models.gloss import Hybrid, TcnCtc, build
from signloom.params.gloss import DecodeGlossParams
from signloom.params.variants import Kind
from signloom.progress import track
from signloom.stage import Job
from signloom.text.glosses import read_gloss_table
from signloom.text.vocabulary import BLANK, SYMBOLS
from signloom.training import checkpoints


@dataclass(frozen=True)
class TrainedGloss:
    """A trained network in evaluation mode, with the settings and stats of its training."""

    model: Hybrid | TcnCtc
    kind: Kind  # the features that it reads
    vocabulary: list[str]
    stats: dict[str, Stats]
    signers: dict[str, Stats] | None  # stats of each training signer, if features are standardised by signer
    stack: int  # consecutive rows joined into one
    every: int  # only every n-th row is read
    backbone: dict[str, str]  # the network that made the clip features; empty if none are read
    run: dict[str, Any]  # variant and seed
    device: torch.device

    def glosses(self, ids: Sequence[int]) -> str:
        """Return the gloss line for `ids`."""
        return " ".join(self.vocabulary[i] for i in ids)


def load_gloss(path: Path) -> TrainedGloss:
    """Load a gloss checkpoint, onto the GPU if there is one; raises SignloomError for any other file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    content = checkpoints.load(path, device)
    if content.get("family") != "gloss":
        raise SignloomError(
            f"{path}: a checkpoint of family {content.get('family')!r}, expected 'gloss'; train it again"
        )
    try:
        model = build(content["model_config"])
        model.load_state_dict(content["model"])
        stats = {
            family: Stats(content[f"{family}_mean"].cpu().numpy(), content[f"{family}_std"].cpu().numpy())
            for family in ("pose", "clip")
            if f"{family}_mean" in content
        }
        return TrainedGloss(
            model.to(device).eval(),
            content["input"],
            content["vocabulary"],
            stats,
            _signers(content),
            content["stack"],
            content["every"],
            {name: content[name] for name in ("backbone", "weights", "weights_sha256") if name in content},
            content["run"],
            device,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(f"{path}: not a gloss checkpoint ({reason}); train it again") from error


def _signers(content: dict[str, Any]) -> dict[str, Stats] | None:
    if content["signers"] is None:
        return None
    means, stds = (content[f"signer_{name}"].cpu().numpy() for name in ("mean", "std"))
    return {name: Stats(*own) for name, *own in zip(content["signers"], means, stds, strict=True)}


def open_rows(job: Job, trained: TrainedGloss) -> GlossRows:
    """Open a stage's features as the network read them in training; signers come from `gloss_lines`."""
    rows = GlossRows.open(
        job, trained.kind, trained.model.config.max_frames, stack=trained.stack, every=trained.every
    )
    if trained.signers is not None:
        table = read_gloss_table(job.input("gloss_lines"))
        signer_of = dict(zip(table["clip_id"], table["signer_id"], strict=True))
        rows.signers = SignerStats(trained.signers, signer_of)
    check_features(trained, rows)
    return rows


def check_features(trained: TrainedGloss, rows: GlossRows) -> None:
    """Raise SignloomError if the checkpoint was trained with other stats or clip features."""
    if rows.backbone() != trained.backbone:
        raise SignloomError(
            f"the checkpoint was trained on clip features of {trained.backbone}, not of {rows.backbone()}; "
            "train it again"
        )
    for family, stats in rows.stats.items():
        own = trained.stats.get(family)
        if own is None or not (np.array_equal(own.mean, stats.mean) and np.array_equal(own.std, stats.std)):
            raise SignloomError(
                f"the checkpoint was trained with other statistics than {family}_stats; train it again"
            )


class Encoded(NamedTuple):
    """The encoder's output for a batch of clips."""

    memory: Tensor  # (B, T, width), 0 at padding
    valid: Tensor  # (B, T) bool
    log_probs: Tensor  # (B, T, V), of the CTC head

    @property
    def lengths(self) -> Tensor:
        """Return the number of frames of each clip (B,)."""
        return self.valid.sum(1)


Decoder = Callable[[Encoded], list[list[int]]]


class Decoded(NamedTuple):
    """Answers in the order of the clips asked for."""

    lines: dict[str, list[str]]  # decoder: gloss lines
    blanks: npt.NDArray[np.float64]  # (clips, 2): frames whose likeliest label is blank, and all frames
    seconds: dict[str, float]  # decoder, or "encoder": wall time for all clips


def decoders(
    model: Hybrid | TcnCtc, p: DecodeGlossParams, lm: GlossNgram | None = None
) -> dict[str, Decoder]:
    """Return the decoders of `model` by name; `lm` is used only with `lm_weight` above 0."""
    found: dict[str, Decoder] = {
        "ctc_greedy": lambda e: greedy(e.log_probs, e.lengths),
        "ctc_beam": lambda e: [h.tokens for h in prefix_beam(e.log_probs, e.lengths, p.ctc_beam)],
    }
    if not isinstance(model, Hybrid):
        return found
    most = model.config.max_tokens

    def attention(e: Encoded) -> list[list[int]]:
        hypotheses = attention_beam(
            model, e.memory, e.valid, SYMBOLS, beam=p.attention_beam, alpha=p.length_penalty, max_tokens=most
        )
        return [hypothesis.tokens for hypothesis in hypotheses]

    def joint(e: Encoded) -> list[list[int]]:
        hypotheses = joint_beam(
            model, e.memory, e.valid, e.log_probs, beam=p.joint_beam, ctc_weight=p.joint_ctc_weight,
            max_tokens=most, lm=lm, lm_weight=p.lm_weight, length_bonus=p.length_bonus,
        )  # fmt: skip
        return [hypothesis.tokens for hypothesis in hypotheses]

    return found | {"attention": attention, "joint": joint}


def decode_clips(
    trained: TrainedGloss,
    rows: GlossRows,
    clip_ids: Sequence[str],
    by_name: dict[str, Decoder],
    batch_size: int,
    label: str,
) -> Decoded:
    """Return each decoder's answer for each clip; raises SignloomError for a clip without feature rows."""
    answers = {name: [""] * len(clip_ids) for name in by_name}
    blanks = np.zeros((len(clip_ids), 2))
    seconds = dict.fromkeys(["encoder", *by_name], 0.0)
    for places, features, lengths in _batches(rows, clip_ids, batch_size, label):
        started = time.perf_counter()
        with torch.inference_mode():
            memory, valid = trained.model.encode(features.to(trained.device), lengths.to(trained.device))
            encoded = Encoded(memory, valid, trained.model.ctc_log_probs(memory))
        silent = (encoded.log_probs.argmax(2) == BLANK) & valid
        blanks[places] = torch.stack([silent.sum(1), valid.sum(1)], 1).cpu().numpy()
        seconds["encoder"] += time.perf_counter() - started
        for name, decoder in by_name.items():
            started = time.perf_counter()
            found = decoder(encoded)
            seconds[name] += time.perf_counter() - started
            for place, ids in zip(places, found, strict=True):
                answers[name][place] = trained.glosses(ids)
    return Decoded(answers, blanks, seconds)


def _batches(
    rows: GlossRows, clip_ids: Sequence[str], size: int, label: str
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield places in `clip_ids`, features (B, T, D) and lengths (B,) of clips of similar length.

    Batches depend only on lengths and ids, not on the order of `clip_ids`.
    """
    missing = [clip_id for clip_id in clip_ids if clip_id not in rows or not rows.length(clip_id)]
    if missing:
        raise SignloomError(
            f"{len(missing)} clips of splits.csv have no {rows.kind} feature rows (first: {missing[0]}); "
            "look for them in build/rejects.csv and in the index of their shard, repair or remove their "
            "videos and build again"
        )
    if not clip_ids:
        return
    order = sorted(range(len(clip_ids)), key=lambda place: (rows.length(clip_ids[place]), clip_ids[place]))
    starts = range(0, len(order), size)
    for start in track(starts, label, total=len(starts), unit="batch"):
        places = order[start : start + size]
        clips = [torch.from_numpy(rows.network_input(clip_ids[place])).float() for place in places]
        features = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        yield places, features, torch.tensor([len(clip) for clip in clips])
