"""Score an exported bundle: acceptance, and the effects of int8, re-ranking and other thresholds."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.evaluation.acceptance import NO_CLIP, acceptance_figures, answer_table
from signloom.evaluation.outofset import Questions
from signloom.features.pose.landmark_files import holds_landmarks
from signloom.files import read_csv
from signloom.inference.answer import Answer, Match
from signloom.inference.engine import SignEngine
from signloom.inference.gates import GateInputs, highest
from signloom.metrics.bootstrap import mean_figure
from signloom.params.evaluation import EvaluationParams
from signloom.progress import batches

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]  # of questions

# the thresholds of the design document; its margin compares the two best clips of any sentences
FIXED_SIMILARITY, FIXED_MARGIN = 0.6, 0.05
TOP = 5
_NOBODY = Match(1, "", "", -1, "", "", math.nan, math.nan, math.nan, None, None)
_BATCH = 16
_COMPARED = 1024  # questions that are compared with the gallery at a time
_TIMED = 50  # how many clips are timed
_STREAMED = 8  # videos that are tracked again as a stream
_PERCENTILES = (50, 95, 99)


def evaluate(
    bundle: Path, engine: SignEngine, questions: Questions, params: EvaluationParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the `answer_table` of `engine`, which was loaded from `bundle`, and the metric entries."""
    inference = engine.config["inference"]
    inference["top_k"] = max(2, inference["top_k"])  # the margin needs the second sentence
    int8 = SignEngine.load(bundle, threads=1, int8=True)
    every, inside = np.arange(len(questions.of)), questions.inside
    sentences, own = engine.gallery.sentences, questions.sentences[inside]
    answers = answer_questions(engine, questions, every)
    gate_inputs = gate_inputs_of(engine, answers)
    reasons = [answer.reason for answer in answers]
    table = answer_table(questions, gate_inputs, sentences[gate_inputs.place], reasons)
    embeddings = embed_questions(engine, questions, every)
    small = embed_questions(int8, questions, inside)
    cosines = _to_sentences(engine, embeddings[inside]), _to_sentences(engine, small)
    reranked = answer_questions(engine, questions, inside, rerank=True)
    return table, {
        **acceptance_figures(table, params),
        "fixed_thresholds": fixed_figures(engine, questions, embeddings, params),
        "int8": int8_figures(sentences, own, cosines, params),
        "rerank": rerank_figures(own, [answers[row] for row in inside], reranked, params),
    }


def streamed_videos(shards: Sequence[Path], questions: Questions) -> list[Path]:
    """Return the first videos that hold exactly one clip, an in-set one; `shards` are the shard lists."""
    clips = pd.concat([read_csv(path, dtype=str, keep_default_na=False) for path in shards])
    whole = clips[(clips["start_s"] == "") & (clips["end_s"] == "")].set_index("clip_id")["video_path"]
    asked = [questions.of[row].clip_id for row in questions.inside]
    videos = [Path(whole[clip_id]) for clip_id in asked if clip_id in whole]
    return [video for video in videos if not holds_landmarks(video)][:_STREAMED]


def answer_questions(
    engine: SignEngine, questions: Questions, rows: Rows, rerank: bool = False
) -> list[Answer]:
    """Return the bundle's answers to the questions `rows`, without decoded text."""
    answers: list[Answer] = []
    for part in batches(rows.tolist(), _BATCH, "re-rank" if rerank else "answer"):
        clips = [questions.read(questions.names[row]) for row in part]
        motion = [None if np.isnan(mean) else float(mean) for mean in questions.motion_means[part]]
        left_out = [None if sentence < 0 else int(sentence) for sentence in questions.left_out[part]]
        answers += engine.answer_batch(clips, motion, rerank=rerank, decode=False, left_out=left_out)
    return answers


def gate_inputs_of(engine: SignEngine, answers: Sequence[Answer]) -> GateInputs:
    """Return the evidence that the gates checked in `answers`, which must not be re-ranked.

    A clip in which nobody was seen has 0 frames and place 0; the rest of its evidence is unknown.
    """
    firsts = [answer.matches[0] if answer.matches else _NOBODY for answer in answers]
    cosine = np.array([first.raw_similarity for first in firsts], np.float64)
    others = [[match.raw_similarity for match in answer.matches[1:]] for answer in answers]
    return GateInputs(
        np.searchsorted(engine.gallery.sentences, [first.sentence_id for first in firsts]),
        cosine,
        cosine - np.array([max(other, default=-np.inf) for other in others], np.float64),
        np.array([first.proto_similarity for first in firsts], np.float64),
        np.array([first.dtw_score for first in firsts], np.float64),
        np.array([answer.motion_mean for answer in answers], np.float64),
        np.array([answer.frames for answer in answers], np.int64),
    )


def embed_questions(engine: SignEngine, questions: Questions, rows: Rows) -> Vectors:
    """Return the bundle's embeddings (Q, E) of the questions `rows`."""
    parts = [np.zeros((0, engine.gallery.embeddings.shape[1]), np.float32)]
    for part in batches(rows.tolist(), _BATCH, "embed"):
        parts.append(engine.embed([questions.read(questions.names[row]) for row in part]))
    return np.concatenate(parts)


