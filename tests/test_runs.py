"""Stage runs: hand-worked means over seeds, pooled folds, and the section of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json

from signloom.evaluation.adapted import rank_adapted
from signloom.evaluation.runs import read_answers
from signloom.report import runs as section
from signloom.report.tables import Table
from signloom.run_names import folder_after, run_name
from workflow_scripts.runs import main

SIGNERS = ["s1", "s2", "s3", "s4", "s5"]


def sentences(path: Path, data: str, said: dict[str, str], signer: str = "s9") -> Path:
    """Write sign2text.csv with the reference `a b` for every clip and what was `said` of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"clip_id": list(said), "data": data, "signer_id": signer, "sentence_id": 1})
    table.assign(reference="a b", hypothesis=list(said.values())).to_csv(path, index=False)
    return path


def glosses(path: Path, data: str, joint: str, signer: str = "s9") -> Path:
    """Write the predictions of a gloss variant for one clip whose reference is `A B C D`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {"data": data, "clip_id": f"{signer}/1", "signer_id": signer, "reference": "A B C D"}
    pd.DataFrame([row | {"ctc_beam": "A", "joint": joint}]).to_csv(path, index=False)
    return path


def call(folder: Path, paths: list[Path], gloss: dict[str, Any] | None = None, **runs: Any) -> dict[str, Any]:
    params = {"runs": runs, "evaluation": {"bootstrap": 200, "seed": 1}, "gloss": gloss or {}}
    out = [f"metrics={folder}/runs.json", f"table={folder}/runs.csv"]
    kinds = {"retrieval": "retrieval", "embeddings": "embeddings", "embeddings_map": "map"}
    kinds |= {"processed_metadata": "metadata"}
    given = [f"{kinds.get(path.stem, 'predictions')}={path}" for path in paths]
    assert main(["--input", *given, "--output", *out, "--params", params_json(params)]) == 0
    return dict(json.loads((folder / "runs.json").read_text()))


def test_seeds_give_the_mean_and_the_sample_deviation_of_their_rates(tmp_path: Path) -> None:
    paths = [
        sentences(tmp_path / "predictions/sign2text.csv", "test", {"1": "a b", "2": "a x"}),
        sentences(tmp_path / "seeds/43/predictions/sign2text.csv", "test", {"1": "x x", "2": "a x"}),
    ]
    found = call(tmp_path, paths, more_seeds=[43])["seeds"]["sign2text"]
    # 1 and 3 of 4 words are wrong
    assert found == {"seeds": 2, "test": {"n": 2, "wer": 0.5, "wer_std": 0.3536}}


def test_one_seed_has_a_rate_and_a_reason_in_place_of_a_deviation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = call(tmp_path, [sentences(tmp_path / "predictions/sign2text.csv", "val", {"1": "a"})])
    assert "answers: 100%" in capsys.readouterr().err
    assert found["seeds"]["sign2text"]["val"] == {
        "n": 1,
        "wer": 0.5,
        "wer_std": None,
        "wer_std_reason": "one seed has no spread",
    }
    assert found["folds"] == {}
    assert section.describe(found) is None


def test_a_gloss_variant_is_scored_by_its_headline_decoder(tmp_path: Path) -> None:
    names = ("tcn_ctc", "hybrid_pose")
    paths = [glosses(tmp_path / f"predictions/gloss/{name}.csv", "test", "A B C D") for name in names]
    found = call(tmp_path, paths)["seeds"]
    assert found["tcn_ctc"]["test"]["wer"] == 0.75
    assert found["hybrid_pose"]["test"]["wer"] == 0.0


def test_a_sign_is_right_or_wrong_whatever_words_its_name_has(tmp_path: Path) -> None:
    names = ["HOUSE-1", "HOUSE-1", "ICE CREAM", "?"]
    path = sentences(tmp_path / "predictions/sign2text.csv", "test", dict.fromkeys("1234", "x"))
    table = pd.read_csv(path).assign(reference=names, hypothesis=["HOUSE-2", "house-1", *names[2:]])
    table.assign(sentence_id=[1, 1, 2, 3], nearest_id=[4, 5, 2, 3]).to_csv(path, index=False)
    found = read_answers([path])
    assert found[["errors", "words"]].to_numpy().tolist() == [[1, 1], [1, 1], [0, 1], [0, 1]]


def test_a_clip_whose_reference_has_no_word_is_left_out(tmp_path: Path) -> None:
    path = sentences(tmp_path / "predictions/sign2text.csv", "test", {"1": "a b", "2": "a"})
    pd.read_csv(path).assign(reference=["a b", ""]).to_csv(path, index=False)
    assert read_answers([path])["clip_id"].tolist() == ["1"]


def test_folds_pool_the_clips_that_each_left_out(tmp_path: Path) -> None:
    said = dict(zip(SIGNERS, ["A B C D", "A B C", "A B", "A", "A B C D"], strict=True))
    paths = [
        glosses(tmp_path / f"folds/{signer}/predictions/gloss/hybrid_pose.csv", "test", said[signer], signer)
        for signer in SIGNERS
    ]
    # validation clips of a fold are not what it left out
    more = tmp_path / "folds/s1/predictions/sign2text.csv"
    paths.append(sentences(more, "val", {"1": "x"}))
    found = call(tmp_path, paths, folds=SIGNERS)["folds"]
    assert set(found) == {"hybrid_pose"}
    pooled = found["hybrid_pose"]
    assert pooled["wer"] == pytest.approx((0 + 1 + 2 + 3 + 0) / 20)
    assert pooled["wer_low"] < pooled["wer"] < pooled["wer_high"]
    assert pooled["by_fold"] == {"s1": 0.0, "s2": 0.25, "s3": 0.5, "s4": 0.75, "s5": 0.0}
    assert (pooled["folds"], pooled["n"], pooled["signers"]) == (5, 5, 5)


def test_expectations_are_tested_on_the_clips_that_folds_left_out(tmp_path: Path) -> None:
    names = ("tcn_ctc", "hybrid_pose")
    paths = [
        glosses(tmp_path / f"folds/{signer}/predictions/gloss/{name}.csv", "test", "A B", signer)
        for name in names
        for signer in SIGNERS
    ]
    expected = [{"better": "hybrid_pose", "worse": "tcn_ctc", "claim": "attention helps"}]
    found = call(tmp_path, paths, folds=SIGNERS, gloss={"hypotheses": expected})
    (row,) = found["folds_compared"].values()
    # tcn_ctc is read by its prefix beam, which says one gloss of four, and hybrid_pose two by joint decoding
    assert (row["folds"]["n"], row["folds"]["difference"]) == (5, -0.25)
    assert row["folds"]["difference_by_signer_high"] == -0.25
    (cells,) = section.describe(found)["compared"].rows
    assert [cell.text for cell in cells[:3]] == ["hybrid_pose − tcn_ctc", "−0.250", "−0.250"]


def searched(
    path: Path, own: list[int | None], nearest: list[int | None], signer: str, **more: list[int | None]
) -> Path:
    """Write retrieval.csv with the ranks by the model and by one rival; warping is always right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clips = [f"{signer}/{number}" for number in range(len(own))]
    table = pd.DataFrame({"clip_id": clips, "data": "test", "signer_id": signer, "sentence_id": 1})
    ranks = {"rank": own, "rank_nearest": nearest, "rank_hands_dtw": [rank and 1 for rank in own], **more}
    table.assign(**{name: pd.array(value, "Int64") for name, value in ranks.items()}).to_csv(
        path, index=False
    )
    return path


