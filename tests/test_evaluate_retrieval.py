"""Stage evaluate_retrieval: ranks of distinct sentences by hand and by a plain loop, nulls with reasons."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import CLIPS, SENTENCES, arguments, write_corpus

from signloom.metrics.retrieval import Ranked, rank_leaving_one_out, rank_sentences, retrieval_figures
from signloom.params.evaluation import EvaluationParams
from workflow_scripts import evaluate_retrieval as stage

FEW = section(EvaluationParams, bootstrap=200, seed=1)


def unit(*degrees: float) -> np.ndarray:
    """Unit rows at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_the_rank_counts_distinct_sentences_by_hand() -> None:
    gallery, of = unit(0, 10, 12, 30, 90), ids(1, 2, 2, 3, 1)
    ranked = rank_sentences(unit(11, 31, 0), ids(1, 1, 9), gallery, of)
    # at 11 degrees both clips of sentence 2 come first, and count once
    assert ranked.rank[0] == 2
    assert ranked.top[0] in (1, 2)
    # at 31: sentence 3 at 1 degree, 2 at 19, then 1 at 31
    assert ranked.rank[1] == 3
    assert ranked.similarity[1] == pytest.approx(math.cos(math.radians(1)))
    # no clip of sentence 9
    assert math.isnan(ranked.rank[2])
    assert math.isnan(ranked.positive[2])
    assert ranked.negative[2] == pytest.approx(np.cos(np.radians([0, 10, 12, 30, 90])).mean())


def test_two_clips_of_the_right_sentence_do_not_hurt_each_other() -> None:
    ranked = rank_sentences(unit(0), ids(5), unit(1, 2, 40), ids(5, 5, 6))
    assert ranked.rank[0] == 1


def test_leaving_one_out_never_finds_the_query_itself() -> None:
    ranked = rank_leaving_one_out(unit(0, 5, 20, 60), ids(1, 2, 1, 3), unit(), ids())
    assert ranked.rank.tolist()[:1] == [2]
    assert ranked.top.tolist() == [1, 0, 1, 2]
    # sentences 2 and 3 have one clip each, which cannot find itself
    assert np.isnan(ranked.rank[[1, 3]]).all()
    assert ranked.rank[2] == 2
    assert ranked.positive[0] == pytest.approx(math.cos(math.radians(20)))


def test_leaving_one_out_searches_the_gallery_too() -> None:
    ranked = rank_leaving_one_out(unit(0, 20), ids(1, 1), unit(12, 3), ids(2, 1))
    # at 0 the gallery's clip of sentence 1 is nearest; at 20 its clip of sentence 2 is
    assert ranked.rank.tolist() == [1, 2]
    assert ranked.top.tolist() == [1, 0]


def test_a_model_that_finds_everything_alike_gets_no_credit() -> None:
    same = np.ones((6, 1), np.float32)
    sentences = ids(1, 2, 3, 1, 2, 3)
    assert rank_sentences(same, sentences, same, sentences).rank.tolist() == [3.0] * 6


def plain_rank(
    query: np.ndarray, sentence: int, gallery: np.ndarray, of: np.ndarray, skip: int | None
) -> float:
    best: dict[int, float] = {}
    for row, (vector, other) in enumerate(zip(gallery, of, strict=True)):
        if row != skip:
            best[int(other)] = max(best.get(int(other), -math.inf), float(query @ vector))
    if sentence not in best:
        return math.nan
    return 1 + sum(value >= best[sentence] for other, value in best.items() if other != sentence)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(0, 9),
    gallery=st.integers(0, 9),
    sentences=st.integers(1, 5),
)
def test_ranks_and_means_equal_a_plain_loop(seed: int, queries: int, gallery: int, sentences: int) -> None:
    rng = np.random.default_rng(seed)
    # whole numbers, so that products are exact and many are equal
    vectors = rng.integers(-1, 2, (queries + gallery, 3)).astype(np.float32)
    of = rng.integers(0, sentences, queries + gallery)
    q, g, q_of, g_of = vectors[:queries], vectors[queries:], of[:queries], of[queries:]
    ranked = rank_sentences(q, q_of, g, g_of)
    among = rank_leaving_one_out(q, q_of, g, g_of)
    for row in range(queries):
        np.testing.assert_equal(ranked.rank[row], plain_rank(q[row], q_of[row], g, g_of, None))
        np.testing.assert_equal(among.rank[row], plain_rank(q[row], q_of[row], vectors, of, row))
        same = [float(q[row] @ v) for v, other in zip(g, g_of, strict=True) if other == q_of[row]]
        rest = [
            float(q[row] @ vector)
            for n, (vector, other) in enumerate(zip(vectors, of, strict=True))
            if other != q_of[row] and n != row
        ]
        np.testing.assert_allclose(ranked.positive[row], np.mean(same) if same else np.nan)
        np.testing.assert_allclose(among.negative[row], np.mean(rest) if rest else np.nan)


def test_the_figures_of_known_ranks() -> None:
    rank = np.array([1, 1, 2, 5, 10, 11, np.nan])
    nan = np.full(7, np.nan)
    figures = retrieval_figures(Ranked(rank, np.zeros(7, np.intp), nan, nan, nan), FEW, "the gallery")
    assert (figures["n"], figures["n_ranked"]) == (7, 6)
    assert figures["ret_top1"] == pytest.approx(2 / 6)
    assert figures["ret_mrr"] == pytest.approx((1 + 1 + 1 / 2 + 1 / 5 + 1 / 10 + 1 / 11) / 6)
    assert figures["r_at_5"] == pytest.approx(4 / 6)
    assert figures["r_at_10"] == pytest.approx(5 / 6)
    assert figures["med_rank"] == 3.5
    assert figures["ret_top1_low"] <= figures["ret_top1"] <= figures["ret_top1_high"]
    assert figures["clip_pos_sim_reason"] == "no clip of these sentences in the gallery"


