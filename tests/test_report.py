"""The report: one page that opens from disk, says what is missing and why, and equals itself."""

from __future__ import annotations

import json
import re
import subprocess
import warnings
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pandas as pd
import pytest
from demo_params import section
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from engines.workflow import workflow
from signloom.params.runs import RunsParams
from signloom.report import drawing, errors, plots, provenance, sources, tables
from signloom.report.page import template
from signloom.report.sentences import section as sentences
from signloom.report.times import Built, duration, stage_times
from tests.report_inputs import (
    Page,
    build,
    write_benchmarks,
    write_history,
)
from workflow_scripts import report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("report") / "build"
    build(where)
    return where


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report/index.html").read_text("utf-8")


def test_the_page_parses_and_has_every_section_in_order(html: str) -> None:
    parsed = Page(html)
    assert [text for level, text in parsed.headings if level == 2] == [
        "Scores",
        "Corpus",
        "Contact sheet",
        "Rejects",
        "Motion",
        "Training",
        "Where the errors are",
        "Examples",
        "Retrieval",
        "Embedding map",
        "Stages",
        "Provenance",
    ]
    levels = [level for level, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


def test_the_page_needs_no_network(html: str) -> None:
    assert "http:" not in html
    assert "https:" not in html
    assert "//" not in re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)
    assert not re.search(r"<(script|link|iframe|object)\b|@import|@font-face", html)
    assert "default-src 'none'" in html


def test_every_link_leads_to_one_element_of_the_page_or_to_a_file_of_the_build(
    html: str, folder: Path
) -> None:
    parsed = Page(html)
    assert max(parsed.ids.values()) == 1
    inside = {link for link in parsed.links if link.startswith("#")}
    assert {link.removeprefix("#") for link in inside} <= set(parsed.ids)
    files = {(folder / "report" / link).resolve() for link in {*parsed.links} - inside}
    assert {folder / "sign2text.csv", folder / "retrieval.csv"} <= files
    assert all(file.is_file() for file in files)
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(parsed.ids)
    assert set(re.findall(r'aria-labelledby="([^"]*)"', html)) <= set(parsed.ids)


def test_tables_have_captions_and_scopes_and_pictures_say_what_they_show(html: str) -> None:
    parsed = Page(html)
    assert len(parsed.tables) >= 8
    assert all(found >= {"caption", "row", "col"} for found in parsed.tables)
    assert len(parsed.pictures) == 10
    assert all(re.search(r"\d", alt) and len(alt) > 40 for alt in parsed.pictures)


def test_pictures_take_their_colours_from_the_page(html: str) -> None:
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
        assert "var(--ink)" in svg


def test_a_figure_stands_on_the_page_as_in_its_metric_file(html: str, folder: Path) -> None:
    scores = json.loads((folder / "sign2text.json").read_text("utf-8"))["test"]
    text = Page(html).text
    assert f"{scores['wer']:.3f} {scores['wer_low']:.3f} to {scores['wer_high']:.3f}" in text
    assert f"{scores['bleu4']:.1f} {scores['bleu4_low']:.1f} to {scores['bleu4_high']:.1f}" in text
    assert "Test (n = 4)" in text
    assert scores["bleu4_signature"] in text


def test_equal_inputs_give_equal_bytes(html: str, tmp_path: Path) -> None:
    assert build(tmp_path / "again").encode() == html.encode()


def test_texts_of_the_corpus_cannot_become_markup(html: str) -> None:
    assert "<b>water</b>" not in html
    assert "&lt;b&gt;water" in html
    assert "why <it>" not in html


def test_a_corpus_without_validation_or_signers_still_gets_its_page(tmp_path: Path) -> None:
    text = Page(
        build(tmp_path / "build", ("train", "train", "test"), signers=False, rejects=False, benchmarks=False)
    ).text
    assert "Validation (n = 0)" in text
    assert "a no clip in this data set." in text
    assert tables.DASH in text
    assert "the annotation table names none" in text
    assert "No clip was rejected" in text
    assert "No benchmark files" in text
    assert "nan" not in text.lower().split()


