"""Stage review: the queue, its reasons, its page, and what people have looked at already."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json
from row_stages import to_splits, write_rows

from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.oddities import Oddity, odd_lengths, poorly_found, swaps
from signloom.evaluation.review import Evidence, held_out, neighbours, queue, twice_in_table
from signloom.features.pose.layout import POSE_POINTS, RAW_DIM, SHOULDERS, WRISTS
from signloom.features.shards import FeatureShards
from signloom.letters import columns
from signloom.report.review import _wrapped
from workflow_scripts import review, stats_pose

WRONG = "10"  # the clip of the corpus below that has the other label


def test_long_labels_fit_above_the_paths_of_a_clip() -> None:
    long = _wrapped(
        "MY MOTHER AND MY FATHER WORK IN THE GARDEN OF THE OLD SCHOOL EVERY MORNING BEFORE BREAKFAST"
    )
    assert len(long.splitlines()) == 3 and max(map(len, long.splitlines())) <= 28 and long.endswith("…")
    assert _wrapped("") == ""
    assert all(columns(line) <= 28 for line in _wrapped("今天天气很好我们一起去公园" * 4).split("\n"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Return the files of 24 clips of two signs, of which one has the label of the other."""
    folder = tmp_path_factory.mktemp("corpus")
    dataset = write_rows(folder / "rows", 6, clips=24)
    table = pd.read_csv(folder / "rows/table.csv")
    table.loc[table["video"] == f"{WRONG}.npy", "gloss"] = "GIVE BOOK"
    table.to_csv(folder / "rows/table.csv", index=False)
    out = folder / "out"
    found = to_splits(out, dataset)
    found |= {name: [out / name] for name in ("rows", "manifest", "rejects")} | {"stats": [out / "stats.npz"]}
    given = [f"{name}={path}" for name in ("splits", "features", "mask", "index") for path in found[name]]
    assert stats_pose.main(["--input", *given, "--output", f"stats={out / 'stats.npz'}"]) == 0
    return found


def run(corpus: dict[str, list[Path]], out: Path, **more: Path) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    """Run the stage; return its table, its page and its counts."""
    names = ("rows", "manifest", "rejects", "metadata", "features", "mask", "index", "stats")
    given = [f"{name}={path}" for name in names for path in corpus[name]]
    given += [f"{name}={path}" for name, path in more.items()]
    made = {"table": out / "review.csv", "page": out / "index.html", "metrics": out / "review.json"}
    argv = ["--input", *given, "--output", *(f"{name}={path}" for name, path in made.items())]
    assert review.main([*argv, "--params", params_json({"positions": {}}), "--scratch", str(out)]) == 0
    counts = json.loads(made["metrics"].read_text())["all"]
    table = pd.read_csv(made["table"], dtype=str, keep_default_na=False)
    return table, made["page"].read_text("utf-8"), counts


