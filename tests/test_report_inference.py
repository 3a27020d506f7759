"""The report on answers: thresholds, what they cost, which gates close, and the files that answer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from signloom.inference.gates import Thresholds
from signloom.report import inference, inference_plots
from signloom.report.tables import Table
from tests.report_inference_inputs import DIGEST, variants, write_inference
from tests.report_inputs import Page, build
from workflow_scripts import report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("report_inference") / "build"
    build(where, inference=True)
    return where


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report/index.html").read_text("utf-8")


def cells(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_the_section_stands_between_map_and_stages_and_is_sound(html: str) -> None:
    parsed = Page(html)
    second = [text for level, text in parsed.headings if level == 2]
    assert second[-4:] == ["Embedding map", "Inference", "Stages", "Provenance"]
    assert max(parsed.ids.values()) == 1
    assert all(found >= {"caption", "row", "col"} for found in parsed.tables)
    assert "nan" not in parsed.text.lower().split()


def test_a_build_that_was_not_calibrated_has_no_such_section(tmp_path: Path) -> None:
    text = build(tmp_path / "build")
    assert 'id="inference"' not in text
    assert "#inference" not in text


def test_figures_stand_on_the_page_as_in_their_files(html: str, folder: Path) -> None:
    scores = json.loads((folder / "inference.json").read_text("utf-8"))
    table = inference.acceptance_table({"val": scores["test"]}, scores)
    assert table.columns == ["Clips", "Validation", "Test, by the bundle", "Test, design document’s"]
    right, false, unsigned, *_, spliced = table.rows
    assert [cell.text for cell in right] == ["In-set clips accepted and right", "0.700", "0.700", "0.900"]
    assert right[2].interval == "0.600 to 0.800, n\u00a0=\u00a030"
    assert (false[2].text, false[3].text) == ("0.062", "0.500")
    assert unsigned[0].text == "of these: not signing"
    assert (spliced[1].text, spliced[1].interval, spliced[1].note) == ("–", "n\u00a0=\u00a00", "a")
    text = Page(html).text
    assert "Accepted and right 0.700" in text
    assert "0.000 to 0.163, n = 60" in text
    assert "a no clip of this kind." in text
    assert '<span class="interval">n\u00a0=\u00a00<sup>a</sup></span>' in html
    assert "at most 5 % of the clips that ought to be refused" in text


def test_every_threshold_is_shown_and_an_open_gate_is_called_open(folder: Path) -> None:
    thresholds = json.loads((folder / "thresholds.json").read_text("utf-8"))
    rows = cells(inference.thresholds_table(thresholds))
    assert {row[0] for row in rows} >= set(Thresholds.__annotations__)
    assert [row[:2] for row in rows[:2]] == [["min_similarity", "open"], ["min_margin", "0.100"]]


def test_the_chosen_point_is_seen_and_heard(folder: Path) -> None:
    curve = pd.read_csv(folder / "curve.csv")
    picture = inference_plots.calibration(curve, 0.05)
    assert "Chosen: 0.800 at 0.040, where at most 0.05 is allowed" in picture.svg
    assert "0.500 at 0.000; 1.000 at 0.200" in picture.svg
    kinds = inference_plots.by_kind(curve, inference.KINDS)
    assert kinds.svg.count(">not signing<") == 1
    assert all(f"{name}: 0.060" in kinds.svg for name in inference.KINDS.values())


def test_the_axis_of_a_share_ends_at_one(folder: Path) -> None:
    curve = pd.read_csv(folder / "curve.csv").assign(
        false_accept_rate=lambda rows: rows["accepted_and_right"]
    )
    svg = inference_plots.calibration(curve, 0.05).svg
    ticks = re.findall(r">(\d\.\d+)</text>", svg)
    assert "1.0" in ticks and max(map(float, ticks)) == 1.0


def test_a_kind_that_there_was_not_has_no_picture(folder: Path) -> None:
    curve = pd.read_csv(folder / "curve.csv")
    svg = inference_plots.by_kind(curve[curve["kind"] != "unsigned"], inference.KINDS).svg
    assert "not signing" not in svg
    assert "spliced" in svg


def test_questions_are_counted_by_the_gate_that_closed() -> None:
    answers = pd.DataFrame(
        [("in_set", "ok"), ("in_set", "ok"), ("in_set", "no_person"), ("spliced", "ambiguous_top2")],
        columns=["kind", "reason"],
    )
    table = inference.reasons_table(answers)
    assert table.columns == ["Clips", "ok", "no_person", "ambiguous_top2"]
    assert cells(table) == [["in-set", "2", "1", "0"], ["spliced", "0", "0", "1"]]


def test_what_int8_and_reranking_change_is_shown_and_what_is_not_defined_has_its_reason() -> None:
    table = inference.variants_table(variants())
    assert [row[1] for row in cells(table)] == ["0.750", "0.700", "0.900", "–", "0.750", "0.850"]
    assert table.notes == [("a", "no clip of a sentence that training saw")]


def test_times_are_shown_as_they_were_written_down(html: str) -> None:
    text = Page(html).text
    assert "for 20 test clips with 82 frames on average" in text
    assert "answer to the clip, without text 3.2 12.8 –" in text
    assert "from the last frame to the final answer 40.0 – –" in text
    odd = inference.latency_table({"video": {"decode": {"p50_ms": 1.0}}})
    assert cells(odd) == [["video: decode", "1.0", "–", "–"]]


def test_every_file_of_the_bundle_is_listed_with_its_digest(html: str) -> None:
    assert re.search(rf"sign_encoder\.onnx.*?2\.104.*?{DIGEST}", html, flags=re.DOTALL)
    assert DIGEST[::-1] in html
    assert "trained at git commit 892765d08460abb3a47d38c2adc7f1e679c8531e ." in Page(html).text


def test_the_page_says_how_its_bundle_writes_elan_tiers_and_subtitles(html: str, folder: Path) -> None:
    bundle = f"{folder}/export/sign_encoder_bundle.zip"
    assert f"signloom predict VIDEO --bundle {bundle} --eaf OUT.eaf --vtt OUT.vtt" in Page(html).text


def test_a_build_that_could_choose_nothing_says_so(tmp_path: Path) -> None:
    write_inference(tmp_path, calibrated=False)
    found = inference.describe(
        inference.InferenceSources(
            calibration=json.loads((tmp_path / "calibration.json").read_text("utf-8")),
            curve=pd.read_csv(tmp_path / "curve.csv"),
            thresholds=json.loads((tmp_path / "thresholds.json").read_text("utf-8")),
        )
    )
    assert found["pictures"] == []
    assert found["reason"].startswith("no validation clip")
    assert found["files"] is found["reasons"] is found["latency"] is None


def test_a_curve_without_its_metric_file_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("manifest", "features", "splits", "sign2text", "retrieval")
    given = [f"metrics={folder}/{name}.json" for name in names]
    given += [f"metadata={folder}/processed_metadata.parquet", f"rejects={folder}/rejects.csv"]
    given += [f"splits={folder}/splits.csv", f"index={folder}/0000.parquet", f"curve={folder}/curve.csv"]
    given += [f"history={folder}/history.csv", f"epochs={folder}/metrics.jsonl"]
    given += [f"predictions={folder}/{name}.csv" for name in ("sign2text", "retrieval")]
    assert report.main(["--input", *given, "--output", f"html={tmp_path}/x/index.html"]) == 2
    assert "lacks calibration.json" in capsys.readouterr().err