def test_a_corpus_without_held_out_clips_still_gets_its_page(tmp_path: Path) -> None:
    text = Page(build(tmp_path / "build", ("train", "train"))).text
    assert "Test (n = 0)" in text
    assert "No clip was scored" in text
    assert "No clip was decoded" in text


def test_motion_that_was_never_measured_is_left_out() -> None:
    unknown, known = pd.Series([np.nan, np.nan]), pd.Series([1.0, np.nan, 2.0])
    shown = plots.motion({"signed": known, "imported": unknown}, 0.25)
    assert shown is not None and "signed (2)" in shown.svg and "Floor at 0.25" in shown.svg
    assert "imported" not in shown.svg
    assert plots.motion({"imported": unknown}, 0.25) is None


@pytest.mark.parametrize(
    ("signers", "cells", "notes"),
    [
        (
            ["ann", "bob", ""],
            ["2", "0", "–a", "2"],
            [("a", "the annotation table names no signers of these clips")],
        ),
        (["", "", ""], ["–a", "0", "–a", "–a"], [("a", "the annotation table names no signers")]),
        (["ann", "bob", "ann"], ["2", "0", "1", "2"], []),
    ],
)
def test_a_split_without_signers_has_a_dash_and_a_footnote(
    signers: list[str], cells: list[str], notes: list[tuple[str, str]]
) -> None:
    clips = pd.DataFrame(
        {"split": ["train", "train", "test"], "sentence_id": [1, 2, 1], "signer_id": signers}
    )
    found = tables.corpus_table(clips.assign(seen=1, num_frames=9))
    assert [row[3].text + row[3].note for row in found.rows] == cells and found.notes == notes


