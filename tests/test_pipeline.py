"""The whole pipeline on a few demo clips: Snakemake builds, DVC agrees, a change reruns what it must.

The clips are built once; every test gets a copy of that checkout, which it may change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from signloom.metrics.metric_files import write_metrics
from tests.checkouts import (
    adopt,
    assert_nothing_to_do,
    change_params,
    copy_of,
    jobs_of,
    ran_by_dvc,
    redone_by_dvc,
    run,
    start_engines,
)
from tools.slurm_nodes import PROGRAMS, SYSTEM, cluster
from tools.small_project import SMALL, make_small

# real builds: an older processor may take its time over the fixture, not over a test
pytestmark = pytest.mark.timeout(1200, func_only=True)

# what any trained network is part of
AFTER_TRAINING = {"export", "evaluate_inference", "runs", "report"}


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a few demo clips and a very small model, built by Snakemake; not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    make_small(folder, root)
    start_engines(folder)
    run(folder, "snakemake", "--cores", "all")
    return folder


@pytest.fixture(scope="module")
def built_for_dvc(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, also recorded in DVC; not to be changed."""
    folder = copy_of(built, tmp_path_factory.mktemp("built_for_dvc") / "project")
    adopt(folder)
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of the checkout that Snakemake built."""
    return copy_of(built, tmp_path / "project")


@pytest.fixture
def adopted(built_for_dvc: Path, tmp_path: Path) -> Path:
    """A copy of the checkout that Snakemake built and DVC recorded."""
    return copy_of(built_for_dvc, tmp_path / "project")


def test_a_build_leaves_nothing_to_do_and_dvc_agrees(adopted: Path) -> None:
    assert_nothing_to_do(adopted)


def test_a_build_names_its_rejects_and_leaves_a_report_and_no_half_written_file(project: Path) -> None:
    rejects = pd.read_csv(project / "build/rejects.csv")
    assert rejects["reason"].tolist() == ["unreadable"]
    assert (project / "build/report/index.html").exists()
    assert not list((project / "build").rglob("*.part"))


def test_every_metric_file_of_a_build_has_the_digits_that_mean_something(
    project: Path, tmp_path: Path
) -> None:
    files = sorted((project / "metrics").rglob("*.json"))
    assert {"features.json", "sign2text.json", "ablation.json"} <= {path.name for path in files}
    for path in files:
        write_metrics(tmp_path / "again.json", json.loads(path.read_text("utf-8")))
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes(), path


@pytest.mark.long
def test_what_a_colleague_pulls_is_up_to_date_under_both_engines(adopted: Path, tmp_path: Path) -> None:
    run(adopted, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(adopted, "dvc", "push")
    clone = tmp_path / "clone"
    left = shutil.ignore_patterns("build", ".snakemake", "cache", "tmp", ".git")
    shutil.copytree(adopted, clone, ignore=left)
    run(clone, "git", "init", "-q")
    run(clone, "dvc", "pull")
    # what `make pull` does
    assert "up to date" in run(clone, "dvc", "status")
    run(clone, "snakemake", "--cores", "1", "--touch", "--forceall", "--quiet", "all")
    assert_nothing_to_do(clone)
    append_a_comment(clone / "signloom/features/pose/pose_features.py")
    jobs = jobs_of(clone)
    assert jobs["pose_features"] == SMALL["shards"]["count"]
    assert "landmarks" not in jobs


@pytest.mark.long
def test_adopting_is_refused_while_work_is_left(project: Path) -> None:
    (project / "build/embeddings/prototypes.npz").unlink()
    assert "work left" in adopt(project, ok=False)


def test_a_new_limit_reruns_its_stage_under_dvc_and_equal_bytes_stop_the_chain(adopted: Path) -> None:
    change_params(adopted, {"manifest": {"max_reject_ratio": 0.4}})
    # the report shows every parameter
    assert ran_by_dvc(adopted) == {"manifest", "report"}
    assert_nothing_to_do(adopted)


@pytest.mark.long
def test_a_new_learning_rate_reruns_training_and_what_follows_under_dvc(adopted: Path) -> None:
    change_params(adopted, {"sign2text": {"lr": 2e-4}})
    follow = {"train_sign2text", "embed", "prototypes", "evaluate_sign2text", "evaluate_retrieval"}
    follow |= {"calibrate", "review", *AFTER_TRAINING}
    assert set(jobs_of(adopted)) == follow
    redone = redone_by_dvc(adopted)
    assert redone <= follow and {"train_sign2text", "embed", "evaluate_sign2text"} <= redone
    assert_nothing_to_do(adopted)


def test_a_new_width_of_the_gloss_models_reruns_them_and_no_features(project: Path) -> None:
    change_params(project, {"train_gloss": {"width": 16}})
    follow = {"train_gloss", "evaluate_gloss", "ablation", "align", "spot", *AFTER_TRAINING}
    assert set(jobs_of(project)) == follow


def append_a_comment(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n# changed\n")


def test_changed_pose_feature_code_reruns_pose_features_and_not_landmarks(project: Path) -> None:
    path = project / "signloom/features/pose/pose_features.py"
    before = path.read_bytes()
    append_a_comment(path)
    jobs = jobs_of(project)
    assert jobs["pose_features"] == SMALL["shards"]["count"]
    assert "landmarks" not in jobs
    path.write_bytes(before)
    assert jobs_of(project) == {}


def test_an_added_clip_reruns_one_landmark_shard_also_after_a_build_that_was_cut_off(
    project: Path, root: Path
) -> None:
    table = project / "data/demo/clips.csv"
    have = set(pd.read_csv(table)["video"])
    clips = pd.read_csv(root / "data/demo/clips.csv", keep_default_na=False)
    new = clips[~clips["video"].isin(have) & (clips["category"] != "bad") & (clips["split"] == "train")].head(
        1
    )
    video = new["video"].iloc[0]
    shutil.copy(root / "data/demo/videos" / video, project / "data/demo/videos" / video)
    pd.concat([pd.read_csv(table, keep_default_na=False), new]).to_csv(table, index=False)
    jobs = jobs_of(project)
    assert (jobs["manifest"], jobs["landmarks"], jobs["pose_features"]) == (1, 1, 1)
    run(project, "snakemake", "--cores", "all", "--until", "manifest")
    jobs = jobs_of(project)
    assert "manifest" not in jobs
    assert (jobs["landmarks"], jobs["clip_features"]) == (1, 1)
    text = run(project, "snakemake", "--cores", "all", "--until", "landmarks")
    assert text.count("landmarks: shard") == 1
    assert "landmarks" not in jobs_of(project)


def test_a_rejected_video_that_is_mended_reruns_its_shard(project: Path, root: Path) -> None:
    broken = next((project / "data/demo/videos").rglob("*unreadable*"))
    shutil.copy(root / "data/demo/videos/s6/001_1.mp4", broken)
    jobs = jobs_of(project)
    assert (jobs["manifest"], jobs["landmarks"], jobs["clip_features"]) == (1, 1, 1)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[None]:
    """A SLURM cluster: the one that is here, or one of two nodes where its programs are."""
    if shutil.which("sinfo") and subprocess.run(["sinfo"], capture_output=True).returncode == 0:
        yield
    elif os.geteuid() == 0 and not SYSTEM.exists() and all(map(shutil.which, PROGRAMS)):
        with cluster(tmp_path / "slurm"):
            yield
    else:
        pytest.skip("no SLURM cluster here")


def test_jobs_of_a_cluster_make_the_same_bytes(project: Path, slurm: None) -> None:
    names = [
        f"build/{stage}/{shard}.npy" for stage in ("landmarks", "pose_features") for shard in ("00", "01")
    ]
    here = {name: (project / name).read_bytes() for name in names}
    shutil.rmtree(project / "build/landmarks")
    shutil.rmtree(project / "build/pose_features")
    profile = ("--workflow-profile", "profiles/slurm", "--max-threads", "2")
    text = run(project, "snakemake", *profile, "--slurm-init-seconds-before-status-checks", "5", "--", *names)
    # each shard's landmarks and pose features share a submission
    assert text.count("submitted with SLURM jobid") == 2
    assert {name: (project / name).read_bytes() for name in names} == here


def test_an_unknown_parameter_stops_before_any_job(project: Path) -> None:
    change_params(project, {"sign2text": {"decode_evry": 1}})
    text = run(project, "snakemake", "--cores", "1", ok=False)
    line = next(line for line in text.splitlines() if "decode_evry" in line)
    assert "unknown key sign2text.decode_evry; did you mean sign2text.decode_every" in line
    assert "params.yaml:" in line
    assert "rule " not in text
