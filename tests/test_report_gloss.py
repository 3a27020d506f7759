"""The report's gloss family: what was measured, what collapsed, what was confused, and by which weights."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.errors import SignloomError
from signloom.metrics.wer import error_stats
from signloom.params.variants import VARIANTS
from signloom.report import errors, sources
from signloom.report.glosses import alignment as gloss_alignment
from signloom.report.glosses import plots as gloss_plots
from signloom.report.glosses import section as gloss
from signloom.report.glosses import spotting as gloss_spotting
from signloom.report.glosses import tables as gloss_tables
from signloom.report.tables import DASH
from signloom.report.times import Built, stage_times
from tests.report_gloss_inputs import EPOCHS, SHA
from tests.report_inputs import Page, build
from workflow_scripts import report

BOTH = ("sign2text", "gloss")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("report_gloss") / "build"
    build(where, families=BOTH, seeds=(42, 43))
    return where


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report/index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a build of glosses only, with random weights and one seed."""
    return build(tmp_path_factory.mktemp("report_alone") / "build", families=("gloss",), sha="")


def svg_of(html: str, name: str) -> str:
    found = re.search(rf'<figure id="{name}">(<svg.*?</svg>)', html, flags=re.DOTALL)
    assert found
    return found[1]


def table_of(html: str, name: str) -> list[list[str]]:
    """The cells of a table, row by row; what stands under a figure follows it."""
    table = re.search(rf'<table id="{name}">.*?</table>', html, flags=re.DOTALL)
    assert table
    rows = re.findall(r"<tr>(.*?)</tr>", table[0], flags=re.DOTALL)
    return [
        [re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows[1:]
    ]


def test_glosses_stand_between_retrieval_and_stages(html: str) -> None:
    parsed = Page(html)
    second = [text for level, text in parsed.headings if level == 2]
    assert second[-4:] == ["Embedding map", "Glosses", "Stages", "Provenance"]
    levels = [level for level, _ in parsed.headings]
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


def test_a_build_of_glosses_only_has_no_empty_sections(alone: str) -> None:
    parsed = Page(alone)
    assert [text for level, text in parsed.headings if level == 2] == [
        *("Scores", "Corpus", "Contact sheet", "Rejects", "Motion", "Glosses", "Stages", "Provenance")
    ]
    assert "nearest training sentence" not in alone.lower()
    assert "Gloss error rate, hybrid_both" in parsed.text


@pytest.mark.parametrize("page", ["html", "alone"])
def test_links_ids_tables_and_pictures_are_sound(page: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(page)
    parsed = Page(text)
    assert max(parsed.ids.values()) == 1
    assert not parsed.loose_links
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(parsed.ids)
    assert all(found >= {"caption", "row", "col"} for found in parsed.tables)
    assert all(re.search(r"\d", alt) and len(alt) > 40 for alt in parsed.pictures)
    assert text.count("<figcaption>") == len(parsed.pictures)
    assert not re.search(r"https?:|<script|@import", text)
    assert "nan" not in parsed.text.lower().split()
    assert "<b>" not in text


def test_equal_inputs_give_equal_bytes(alone: str, tmp_path: Path) -> None:
    assert build(tmp_path / "again", families=("gloss",), sha="").encode() == alone.encode()


def test_the_ablation_stands_on_the_page_as_in_its_metric_file(folder: Path, html: str) -> None:
    metrics = json.loads((folder / "ablation.json").read_text("utf-8"))
    rows = table_of(html, "ablation-test")
    assert [row[0].split()[0] for row in rows] == ["tcn_ctc", "hybrid_pose", "hybrid_both"]
    hybrid = metrics["test"]["hybrid_pose"]["joint"]
    assert rows[1][1].split() == [f"{hybrid['wer']:.3f}", "±", f"{hybrid['wer_std']:.3f}"]
    low, high = (f"{hybrid[f'difference_{end}']:.3f}".replace("-", "−") for end in ("low", "high"))
    assert rows[1][2].split() == [f"{hybrid['difference']:.3f}".replace("-", "−"), low, "to", high]
    assert rows[0][2] == "baseline"
    assert rows[0][3].split()[0] == "0.990"
    assert len(table_of(html, "decoders-test")) == 2 + 4 + 4
    pair = metrics["test_unseen_sentences"]["comparisons"]["hybrid_both - hybrid_pose"]
    (row,) = [row for row in table_of(html, "comparisons") if "hybrid_both − hybrid_pose" in row[0]]
    assert row[3].split()[0] == f"{pair['difference']:.3f}".replace("-", "−")
    assert row[4] == f"{pair['p']:.3f}"
    for sentence in (folder / "ablation.txt").read_text("utf-8").strip().split(". "):
        assert sentence in Page(html).text


def test_one_seed_shows_the_interval_over_clips(alone: str) -> None:
    (row,) = [row for row in table_of(alone, "ablation-test") if row[0].startswith("hybrid_pose")]
    assert re.fullmatch(r"0\.\d{3}\s+0\.\d{3} to 0\.\d{3}", row[1])
    assert "±" not in " ".join(row)


def test_a_collapse_is_seen_and_heard(html: str) -> None:
    for name in ("gloss-train-blank-ratio", "gloss-val-blank-ratio"):
        svg = svg_of(html, name)
        assert "collapse, 0.95" in svg
        said = re.search(r'aria-label="([^"]*)"', svg)
        assert said
        assert re.search(rf"tcn_ctc from .*?, above 0\.95 in [1-9]\d* of {EPOCHS} epochs", said[1])
        assert re.search(rf"hybrid_pose from .*?, above 0\.95 in 0 of {EPOCHS} epochs", said[1])


def test_every_variant_and_every_seed_has_its_line() -> None:
    epochs = pd.DataFrame(
        [
            (variant + ("" if seed == 1 else f"-{seed}"), variant, epoch, seed / 10 + epoch / 100)
            for variant in VARIANTS
            for seed in (1, 2, 3)
            for epoch in range(1, 6)
        ],
        columns=["run", "variant", "epoch", "val_wer"],
    )

    def lines(table: pd.DataFrame, **how: Any) -> int:
        svg = gloss_plots.curves("name", "A curve.", table, "val_wer", **how).svg
        return len(re.findall(r"<path[^>]*clip-path[^>]*stroke: var\(--(?:one|two|three|four|five)\)", svg))

    one = epochs[epochs["run"] == epochs["variant"]]
    assert lines(epochs) == 5 * (3 + 1)
    assert lines(one) == 5
    assert lines(one, smoothed=True) == 5 * 2
    svg = gloss_plots.curves("name", "A curve.", epochs, "val_wer").svg
    assert all(variant in svg for variant in VARIANTS)
    assert "tcn_ctc from 0.21 in epoch 1 to 0.25 in epoch 5" in svg


def test_one_variant_without_validation_clips_says_what_is_not_known(tmp_path: Path) -> None:
    text = build(
        tmp_path / "build",
        ("train", "train", "test"),
        families=("gloss",),
        variants=("hybrid_pose",),
        sha=None,
    )
    assert '<figure id="gloss-train-blank-ratio">' in text
    for name in ("gloss-val-blank-ratio", "gloss-val-wer", "gloss-val-loss"):
        assert f'id="{name}"' not in text
    assert "no validation clip to choose by" in text
    assert table_of(text, "ablation-test")[0][2].startswith(DASH)
    assert "tcn_ctc is not among the variants" in text
    assert "Clip features:" not in text


def test_without_held_out_clips_the_page_says_so(tmp_path: Path) -> None:
    text = Page(build(tmp_path / "build", ("train", "train"), families=("gloss",))).text
    assert "no held-out clip has a gloss" in text
    assert "No clip was decoded" in text


def test_weights_are_named_and_random_ones_cannot_be_overlooked(html: str, alone: str) -> None:
    assert f"i3d (dense), weights kinetics-400, whose SHA-256 begins with {SHA[:12]}" in Page(html).text
    assert "random weights" not in html
    shout = (
        '<p class="caution">Clip features: i3d (dense), random weights: for tests only, scores mean nothing.'
    )
    assert shout in alone


def made(rates: dict[str, dict[str, float]], runs: tuple[str, ...]) -> sources.GlossSources:
    """Runs whose decoders have these error rates in validation, and the reverse in test."""
    metrics = {
        run: {
            data: {
                decoder: {"wer": abs(flip - wer), "wer_low": 0.0, "wer_high": 1.0, "n": 3}
                for decoder, wer in rates[run].items()
            }
            for data, flip in (("val", 0), ("test", 1))
        }
        for run in runs
    }
    predictions = {run: pd.DataFrame(columns=["reference", *rates[run]]) for run in runs}
    return sources.GlossSources(metrics, pd.DataFrame(), predictions, {}, "", pd.DataFrame())


def test_variant_and_decoder_are_chosen_by_the_mean_of_validation_and_never_by_test() -> None:
    found = made(
        {
            "tcn_ctc": {"ctc_greedy": 0.9, "ctc_beam": 0.8},
            "hybrid_pose": {"attention": 0.1, "joint": 0.3},
            "hybrid_pose-43": {"attention": 0.5, "joint": 0.2},
        },
        ("tcn_ctc", "hybrid_pose", "hybrid_pose-43"),
    )
    rates = gloss_tables.rates(found.metrics)
    choice = gloss.choose(found, rates)
    assert (choice.run, choice.decoder) == ("hybrid_pose", "joint")
    assert "0.250" in choice.reason
    joint = rates[(rates["data"] == "val") & (rates["decoder"] == "joint")].iloc[0]
    assert (joint["low"], joint["high"], joint["seeds"]) == (0.2, 0.3, 2)


def test_equal_error_rates_choose_the_last_variant_with_its_own_decoder() -> None:
    rates = {"tcn_ctc": {"ctc_greedy": 0.0, "ctc_beam": 0.0}, "hybrid_pose": {"ctc_beam": 0.0, "joint": 0.0}}
    found = made({**rates, "hybrid_clip": {"ctc_greedy": 0.0, "joint": 0.1}}, (*rates, "hybrid_clip"))
    choice = gloss.choose(found, gloss_tables.rates(found.metrics))
    assert (choice.run, choice.decoder) == ("hybrid_pose", "joint")
    assert choice.reason.endswith("(0.000), which 4 more have")


def test_confused_glosses_are_counted_over_aligned_clips() -> None:
    answers = pd.DataFrame(
        [
            ("MY MOTHER WORK", "MY FATHER WORK"),
            ("MOTHER LATE", "FATHER"),
            ("MOTHER SEE CAT", "SISTER SEE CAT NOW"),
            ("Cat", "CAT"),
            ("ix-1p GO", "ix-1p GO"),
        ],
        columns=["reference", "hypothesis"],
    )
    rows = [
        [cell.text for cell in row]
        for row in errors.confusion_table(answers, "confusions", "gloss", gloss_tables.GLOSSES).rows
    ]
    assert rows == [
        ["MOTHER", "FATHER", "2", "3"],
        ["Cat", "CAT", "1", "1"],
        ["MOTHER", "SISTER", "1", "3"],
    ]


glosses = st.lists(st.sampled_from(["A", "B", "C"]), min_size=1, max_size=5).map(" ".join)


@given(st.lists(st.tuples(glosses, glosses), min_size=1, max_size=6))
def test_confusions_add_up_to_the_substitutions_that_are_scored(pairs: list[tuple[str, str]]) -> None:
    answers = pd.DataFrame(pairs, columns=["reference", "hypothesis"])
    counted = sum(
        int(row[2].text)
        for row in errors.confusion_table(answers, "confusions", "gloss", gloss_tables.GLOSSES).rows
    )
    lines = [[line.split() for line in side] for side in zip(*pairs, strict=True)]
    assert counted == error_stats(*lines)[:, 0].sum()


def test_the_best_epoch_is_the_trainers() -> None:
    from signloom.training.glosses.history import merit

    rows = [
        {"epoch": epoch, "val_wer": wer, "val_loss": loss}
        for epoch, (wer, loss) in enumerate([(0.9, 1), (0.2, 5), (0.2, 3), (0.2, 3), (0.4, 1)], 1)
    ]
    table = pd.DataFrame(rows).assign(run="hybrid_pose", variant="hybrid_pose")
    assert gloss.best_epochs(table)["epoch"].tolist() == [max(rows, key=merit)["epoch"]] == [3]


def test_references_without_glosses_are_left_out_and_counted(folder: Path) -> None:
    choice = "hybrid_both"
    metrics, predictions = folder / f"gloss/{choice}.json", folder / f"predictions/gloss/{choice}.csv"
    epochs = folder / f"models/gloss/{choice}/metrics.jsonl"
    ablation = json.loads((folder / "ablation.json").read_text("utf-8"))
    read = sources.read_glosses([metrics], [epochs], [predictions], ablation, "", [])
    answers = read.predictions[choice]
    unscored, *others = answers.loc[answers["data"] == "test", "clip_id"]
    answers.loc[answers["clip_id"] == unscored, "reference"] = ""
    found = gloss.describe(read)
    assert found["empty"] == 1
    assert {example["clip"] for example in found["examples"]["test"]} == set(others)


def test_a_run_without_its_predictions_is_named(folder: Path) -> None:
    with pytest.raises(SignloomError, match=r"gloss_predictions=\.\.\. has no file of run hybrid_pose"):
        sources.read_glosses(
            [folder / "gloss/hybrid_pose.json"],
            [folder / "models/gloss/hybrid_pose/metrics.jsonl"],
            [folder / "predictions/gloss/tcn_ctc.csv"],
            {},
            "",
            [],
        )


def test_a_report_of_no_family_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["--input", f"metadata={tmp_path}/x", "--output", f"html={tmp_path}/y.html"]) == 2
    assert "no model family was given" in capsys.readouterr().err


def test_the_losses_speak_of_two_views_only_where_there_were_two(html: str, tmp_path: Path) -> None:
    def caption(page: str) -> str:
        found = re.search(r'<figure id="losses">.*?<figcaption>(.*?)</figcaption>', page, flags=re.DOTALL)
        assert found
        return found[1]

    assert "two-view" in caption(html)
    assert "two-view" not in caption(build(tmp_path / "build", two_views=False))


def test_gloss_runs_have_stage_times_and_checksums(html: str, tmp_path: Path) -> None:
    for run in ("tcn_ctc", "hybrid_pose", "old_run"):
        path = tmp_path / f"train_gloss/{run}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("s\th:m:s\tmax_rss\n30\t0:00:30\t100\n", "utf-8")
    (row,) = stage_times(tmp_path, Built({"tcn_ctc", "hybrid_pose"})).rows
    assert [cell.text for cell in row][:3] == ["train_gloss", "2", "1 min 00 s"]
    for name in (
        "43/models/gloss/hybrid_pose/metrics.jsonl",
        "43/predictions/gloss/tcn_ctc.csv",
        "ablation.csv",
    ):
        assert f">{name}</a></dt>" in html


def test_the_times_of_glosses_stand_beside_their_rivals_and_as_timelines(html: str) -> None:
    rows = {row[0]: row[1:] for row in table_of(html, "alignment-test")}
    assert list(rows) == ["aligned", "mean lengths", "equal shares"]
    assert rows["aligned"][0].split()[0] == rows["aligned"][1].split()[0] == "40"
    assert rows["aligned"][2].split()[0] == "1.00" and rows["aligned"][4] == ""
    assert rows["equal shares"][4].startswith("−")  # the alignment has the lower error
    pictures = re.findall(r'<figure id="(alignment-[^"]*)">', html)
    assert pictures[0] == "alignment-errors" and 2 <= len(pictures) <= 4
    timeline = svg_of(html, pictures[1])
    assert all(name in timeline for name in ("truth", "aligned", "mean lengths", "equal shares"))
    assert "left out: " in html[html.index("too few rows for their glosses") :][:60]


def test_signs_found_by_example_stand_beside_their_rivals_and_as_ranked_clips(html: str) -> None:
    rows = {row[0]: row[1:] for row in table_of(html, "spotting-test")}
    assert list(rows) == ["by example", "example cut out", "untrained input", "known gloss"]
    assert rows["by example"][3] == "" and not rows["untrained input"][3].startswith("−")
    pictures = re.findall(r'<figure id="(spotting-[^"]*)">', html)
    assert sorted(pictures) == ["spotting-TEA", "spotting-WORK"]
    ranked = svg_of(html, "spotting-WORK")
    assert "Average precision 1.00" in ranked and "found 0.60 to 1.00, truth 0.50 to 1.00" in ranked
    assert "not in the clip" in ranked


def test_without_examples_there_is_no_table_and_no_picture() -> None:
    places = pd.DataFrame(columns=["method", "gloss", "split", "start_s", "contains", "score"])
    found = gloss_spotting.describe(sources.SpottingSources({"test": {"n": 0}}, places))
    assert found == {"tables": [], "pictures": [], "everywhere": False}


def test_without_true_times_there_is_no_picture_and_the_page_says_so() -> None:
    columns = [
        "clip_id",
        "split",
        "gloss",
        "start_s",
        "end_s",
        "true_start_s",
        "true_end_s",
        "length_s",
        "reason",
    ]
    times = pd.DataFrame([("a", "test", "CAT", 0.1, 0.4, None, None, 1.0, "")], columns=columns)
    found = gloss_alignment.describe(sources.AlignmentSources({"test": {"n": 0}}, times))
    assert found == {"tables": [], "too_short": 0, "pictures": []}
