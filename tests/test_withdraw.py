"""Withdrawal: what is removed, what stays, and a search that finds what is left, whatever holds it."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import run as run_in
from checkouts import start_engines
from row_project import CLIPS, TARGETS, products, write_project
from withdrawals import REVIEW, TODAY, hash_of, run, write_build, write_built_project

from signloom.__main__ import main
from signloom.cli.withdraw import withdraw
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import load_rows
from signloom.dataset.sources import Table
from signloom.dataset.withdrawn import add_withdrawn, list_beside, read_withdrawn, same_parts
from signloom.params.load import load_params
from signloom.withdrawal.builds import Build

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_built_project(tmp_path, monkeypatch)


def test_nothing_is_removed_unless_it_is_said_twice(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    run("s1")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    said = capsys.readouterr().out
    assert "3 of data/own/clips.csv, signed by s1" in said and "add --yes" in said


def test_a_withdrawn_signer_is_in_no_product_table_or_review(project: Path) -> None:
    table = project / "data/own/clips.csv"
    lines = table.read_bytes().split(b"\r\n")
    run("s1", "--yes")
    # the other lines as they were: the mark of UTF-8, the ends of lines, texts of two lines
    assert table.read_bytes() == b"\r\n".join(
        [line for line in lines if b",s1," not in line and b"s1/" not in line]
    )
    assert Path("review.csv").read_text() == REVIEW
    assert [path.name for path in sorted(Path("build").rglob("*")) if path.is_file()] == [
        "01.npy",
        "01.parquet",
    ]
    listed = read_withdrawn(list_beside(table))
    assert listed[["clip_id", "signer_id"]].to_numpy().tolist() == [
        ["", "s1"],
        *([c, "s1"] for c in CLIPS[3:6]),
    ]
    assert listed["video_hash"].tolist()[1:] == [hash_of(clip) for clip in CLIPS[3:6]]
    run("--verify")


def test_a_clip_with_a_number_sign_in_its_name_is_withdrawn_with_its_rows(project: Path) -> None:
    table, old = Path("data/own/clips.csv"), CLIPS[7]
    new = f"{old}#1"
    Path(f"data/own/rows/{old}.npy").rename(f"data/own/rows/{new}.npy")
    table.write_bytes(table.read_bytes().replace(f"{old}.npy".encode(), f"{new}.npy".encode()))
    for path in (Path("build/manifest.parquet"), Path("build/pose_features/01.parquet")):
        rows = pd.read_parquet(path)
        rows.assign(clip_id=rows["clip_id"].replace(old, new)).to_parquet(path)
    run("--clips", new, "--yes")
    assert not list(Path("build/pose_features").glob("01.*"))
    run("--verify")


def test_hashes_that_check_left_without_a_build_go_too(project: Path) -> None:
    kept = Path("build/one-other/scratch/video_hashes.json")
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"data/own/rows/x.npy": [1, 2, 3, 4, hash_of(CLIPS[3])]}))
    run("s1", "--yes")
    assert not kept.exists()
    run("--verify")


def test_every_folder_has_a_list_of_its_own_and_an_older_one_still_counts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert list_beside(tmp_path / "clips.csv").name == "withdrawn.csv"
    lists = [list_beside(tmp_path / name) for name in ("one", "two")]
    assert [path.name for path in lists] == ["one.withdrawn.csv", "two.withdrawn.csv"]
    clips = pd.DataFrame({"clip_id": ["A/1"], "signer_id": [""], "video_hash": ["h"]})
    add_withdrawn(lists[0], clips, [], TODAY)
    assert len(read_withdrawn(lists[0])) == 1 and read_withdrawn(lists[1]).empty
    # as earlier versions wrote it, for all folders
    lists[0].rename(tmp_path / "withdrawn.csv")
    assert len(read_withdrawn(lists[1])) == 1
    add_withdrawn(lists[1], clips.assign(clip_id="B/1"), [], TODAY)
    assert read_withdrawn(lists[1])["clip_id"].tolist() == ["A/1", "B/1"]


def test_a_table_that_comes_back_does_not_bring_a_withdrawn_signer_back(project: Path) -> None:
    whole = Path("data/own/clips.csv").read_bytes()
    run("s1", "--yes")
    Path("data/own/clips.csv").write_bytes(whole + b"s9/new.npy,B,s1,,\r\n")
    rows = load_rows(load_params(Path("params.yaml")).dataset)
    assert len(rows) == 9 and "s1" not in {*rows["signer_id"]}


def test_single_clips_go_and_the_others_of_their_signer_stay(project: Path) -> None:
    run("--clips", CLIPS[4], CLIPS[7], "--yes")
    rows = load_rows(load_params(Path("params.yaml")).dataset)
    assert len(rows) == 10 and (rows["signer_id"] == "s1").sum() == 2
    assert not list(Path("build").rglob("*.npy"))  # both shards held one of them


def test_clips_whose_consent_has_ended_are_withdrawn_by_their_day(project: Path) -> None:
    table = Path("data/own/clips.csv")
    text = table.read_bytes().decode()
    for signer, day in (("s0", TODAY), ("s2", TODAY - timedelta(1))):
        text = text.replace(f",{signer},train,\r\n", f",{signer},train,{day}\r\n")
    table.write_bytes(text.encode())
    assert withdraw("", [], [], ended=True, yes=True, today=TODAY) == 0
    assert {*read_withdrawn(list_beside(table))["signer_id"]} == {"s2"}


def test_no_consent_that_has_ended_is_no_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--ended")
    assert "no consent in data/own/clips.csv has ended; nothing was removed" in capsys.readouterr().out
    run("s1", "--yes")
    capsys.readouterr()
    run("--ended", "--yes")
    assert "nothing was removed" in capsys.readouterr().out


def test_a_build_of_another_table_is_named_with_what_to_do_first(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_build(Path("build/mine"))
    Path("config/presets/mine.yaml").write_text("dataset: {table: data/own/other.csv}\n")
    run("s1", "--yes")
    said = capsys.readouterr().out
    assert "--config preset=mine\n    before it, take them out of data/own/other.csv too" in said
    assert "signloom withdraw --preset mine --clips s1/take-3 s1/take-4 s1/take-5\n" in said


def test_shards_without_the_clips_keep_their_lists(project: Path) -> None:
    shards = Path("build/shards")
    shards.mkdir(exist_ok=True)
    for name, clips in {"kept": CLIPS[:2], "gone": CLIPS[2:5]}.items():
        (shards / f"{name}.csv").write_text("\n".join(["clip_id,video_path", *(f"{it},v" for it in clips)]))
    run("--clips", CLIPS[4], "--yes")
    assert [file.name for file in shards.iterdir()] == ["kept.csv"]


def test_dvc_is_told_of_a_new_list(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("dvc.yaml").write_text("stages: {}\n")
    run("s1", "--yes")
    assert "data/own/withdrawn.csv yet: make dvc\n" in capsys.readouterr().out
    Path("dvc.yaml").write_text("stages: {sources: {deps: [data/own/withdrawn.csv]}}\n")
    run("s2", "--yes")
    assert "make dvc" not in capsys.readouterr().out


def test_a_name_that_is_nobodys_is_an_error_that_names_the_nearest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("s11", code=2)
    assert "has no signer 's11'; did you mean 's1'?" in capsys.readouterr().err
    run("S2", code=2)
    assert "has no signer 'S2'; did you mean 's2'?" in capsys.readouterr().err
    run("--clips", "s1/take-44", code=2)
    run(code=2)
    run("--verify", code=2)
    assert "names nobody" in capsys.readouterr().err


def test_only_builds_with_the_clips_are_touched(project: Path) -> None:
    write_build(Path("build/mine"))
    write_build(Path("build/other"))
    other = pd.read_parquet("build/other/manifest.parquet").assign(video_hash="another")
    other.to_parquet("build/other/manifest.parquet")
    kept = sorted(Path("build/other").rglob("*"))
    run("s1", "--yes")
    assert sorted(Path("build/other").rglob("*")) == kept
    assert not Path("build/mine/manifest.parquet").exists()


def test_a_withdrawal_that_was_cut_off_goes_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("signloom.cli.withdraw.remove", lambda files: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run("s1", "--yes")
    run("--verify", code=1)
    run("s1", "--yes")
    run("--verify")


def test_a_withdrawal_of_ended_consents_that_was_cut_off_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Path("data/own/clips.csv")
    table.write_bytes(table.read_bytes().replace(b",s2,train,\r\n", b",s2,train,2020-01-01\r\n"))
    with monkeypatch.context() as patched:
        patched.setattr("signloom.cli.withdraw.remove", lambda files: sys.exit("killed"))
        with pytest.raises(SystemExit):
            main(["withdraw", "--ended", "--yes"])
    assert Path("build/manifest.parquet").exists()
    run("--ended", "--yes")
    assert not Path("build/manifest.parquet").exists()


def test_a_removal_that_was_cut_off_is_known_by_the_tables_that_it_leaves(project: Path) -> None:
    files = Build(Path("build")).derived({CLIPS[4]})
    assert files[-1] == Path("build/manifest.parquet") and len(files) > 5


def test_a_build_that_was_made_again_is_left_alone(project: Path) -> None:
    run("s1", "--yes")
    pd.DataFrame({"clip_id": CLIPS[:2], "video_hash": "h"}).to_parquet("build/manifest.parquet")
    Path("build/models").mkdir()
    Path("build/models/best.pth").write_bytes(b"trained again")
    run("--yes")
    assert Path("build/models/best.pth").exists()


def test_videos_that_were_deleted_first_are_known_by_the_build(project: Path) -> None:
    shutil.rmtree("data/own/rows/s1")
    write = {"clip_id": CLIPS, "video_hash": [f"{number:064d}" for number in range(12)]}
    pd.DataFrame(write).to_parquet("build/manifest.parquet")
    run("s1", "--yes")
    assert not Path("build/manifest.parquet").exists()
    listed = read_withdrawn(list_beside("data/own/clips.csv"))
    assert listed["video_hash"].tolist() == ["", *write["video_hash"][3:6]]


def test_figures_that_no_build_writes_stay(project: Path) -> None:
    for name in ("review/swapped_labels.csv", "gloss/hybrid.json", "seeds/.gitkeep", "other/runs.json"):
        Path("metrics", name).parent.mkdir(parents=True)
        Path("metrics", name).write_text("0.5\n")
    run("s1", "--yes")
    left = sorted(path.as_posix() for path in Path("metrics").rglob("*") if path.is_file())
    assert left == ["metrics/other/runs.json", "metrics/review/swapped_labels.csv", "metrics/seeds/.gitkeep"]


def test_fingerprints_are_of_rows_that_nobody_else_has(project: Path) -> None:
    shared = np.load(f"data/own/rows/{CLIPS[0]}.npy")
    found = Build(Path("build")).fingerprints({CLIPS[0]})
    np.save("build/pose_features/01.npy", np.tile(shared, (6, 1)))
    assert len(Build(Path("build")).fingerprints({CLIPS[0]})) == len(found) - 40


@pytest.mark.long
def test_after_a_withdrawal_both_engines_build_what_they_would_without_the_signer(tmp_path: Path) -> None:
    had, never = tmp_path / "had", tmp_path / "never"
    write_project(had)
    start_engines(had)
    run_in(had, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run_in(had, "dvc", "repro", "stats_pose", "splits")
    run_in(had, "dvc", "push")
    python = (sys.executable, "-m", "signloom", "withdraw")
    said = run_in(had, *python, "s1", "--yes")
    assert "dvc gc --workspace --cloud --remote store" in said
    # of the cache and the records nothing is left
    assert not [path for path in (had / ".dvc/cache").rglob("*") if path.is_file()]
    run_in(had, *python, "--verify")
    write_project(never, ("s0", "s2", "s3"))
    run_in(never, "snakemake", "--cores", "1", *TARGETS)
    assert "or: make dvc && dvc repro" in said
    run_in(had, sys.executable, "-m", "engines.dvc_yaml")
    run_in(had, "dvc", "repro", "stats_pose", "splits")
    assert products(had) == products(never)
    run_in(had, *python, "--verify")
    # an object of the remote comes back, under its name in the cache
    row = np.load(had / f"data/own/rows/{CLIPS[4]}.npy")
    stored = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    planted = next(path for path in stored if row[7].tobytes() in path.read_bytes())
    shutil.copy(planted, had / ".dvc/cache/files/md5/00")
    assert "md5/00: rows" in run_in(had, *python, "--verify", ok=False)


@pytest.mark.parametrize("name", ["anna", "anna@2024-01", "anna@home-1"])
def test_a_whole_video_stays_out_under_another_name_whatever_its_own_looks_like(name: str) -> None:
    listed = pd.DataFrame({"clip_id": [name], "signer_id": [""], "video_hash": ["h"], "withdrawn_on": [""]})
    rows = pd.DataFrame({"video": ["new.mp4"] * 2, "start_s": ["", "1"], "end_s": ["", "2"]})
    assert same_parts(rows, ["h", "h"], listed).tolist() == [True, False]


def test_a_withdrawn_clip_stays_out_whatever_its_id_becomes(project: Path) -> None:
    table = Path("data/own/clips.csv")
    whole = table.read_bytes()
    run("--clips", CLIPS[4], "--yes")
    table.write_bytes(whole)  # it comes back, and beside it another file of its name
    old = Path(f"data/own/rows/{CLIPS[4]}.npy")
    np.savetxt(old.with_suffix(".csv"), np.zeros((40, 16)) + 1.0, delimiter=",")
    table.write_bytes(whole + f"{CLIPS[4]}.csv,Sentence 1,s1,train,\r\n".encode())
    rows = load_rows(load_params(Path("params.yaml")).dataset)
    assert f"{CLIPS[4]}.npy" in {*rows["video"]}  # the list's id names none of the two
    read = Table.read(load_params(Path("params.yaml")).dataset, HashCache(project / "hashes.json"))
    assert f"{CLIPS[4]}.npy" not in {*read.rows["video"]} and f"{CLIPS[4]}.csv" in {*read.rows["video"]}
