"""What one engine built the other finds complete: with twelve shards, and after what changes no clip.

Twelve, because numbers of eight or more with a zero in front are read differently by YAML 1.1 and 1.2.
The corpus is built once; every test gets a copy of that checkout, which it may change.
"""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.checkouts import (
    adopt,
    assert_nothing_to_do,
    change_params,
    copy_of,
    jobs_of,
    link_code,
    ran_by_dvc,
    run,
    start_engines,
)

# two builds of twelve shards and many starts of both engines
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800, func_only=True)]

SHARDS = 12
TABLE, VIDEOS = "data/ready/clips.csv", "data/ready/videos"
SENTENCES = {1: ("One.", "ONE"), 2: ("One two.", "ONE TWO"), 3: ("Two.", "TWO")}
PARAMS = {
    "pipeline": {"families": ["gloss"]},
    "dataset": {"importer": "processed", "table": TABLE, "videos": VIDEOS, "variations": None},
    "shards": {"count": SHARDS},
    "quality": {"min_seconds": 0.0, "motion_floor": 0.0, "min_detection": 0.0},
    "gloss": {"variants": ["tcn_ctc"]},
    "train_gloss": {"width": 16, "epochs": 1, "batch_size": 4},
    "evaluation": {"bootstrap": 100},
}


