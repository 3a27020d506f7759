"""The engine answers by the gallery's sentences, as the trained network and plain arithmetic would."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from exported import (
    MAX_FRAMES,
    THRESHOLDS,
    VOCABULARY,
    Exported,
    clip_of,
    export_small,
    gloss_checkpoint,
    network_rows,
    write_inputs,
)
from small_corpus import CLIPS

from signloom.decoding.attention import attention_beam
from signloom.decoding.ctc import greedy
from signloom.errors import SignloomError
from signloom.export.outputs import GLOSS_OUTPUTS
from signloom.features.gloss_rows import GlossRows
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.inference.engine import SignEngine
from signloom.inference.gates import Gallery, Thresholds, weigh
from signloom.models import checkpoints
from signloom.models.trained_gloss import load_gloss
from signloom.models.trained_sign2text import load_trained
from signloom.text.tokenizer import TextTokenizer
from signloom.text.vocabulary import SYMBOLS, Symbols

QUERIES = [clip[0] for clip in CLIPS]
OPEN = Thresholds(min_similarity=-1, min_margin=-1, min_proto_similarity=-1, min_dtw_score=-1, motion_floor=0)


@pytest.fixture(scope="module")
def engine(exported: Exported) -> SignEngine:
    return SignEngine.load(exported.bundle)


def embedding(exported: Exported, clip_id: str) -> np.ndarray:
    """The trained network's embedding of one clip alone."""
    trained = load_trained(exported.inputs["checkpoint"][0], exported.inputs["stats"][0])
    x = network_rows(exported, *clip_of(exported, clip_id))
    with torch.inference_mode():
        encoded = trained.model.encode(x, torch.ones(x.shape[:2], dtype=torch.bool))
    return encoded.embedding[0].numpy()


@pytest.mark.parametrize("clip_id", QUERIES)
def test_an_answer_is_what_plain_arithmetic_on_the_trained_network_gives(
    exported: Exported, engine: SignEngine, clip_id: str
) -> None:
    answer = engine.answer(*clip_of(exported, clip_id), 1.2)
    query, clips = embedding(exported, clip_id), pd.read_csv(exported.folder / "embeddings_map.csv")
    gallery = np.load(exported.folder / "embeddings.npy")
    best: dict[int, tuple[float, str]] = {}
    for row, sentence in enumerate(clips["sentence_id"]):
        best[sentence] = max(
            best.get(sentence, (-2.0, "")), (float(query @ gallery[row]), clips["clip_id"][row])
        )
    ranked = sorted(best, key=lambda sentence: -best[sentence][0])
    shares = np.exp(np.array([best[sentence][0] for sentence in ranked]) / 0.05)
    shares /= shares.sum()
    assert [match.sentence_id for match in answer.matches] == ranked
    assert [match.clip_id for match in answer.matches] == [best[sentence][1] for sentence in ranked]
    with np.load(exported.folder / "prototypes.npz") as file:
        prototypes = dict(zip(file["sentence_ids"].tolist(), file["embeddings"], strict=True))
    for match, share in zip(answer.matches, shares, strict=True):
        assert match.similarity == match.raw_similarity == pytest.approx(best[match.sentence_id][0], abs=1e-5)
        assert match.confidence == pytest.approx(share, abs=1e-4)
        assert (match.dtw_score is None) == (match.rank > 1)
        if match.sentence_id in prototypes:
            expected = float(query @ prototypes[match.sentence_id])
            assert match.proto_similarity == pytest.approx(expected, abs=1e-5)
        else:
            assert match.proto_similarity is None
    assert [match.rank for match in answer.matches] == [1, 2, 3]
    assert answer.frames == len(clip_of(exported, clip_id)[0]) and answer.motion_mean == 1.2