def test_a_wrong_label_is_first_with_its_reason_and_the_right_label(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    table, page, counts = run(corpus, tmp_path)
    first = table.iloc[0]
    assert first[["clip_id", "label", "suggestion", "reasons"]].tolist() == [
        *(WRONG, "GIVE BOOK", "BOOK BOOK", "neighbours")
    ]
    assert first["why"] == "5 of its 5 nearest clips are `BOOK BOOK`, all by other signers"
    assert len(table) == counts["clips"] == 24 and table["rank"].tolist() == [str(n) for n in range(1, 25)]
    assert counts["reasons"]["neighbours"] == counts["with_a_reason"] == (table["reasons"] != "").sum()
    # a label of another script has a direction of its own
    assert f"<h3>1. <bdi>{WRONG}</bdi>: “<bdi>GIVE BOOK</bdi>”</h3>" in page
    assert "More like “<bdi>BOOK BOOK</bdi>”" in page
    assert (
        "<p>5 of its 5 nearest clips are “<bdi>BOOK BOOK</bdi>”, all by other signers.</p>" in page
        and 'href="review.csv"' in page
    )
    assert not re.search(r'(src|href)="(?!data:|#|review\.csv)', page)


def test_equal_inputs_give_equal_bytes(corpus: dict[str, list[Path]], tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(corpus, tmp_path / name)
    for file in ("review.csv", "index.html", "review.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_table_can_be_sent_back_and_its_clips_are_not_listed_again(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    table, _, _ = run(corpus, tmp_path / "before")
    table.loc[0, "action"] = "keep"
    table.to_csv(tmp_path / "done.csv", index=False)
    left, page, counts = run(corpus, tmp_path / "after", reviewed=tmp_path / "done.csv")
    assert left["rank"].tolist() == [*(str(n) for n in range(1, 24)), ""]
    assert counts["clips"] == 23 and counts["reviewed"] == 1 and "1 more were reviewed" in page


def test_a_decision_about_a_withdrawn_clip_is_not_written_again(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    table, _, _ = run(corpus, tmp_path / "before")
    gone = pd.DataFrame({"clip_id": ["anna/gone"], "content": ["abc"], "action": ["set_aside"]})
    pd.concat([gone, table.head(1).assign(action="keep")]).to_csv(tmp_path / "done.csv", index=False)
    left, page, counts = run(corpus, tmp_path / "after", reviewed=tmp_path / "done.csv")
    assert counts["reviewed"] == 1 and "anna/gone" not in {*left["clip_id"]} and "anna/gone" not in page


def test_the_next_table_can_replace_the_one_that_was_sent_back(
    corpus: dict[str, list[Path]], tmp_path: Path
) -> None:
    table, _, _ = run(corpus, tmp_path / "before")
    other = table["clip_id"].iloc[1]
    table.loc[0, ["action", "new_label", "note"]] = ["relabel", "BOOK BOOK", "seen twice"]
    table.loc[1, "action"] = "set_aside"
    table.to_csv(tmp_path / "first.csv", index=False)
    second, _, _ = run(corpus, tmp_path / "second", reviewed=tmp_path / "first.csv")
    assert WRONG not in second["clip_id"].tolist()[:-2]
    second.loc[0, "action"] = "keep"
    second.to_csv(tmp_path / "second.csv", index=False)
    answers = ["clip_id", "label", "content", "action", "new_label", "note"]
    filled = pd.concat([second[second["rank"] == "1"], table.head(2)])[answers]
    third, _, counts = run(corpus, tmp_path / "third", reviewed=tmp_path / "second.csv")
    assert third[third["action"] != ""][answers].to_numpy().tolist() == filled.to_numpy().tolist()
    assert counts["reviewed"] == 3 and other in filled["clip_id"].tolist()


def test_a_reviewed_neighbour_is_shown_with_its_label(corpus: dict[str, list[Path]], tmp_path: Path) -> None:
    table, before, _ = run(corpus, tmp_path / "before")
    like = table["like_other"].iloc[0]
    table.loc[table["clip_id"] == like, "action"] = "keep"
    table.to_csv(tmp_path / "done.csv", index=False)
    _, after, _ = run(corpus, tmp_path / "after", reviewed=tmp_path / "done.csv")
    said = f"{like}, {table['label'][table['clip_id'] == like].item()}"
    assert said in before and said in after


def clips_of(labels: list[int], signers: str = "") -> pd.DataFrame:
    """Return clips a, b, ... with sentences A, B, ... by their numbers."""
    ids = [chr(ord("a") + n) for n in range(len(labels))]
    names = [chr(ord("A") + label) if label >= 0 else "" for label in labels]
    return pd.DataFrame(
        {
            "clip_id": ids,
            "sentence_id": labels,
            "sentence": names,
            "signer_id": signers,
            "video_hash": "f" * 64,
        }
    )


def embedded(
    folder: Path, points: list[tuple[float, float]], labels: list[int], splits: str
) -> EmbeddedClips:
    folder.mkdir()
    clips = clips_of(labels)
    given = {"split": splits.split(), "video_file": "", "feature_path": "", "category": ""}
    clips.assign(**given).to_csv(folder / "map.csv", index=False)
    np.save(folder / "embeddings.npy", np.array(points, np.float32))
    return EmbeddedClips(folder / "embeddings.npy", folder / "map.csv")


def test_a_model_judges_only_clips_that_it_did_not_train_on(tmp_path: Path) -> None:
    labels = [0, 0, 1, 1, 0]
    clips = clips_of(labels)
    near_b = [(1.0, 0.0), (1.0, 0.1), (0.0, 1.0), (0.1, 1.0), (0.0, 0.9)]
    one = embedded(tmp_path / "one", near_b, labels, "train train train train test")
    found = held_out(clips, [one])
    assert np.isnan(found.misfit[:4]).all() and found.misfit[4] > 0.5 and found.label[4] == 1
    assert found.words == [
        "",
        "",
        "",
        "",
        "a model that did not train on it places it nearer to `B` than to `A`",
    ]
    near_a = [*near_b[:4], (1.0, 0.0)]
    two = embedded(tmp_path / "two", near_a, labels, "train train train train val")
    single = held_out(clips, [two]).misfit[4]
    assert held_out(clips, [one, two]).misfit[4] == pytest.approx((found.misfit[4] + single) / 2)


def test_only_models_that_find_another_label_nearer_suggest_one(tmp_path: Path) -> None:
    labels = [0, 0, 1, 1, 2, 2, 0]
    corners = [(0.0, 0.0), (0.0, 0.1), (9.0, 0.0), (9.0, 0.1), (0.0, 9.0), (0.1, 9.0)]
    split = "train " * 6 + "test"
    far = embedded(tmp_path / "far", [*corners, (8.9, 0.0)], labels, split)
    near = [embedded(tmp_path / name, [*corners, (0.0, 4.3)], labels, split) for name in ("one", "two")]
    found = held_out(clips_of(labels), [*near, far])
    assert found.misfit[6] > 0.5
    assert found.words[6] == ("1 of 3 models that did not train on it places it nearer to `B` than to `A`")
    both = held_out(clips_of(labels), [far, far])
    assert both.words[6] == "all 2 models that did not train on it place it nearer to `B` than to `A`"


def test_clips_whose_features_stay_private_judge_others_too(tmp_path: Path) -> None:
    labels = [0, 0, 1, 1, 0]
    points = [(1.0, 0.0), (1.0, 0.1), (0.0, 1.0), (0.1, 1.0), (0.0, 0.9)]
    build = embedded(tmp_path / "one", points, labels, "train train train train test")
    before = held_out(clips_of(labels), [build])
    build.table["consent"] = "train"
    assert held_out(clips_of(labels), [build]).misfit.tolist()[4] == before.misfit[4]


def test_no_held_out_clip_is_no_evidence(tmp_path: Path) -> None:
    build = embedded(tmp_path / "one", [(1.0, 0.0)] * 2, [0, 1], "train train")
    assert np.isnan(held_out(clips_of([0, 1]), [build]).misfit).all()
    assert np.isnan(held_out(clips_of([0, 1]), []).misfit).all()


def test_the_score_is_the_mean_surprise_and_the_weights_of_reasons() -> None:
    one = Evidence("neighbours", np.array([0.9, 0.1, 0.2]), np.array([1, 0, 0]), ["near B", "", ""])
    two = Evidence("held_out", np.array([0.8, np.nan, 0.1]), np.array([1, -1, 0]), ["", "", ""])
    odd = [Oddity("b", "length", "long"), Oddity("b", "length", "again"), Oddity("d", "tracking", "lost")]
    table = queue(clips_of([0, 1, 0, -1]), [one, two], odd).set_index("clip_id")
    assert table["score"].to_dict() == pytest.approx(
        {"a": (np.log10(3) + np.log10(2)) / 2, "b": 1.0, "c": np.log10(1.5) / 2, "d": 1.0}, abs=1e-3
    )
    assert table.index.tolist() == ["b", "d", "a", "c"]
    assert table.loc["b", "why"] == "long; again" and table.loc["a", "suggestion"] == "B"
    assert table.loc["d", "reasons"] == "tracking"


def test_an_unsigned_corpus_gives_a_queue() -> None:
    nothing = Evidence("neighbours", np.zeros(0), np.zeros(0, np.int64), [])
    assert queue(clips_of([-1]), [nothing], [])["score"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("clip", "detail"), [("copy", "has the same content and times as a"), ("a", "is the same part of row 2")]
)
def test_one_video_under_two_labels_is_a_reason(clip: str, detail: str) -> None:
    rejects = pd.DataFrame([(clip, "9", "duplicate", detail)], columns=["clip_id", "row", "reason", "detail"])
    other, same = (pd.DataFrame({"row": [9], "sentence": [label]}) for label in "BA")
    assert [it.clip_id for it in twice_in_table(clips_of([0]), rejects, other)] == ["a"]
    assert twice_in_table(clips_of([0]), rejects, same) == []
    unsigned = twice_in_table(clips_of([0]), rejects, pd.DataFrame({"row": [9], "sentence": [""]}))
    assert [it.words for it in unsigned] == ["row 9 of the table gives the same video no label"]


def test_a_backtick_in_a_label_does_not_end_its_quotes() -> None:
    rejects = pd.DataFrame([("a", 9, "duplicate", "")], columns=["clip_id", "row", "reason", "detail"])
    rows = pd.DataFrame({"row": [9], "sentence": ["A`B"]})
    (odd,) = twice_in_table(clips_of([0]), rejects, rows)
    assert odd.words == "row 9 of the table gives the same video the label `A'B`"


def test_near_copies_under_two_labels_are_found_and_those_under_one_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 32))
    points[1], points[3] = points[0] + 1e-4, points[2] + 1e-4
    labels = [0, 1, 0, 0, *[0, 1] * 4]
    *_, odd = neighbours(clips_of(labels), points)
    assert {it.clip_id for it in odd} == {"a", "b"}


def test_the_pictured_clip_of_another_label_has_the_label_that_the_reason_names() -> None:
    rng = np.random.default_rng(1)
    walks = rng.normal(size=(40, 16, 2)).cumsum(1)
    clips = clips_of(rng.integers(0, 5, 40).tolist())
    fit, evidence, _ = neighbours(clips, walks.reshape(40, -1))
    labels = clips["sentence_id"].to_numpy()
    assert any(evidence.words) and (labels[fit.other_clip] == evidence.label).all()


def test_a_clip_far_longer_than_its_label_is_odd() -> None:
    lengths = [20, 22, 18, 21, 60, 19, 5]
    clips = clips_of([0] * 7).assign(num_frames=lengths)
    assert [(it.clip_id, it.words[:20]) for it in odd_lengths(clips)] == [
        ("e", "3.1 times as long as"),
        ("g", "4.1 times as short a"),
    ]
    assert [it.clip_id for it in odd_lengths(clips.iloc[:5])] == ["e"]
    assert not list(odd_lengths(clips.iloc[:4])) and not list(odd_lengths(clips[:0]))


def test_no_length_is_odd_where_the_lengths_of_a_label_differ_widely() -> None:
    clips = clips_of([0] * 5).assign(num_frames=[10, 20, 40, 80, 160])
    assert not list(odd_lengths(clips))
    # the median deviation of the others is ln 1.25: 3.5 robust ones make a factor of 3.18, plain ones 2.18
    for longest, odd in ((30, []), (34, ["f"])):
        lengths = clips_of([0] * 6).assign(num_frames=[8, 8, 10, 12.5, 12.5, longest])
        assert [it.clip_id for it in odd_lengths(lengths)] == odd


def test_a_clip_with_few_tracked_frames_is_odd() -> None:
    clips = clips_of([0, 0, 0]).assign(detection_ratio=[0.5, 0.95, np.nan])
    assert [it.clip_id for it in poorly_found(clips)] == ["a"]


def body(left: Callable[[int], float], right: Callable[[int], float], frames: int) -> np.ndarray:
    """Return raw rows of a body whose shoulders are 0.2 of the picture apart, with the wrists at these x."""
    pose = np.full((frames, POSE_POINTS, 4), 0.5, np.float32)
    pose[..., 3] = 1.0
    pose[:, SHOULDERS[0], 0], pose[:, SHOULDERS[1], 0] = 0.6, 0.4
    for side, place in (("left_hand", left), ("right_hand", right)):
        pose[:, WRISTS[side], 0] = [place(frame) for frame in range(frames)]
    rows = np.full((frames, RAW_DIM), np.nan, np.float32)
    rows[:, : 4 * POSE_POINTS] = pose.reshape(frames, 4 * POSE_POINTS)
    return rows


@pytest.mark.parametrize("frames", [0, 1, 3, 10])
def test_hands_that_swap_are_counted(frames: int) -> None:
    swapped = body(lambda n: 0.3 if n == 1 else 0.7, lambda n: 0.7 if n == 1 else 0.3, frames)
    assert swaps(swapped, 640, 480) == (2 if frames > 2 else 0)
    crossing = body(lambda n: 0.7 - 0.04 * n, lambda n: 0.3 + 0.04 * n, frames)
    assert swaps(crossing, 640, 480) == 0


@pytest.mark.parametrize("first", [0, 1])
def test_hands_that_are_together_in_one_of_two_frames_do_not_swap(first: int) -> None:
    # where they would be exchanged, they go less than half as far
    left, right = (0.54, 0.4), (0.46, 0.6)
    rows = body(lambda n: left[n - first], lambda n: right[n - first], 2)
    assert swaps(rows, 640, 480) == 0


def test_a_clip_that_is_set_aside_leaves_the_build_and_keeps_its_features(tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "rows", 6)
    (tmp_path / "done.csv").write_text("clip_id,action,note\n3,set_aside,cut off\n")
    found = to_splits(tmp_path / "out", dataset | {"review": str(tmp_path / "done.csv")})
    assert "3" not in pd.read_parquet(found["metadata"][0])["clip_id"].tolist()
    assert "3" in FeatureShards(found["features"], found["index"])
    rejects = pd.read_csv(tmp_path / "out/all_rejects.csv", dtype=str)
    assert rejects[["clip_id", "reason", "detail"]].to_numpy().tolist() == [
        ["3", "reviewed", "row 5: cut off"]
    ]