def checkout(root: Path, folder: Path) -> Path:
    """Make `folder` a checkout with ready-made features, clips that lie in some of the shards."""
    link_code(root, folder)
    change_params(folder, PARAMS)
    (folder / VIDEOS).mkdir(parents=True)
    rng, rows = np.random.default_rng(5), []
    for number in range(18):
        sentence_id = number % 3 + 1
        sentence, gloss = SENTENCES[sentence_id]
        split = ("train", "train", "train", "train", "val", "test")[number // 3]
        np.save(folder / VIDEOS / f"{number}.npy", rng.uniform(size=(60, 540)).astype(np.float32))
        rows.append((f"{number}.npy", sentence_id, sentence, gloss, split, f"s{number // 3}"))
    columns = ["feature_path", "sentence_id", "sentence", "gloss", "split", "signer_id"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / TABLE, index=False)
    start_engines(folder)
    return folder


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a checkout, built by Snakemake and taken over by DVC; not to be changed."""
    folder = checkout(root, tmp_path_factory.mktemp("built"))
    run(folder, "snakemake", "--cores", "all")
    adopt(folder)
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of that checkout."""
    return copy_of(built, tmp_path / "project")


def changed_for_dvc(folder: Path) -> set[str]:
    """Return the stages that `dvc status` lists."""
    text = run(folder, "dvc", "status")
    return {
        line.rstrip(":\n") for line in text.splitlines() if line and not line[0].isspace() and line[-1] == ":"
    }


def test_dvc_has_nothing_to_do_after_snakemake_built_twelve_shards(project: Path) -> None:
    assert_nothing_to_do(project)
    assert len(list((project / "build/pose_features").glob("*.mask.npy"))) == SHARDS


def test_snakemake_has_nothing_to_do_after_dvc_built_twelve_shards(root: Path, tmp_path: Path) -> None:
    folder = checkout(root, tmp_path)
    run(folder, "dvc", "repro")
    assert_nothing_to_do(folder)


def test_what_changes_no_clip_reruns_nothing_under_either_engine(project: Path) -> None:
    videos, video = project / VIDEOS, project / VIDEOS / "3.npy"
    strays = [videos / ".DS_Store", videos / "notes.docx"]
    for path in strays:
        path.write_text("stray")
    assert_nothing_to_do(project)
    for path in strays:
        path.unlink()
    # each with its old content: a folder that was copied, renamed and renamed back, a video that was written
    # over itself, new time stamps
    shutil.copytree(videos, project / "data/copy", copy_function=shutil.copyfile)
    shutil.rmtree(videos)
    (project / "data/copy").rename(videos)
    content = video.read_bytes()
    video.unlink()
    video.write_bytes(content)
    for path in (videos / "4.npy", videos, project / TABLE):
        path.touch()
    assert_nothing_to_do(project)


def test_another_time_zone_and_path_rerun_nothing_under_either_engine(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert_nothing_to_do(copy_of(built, tmp_path / "Ügür çlips"))


def test_another_spelling_of_the_table_and_an_unnamed_video_rerun_only_the_reading_and_only_under_dvc(
    project: Path,
) -> None:
    table = project / TABLE
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.to_csv(table, index=False, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    shutil.copy(project / VIDEOS / "3.npy", project / VIDEOS / "unnamed.npy")
    assert jobs_of(project) == {}
    # DVC compares the bytes of the table and of the folder; the rows are the same, so nothing follows
    assert changed_for_dvc(project) == {"sources"}
    assert ran_by_dvc(project) == {"sources"}
    assert_nothing_to_do(project)


def test_a_named_video_that_changes_or_goes_is_noticed_by_both_engines(project: Path) -> None:
    video = project / VIDEOS / "3.npy"
    before = video.read_bytes()
    video.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    jobs = jobs_of(project)
    assert (jobs["sources"], jobs["manifest"], jobs["pose_features"]) == (1, 1, 1)
    assert changed_for_dvc(project) == {"sources"}
    video.unlink()
    jobs = jobs_of(project)
    assert (jobs["sources"], jobs["manifest"], jobs["pose_features"]) == (1, 1, 1)
    assert changed_for_dvc(project) == {"sources"}
    video.write_bytes(before)
    assert_nothing_to_do(project)


def test_products_of_an_earlier_parameter_come_back_from_dvc_and_no_engine_makes_them_again(
    project: Path,
) -> None:
    change_params(project, {"train_gloss": {"epochs": 2}})
    assert "train_gloss-tcn_ctc" in ran_by_dvc(project)
    change_params(project, {"train_gloss": {"epochs": 1}})
    assert ran_by_dvc(project) == set()
    assert_nothing_to_do(project)


def test_an_older_product_that_dvc_puts_back_is_made_again_with_the_parameters_of_now(
    project: Path,
) -> None:
    lock, model = project / "dvc.lock", project / "build/models/gloss/tcn_ctc/best.pth"
    before, older = lock.read_bytes(), model.read_bytes()
    change_params(project, {"train_gloss": {"epochs": 2}})
    run(project, "snakemake", "--cores", "all")
    run(project, "dvc", "checkout", "--force")  # to what dvc.lock has, below records of two epochs
    assert model.read_bytes() == older
    assert jobs_of(project)["train_gloss"] == 1
    run(project, "snakemake", "--cores", "all")
    adopt(project)
    after = lock.read_bytes()
    lock.write_bytes(before)
    assert jobs_of(project) == {}
    run(project, "dvc", "checkout")
    jobs = jobs_of(project)
    assert jobs["train_gloss"] == 1 and "pose_features" not in jobs
    lock.write_bytes(after)
    jobs_of(project)  # a look, before DVC puts back what that lock has
    run(project, "dvc", "checkout")
    assert_nothing_to_do(project)


def test_a_changed_table_is_noticed_where_snakemake_has_no_record_of_what_dvc_put_back(
    project: Path,
) -> None:
    shutil.rmtree(project / ".snakemake")
    shutil.rmtree(project / "build")
    run(project, "dvc", "checkout")
    table = pd.read_csv(project / TABLE, dtype=str)
    table[1:].to_csv(project / TABLE, index=False)
    jobs = jobs_of(project)
    assert (jobs["sources"], jobs["manifest"], jobs["pose_features"]) == (1, 1, 1)


def test_a_list_of_withdrawn_clips_that_arrives_is_noticed_by_both_engines(project: Path) -> None:
    listed = (project / TABLE).with_name("withdrawn.csv")
    listed.write_text("clip_id,signer_id,video_hash,withdrawn_on\n,s0,,2026-01-01\n", "utf-8")
    assert jobs_of(project)["sources"] == 1
    run(project, "python", "-m", "engines.dvc_yaml")
    assert "sources" in changed_for_dvc(project)


def test_a_consent_that_has_ended_is_not_hidden_by_what_dvc_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    west, east = "XXX+12", "XXX-14"  # where the day ends last and first
    last = (datetime.now(UTC) - timedelta(hours=12)).date()
    table = pd.read_csv(project / TABLE, dtype=str).assign(consent="all", until=f"{last}")
    table.to_csv(project / TABLE, index=False)
    monkeypatch.setenv("TZ", west)
    run(project, "snakemake", "--cores", "all")
    adopt(project)
    assert_nothing_to_do(project)
    shutil.copy(project / "dvc.lock", project / "copy")
    (project / "copy").replace(project / "dvc.lock")  # as a pull leaves it
    monkeypatch.setenv("TZ", east)
    assert jobs_of(project)["sources"] == 1