def test_the_decoded_sentence_is_what_beam_search_on_the_trained_decoder_finds(
    exported: Exported, engine: SignEngine
) -> None:
    trained = load_trained(exported.inputs["checkpoint"][0], exported.inputs["stats"][0])
    tokenizer = TextTokenizer.load(exported.inputs["tokenizer"][0])
    for clip_id in QUERIES:
        x = network_rows(exported, *clip_of(exported, clip_id))
        valid = torch.ones(x.shape[:2], dtype=torch.bool)
        with torch.inference_mode():
            frames = trained.model.encode(x, valid).frames
        how = {"beam": 3, "alpha": 0.8, "max_tokens": 10}
        (found,) = attention_beam(trained.model, frames, valid, Symbols(0, 2, 3), **how)
        assert engine.answer(*clip_of(exported, clip_id)).text == tokenizer.decode(found.tokens)
        assert found.tokens


def gloss_rows(exported: Exported, clip_id: str) -> torch.Tensor:
    """A clip (1, T, 544) as the gloss network reads it."""
    shards = FeatureShards(*(exported.inputs[name] for name in ("features", "index", "mask")))
    rows = GlossRows("pose", shards, None, {"pose": Stats.read(exported.inputs["stats"][0])}, MAX_FRAMES)
    return torch.from_numpy(rows.network_input(clip_id)).float()[None]


def test_the_gloss_line_is_what_beam_search_on_the_gloss_network_finds(
    exported: Exported, engine: SignEngine
) -> None:
    trained = load_gloss(exported.inputs["gloss"][0])
    lines = set()
    for clip_id in QUERIES:
        x = gloss_rows(exported, clip_id)
        with torch.inference_mode():
            memory, valid = trained.model.encode(x, torch.tensor([x.shape[1]]))
        (found,) = attention_beam(trained.model, memory, valid, SYMBOLS, beam=3, alpha=0.8, max_tokens=8)
        answer = engine.answer(*clip_of(exported, clip_id))
        assert answer.glosses == " ".join(VOCABULARY[token] for token in found.tokens)
        lines.add(answer.glosses)
    assert len(lines) > 2 and all(lines)


def test_without_a_decoder_the_gloss_line_is_the_best_path(exported: Exported, tmp_path: Path) -> None:
    gloss = tmp_path / "tcn.pth"
    checkpoints.save(gloss, gloss_checkpoint(exported.inputs["stats"][0], "tcn_ctc"))
    made = export_small(exported.inputs | {"gloss": [gloss]}, tmp_path, left_out=("gloss_decoder",))
    engine, model, lines = SignEngine.load(made.bundle), load_gloss(gloss).model, set()
    for clip_id in QUERIES:
        x = gloss_rows(exported, clip_id)
        with torch.inference_mode():
            memory, valid = model.encode(x, torch.tensor([x.shape[1]]))
            (path,) = greedy(model.ctc(memory), valid.sum(1))
        answer = engine.answer(*clip_of(exported, clip_id))
        assert answer.glosses == " ".join(VOCABULARY[token] for token in path)
        lines.add(answer.glosses)
    assert len(lines) > 2


def test_without_a_gloss_network_there_is_no_gloss_line(exported: Exported, tmp_path: Path) -> None:
    inputs = {name: paths for name, paths in exported.inputs.items() if name != "gloss"}
    made = export_small(inputs, tmp_path, left_out=GLOSS_OUTPUTS)
    answer = SignEngine.load(made.bundle).answer(*clip_of(exported, "b/train1"))
    assert answer.text and answer.glosses is None


def test_a_batch_is_answered_as_its_clips_are_one_by_one(exported: Exported, engine: SignEngine) -> None:
    clips = [clip_of(exported, clip_id) for clip_id in QUERIES]
    empty = clips[0][0][:0], clips[0][1][:0]
    clips.insert(3, empty)
    motion: list[float | None] = [None, 0.1, *[1.0] * (len(clips) - 2)]
    together = engine.answer_batch(clips, motion)
    for clip, mean, answer in zip(clips, motion, together, strict=True):
        alone = engine.answer(*clip, mean)
        assert (alone.reason, alone.text, alone.glosses) == (answer.reason, answer.text, answer.glosses)
        for one, other in zip(alone.matches, answer.matches, strict=True):
            assert one.clip_id == other.clip_id
            assert one.similarity == pytest.approx(other.similarity, abs=1e-5)
    assert together[1].reason == "low_motion"
    assert engine.answer_batch([], []) == []