def test_names_keep_both_ends_and_signers_who_are_not_drawn_are_counted() -> None:
    assert (
        drawing.shortened("GOOD-MORNING-EVERYONE-1", 12) == "GOOD-M…ONE-1"
        and drawing.shortened("A" * 12, 12) == "A" * 12
    )
    names = [f"participant of the second recording session, number {number}" for number in range(40)]
    groups = pd.DataFrame(
        {"group": names, "data": "test", "wer": 0.5, "low": 0.4, "high": 0.6, "n": range(40, 0, -1)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout that does not fit
        drawn = plots.wer_by_signer(groups, "wer-by-signer")
    assert drawn.caption == "Word error rate by signer: the 24 of 40 bars with the most clips."
    assert "number 23" in drawn.svg and "number 24," not in drawn.svg


def test_letters_that_no_font_here_has_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = drawing.picture("a", "b", "c", lambda figure: figure.suptitle("\u4f60\u597d \U000e0101")).svg
    assert "\u4f60\u597d" in svg


def test_a_training_of_one_epoch_has_a_mark() -> None:
    for epochs, seen in (([1], True), ([1, 2], False)):
        axes = Figure().add_subplot()
        plots._curve(axes, pd.DataFrame({"epoch": epochs, "loss": 2.0}), "loss", "loss", 0)
        assert (axes.lines[-1].get_marker() not in ("None", None, "")) == seen


def test_only_the_demo_corpus_is_called_invented(html: str, tmp_path: Path) -> None:
    assert "describe this corpus only" in html
    assert "invented lexicon" not in html
    assert "invented lexicon" in build(tmp_path / "demo", videos="data/demo/videos")


def stage_rows(folder: Path, built: Built) -> list[list[str]]:
    return [[cell.text for cell in row] for row in stage_times(folder, built).rows]


def test_stage_times_add_up_the_shards_of_this_build(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    rows = stage_rows(tmp_path, Built({"0000", "0001"}))
    assert rows == [
        ["landmarks", "2", "2 min 40 s", "1 min 40 s", "470 MiB"],
        ["splits", "1", "0.2 s", "0.2 s", tables.DASH],
    ]


def test_stages_of_an_earlier_build_have_no_times(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    assert [row[0] for row in stage_rows(tmp_path, Built({"0000"}, stages={"splits"}))] == ["splits"]


@pytest.mark.parametrize(("seeds_of_folds", "jobs"), [(False, 10), (True, 16)])
def test_stage_times_add_up_all_runs_of_this_build(tmp_path: Path, seeds_of_folds: bool, jobs: int) -> None:
    folds = ["", "folds/s1/", "folds/s2/", "folds/s3/", "folds/earlier/"]
    for fold, variant, seed in product(folds, ["", "variants/tcn/"], ["", "seeds/43/", "seeds/44/"]):
        path = tmp_path / fold / variant / seed / "embed.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s\tmax_rss\n2\t100\n", "utf-8")
    runs = section(
        RunsParams,
        more_seeds=[43],
        sign2text_variants=["tcn"],
        folds=["s1", "s2", "s3"],
        seeds_of_folds=seeds_of_folds,
    )
    expected = ["embed", str(jobs), f"{2 * jobs:.1f} s", "2.0 s", "100 MiB"]
    assert stage_rows(tmp_path, Built(set(), runs=runs)) == [expected]


def test_the_page_lists_the_stages_and_runs_that_its_parameters_name(tmp_path: Path) -> None:
    for name in ("align", "folds/s1/splits"):
        path = tmp_path / f"build/benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s\tmax_rss\n100\t100\n", "utf-8")
    runs = section(RunsParams, folds=["s1", "s2", "s3"]).model_dump()
    page = Page(build(tmp_path / "build", params={"runs": runs, "stages": ["splits"]}))
    # the table's header, its only row, and the text below it
    assert "Peak memory of a job splits 2 1 min 40 s 1 min 40 s 100 MiB Times of" in page.text


def test_the_rule_names_the_stages_of_its_families(root: Path) -> None:
    with workflow(root, over={"pipeline": {"families": ["sign2text"]}}) as flow:
        (rule,) = (rule for rule in flow.rules if rule.name == "report")
        told = set(json.loads(rule.params.given)["stages"])
    assert {"manifest", "landmarks", "train_sign2text", "runs"} <= told
    assert not told & {"clip_features", "train_gloss", "align", "side_by_side"}


def test_a_missing_metric_file_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        f"{name}={folder}/{file}"
        for name, file in (
            ("metrics", "features.json"),
            ("history", "history.csv"),
            ("epochs", "metrics.jsonl"),
            ("predictions", "sign2text.csv"),
            ("predictions", "retrieval.csv"),
            ("metadata", "processed_metadata.parquet"),
            ("rejects", "rejects.csv"),
            ("splits", "splits.csv"),
            ("index", "0000.parquet"),
        )
    ]
    assert report.main(["--input", *names, "--output", f"html={tmp_path}/x/index.html"]) == 2
    assert "lacks manifest.json" in capsys.readouterr().err
    assert not (tmp_path / "x/index.html").exists()


def test_the_best_epoch_is_the_trainers(tmp_path: Path) -> None:
    from signloom.training.sentences.history import merit

    write_history(tmp_path, val=True)
    history = sources.read_history(tmp_path / "history.csv", tmp_path / "metrics.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert sentences.best_epoch(history) == max(rows, key=merit)["epoch"] == 10
    write_history(tmp_path, val=False)
    history = sources.read_history(tmp_path / "history.csv", tmp_path / "metrics.jsonl")
    assert sentences.best_epoch(history) == 12


words = st.lists(st.sampled_from(["cat", "tree", "sees", "a", "NA"]), max_size=7).map(" ".join)


@given(reference=words.filter(bool), hypothesis=words)
def test_an_alignment_keeps_every_word_and_costs_what_jiwer_counts(reference: str, hypothesis: str) -> None:
    steps = errors.align(reference, hypothesis)
    assert [s.reference for s in steps if s.reference] == reference.lower().split()
    assert [s.hypothesis for s in steps if s.hypothesis] == hypothesis.lower().split()
    edits = sum(step.kind != "equal" for step in steps)
    assert edits / len(reference.split()) == pytest.approx(jiwer.wer(reference.lower(), hypothesis.lower()))
    assert all((s.reference == s.hypothesis) == (s.kind == "equal") for s in steps)


def test_edits_are_said_in_words() -> None:
    steps = errors.align("The cat sees a tree", "The dog sees tree")
    assert errors.spoken_edits(steps) == "“dog” in place of “cat”; “a” left out"
    assert errors.spoken_edits(errors.align("yes", "yes now")) == "“now” added"
    assert errors.spoken_edits(errors.align("Yes.", "yes")) == "no difference"


def test_error_rates_of_groups_add_up_to_those_of_jiwer() -> None:
    answers = pd.DataFrame(
        {
            "data": ["test", "test", "test", "val"],
            "group": ["a", "a", "b", "a"],
            "reference": ["one two", "one two three four", "one", "one"],
            "hypothesis": ["one", "one two three four", "two", "one"],
        }
    )
    found = tables.wer_by(answers, "group").set_index(["data", "group"])
    assert found.loc[("test", "a"), "wer"] == pytest.approx(
        jiwer.wer(["one two", "one two three four"], ["one", "one two three four"])
    )
    assert found.loc[("test", "b"), "wer"] == 1.0
    assert found.loc[("val", "a"), "n"] == 1
    assert (found["low"] <= found["wer"]).all()
    assert (found["wer"] <= found["high"]).all()


@given(st.lists(st.integers(0, 300), max_size=30))
def test_lengths_fall_into_at_most_twelve_groups_of_one_width(counts: list[int]) -> None:
    groups = tables.reference_lengths([" ".join(["word"] * count) for count in counts])
    assert groups.nunique() <= 12
    assert all(group <= count for group, count in zip(groups, counts, strict=True))
    if counts and max(counts) - min(counts) < 12:
        assert groups.tolist() == counts


def test_examples_run_from_the_most_wrong_to_the_most_right() -> None:
    hypotheses = ["a b c d"] * 20 + ["a b c x", "", "a b", "a b c d e"]
    answers = pd.DataFrame({"clip_id": [f"c{n:02d}" for n in range(24)], "hypothesis": hypotheses})
    chosen = errors.choose_examples(answers.assign(reference="a b c d", signer_id="s", nearest=""))
    rates = [float(example["wer"]) for example in chosen]
    assert len(rates) == 6
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1.0
    assert rates[-1] == 0.0
    assert errors.choose_examples(answers.head(0).assign(reference="", signer_id="", nearest="")) == []


def test_signers_with_odd_names_are_drawn_as_they_are_written() -> None:
    groups = pd.DataFrame(
        [("test", "$1_<&>$", 3, 0.5, 0.2, 0.7)], columns=["data", "group", "n", "wer", "low", "high"]
    )
    assert "$1_&lt;&amp;&gt;$" in plots.wer_by_signer(groups, "wer-by-signer").svg


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (245, "4 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path: Path, root: Path) -> None:
    assert provenance.commit_of(tmp_path) == "unknown: not a git checkout with a commit"
    assert re.match(r"[0-9a-f]{40}|unknown: ", provenance.commit_of(root))


def test_a_commit_that_git_does_not_give_is_explained_by_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert provenance.commit_of(tmp_path) == "unknown: not a git checkout with a commit"
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert provenance.commit_of(tmp_path).startswith("unknown: fatal: detected dubious ownership")


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.csv").write_text("abc", "utf-8")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    files = [tmp_path / "a/same.csv", tmp_path / "b/same.csv"]
    assert provenance.checksums(files, tmp_path / "build/report") == [
        ("a/same.csv", "../../a/same.csv", digest),
        ("b/same.csv", "../../b/same.csv", digest),
    ]


def test_texts_of_the_corpus_have_a_direction_of_their_own() -> None:
    said = "\u05e9\u05dc\u05d5\u05dd!"  # Hebrew, whose exclamation mark stands on the left
    macros: Any = template("macros.html.j2").module
    table = macros.table(tables.Table("t", "Caption", ["Clip", "Sentence"], [[said, said]]))
    assert table.count(f"<bdi>{said}</bdi></t") == 2
    answers = pd.DataFrame(
        {"clip_id": said, "signer_id": said, "reference": said, "hypothesis": said, "nearest": [said]}
    )
    cases = macros.cases({"test": errors.choose_examples(answers)})
    assert cases.count(f"<bdi>{said}</bdi>") == cases.count(said) == 5
    tile = {"picture": "", "width": 1, "height": 1, "alt": "", "clip": said, "about": "test", "said": said}
    assert f'<bdi>{said}</bdi></strong> test<span dir="auto">{said}</span>' in macros.tiles([tile])
