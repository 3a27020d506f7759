"""Decode held-out clips with every decoder of a trained gloss network, and score the gloss sequences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from signloom.decoding.attention import attention_beam
from signloom.decoding.ctc import greedy, prefix_beam
from signloom.decoding.joint import Reader, joint_beam
from signloom.decoding.language_model import GlossNgram
from signloom.errors import SignloomError
from signloom.evaluation.datasets import TOGETHER, data_sets
from signloom.evaluation.gloss import Answers, random_weights, score_glosses
from signloom.features.gloss_rows import GlossRows, RowFiles, SignerStats
from signloom.models.gloss import Hybrid, TcnCtc
from signloom.models.trained_gloss import TrainedGloss, load_gloss
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import DecodeGlossParams, GlossRunParams
from signloom.progress import batches
from signloom.text.glosses import read_gloss_lines, read_vocabulary
from signloom.text.normalise import scored_glosses
from signloom.text.sentences import training_clips
from signloom.text.vocabulary import BLANK, SYMBOLS, UNK

# hypotheses kept at every step: many for lines of few glosses, and time grows with them
_CTC_BEAM, _ATTENTION_BEAM, JOINT_BEAM = 10, 5, 10
_LENGTH_PENALTY = 0.8  # alpha of ((5 + n) / 6) ** alpha in the attention beam, as for sentences


def evaluate(
    trained: TrainedGloss,
    rows: GlossRows,
    splits: pd.DataFrame,
    lines: Mapping[str, str],
    p: DecodeGlossParams,
    params: EvaluationParams,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the answers to all held-out clips, one row per clip, and the metric entries of each data set.

    `splits` is splits.csv; `lines` has the gloss line of each of its clips. Raises SignloomError if a signed
    clip has no gloss line. See `score_decoded`.
    """
    check_lines(splits, lines)
    by_name = decoders(trained.model, p, language_model(trained, splits, lines, p))

    def decode(clip_ids: list[str], data: str) -> Decoded:
        return decode_clips(trained, rows, clip_ids, by_name, p.batch_size, data)

    answers, metrics = score_decoded(decode, splits, lines, p.normalisation, params)
    of_all = random_weights(trained.backbone)
    return answers, {name: part | of_all for name, part in metrics.items()}


def check_lines(splits: pd.DataFrame, lines: Mapping[str, str]) -> None:
    """Raise SignloomError if a signed clip of splits.csv has no gloss line."""
    lost = [clip for clip in splits["clip_id"][splits["sentence_id"] >= 0] if clip not in lines]
    if lost:
        raise SignloomError(
            f"{len(lost)} clips of splits.csv have no gloss line (first: {lost[0]}); build stage text again"
        )