@pytest.mark.parametrize("rerank", [False, True])
def test_a_sentence_that_is_left_out_is_answered_by_the_next(exported: Exported, rerank: bool) -> None:
    engine = SignEngine.load(exported.folder, thresholds=OPEN)
    clips = [clip_of(exported, "b/train1")] * 2
    whole, without = engine.answer_batch(clips, [None, None], decode=False, rerank=rerank, left_out=[None, 1])
    assert whole.matches[0].sentence_id == 1
    assert [match.sentence_id for match in without.matches] == [
        match.sentence_id for match in whole.matches if match.sentence_id != 1
    ]


@pytest.mark.parametrize("rerank", [False, True])
def test_how_many_sentences_are_listed_changes_nothing_else(exported: Exported, rerank: bool) -> None:
    engine = SignEngine.load(exported.folder)
    engine.config["inference"]["top_k"] = 2
    clip = clip_of(exported, "b/train1")
    usual = engine.answer(*clip, rerank=rerank, decode=False)
    for listed in (1, 2, 3):
        engine.listed = listed
        answer = engine.answer(*clip, rerank=rerank, decode=False)
        assert (answer.accepted, answer.reason) == (usual.accepted, usual.reason)
        assert answer.matches[:2] == usual.matches[:listed]
        assert len(answer.matches) == listed
    assert len({match.sentence_id for match in answer.matches}) == 3
    # a sentence that was not compared frame by frame has a score of another scale
    shares = [match.confidence for match in answer.matches]
    assert shares == sorted(shares, reverse=True) and (shares[2] == 0) == rerank
    assert not rerank or sum(shares) == pytest.approx(1)


def test_nobody_in_the_picture_is_no_person(engine: SignEngine) -> None:
    answer = engine.answer(np.zeros((0, 540), np.float32), np.zeros((0, 4), np.uint8), 0.0)
    assert (answer.accepted, answer.reason, answer.matches) == (False, "no_person", ())
    assert (answer.frames, answer.motion_mean, answer.text, answer.glosses) == (0, 0.0, None, None)


def test_thresholds_are_the_bundles_unless_others_are_given(exported: Exported) -> None:
    engine = SignEngine.load(exported.folder)
    assert asdict(engine.thresholds) == {name: THRESHOLDS[name] for name in Thresholds.__annotations__}
    clip = clip_of(exported, "d/test0")
    assert SignEngine.load(exported.folder, thresholds=OPEN).answer(*clip).accepted
    for strict in ({"min_similarity": 1.1}, {"min_dtw_score": 1.1}):
        engine = SignEngine.load(exported.folder, thresholds=replace(OPEN, **strict))
        assert engine.answer(*clip).reason == "low_similarity"


def test_eight_bits_and_more_threads_answer_alike(exported: Exported) -> None:
    small = SignEngine.load(exported.folder, int8=True, threads=2)
    clips = [clip_of(exported, clip_id) for clip_id in QUERIES]
    one, other = small.embed(clips), SignEngine.load(exported.folder).embed(clips)
    assert ((one * other).sum(1) > 0.999).all() and not np.array_equal(one, other)


def test_eight_bits_of_a_clip_do_not_depend_on_the_clips_beside_it(exported: Exported) -> None:
    small = SignEngine.load(exported.folder, int8=True)
    clips = [clip_of(exported, clip_id) for clip_id in QUERIES]
    clips.append(
        (np.tile(clips[0][0], (3, 1)) * 9, np.tile(clips[0][1], (3, 1)))
    )  # larger numbers than the others
    np.testing.assert_array_equal(small.embed(clips), np.concatenate([small.embed([clip]) for clip in clips]))


def test_embeddings_are_those_of_the_clips_in_their_order(exported: Exported, engine: SignEngine) -> None:
    clips = [clip_of(exported, clip_id) for clip_id in QUERIES * 3]  # more than one batch
    expected = np.stack([embedding(exported, clip_id) for clip_id in QUERIES] * 3)
    np.testing.assert_allclose(engine.embed(clips), expected, atol=2e-6)
    assert engine.embed([]).shape == (0, expected.shape[1])
    with pytest.raises(SignloomError, match="without frames"):
        engine.embed([(clips[0][0][:0], clips[0][1][:0])])


