"""Withdrawals of clips that changed since the build, of odd tables, and what a user is told of the rest."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import change_params
from row_project import CLIPS
from videos import write_video
from withdrawals import TODAY, hash_of, run, write_built_project

from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import load_rows
from signloom.dataset.sources import Table
from signloom.dataset.withdrawn import add_withdrawn, lists_of, withdrawn_from
from signloom.params.dataset import DatasetParams
from signloom.params.load import load_params
from signloom.withdrawal.beside import beside
from workflow_scripts.job import Job

TABLE = Path("data/own/clips.csv")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_built_project(tmp_path, monkeypatch)


def dataset() -> DatasetParams:
    return load_params(Path("params.yaml")).dataset


def test_a_list_holds_for_a_corpus_named_by_its_folder_its_table_or_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    table = folder / "clips.csv"
    table.touch()
    (tmp_path / "link").mkdir()
    (tmp_path / "link/clips.csv").symlink_to(table)
    clips = pd.DataFrame({"clip_id": ["A/1"], "signer_id": [""], "video_hash": ["h"]})
    for named in (tmp_path / "mine.withdrawn.csv", folder / "withdrawn.csv"):
        add_withdrawn(named, clips, [], TODAY)
        for place in (folder, table, tmp_path / "link/clips.csv"):
            assert lists_of(place) == [named] and withdrawn_from(place)["clip_id"].tolist() == ["A/1"]
        named.unlink()
    assert withdrawn_from(table).empty


def test_a_job_at_work_would_write_what_a_withdrawal_removes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job("train", {}, {"model": [Path("build/models/a.pt")]}, {}, 1, Path("build/scratch"))
    with job.alone():
        run("s1")
        run("s1", "--yes", code=2)
        said = capsys.readouterr().err
        assert f"process {os.getpid()} on " in said and "is at work in build; wait for it, or end it" in said
        assert not lists_of(TABLE) and Path("build/manifest.parquet").exists()
    run("s1", "--yes")


def test_a_build_whose_jobs_wait_in_a_queue_would_go_on_with_what_a_withdrawal_removes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("build/models/a.pt\n")
    run("s1", "--yes", code=2)
    assert "Snakemake is at work in this folder; wait for it" in capsys.readouterr().err
    assert not lists_of(TABLE) and Path("build/manifest.parquet").exists()
    lock.unlink()
    run("s1", "--yes")


def test_empty_files_of_others_are_not_withdrawn_with_one(project: Path) -> None:
    Path(f"data/own/rows/{CLIPS[4]}.npy").write_bytes(b"")
    Path(f"data/own/rows/{CLIPS[7]}.npy").write_bytes(b"")
    run("--clips", CLIPS[4], "--yes")
    left = Table.read(dataset(), HashCache(project / "h.json")).rows["video"].tolist()
    assert f"{CLIPS[7]}.npy" in left and f"{CLIPS[4]}.npy" not in left


def test_a_link_in_a_product_folder_does_not_lead_a_withdrawal_to_the_videos(project: Path) -> None:
    before = sorted(Path("data/own/rows").rglob("*.npy"))
    Path("build/report/videos").symlink_to(project / "data/own/rows")
    run("s1", "--yes")
    assert (
        sorted(Path("data/own/rows").rglob("*.npy")) == before
        and not Path("build/report/index.html").exists()
    )


def test_a_cut_to_the_end_of_a_build_is_the_whole_video_of_the_table(project: Path) -> None:
    change_params(project, {"dataset": {"frame_rate": 25.0}})
    old, cut = CLIPS[4], f"{CLIPS[4]}@-1.6"
    for path in (Path("build/manifest.parquet"), Path("build/pose_features/00.parquet")):
        rows = pd.read_parquet(path)
        ends = {"end_s": [1.6 if clip == old else None for clip in rows["clip_id"]], "start_s": None}
        rows.assign(clip_id=rows["clip_id"].replace(old, cut), **ends).to_parquet(path)
    run("--clips", old, "--yes")
    assert not Path("build/pose_features/00.npy").exists() and Path("build/pose_features/01.npy").exists()
    assert cut in {*withdrawn_from(TABLE)["clip_id"]}
    run("--verify")


def test_a_video_of_which_another_part_stays_is_not_hashed_again(tmp_path: Path) -> None:
    write_video(tmp_path / "v/a.mp4", 50)
    (tmp_path / "clips.csv").write_text("video,start_s,end_s,gloss\na.mp4,0.000,1,A\na.mp4,1,2,A\n")
    given = {**dataset_of_videos(), "table": str(tmp_path / "clips.csv"), "videos": str(tmp_path / "v")}
    hashes = HashCache(tmp_path / "h.json")
    content = hashes.hash_all([tmp_path / "v/a.mp4"])[tmp_path / "v/a.mp4"]
    named = pd.DataFrame({"clip_id": ["a@0-1"], "signer_id": [""], "video_hash": [content]})
    add_withdrawn(tmp_path / "withdrawn.csv", named, [], TODAY)
    assert len(Table.read(DatasetParams.model_construct(**given), hashes).rows) == 1
    assert content in (tmp_path / "h.json").read_text()


def test_a_video_that_changed_since_the_build_is_withdrawn_with_its_products(project: Path) -> None:
    before = hash_of(CLIPS[4])
    np.save(f"data/own/rows/{CLIPS[4]}.npy", np.zeros((40, 16), np.float32))
    run("--clips", CLIPS[4], "--yes")
    assert not Path("build/manifest.parquet").exists()
    listed = withdrawn_from(TABLE)
    assert {*listed["video_hash"]} == {before, hash_of(CLIPS[4])} and {*listed["clip_id"]} == {CLIPS[4]}
    run("--verify")


def test_a_clip_that_was_renamed_since_the_build_is_withdrawn_under_its_former_name(project: Path) -> None:
    new = "s1/new-name"
    Path(f"data/own/rows/{CLIPS[4]}.npy").rename(f"data/own/rows/{new}.npy")
    TABLE.write_bytes(TABLE.read_bytes().replace(CLIPS[4].encode(), new.encode()))
    row = np.load(f"data/own/rows/{new}.npy")[3]
    run("--clips", new, "--yes")
    assert not Path("build/pose_features/00.npy").exists() and Path("build/pose_features/01.npy").exists()
    assert {*withdrawn_from(TABLE)["clip_id"]} == {CLIPS[4], new}
    run("--verify")
    Path("build/planted").write_bytes(row.tobytes())
    run("--verify", code=1)


def test_a_whole_video_stays_out_as_a_cut_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "v/a.mp4", 50)  # two seconds
    rows = "a.mp4,,\na.mp4,0,60\na.mp4,0,1\na.mp4,1,2\n"
    (tmp_path / "clips.csv").write_text("video,start_s,end_s,gloss\n" + rows.replace("\n", ",A\n"))
    given = {**dataset_of_videos(), "table": "clips.csv", "videos": "v"}
    params = DatasetParams.model_construct(**given)
    content = HashCache(tmp_path / "h.json").hash_all([Path("v/a.mp4")])[Path("v/a.mp4")]
    for clip, left in {"a": ["0-1", "1-2"], "a@1-60": ["-", "0-60", "0-1"]}.items():
        named = pd.DataFrame({"clip_id": [clip], "signer_id": [""], "video_hash": [content]})
        add_withdrawn(tmp_path / "withdrawn.csv", named, [], TODAY)
        table = Table.read(params, HashCache(tmp_path / "h.json")).rows
        assert (table["start_s"] + "-" + table["end_s"]).tolist() == left
        (tmp_path / "withdrawn.csv").unlink()


def dataset_of_videos() -> dict[str, object]:
    params = load_params(Path(__file__).parent.parent / "params.yaml").dataset
    return {**params.model_dump(), "importer": "csv", "review": None}


def test_the_cache_of_hashes_does_not_keep_what_the_list_names(project: Path) -> None:
    shutil.copy(f"data/own/rows/{CLIPS[4]}.npy", "data/own/rows/copy.npy")
    TABLE.write_bytes(TABLE.read_bytes() + b"copy.npy,Sentence 1,s2,train,\r\n")
    run("--clips", CLIPS[4], "--yes")
    store = project / "build/scratch/video_hashes.json"
    assert "copy.npy" not in {*Table.read(dataset(), HashCache(store)).rows["video"]}
    assert hash_of("copy") not in store.read_text() and "take" in json.dumps([*json.loads(store.read_text())])
    run("--verify")


def test_a_table_keeps_its_mode_and_gives_it_to_the_list(project: Path) -> None:
    TABLE.chmod(0o600)
    Path("review.csv").chmod(0o640)
    run("s1", "--yes")
    modes = {path: Path(path).stat().st_mode & 0o777 for path in (TABLE, "review.csv", lists_of(TABLE)[0])}
    assert [*modes.values()] == [0o600, 0o640, 0o600]


def test_a_table_behind_a_link_stays_as_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "shared").mkdir()
    TABLE.rename("shared/clips.csv")
    TABLE.symlink_to(project / "shared/clips.csv")
    before = Path("shared/clips.csv").read_bytes()
    run("s1", "--yes")
    assert TABLE.is_symlink() and Path("shared/clips.csv").read_bytes() == before
    assert "are taken out of" not in capsys.readouterr().out
    assert "s1" not in {*load_rows(dataset())["signer_id"]}


def test_a_review_with_spaces_around_an_id_loses_the_row(project: Path) -> None:
    review = Path("review.csv")
    review.write_text(review.read_text().replace(f"{CLIPS[3]};", f" {CLIPS[3]} ;"))
    run("s1", "--yes")
    assert CLIPS[3] not in review.read_text() and CLIPS[0] in review.read_text()


def test_what_stays_beside_the_clips_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/own/other.csv").write_bytes(TABLE.read_bytes())
    Path("config/presets/other.yaml").write_text("dataset: {table: data/own/other.csv}\n")
    Path("data/own/folder").mkdir()
    Path("config/presets/signs.yaml").write_text("dataset: {table: data/own/folder}\n")
    TABLE.write_bytes(TABLE.read_bytes() + b"x.npy,Sentence 1,S  1,train,\r\n")
    run("s1")
    said = capsys.readouterr().out
    assert "beside    signer 'S  1' stays; if this is the same person, name it too\n" in said
    assert "beside    the list holds for data/own/other.csv of the preset other too" in said
    assert "beside    the list holds for data/own/folder of the preset signs too" in said
    rows = pd.DataFrame({"video": ["a", "a", "b"], "clip_id": ["a@0-1", "a@1-2", "b"], "signer_id": "s"})
    told = [*beside(dataset(), rows, {"a@0-1"}, [])]
    assert told[0] == "1 other clip of the same videos stays, first a@1-2"
