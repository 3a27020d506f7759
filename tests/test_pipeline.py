"""The whole pipeline on a few demo clips: Snakemake builds, DVC agrees, a change reruns what it must."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

# real builds: an older processor may take its time over the fixture, not over a test
pytestmark = pytest.mark.timeout(1200, func_only=True)

SMALL = {
    "shards": {"count": 2},
    "manifest": {"max_reject_ratio": 0.5},
    "evaluation": {"bootstrap": 100},
    "sign2text": {
        "width": 32,
        "layers": 1,
        "heads": 2,
        "feedforward": 32,
        "decoder_layers": 1,
        "embedding_dim": 16,
        "epochs": 2,
        "batch_size": 4,
        "workers": 0,
        "threads": 1,
    },
    # fp32 is no processor's worst precision: where bf16 is emulated it takes forty times as long
    "clip_features": {"resize": 32, "crop": 32, "precision": "fp32"},
    "hybrid": {"layers": 1, "heads": 2, "feedforward": 32, "decoder_layers": 1},
    "train_gloss": {"width": 32, "epochs": 2, "batch_size": 4},
}

# what any trained network is part of
AFTER_TRAINING = {"export", "evaluate_inference", "runs", "report"}


def run(folder: Path, *command: str, ok: bool = True) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert (done.returncode == 0) == ok, done.stdout[-4000:]
    return done.stdout


def jobs_of(folder: Path, *options: str) -> dict[str, int]:
    """Return how many jobs of each rule a Snakemake build would run."""
    text = run(folder, "snakemake", "-n", "--cores", "1", "--quiet", "rules", "reason", "host", *options)
    if "Nothing to be done" in text:
        return {}
    table = text.split("count\n")[1].split("total")[0].splitlines()[1:]
    return {
        name: int(count) for name, count in (line.split() for line in table if line.strip()) if name != "all"
    }


def choose(clips: pd.DataFrame) -> pd.DataFrame:
    """A few clips of every split, one unsigned and one bad."""
    signed = clips[(clips["sentence_id"] >= 0) & (clips["category"] != "bad")]
    train = signed[signed["split"] == "train"]
    twice = train["sentence_id"].value_counts().loc[lambda n: n >= 2].index.sort_values()[:3]
    some = [train[train["sentence_id"] == number].head(2) for number in twice]
    for split in ("val", "test"):
        part = signed[signed["split"] == split]
        some += [
            part[part["sentence_id"].isin(twice)].head(1),
            part[~part["sentence_id"].isin(train["sentence_id"])].head(1),
        ]
    some.append(clips[clips["sentence_id"] < 0].head(1))
    some.append(clips[clips["video"].str.contains("unreadable")])
    return pd.concat(some).drop_duplicates("video")


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own with a few demo clips and a very small model, built once by Snakemake."""
    folder = tmp_path_factory.mktemp("project")
    for name in (
        "Snakefile",
        "rules",
        "workflow_scripts",
        "signloom",
        "engines",
        "profiles",
        "config",
        ".dvcignore",
    ):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, folder / name)
    shutil.copy(root / "environment.yml", folder)
    clips = choose(pd.read_csv(root / "data/demo/clips.csv", keep_default_na=False))
    clips["split"] = clips["split"].replace("", "train")
    (folder / "data/demo").mkdir(parents=True)
    clips.to_csv(folder / "data/demo/clips.csv", index=False)
    for video in clips["video"]:
        (folder / "data/demo/videos" / video).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "data/demo/videos" / video, folder / "data/demo/videos" / video)
    shutil.copy(root / "data/demo/sentence_variations.json", folder / "data/demo")
    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    for section, values in SMALL.items():
        params[section].update(values)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, sys.executable, "-m", "engines.dvc_yaml")
    run(folder, "snakemake", "--cores", "all")
    return folder


def test_a_build_leaves_nothing_to_do_and_dvc_agrees(project: Path) -> None:
    assert jobs_of(project) == {}
    run(project, sys.executable, "-m", "engines.adopt")
    assert "up to date" in run(project, "dvc", "status")
    rejects = pd.read_csv(project / "build/rejects.csv")
    assert rejects["reason"].tolist() == ["unreadable"]
    assert (project / "build/report/index.html").exists()
    assert not list((project / "build").rglob("*.part"))


