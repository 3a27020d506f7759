"""`make bench`: what counts as slower, what a failure leaves behind, and what it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import bench, ratios, say_ratio
from benchmarks.bench import BENCHMARKS, Benchmark, Row, compare, merge, read_table, write_table
from benchmarks.growth import write_corpus
from tests.checkouts import CODE

ROOT = Path(__file__).parent.parent
STATS, SHARDS = Benchmark("stats", "", 3), Benchmark("shards", "", 2)


def row(
    ratio: float, spread: float = 0.0, what: str = "a", kind: str = "P, 2 cores", name: str = "stats"
) -> Row:
    return Row(name, what, ratio, ratio * (1 - spread / 2), ratio * (1 + spread / 2), 3, kind, "abc1234")


def verdicts(committed: list[Row], measured: list[Row]) -> list[str]:
    return [line.verdict for line in compare(committed, measured)]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Let the command use tables of its own, two benchmarks, and one kind of processor."""
    committed, measured = tmp_path / "table.csv", tmp_path / "build" / "bench.csv"
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "COMMITTED", committed)
    monkeypatch.setattr(bench, "MEASURED", measured)
    monkeypatch.setattr(bench, "BENCHMARKS", (STATS, SHARDS))
    monkeypatch.setattr(bench, "processor", lambda: "P")
    monkeypatch.setattr(bench, "usable_cores", lambda: 2)
    return committed, measured


def answer(monkeypatch: pytest.MonkeyPatch, **found: list[tuple[int, str]]) -> None:
    """Let every run of a script take its next exit code and output."""
    monkeypatch.setattr(bench, "run", lambda benchmark: found[benchmark.script].pop(0))


def test_a_ratio_may_lose_fifteen_percent() -> None:
    assert verdicts([row(10.0)], [row(8.6)]) == [""]
    assert verdicts([row(10.0)], [row(8.4)]) == ["slower"]
    assert verdicts([row(10.0)], [row(30.0)]) == [""]


@pytest.mark.parametrize(("before", "now"), [(0.4, 0.0), (0.0, 0.4)])
def test_a_ratio_may_lose_the_spread_of_either_row(before: float, now: float) -> None:
    assert verdicts([row(10.0, before)], [row(6.1, now)]) == [""]
    assert verdicts([row(10.0, before)], [row(5.9, now)]) == ["slower"]


def test_another_kind_of_processor_is_not_judged() -> None:
    lines = compare([row(10.0, kind="Q, 2 cores"), row(5.0, what="b", kind="Q, 2 cores")], [row(1.0)])
    assert [line.verdict for line in lines] == ["another processor", "another processor"]
    assert [line.now for line in lines] == [1.0, None]


def test_new_and_missing_ratios_are_named() -> None:
    lines = compare([row(2.0), row(3.0, what="b")], [row(2.0), row(4.0, what="c")])
    assert [(line.what, line.verdict) for line in lines] == [
        ("stats: a", ""),
        ("stats: b", "missing"),
        ("stats: c", "new"),
    ]


def test_a_script_says_its_ratios_among_other_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print("fp32: 12.0x")
    say_ratio("fp32 against plain, batch 8", 12.3456)
    print("| a | 3 cores |")
    say_ratio("b", 0.5)
    assert ratios(capsys.readouterr().out) == {"fp32 against plain, batch 8": 12.346, "b": 0.5}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [row(2.0, 0.5), row(3.0, what="b")]
    write_table(tmp_path / "build" / "table.csv", rows)
    assert read_table(tmp_path / "build" / "table.csv") == rows
    assert read_table(tmp_path / "none.csv") == []


def test_the_median_and_the_extremes_of_all_runs_are_kept(
    tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [(0, f"ratio, a: {value}x\n") for value in ("2.000", "4.000", "2.500")]
    answer(monkeypatch, stats=runs, shards=[(0, "ratio, b: 1.000x\n")] * 2)
    assert bench.main([]) == 0
    shards, stats = read_table(tables[1])
    assert shards[:6] == ("shards", "b", 1.0, 1.0, 1.0, 2)
    assert stats[:7] == ("stats", "a", 2.5, 2.0, 4.0, 3, "P, 2 cores")
    assert not tables[0].exists()


def test_a_failed_benchmark_is_named_and_the_others_still_run(
    tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(tables[0], [row(2.0)])
    broken = (1, "ratio, a: 1.000x\nKeyError: 'parts'\n")
    answer(monkeypatch, stats=[broken], shards=[(0, "ratio, b: 1.000x\n")] * 2)
    assert bench.main([]) == 1
    said = capsys.readouterr().out
    assert "stats failed: KeyError: 'parts'" in said and "missing" not in said
    assert [found.benchmark for found in read_table(tables[1])] == ["shards"]


def test_a_script_that_says_no_ratio_has_failed(
    tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, stats=[(0, "i3d left out: no weights\n")])
    assert bench.main(["--only", "stats"]) == 1
    assert "stats failed: i3d left out: no weights" in capsys.readouterr().out


@pytest.mark.parametrize(("now", "code"), [("1.9", 0), ("1.5", 1)])
def test_the_exit_code_says_whether_a_ratio_got_slower(
    tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, now: str, code: int
) -> None:
    write_table(tables[0], [row(2.0), row(9.0, what="b", name="shards")])
    answer(monkeypatch, stats=[(0, f"ratio, a: {now}x\n")] * 3)
    assert bench.main(["--only", "stats"]) == code


def test_accepting_replaces_the_rows_that_were_measured(tables: tuple[Path, Path]) -> None:
    other = row(9.0, what="b", name="shards")
    write_table(tables[0], [row(2.0), other, row(1.0, name="no_longer")])
    write_table(tables[1], [row(1.0)])
    assert bench.main(["--accept"]) == 0
    assert sorted(read_table(tables[0])) == sorted([row(1.0), other])


def test_nothing_is_accepted_before_a_run(
    tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--accept"])
    assert "run `make bench` first" in capsys.readouterr().err


def test_the_order_of_the_table_is_that_of_the_benchmarks() -> None:
    rows = [row(1.0, name=script) for script in bench.SCRIPTS]
    assert merge(rows[:3], list(reversed(rows[3:]))) == rows


@pytest.mark.parametrize("script", bench.SCRIPTS)
def test_every_benchmark_is_a_script_that_the_page_names(script: str) -> None:
    assert "say_ratio(" in (ROOT / "benchmarks" / f"{script}.py").read_text("utf-8")
    page = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert re.search(rf"python -m benchmarks\.{script}\b", page)


def test_the_committed_table_has_rows_of_every_benchmark() -> None:
    named = {found.benchmark for found in read_table(ROOT / "benchmarks" / "table.csv")}
    assert named == {benchmark.script for benchmark in BENCHMARKS}


def test_the_corpus_of_growth_has_what_a_build_reads_up_to_the_bundle(tmp_path: Path) -> None:
    write_corpus(tmp_path / "work", 2, 1)
    there = {path.name for path in (tmp_path / "work").iterdir()}
    assert {*CODE} - {".dvcignore"} <= there and {"config", "params.yaml"} <= there