def test_left_out_clips_are_searched_by_the_model_and_its_rivals(tmp_path: Path) -> None:
    # the model is right on 3 of 4 clips of every signer, nearest neighbours on 1; the last was never seen
    own, nearest = [1, 1, 2, 1, None], [1, 5, 2, 3, None]
    paths = [
        searched(tmp_path / f"folds/{signer}/predictions/retrieval.csv", own, nearest, signer)
        for signer in SIGNERS
    ]
    paths += [sentences(path.with_name("sign2text.csv"), "test", {"1": "a b"}) for path in paths]
    runs = call(tmp_path, paths, folds=SIGNERS)
    found = runs["retrieval"]["sign2text"]
    assert (found["folds"], found["n"], found["signers"], found["ret_top1"]) == (5, 20, 5, 0.75)
    rival = found["rivals"]["nearest"]
    assert (rival["ret_top1"], rival["difference"]) == (0.25, 0.5)
    assert 0 < rival["difference_low"] < 0.5 < rival["difference_high"]
    assert rival["difference_by_signer_low"] > 0 and rival["p"] < 0.05
    assert found["rivals"]["hands_dtw"]["difference"] == -0.25
    rows = section.describe(runs)["retrieval"].rows
    assert [[cell.text for cell in row[:4]] for row in rows] == [
        ["sign2text", "20", "0.750", "–"],
        ["nearest neighbour on raw features", "20", "0.250", "0.500"],
        ["warping of the hands", "20", "1.000", "−0.250"],
    ]