def test_reranking_orders_by_the_warping_and_gates_by_the_cosine(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SignEngine.load(exported.folder)
    clip = clip_of(exported, "b/train1")
    plain = engine.answer(*clip, decode=False)
    frames = {row["clip_id"]: int(row["length"]) for row in pd.read_csv(
        exported.folder / "frames_index.csv").to_dict("records")}  # fmt: skip
    last = plain.matches[-1]
    scores = dict.fromkeys(frames.values(), -1.0) | {frames[last.clip_id]: 1.0}
    # which knows a gallery clip by its number of frames
    monkeypatch.setattr("signloom.inference.engine.dtw_score", lambda a, b: scores[len(b)])
    answer = engine.answer(*clip, rerank=True, decode=False)
    first = answer.matches[0]
    assert (first.rank, first.clip_id, first.dtw_score) == (1, last.clip_id, 1.0)
    assert first.raw_similarity == last.raw_similarity
    assert first.similarity == 1.0
    shares = np.exp(np.array([match.similarity for match in answer.matches]) / 0.05)
    assert [match.confidence for match in answer.matches] == pytest.approx(
        list(shares / shares.sum()), abs=1e-5
    )
    # another sentence has the higher cosine
    assert plain.accepted and answer.reason in ("low_similarity", "ambiguous_top2")


def test_the_gallery_of_a_network_that_reads_glosses_is_warped_without_them(tmp_path: Path) -> None:
    made = export_small(write_inputs(tmp_path, glosses=30), tmp_path / "bundle")
    engine = SignEngine.load(made.bundle)
    assert engine.bundle.array("frames.npy").shape[1] == 16
    clip_id = next(clip[0] for clip in CLIPS if clip[2] == "train")
    best = engine.answer(*clip_of(made, clip_id)).matches[0]
    assert (best.clip_id, best.dtw_score) == (clip_id, pytest.approx(1, abs=1e-5))


def test_the_frames_that_are_warped_are_the_clips_own(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, seen = SignEngine.load(exported.folder), []

    def dtw_score(a: np.ndarray, b: np.ndarray) -> float:
        seen.append((a, b))
        return 0.0

    monkeypatch.setattr("signloom.inference.engine.dtw_score", dtw_score)
    answer = engine.answer(*clip_of(exported, "b/train1"), rerank=True, decode=False)
    own = [b for (a, b), match in zip(seen, answer.matches, strict=True) if match.clip_id == "b/train1"]
    np.testing.assert_allclose(own[0], seen[0][0], atol=2e-3)  # the gallery's are kept in 16 bits


@pytest.mark.parametrize("limit", [1, 4])
def test_a_large_gallery_is_searched_by_its_index(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    class Index:
        def __init__(self, embeddings: np.ndarray) -> None:
            self.embeddings, self.asked = embeddings, []

        def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
            self.asked.append(count)
            similarity = queries @ self.embeddings.T
            rows = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
            return np.take_along_axis(similarity, rows, 1), rows

    module, made = ModuleType("signloom.inference.index"), []

    def index_of(embeddings: np.ndarray) -> Index:
        made.append(Index(embeddings))
        return made[0]

    module.ApproximateIndex = index_of  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "signloom.inference.index", module)
    exact, approximate = SignEngine.load(exported.folder), SignEngine.load(exported.folder)
    approximate.config["retrieval"]["exact_limit"] = limit
    for clip_id in QUERIES:
        one, other = (e.answer(*clip_of(exported, clip_id), decode=False) for e in (exact, approximate))
        assert one.reason == other.reason
        assert [match.clip_id for match in one.matches] == [match.clip_id for match in other.matches]
        confidence = [match.confidence for match in one.matches]
        assert [match.confidence for match in other.matches] == pytest.approx(confidence, abs=1e-6)
    assert len(made) == 1 and made[0].asked


def test_a_sentence_behind_forty_clips_of_another_is_found_in_a_large_gallery(exported: Exported) -> None:
    clip, answers = clip_of(exported, "b/train1"), []
    for limit in (100, 1):
        engine = SignEngine.load(exported.folder)
        near, far = (next(row for row in engine.clips if row["sentence_id"] == n) for n in ("0", "1"))
        (query,) = engine.embed([clip])
        engine.clips = [near] * 40 + [far]
        rows = query + np.random.default_rng(0).normal(0, [[0.01]] * 40 + [[1]], (41, len(query)))
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        engine.gallery = Gallery(rows, np.array([0] * 40 + [1]), np.array([], int), rows[:0])
        engine.config["retrieval"]["exact_limit"] = limit
        answers.append(engine.answer(*clip, decode=False))
    exact, approximate = (
        [(match.sentence_id, match.similarity) for match in answer.matches] for answer in answers
    )
    assert [sentence for sentence, _ in exact] == [0, 1]
    assert approximate == [(sentence, pytest.approx(similarity, abs=1e-5)) for sentence, similarity in exact]


@pytest.mark.parametrize("top_k", [1, 5])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_the_only_other_sentence_is_found_behind_many_equal_clips(
    exported: Exported, gap: float, top_k: int
) -> None:
    engine = SignEngine.load(exported.folder)
    engine.config["inference"]["top_k"] = top_k
    rows = np.tile(np.eye(8, dtype=np.float32)[:1], (41, 1))
    rows[40, 0], rows[40, 1] = 1 - gap, np.sqrt(1 - (1 - gap) ** 2)
    engine.gallery = Gallery(rows, np.array([0] * 40 + [1]), np.array([], int), np.empty((0, 8)))
    exact = engine._search(rows[:1])
    engine.config["retrieval"]["exact_limit"] = 1
    best, clips = engine._search(rows[:1])
    assert best.tolist() == exact[0].tolist() == [[1.0, pytest.approx(1 - gap)]]
    assert clips[0, 0] < 40 and clips[0, 1] == 40


def test_without_tokenizers_there_is_no_text_and_the_engine_says_so_once(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = SignEngine.load(exported.folder)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    clip = clip_of(exported, "b/train1")
    assert engine.answer(*clip).text is None and engine.answer(*clip).text is None
    assert engine.answer(*clip).glosses is not None
    assert capsys.readouterr().err.count("tokenizers") == 1


@pytest.mark.parametrize(
    ("features", "mask", "reason"),
    [
        (np.zeros((3, 539)), np.ones((3, 4)), r"\(3, 539\)"),
        (np.zeros((3, 540)), np.ones((2, 4)), r"\(2, 4\)"),
        (np.zeros(540), np.ones(4), r"\(540,\)"),
        (np.full((3, 540), np.inf), np.ones((3, 4)), "infinite"),
        (np.full((3, 540), 3e38), np.ones((3, 4)), "too large; expected coordinates in torso lengths"),
    ],
)
def test_features_of_another_layout_are_refused(
    engine: SignEngine, features: np.ndarray, mask: np.ndarray, reason: str
) -> None:
    with pytest.raises(SignloomError, match=reason):
        engine.answer(features, mask.astype(np.uint8))


def test_an_answer_is_plain_data(exported: Exported, engine: SignEngine) -> None:
    answer: dict[str, Any] = json.loads(
        json.dumps(engine.answer(*clip_of(exported, "c/val0"), 1.0).to_dict())
    )
    assert set(answer["matches"][0]) == {
        "rank", "clip_id", "video_file", "sentence_id", "sentence", "category", "similarity",
        "raw_similarity", "confidence", "proto_similarity", "dtw_score",
    }  # fmt: skip
    assert answer["matches"][0]["category"] == "NA"


def test_the_first_sentence_may_be_one_that_another_measure_ranks_first() -> None:
    cosines = np.array([[0.9, 0.7, 0.2]], np.float32)
    found = weigh(cosines, cosines / 2, np.ones(1), np.ones(1, int), np.array([1]))
    assert found.similarity == pytest.approx([0.7]) and found.margin == pytest.approx([-0.2])
    assert found.proto_similarity == pytest.approx([0.35])