@pytest.mark.long
def test_what_a_colleague_pulls_is_up_to_date_under_both_engines(project: Path, tmp_path: Path) -> None:
    run(project, sys.executable, "-m", "engines.adopt")
    run(project, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(project, "dvc", "push")
    clone = tmp_path / "clone"
    left = shutil.ignore_patterns("build", ".snakemake", "cache", "tmp", ".git")
    shutil.copytree(project, clone, ignore=left)
    run(clone, "git", "init", "-q")
    run(clone, "dvc", "pull")
    # what `make pull` does
    assert "up to date" in run(clone, "dvc", "status")
    run(clone, "snakemake", "--cores", "1", "--touch", "--forceall", "--quiet", "all")
    assert jobs_of(clone) == {}
    assert "up to date" in run(clone, "dvc", "status")
    path = clone / "signloom/features/pose/pose_features.py"
    path.write_bytes(path.read_bytes() + b"\n# changed\n")
    jobs = jobs_of(clone)
    assert jobs["pose_features"] == 2
    assert "landmarks" not in jobs


@pytest.mark.long
def test_adopting_is_refused_while_work_is_left(project: Path) -> None:
    product = project / "build/embeddings/prototypes.npz"
    kept = product.read_bytes()
    product.unlink()
    assert "work left" in run(project, sys.executable, "-m", "engines.adopt", ok=False)
    product.write_bytes(kept)
    run(project, "snakemake", "--cores", "all", "--forcerun", "prototypes")


def test_a_new_limit_reruns_its_stage_under_dvc_and_equal_bytes_stop_the_chain(project: Path) -> None:
    run(project, sys.executable, "-m", "engines.adopt")
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text("utf-8"))
    params["manifest"]["max_reject_ratio"] = 0.4
    path.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    text = run(project, "dvc", "repro")
    ran = {line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")}
    # the report shows every parameter
    assert ran == {"manifest", "report"}
    assert jobs_of(project) == {}
    assert "up to date" in run(project, "dvc", "status")


@pytest.mark.long
def test_a_new_learning_rate_reruns_training_and_what_follows_under_dvc(project: Path) -> None:
    run(project, sys.executable, "-m", "engines.adopt")
    path = project / "params.yaml"
    before = path.read_text("utf-8")
    params = yaml.safe_load(before)
    params["sign2text"]["lr"] = 2e-4
    path.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    follow = {"train_sign2text", "embed", "prototypes", "evaluate_sign2text", "evaluate_retrieval"}
    follow |= {"calibrate", *AFTER_TRAINING}
    assert set(jobs_of(project)) == follow
    text = run(project, "dvc", "repro")
    ran = {line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")}
    assert ran <= follow and {"train_sign2text", "embed", "evaluate_sign2text"} <= ran
    assert jobs_of(project) == {}
    assert "up to date" in run(project, "dvc", "status")


def test_a_new_width_of_the_gloss_models_reruns_them_and_no_features(project: Path) -> None:
    path = project / "params.yaml"
    before = path.read_text("utf-8")
    params = yaml.safe_load(before)
    params["train_gloss"]["width"] = 16
    path.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    assert set(jobs_of(project)) == {"train_gloss", "evaluate_gloss", "ablation", *AFTER_TRAINING}
    path.write_text(before, "utf-8")


def test_changed_pose_feature_code_reruns_pose_features_and_not_landmarks(project: Path) -> None:
    path = project / "signloom/features/pose/pose_features.py"
    before = path.read_bytes()
    path.write_bytes(before + b"\n# changed\n")
    jobs = jobs_of(project)
    assert jobs["pose_features"] == 2
    assert "landmarks" not in jobs
    path.write_bytes(before)
    assert jobs_of(project) == {}


def test_an_added_clip_reruns_one_landmark_shard_also_after_a_build_that_was_cut_off(
    project: Path, root: Path
) -> None:
    table = project / "data/demo/clips.csv"
    before = table.read_bytes()
    have = set(pd.read_csv(table)["video"])
    clips = pd.read_csv(root / "data/demo/clips.csv", keep_default_na=False)
    new = clips[~clips["video"].isin(have) & (clips["category"] != "bad") & (clips["split"] == "train")].head(
        1
    )
    video = project / "data/demo/videos" / new["video"].iloc[0]
    shutil.copy(root / "data/demo/videos" / new["video"].iloc[0], video)
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
    video.unlink()
    table.write_bytes(before)


def test_a_rejected_video_that_is_mended_reruns_its_shard(project: Path, root: Path) -> None:
    run(project, "snakemake", "--cores", "all", "--until", "landmarks", "clip_features")
    broken = next((project / "data/demo/videos").rglob("*unreadable*"))
    before = broken.read_bytes()
    shutil.copy(root / "data/demo/videos/s6/001_1.mp4", broken)
    jobs = jobs_of(project)
    assert (jobs["manifest"], jobs["landmarks"], jobs["clip_features"]) == (1, 1, 1)
    broken.write_bytes(before)


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="no SLURM cluster here")
def test_jobs_of_a_cluster_make_the_same_bytes(project: Path) -> None:
    names = [
        f"build/{stage}/{shard}.npy" for stage in ("landmarks", "pose_features") for shard in ("00", "01")
    ]
    run(project, "snakemake", "--cores", "all", "--", *names)
    here = {name: (project / name).read_bytes() for name in names}
    shutil.rmtree(project / "build/landmarks")
    shutil.rmtree(project / "build/pose_features")
    cluster = ("--workflow-profile", "profiles/slurm", "--max-threads", "2")
    text = run(project, "snakemake", *cluster, "--slurm-init-seconds-before-status-checks", "5", "--", *names)
    assert text.count("submitted with SLURM jobid") == len(names)
    assert {name: (project / name).read_bytes() for name in names} == here


def test_an_unknown_parameter_stops_before_any_job(project: Path) -> None:
    path = project / "params.yaml"
    before = path.read_text("utf-8")
    path.write_text(before.replace("decode_every:", "decode_evry:"), "utf-8")
    text = run(project, "snakemake", "--cores", "1", ok=False)
    path.write_text(before, "utf-8")
    line = next(line for line in text.splitlines() if "decode_evry" in line)
    assert "unknown key sign2text.decode_evry; did you mean sign2text.decode_every" in line
    assert "params.yaml:" in line
    assert "rule " not in text