def fixed_figures(
    engine: SignEngine, questions: Questions, embeddings: Vectors, params: EvaluationParams
) -> dict[str, Any]:
    """Return the acceptance figures of all questions with the design document's fixed thresholds."""
    gallery, found, passed = engine.gallery, list[Rows](), list[npt.NDArray[np.bool_]]()
    own = gallery.sentences[gallery.place]
    for part in _parts(embeddings):
        cosine = embeddings[part] @ gallery.embeddings.T
        cosine[questions.left_out[part][:, None] == own] = -np.inf
        first = cosine.argmax(1)
        best = cosine[np.arange(len(cosine)), first]
        cosine[np.arange(len(cosine)), first] = -np.inf
        found.append(first)
        passed.append((best >= FIXED_SIMILARITY) & (best - cosine.max(1) >= FIXED_MARGIN))
    first, accepted = np.concatenate(found), np.concatenate(passed)
    answers = {"kind": questions.kinds, "accepted": accepted, "right": questions.right(own[first])}
    return acceptance_figures(pd.DataFrame(answers), params)


def _to_sentences(engine: SignEngine, embeddings: Vectors) -> Iterator[Vectors]:
    """Yield the cosines (S,) of each of `embeddings` (Q, E) to the sentences of the gallery."""
    for part in _parts(embeddings):
        yield from engine.gallery.by_sentence(embeddings[part])[0]


def _parts(embeddings: Vectors) -> list[Rows]:
    """Return the rows of `embeddings` in parts, so that memory does not grow with the square of a corpus."""
    return np.array_split(np.arange(len(embeddings)), len(embeddings) // _COMPARED + 1)


def int8_figures(
    sentences: npt.NDArray[np.integer],
    own: npt.NDArray[np.int64],
    cosines: tuple[Iterable[Vectors], Iterable[Vectors]],
    params: EvaluationParams,
) -> dict[str, Any]:
    """Return how well the int8 encoder agrees with fp32, and how often each is right.

    `cosines` are rows (S,) of fp32 and of int8 to `sentences` (S,); `own` (Q,) are the clips' sentences.
    `top1_agreement` is the share of clips with the same first sentence. `top5_agreement` is the mean share of
    the first five sentences that both have.
    """
    draw = (params.bootstrap, params.seed)
    tops = [[sentences[highest(row, TOP)] for row in part] for part in cosines]
    pairs = list(zip(*tops, strict=True))
    same = np.array([a[0] == b[0] for a, b in pairs], np.float64)
    common = np.array([len(np.intersect1d(a, b)) / len(a) for a, b in pairs], np.float64)
    figures = {
        "n": len(own),
        **mean_figure("top1_agreement", same, *draw, NO_CLIP),
        **mean_figure("top5_agreement", common, *draw, NO_CLIP),
    }
    for name, part in zip(("fp32", "int8"), tops, strict=True):
        at_1 = np.array([top[0] == right for top, right in zip(part, own, strict=True)], np.float64)
        at_5 = np.array([right in top for top, right in zip(part, own, strict=True)], np.float64)
        figures[name] = {
            **mean_figure("r_at_1", at_1, *draw, NO_CLIP),
            **mean_figure("r_at_5", at_5, *draw, NO_CLIP),
        }
    return figures


def rerank_figures(
    own: npt.NDArray[np.int64], plain: Sequence[Answer], reranked: Sequence[Answer], params: EvaluationParams
) -> dict[str, Any]:
    """Return how often the first sentence is right, by cosine and after re-ranking by time warping."""
    draw = (params.bootstrap, params.seed)
    figures: dict[str, Any] = {"n": len(own)}
    for name, answers in (("top1", plain), ("top1_reranked", reranked)):
        right = np.array([answer.matches[0].sentence_id for answer in answers]) == own
        figures |= mean_figure(name, right.astype(np.float64), *draw, NO_CLIP)
    return figures


def latencies(engine: SignEngine, questions: Questions) -> dict[str, Any]:
    """Return percentiles in ms for one in-set clip at a time: encoded, answered, re-ranked, decoded.

    `answer` is encoding, search and gates; `answer_reranked` and `answer_decoded` add the step they name.
    """
    calls: dict[str, Callable[[Any], Any]] = {
        "encode": lambda clip: engine.embed([clip]),
        "answer": lambda clip: engine.answer(*clip, decode=False),
        "answer_reranked": lambda clip: engine.answer(*clip, rerank=True, decode=False),
    }
    if engine.unit == "sentence":  # isolated signs have no decoder
        calls["answer_decoded"] = lambda clip: engine.answer(*clip)
    clips = [questions.read(questions.names[row]) for row in questions.inside[:_TIMED]]
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for turn, clip in enumerate([*clips[:1], *clips]):  # the first turn is a warm-up
        for name, call in calls.items():
            start = time.perf_counter()
            call(clip)
            if turn:
                spent[name].append(1000 * (time.perf_counter() - start))
    frames = [len(features) for features, _ in clips]
    return {
        "n": len(clips),
        "frames": float(np.mean(frames)) if frames else None,
        **{name: _percentiles(values) for name, values in spent.items()},
    }


def _percentiles(values: list[float]) -> dict[str, float | None]:
    return {
        f"p{percent}_ms": round(float(np.percentile(values, percent)), 3) if values else None
        for percent in _PERCENTILES
    }