def test_adapted_prototypes_are_no_rival_and_clips_of_unnamed_signers_are_left_out(tmp_path: Path) -> None:
    paths = [
        searched(
            tmp_path / f"folds/{signer}/predictions/retrieval.csv",
            [1, 2, 2, 1],
            [1] * 4,
            signer,
            rank_adapted=[1, 1, 2, None],
        )
        for signer in SIGNERS
    ]
    paths += [sentences(path.with_name("sign2text.csv"), "test", {"1": "a b"}) for path in paths]
    runs = call(tmp_path, paths, folds=SIGNERS)
    found = runs["retrieval"]["sign2text"]
    assert (found["n"], found["ret_top1"]) == (20, 0.5) and set(found["rivals"]) == {"nearest", "hands_dtw"}
    assert (found["adapted"]["n"], found["adapted"]["ret_top1"]) == (15, pytest.approx(2 / 3, abs=1e-4))
    second = section.describe(runs)["retrieval"].rows[1]
    assert (second[0].text, second[0].interval, second[1].text, second[2].text) == (
        "sign2text",
        "adapted to each signer's clips",
        "15",
        "0.667",
    )


def embedded(folder: Path, seed: int, clips: pd.DataFrame) -> list[Path]:
    """Write random unit rows of 3 values for `clips`, and their map."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = np.random.default_rng(seed).normal(size=(len(clips), 3)).astype(np.float32)
    np.save(folder / "embeddings.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    clips.to_csv(folder / "embeddings_map.csv", index=False)
    return [folder / "embeddings.npy", folder / "embeddings_map.csv"]


def test_seeds_of_a_fold_together_compare_clips_by_their_mean_cosine(tmp_path: Path) -> None:
    paths, right = [], []
    for number, signer in enumerate(SIGNERS):
        asked = [f"{signer}/{clip}" for clip in range(4)]
        clips = pd.DataFrame({"clip_id": [*asked, *(f"train/{clip}" for clip in range(9))]}).assign(
            split=["test"] * 4 + ["train"] * 9, sentence_id=[1, 1, 1, 1, *range(3), *range(3), *range(3)]
        )
        clips = clips.assign(**dict.fromkeys(("video_file", "feature_path", "sentence", "category"), ""))
        cosines = 0
        for seed in ("", "seeds/43/", "seeds/44/"):
            folder = tmp_path / f"folds/{signer}/{seed}"
            paths += embedded(folder / "embeddings", 100 * number + len(paths), clips)
            ranks = {"rank_adapted": [1, 1, 1, 2]}
            paths.append(
                searched(folder / "predictions/retrieval.csv", [1, 2, 1, 2], [1] * 4, signer, **ranks)
            )
            rows = np.load(folder / "embeddings/embeddings.npy").astype(np.float64)
            cosines = cosines + rows[:4] @ rows[4:].T
        right += [clips["sentence_id"][4 + clip] == 1 for clip in cosines.argmax(1)]
    paths.append(sentences(tmp_path / "folds/s1/predictions/sign2text.csv", "test", {"1": "a b"}))
    asked = [(f"{signer}/{clip}", signer) for signer in SIGNERS for clip in range(4)]
    training = [(f"train/{clip}", "ab"[clip % 2]) for clip in range(9)]
    everyone = pd.DataFrame([*asked, *training], columns=["clip_id", "signer_id"])
    everyone.to_parquet(tmp_path / "processed_metadata.parquet")
    paths.append(tmp_path / "processed_metadata.parquet")
    runs = call(tmp_path, paths, folds=SIGNERS, more_seeds=[43, 44], seeds_of_folds=True)
    found = runs["retrieval"]["sign2text"]
    together = found["ensemble"]
    assert found["ret_top1"] == 0.5 and (together["seeds"], together["n"], together["signers"]) == (3, 20, 5)
    assert 0 < np.mean(right) < 1 and together["ret_top1"] == pytest.approx(np.mean(right))
    assert together["ret_top1_low"] < together["ret_top1"] < together["ret_top1_high"]
    rows = section.describe(runs)["retrieval"].rows
    assert [(row[0].text, row[1].text) for row in rows[:4]] == [
        ("sign2text", "20"),
        ("sign2text", "20"),
        ("sign2text, 3 seeds together", "20"),
        ("sign2text, 3 seeds together", "20"),
    ]
    assert found["adapted"]["ret_top1"] == 0.75
    joined, people = [], dict(zip(everyone["clip_id"], everyone["signer_id"], strict=True))
    for signer in SIGNERS:
        folders = [tmp_path / f"folds/{signer}/{seed}embeddings" for seed in ("", "seeds/43/", "seeds/44/")]
        rows = np.concatenate([np.load(folder / "embeddings.npy") for folder in folders], 1) / 3**0.5
        table = pd.read_csv(folders[0] / "embeddings_map.csv", keep_default_na=False)
        joined += (rank_adapted(rows, table, np.arange(4), people) == 1).tolist()
    assert together["adapted"]["ret_top1"] == pytest.approx(np.mean(joined))


def test_clips_of_a_run_without_a_fold_are_not_left_out(tmp_path: Path) -> None:
    path = searched(tmp_path / "predictions/retrieval.csv", [1], [1], "s1")
    assert "retrieval" not in call(
        tmp_path, [path, sentences(path.with_name("sign2text.csv"), "test", {"1": "a"})]
    )


def test_seeds_of_a_fold_are_averaged_for_each_clip(tmp_path: Path) -> None:
    paths = [
        glosses(tmp_path / f"folds/{signer}/{seed}predictions/gloss/hybrid_pose.csv", "test", said, signer)
        for signer in ("s1", "s2", "s3")
        for seed, said in (("", "A B C D"), ("seeds/43/", "A B"))
    ]
    pooled = call(tmp_path, paths, folds=["s1", "s2", "s3"], more_seeds=[43])["folds"]["hybrid_pose"]
    assert pooled["wer"] == 0.25 and pooled["n"] == 3
    assert pooled["wer_low"] is None and pooled["wer_reason"].startswith("too few signers")


def test_the_section_shows_seeds_folds_and_every_fold(tmp_path: Path) -> None:
    paths = [
        sentences(tmp_path / f"{place}predictions/sign2text.csv", "test", {"1": "a b", "2": said}, "s1")
        for place, said in (("", "a"), ("seeds/43/", "x"), ("folds/s1/", "a b"), ("folds/s2/", "a"))
    ]
    shown = section.describe(call(tmp_path, paths, folds=["s1", "s2", "s3"], more_seeds=[43]))
    assert shown is not None

    def texts(table: Table) -> list[list[str]]:
        return [[cell.text for cell in row] for row in table.rows]

    assert texts(shown["seeds"]) == [["sign2text", "2", "0.375 ± 0.177"]]
    assert texts(shown["folds"])[0][:4] == ["sign2text", "2", "2", "0.125"]
    assert texts(shown["by_fold"]) == [["sign2text", "0.000", "0.250"]]


def test_the_tables_of_single_signs_name_the_sign_error_rate(tmp_path: Path) -> None:
    paths = [
        sentences(tmp_path / f"{place}predictions/sign2text.csv", "test", {"1": "a"}, "s1")
        for place in ("", "seeds/43/", "variants/supcon/", "folds/s1/", "folds/s2/")
    ]
    found = call(tmp_path, paths, folds=["s1", "s2", "s3"], more_seeds=[43])
    for signs, rate in ((True, "Sign"), (False, "Word")):
        shown = section.describe(found, signs)
        assert shown is not None
        for name in ("seeds", "variants", "by_fold"):
            assert shown[name].caption.startswith(f"{rate} error rate"), name
        assert f"{rate} error rate, pooled" in shown["folds"].columns


def test_the_name_of_a_run_comes_from_the_folders_of_its_files() -> None:
    assert run_name(Path("build/models/gloss/tcn_ctc/metrics.jsonl"), "tcn_ctc") == "tcn_ctc"
    path = Path("build/boston104/folds/3/seeds/43/metrics/gloss/tcn_ctc.json")
    assert run_name(path, "tcn_ctc") == "tcn_ctc-43"
    assert folder_after(path, "folds") == "3"
    assert folder_after(Path("seeds/43/x"), "folds") == ""


def test_a_variant_of_sign2text_is_a_model_of_its_own_and_the_page_names_what_it_changes(
    tmp_path: Path,
) -> None:
    paths = [
        sentences(tmp_path / "predictions/sign2text.csv", "test", {"1": "a b"}),
        sentences(tmp_path / "variants/no_contrastive/predictions/sign2text.csv", "test", {"1": "a x"}),
    ]
    found = call(tmp_path, paths)
    assert {name: entry["test"]["wer"] for name, entry in found["seeds"].items()} == {
        "sign2text": 0.0,
        "sign2text-no_contrastive": 0.5,
    }
    table = section.describe(found)["seeds"]
    assert [row[0].interval for row in table.rows] == [
        "landmarks to sentence",
        "without the contrastive loss",
    ]


def test_a_variant_that_errs_on_every_clip_differs_and_an_equal_one_does_not(tmp_path: Path) -> None:
    said = {str(clip): "a b" for clip in range(12)}
    places = {"": said, "variants/supcon/": said, "variants/no_contrastive/": dict.fromkeys(said, "a x")}
    paths = [
        sentences(tmp_path / f"{place}predictions/sign2text.csv", "test", of_place)
        for place, of_place in places.items()
    ]
    found = call(tmp_path, paths)
    bad, same = (
        found["variants"][f"sign2text-{name} - sign2text"]["test"] for name in ("no_contrastive", "supcon")
    )
    assert (bad["difference"], bad["difference_low"], bad["difference_high"]) == (0.5, 0.5, 0.5)
    # of 200 random swaps of 12 clips, hardly any is as one-sided
    assert bad["p"] < 0.05
    assert (same["difference"], same["p"]) == (0.0, 1.0)
    rows = section.describe(found)["variants"].rows
    assert [[cell.text for cell in row[1:]] for row in rows] == [["0.000", "1.000"], ["0.500", "0.005"]]
