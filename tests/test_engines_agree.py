"""What one engine built the other finds complete: with twelve shards, and after what changes no clip.

Twelve, because numbers of eight or more with a zero in front are read differently by YAML 1.1 and 1.2.
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.test_dvc_yaml import CODE
from tests.test_pipeline import jobs_of, run

# two builds of twelve shards and many starts of both engines
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800, func_only=True)]

SHARDS = 12
TABLE, VIDEOS = "data/ready/clips.csv", "data/ready/videos"
SENTENCES = {1: ("One.", "ONE"), 2: ("One two.", "ONE TWO"), 3: ("Two.", "TWO")}
PARAMS = {
    "pipeline": {"families": ["gloss"]},
    "dataset": {"importer": "processed", "table": TABLE, "videos": VIDEOS, "variations": None},
    "shards": {"count": SHARDS},
    "quality": {"min_frames": 1, "motion_floor": 0.0, "min_detection": 0.0},
    "gloss": {"variants": ["tcn_ctc"]},
    "train_gloss": {"width": 16, "epochs": 1, "batch_size": 4},
    "evaluation": {"bootstrap": 100},
}


def checkout(root: Path, folder: Path) -> Path:
    """Make `folder` a checkout with ready-made features, clips that lie in some of the shards."""
    for name in (*CODE, ".dvcignore"):
        (folder / name).symlink_to(root / name)
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
    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    for section, values in PARAMS.items():
        params[section].update(values)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, sys.executable, "-m", "engines.dvc_yaml")
    return folder


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a checkout, built by Snakemake and taken over by DVC; tests put back what they change."""
    folder = checkout(root, tmp_path_factory.mktemp("built"))
    run(folder, "snakemake", "--cores", "all")
    run(folder, sys.executable, "-m", "engines.adopt")
    return folder


def changed_for_dvc(folder: Path) -> set[str]:
    """Return the stages that `dvc status` lists."""
    text = run(folder, "dvc", "status")
    return {
        line.rstrip(":\n") for line in text.splitlines() if line and not line[0].isspace() and line[-1] == ":"
    }


def ran_by_dvc(folder: Path) -> set[str]:
    """Return the stages whose command `dvc repro` runs."""
    text = run(folder, "dvc", "repro")
    return {line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")}


def nothing_to_do(folder: Path) -> None:
    assert jobs_of(folder) == {}
    assert "up to date" in run(folder, "dvc", "status")


def test_dvc_has_nothing_to_do_after_snakemake_built_twelve_shards(built: Path) -> None:
    nothing_to_do(built)
    assert len(list((built / "build/pose_features").glob("*.mask.npy"))) == SHARDS


def test_snakemake_has_nothing_to_do_after_dvc_built_twelve_shards(root: Path, tmp_path: Path) -> None:
    folder = checkout(root, tmp_path)
    run(folder, "dvc", "repro")
    nothing_to_do(folder)


def test_what_changes_no_clip_reruns_nothing_under_either_engine(built: Path) -> None:
    videos, video = built / VIDEOS, built / VIDEOS / "3.npy"
    strays = [videos / ".DS_Store", videos / "notes.txt"]
    for path in strays:
        path.write_text("stray")
    nothing_to_do(built)
    for path in strays:
        path.unlink()
    # each with its old content: a folder that was copied, renamed and renamed back, a video that was written
    # over itself, new time stamps
    shutil.copytree(videos, built / "data/copy", copy_function=shutil.copyfile)
    shutil.rmtree(videos)
    (built / "data/copy").rename(videos)
    content = video.read_bytes()
    video.unlink()
    video.write_bytes(content)
    for path in (videos / "4.npy", videos, built / TABLE):
        path.touch()
    nothing_to_do(built)


def test_another_time_zone_and_path_rerun_nothing_under_either_engine(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "Ügür çlips"
    shutil.copytree(built, other, symlinks=True)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    nothing_to_do(other)


def test_another_spelling_of_the_table_and_an_unnamed_video_rerun_only_the_reading_and_only_under_dvc(
    built: Path,
) -> None:
    table, unnamed = built / TABLE, built / VIDEOS / "unnamed.npy"
    before = table.read_bytes()
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.to_csv(table, index=False, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    shutil.copy(built / VIDEOS / "3.npy", unnamed)
    assert jobs_of(built) == {}
    # DVC compares the bytes of the table and of the folder; the rows are the same, so nothing follows
    assert changed_for_dvc(built) == {"sources"}
    assert ran_by_dvc(built) == {"sources"}
    nothing_to_do(built)
    table.write_bytes(before)
    unnamed.unlink()
    ran_by_dvc(built)


def test_a_named_video_that_changes_or_goes_is_noticed_by_both_engines(built: Path) -> None:
    video = built / VIDEOS / "3.npy"
    before = video.read_bytes()
    video.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    jobs = jobs_of(built)
    assert (jobs["sources"], jobs["manifest"], jobs["pose_features"]) == (1, 1, 1)
    assert changed_for_dvc(built) == {"sources"}
    video.unlink()
    jobs = jobs_of(built)
    assert (jobs["sources"], jobs["manifest"], jobs["pose_features"]) == (1, 1, 1)
    assert changed_for_dvc(built) == {"sources"}
    video.write_bytes(before)
    nothing_to_do(built)