def run(folder: Path, order: list[int], task: str = "sentences") -> tuple[dict, pd.DataFrame, bytes]:
    """Run the stage on clips at angles that make the answer plain: 40 degrees apart by sentence."""
    folder.mkdir(parents=True)
    angle = {clip[0]: 40.0 * clip[1] + 2 * n for n, clip in enumerate(CLIPS)}
    rows = [CLIPS[n] for n in order]
    table = pd.DataFrame({"clip_id": [clip[0] for clip in rows], "sentence_id": [clip[1] for clip in rows]})
    table["sentence"] = [SENTENCES[clip[1]][0] if clip[1] >= 0 else "" for clip in rows]
    table["split"] = [clip[2] for clip in rows]
    table.assign(video_file="", feature_path="", category="").to_csv(folder / "map.csv", index=False)
    np.save(folder / "e.npy", unit(*(angle[clip[0]] for clip in rows)))
    columns = ["clip_id", "sentence_id", "split", "seen", "frames"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "splits.csv", index=False)
    corpus = write_corpus(folder / "corpus")
    inputs = {name: corpus[name] for name in ("features", "mask", "index", "stats", "metadata")} | {
        "embeddings": [folder / "e.npy"],
        "map": [folder / "map.csv"],
        "splits": [folder / "splits.csv"],
    }
    outputs = {"metrics": folder / "retrieval.json", "predictions": folder / "retrieval.csv"}
    params = {"evaluation": {"bootstrap": 200, "seed": 1}, "sign2text": {"task": task}}
    assert stage.main(arguments(inputs, outputs, params)) == 0
    metrics = json.loads(outputs["metrics"].read_text())
    return metrics, pd.read_csv(outputs["predictions"]), outputs["metrics"].read_bytes()


def test_the_stage_scores_seen_and_unseen_sentences_apart(tmp_path: Path) -> None:
    metrics, predictions, _ = run(tmp_path / "a", list(range(len(CLIPS))))
    assert list(metrics) == ["test", "val", "test_unseen_sentences", "val_unseen_sentences"]
    assert metrics["test"]["n"] == metrics["test"]["n_ranked"] == 3
    assert metrics["test"]["ret_top1"] == metrics["test"]["ret_mrr"] == metrics["test"]["med_rank"] == 1
    assert metrics["test"]["leave_one_out"]["n_ranked"] == 3
    for rival in metrics["test"]["rivals"].values():
        assert rival["difference"] == pytest.approx(1 - rival["ret_top1"], abs=1e-4)
    assert metrics["test_unseen_sentences"]["rivals"]["nearest"]["ret_top1"] is None
    unseen = metrics["test_unseen_sentences"]
    assert (unseen["n"], unseen["n_ranked"]) == (1, 0)
    assert unseen["ret_top1"] is None
    assert unseen["ret_top1_reason"] == "no clip of these sentences in the training gallery"
    assert unseen["clip_neg_sim"] is not None
    # no second clip of its sentence in its data set either
    assert unseen["leave_one_out"]["n_ranked"] == 0
    assert predictions["clip_id"].tolist() == [
        "d/test0", "d/test1", "d/test1_again", "c/val0", "d/test2", "c/val2",
    ]  # fmt: skip
    first = predictions.set_index("clip_id").loc["d/test1"]
    assert first["top_sentence_id"] == 1
    assert first["top_clip_id"] in ("a/train1", "b/train1")
    assert predictions.set_index("clip_id")["rank"].isna().to_dict()["d/test2"]


def test_figures_of_signs_stand_beside_the_others_and_are_left_out_for_sentences(tmp_path: Path) -> None:
    plain, _, _ = run(tmp_path / "a", list(range(len(CLIPS))))
    signs, answers, _ = run(tmp_path / "b", list(range(len(CLIPS))), task="signs")
    more = set(signs["test"]) - set(plain["test"]) - {"adapted"}
    asked = answers[answers["data"] == "test"]
    adapted = signs["test"]["adapted"]
    assert adapted["n"] == len(asked) and adapted["ret_top1_by_signer"] == pytest.approx(
        (asked["rank_adapted"] == 1).mean(), abs=1e-4
    )
    assert "adapted" not in plain["test"]
    assert more and {name for name in more if not name.startswith("macro_accuracy")} == {
        "classes",
        *(f"{name}_by_signer{end}" for name in ("ret_top1", "ret_mrr", "r_at_5") for end in ENDS),
    }
    for data, figures in plain.items():
        assert {name: signs[data][name] for name in figures} == figures
    assert signs["test_unseen_sentences"]["macro_accuracy_reason"] == (
        "no clip of these signs in the training gallery"
    )


ENDS = ("", "_low", "_high", "_reason")


def test_data_sets_without_clips_are_null_with_a_reason(tmp_path: Path) -> None:
    metrics, predictions, _ = run(tmp_path / "a", [n for n, clip in enumerate(CLIPS) if clip[2] == "train"])
    assert metrics["val"]["ret_top1"] is None
    assert metrics["val"]["med_rank_reason"] == "no clip in this data set"
    assert metrics["test"]["leave_one_out"]["n"] == 0
    assert len(predictions) == 0


def test_reordering_the_clips_changes_no_byte(tmp_path: Path) -> None:
    straight = run(tmp_path / "a", list(range(len(CLIPS))))
    mixed = run(tmp_path / "b", list(np.random.default_rng(0).permutation(len(CLIPS))))
    assert straight[2] == mixed[2]
    pd.testing.assert_frame_equal(straight[1], mixed[1])