def score_decoded(
    decode: Callable[[list[str], str], Decoded],
    splits: pd.DataFrame,
    lines: Mapping[str, str],
    normalisation: Literal["none", "phoenix"],
    params: EvaluationParams,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return what `decode` answers to the clips of each data set, one row per clip, and the metric entries.

    The answers are `data, clip_id, sentence_id, seen, reference`, a column per decoder, and `blank_frames,
    frames`.
    """
    described = splits.set_index("clip_id", drop=False)[["clip_id", "sentence_id", "seen"]]
    metrics, tables, answers = {}, [], {}
    for name, clip_ids in data_sets(splits).items():
        decoded = decode(clip_ids, name)
        references = [scored_glosses(lines[clip], normalisation) for clip in clip_ids]
        found = {
            decoder: [scored_glosses(line, normalisation) for line in decoded_lines]
            for decoder, decoded_lines in decoded.lines.items()
        }
        answers[name] = Answers(references, found, decoded.blanks)
        metrics[name] = score_glosses(answers[name], normalisation, params)
        table = described.loc[clip_ids].reset_index(drop=True)
        table.insert(0, "data", name)
        for column, glosses in {"reference": references, **found}.items():
            table[column] = [" ".join(line) for line in glosses]
        table[["blank_frames", "frames"]] = decoded.blanks.astype("int64")
        tables.append(table)
    for name, parts in TOGETHER.items():
        joined = Answers.of([answers[part] for part in parts])
        metrics[name] = score_glosses(joined, normalisation, params)
    return pd.concat(tables, ignore_index=True), metrics


def load_run(path: Path, run: GlossRunParams, glosses: Path) -> TrainedGloss:
    """Load a checkpoint; raises SignloomError if its run or its vocabulary is another one."""
    trained = load_gloss(path)
    if trained.run != run.model_dump():
        raise SignloomError(f"{path} is of run {trained.run}, expected {run.model_dump()}; train it again")
    if trained.vocabulary != read_vocabulary(glosses):
        raise SignloomError(f"{path} was trained with another vocabulary than {glosses}; train it again")
    return trained


def language_model(
    trained: TrainedGloss, splits: pd.DataFrame, lines: Mapping[str, str], p: DecodeGlossParams
) -> GlossNgram | None:
    """Return the n-gram model of the training clips' glosses, or None if its weight is 0."""
    if not p.lm_weight:
        return None
    place = {gloss: number for number, gloss in enumerate(trained.vocabulary)}
    training = sorted(training_clips(splits)["clip_id"])
    ids = [[place.get(gloss, UNK) for gloss in lines[clip].split()] for clip in training]
    return GlossNgram([line for line in ids if line], len(place), p.lm_order).to(trained.device)


def open_rows(files: RowFiles, gloss_lines: Path, trained: TrainedGloss) -> GlossRows:
    """Open `files` as the network read them in training; signers come from `gloss_lines`.

    Raises SignloomError if the checkpoint was trained with other stats or clip features.
    """
    rows = GlossRows.open(
        files, trained.kind, trained.model.config.max_frames, stack=trained.stack, every=trained.every
    )
    if trained.signers is not None:
        rows.signers = SignerStats(trained.signers, read_gloss_lines(gloss_lines)["signer_id"].to_dict())
    if rows.backbone() != trained.backbone:
        raise SignloomError(
            f"the checkpoint was trained on clip features of {trained.backbone}, not of {rows.backbone()}; "
            "train it again"
        )
    for family, stats in rows.stats.items():
        if family not in trained.stats or not stats.same(trained.stats[family]):
            raise SignloomError(
                f"the checkpoint was trained with other statistics than {family}_stats; train it again"
            )
    return rows


class Encoded(NamedTuple):
    """The encoder's output for a batch of clips."""

    memory: Tensor  # (B, T, width), 0 at padding
    valid: Tensor  # (B, T) bool
    log_probs: Tensor  # (B, T, V), of the CTC head

    @classmethod
    @torch.inference_mode()
    def by(cls, trained: TrainedGloss, features: Tensor, lengths: Tensor) -> Self:
        """Encode clips of `features` (B, T, D) with `lengths` (B,)."""
        memory, valid = trained.model.encode(features.to(trained.device), lengths.to(trained.device))
        return cls(memory, valid, trained.model.ctc(memory))

    @property
    def lengths(self) -> Tensor:
        """Return the number of frames of each clip (B,)."""
        return self.valid.sum(1)

    def blanks(self) -> npt.NDArray[np.int64]:
        """Return (B, 2): frames whose likeliest label is blank, and all frames."""
        silent = (self.log_probs.argmax(2) == BLANK) & self.valid
        return np.asarray(torch.stack([silent.sum(1), self.valid.sum(1)], 1).cpu())


Decoder = Callable[[Encoded], list[list[int]]]


class Decoded(NamedTuple):
    """Answers in the order of the clips asked for."""

    lines: dict[str, list[str]]  # decoder: gloss lines
    blanks: npt.NDArray[np.float64]  # (clips, 2): frames whose likeliest label is blank, and all frames


def decoders(
    model: Hybrid | TcnCtc, p: DecodeGlossParams, lm: GlossNgram | None = None
) -> dict[str, Decoder]:
    """Return the decoders of `model` by name; `lm` is used only with `lm_weight` above 0."""
    found: dict[str, Decoder] = {
        "ctc_greedy": lambda e: greedy(e.log_probs, e.lengths),
        "ctc_beam": lambda e: [h.tokens for h in prefix_beam(e.log_probs, e.lengths, _CTC_BEAM)],
    }
    if not isinstance(model, Hybrid):
        return found
    most = model.config.max_tokens

    def attention(e: Encoded) -> list[list[int]]:
        hypotheses = attention_beam(
            model, e.memory, e.valid, SYMBOLS, beam=_ATTENTION_BEAM, alpha=_LENGTH_PENALTY, max_tokens=most
        )
        return [hypothesis.tokens for hypothesis in hypotheses]

    def joint(e: Encoded) -> list[list[int]]:
        hypotheses = joint_beam(
            [Reader(model, *e)], beam=JOINT_BEAM, ctc_weight=p.joint_ctc_weight, max_tokens=most,
            lm=lm, lm_weight=p.lm_weight, length_bonus=p.length_bonus,
        )  # fmt: skip
        return [hypothesis.tokens for hypothesis in hypotheses]

    return found | {"attention": attention, "joint": joint}


def decode_clips(
    trained: TrainedGloss,
    rows: GlossRows,
    clip_ids: Sequence[str],
    by_name: dict[str, Decoder],
    batch_size: int,
    data: str,
) -> Decoded:
    """Return each decoder's answer for each clip of the data set `data`, and print the time that it took.

    Raises SignloomError for a clip without feature rows.
    """
    answers = {name: [""] * len(clip_ids) for name in by_name}
    blanks = np.zeros((len(clip_ids), 2))
    seconds = dict.fromkeys(["encoder", *by_name], 0.0)
    for places, features, lengths in clip_batches(rows, clip_ids, batch_size, f"decode {data}"):
        started = time.perf_counter()
        encoded = Encoded.by(trained, features, lengths)
        blanks[places] = encoded.blanks()
        seconds["encoder"] += time.perf_counter() - started
        for name, decoder in by_name.items():
            started = time.perf_counter()
            found = decoder(encoded)
            seconds[name] += time.perf_counter() - started
            for place, ids in zip(places, found, strict=True):
                answers[name][place] = trained.glosses(ids)
    if count := len(clip_ids):
        each = ", ".join(f"{part} {1000 * wall / count:.2f}" for part, wall in seconds.items())
        print(f"{data}: {count} clips, ms per clip: {each}", flush=True)
    return Decoded(answers, blanks)


def need_rows(rows: GlossRows, clip_ids: Sequence[str]) -> None:
    """Raise SignloomError if a clip has no feature rows."""
    missing = [clip_id for clip_id in clip_ids if clip_id not in rows or not rows.length(clip_id)]
    if missing:
        raise SignloomError(
            f"{len(missing)} clips of splits.csv have no {rows.kind} feature rows (first: {missing[0]}); "
            "look for them in rejects.csv and in the index of their shard, repair or remove their "
            "videos and build again"
        )


def clip_batches(
    rows: GlossRows, clip_ids: Sequence[str], size: int, label: str
) -> Iterator[tuple[Sequence[int], Tensor, Tensor]]:
    """Yield places in `clip_ids`, features (B, T, D) and lengths (B,) of clips of similar length.

    Batches depend only on lengths and ids, not on the order of `clip_ids`.
    """
    need_rows(rows, clip_ids)
    if not clip_ids:
        return
    order = sorted(range(len(clip_ids)), key=lambda place: (rows.length(clip_ids[place]), clip_ids[place]))
    for places in batches(order, size, label):
        clips = [torch.from_numpy(rows.network_input(clip_ids[place])).float() for place in places]
        features = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        yield places, features, torch.tensor([len(clip) for clip in clips])
