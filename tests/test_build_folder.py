"""A build keeps off a folder that it may not write, and off files on which the other engine is at work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import yaml
from row_project import write_project

from engines.build_folder import (
    bring_to_now,
    demand_inputs,
    demand_no_brace,
    demand_space,
    demand_writable,
    folders_of,
    hold,
    notice_replaced,
)
from engines.pipeline import Pipeline
from signloom.errors import SignloomError
from signloom.params.inputs import missing_inputs
from signloom.params.load import load_params
from tests.checkouts import run
from tools.small_project import make_small


def deny(*denied: Path) -> Callable[[Path, int], bool]:
    return lambda path, mode: Path(path) not in denied


def test_a_folder_that_may_not_be_written_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build").mkdir()
    monkeypatch.setattr(os, "access", deny(tmp_path / "build"))
    demand_writable(tmp_path / "metrics")
    with pytest.raises(SignloomError, match=rf"{tmp_path}/build: user \d+ may not write there; "):
        demand_writable(tmp_path / "metrics", tmp_path / "build")


def test_a_folder_below_that_another_user_made_is_named_and_one_that_no_job_writes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rule = SimpleNamespace(
        output=["build/shards/{shard}.npy", "metrics/{fold}{run}a.json"],
        log=["build/logs/a.log"],
        benchmark=None,
    )
    folders = folders_of([rule])
    assert folders == [Path("build/logs"), Path("build/shards"), Path("metrics")]
    for folder in ("build/logs", "build/paper/logs", "build/lost+found"):
        Path(folder).mkdir(parents=True)
    monkeypatch.setattr(
        os, "access", deny(*map(Path, ("build/paper", "build/paper/logs", "build/lost+found")))
    )
    demand_writable(*folders)
    monkeypatch.setattr(os, "access", deny(Path("build/logs")))
    with pytest.raises(SignloomError, match=rf"{tmp_path}/build/logs: user .* and all that it holds"):
        demand_writable(*folders)


def test_a_finished_build_that_is_shut_stops_no_other(root: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "Snakefile").unlink()
    for folder in ("build/paper", "build/logs", "metrics/paper"):
        (tmp_path / folder).mkdir(parents=True)

    def said(shut: str, ok: bool) -> str:
        deny = f"import os\nos.access = lambda path, mode: os.path.basename(path) != {shut!r}\n"
        (tmp_path / "Snakefile").write_text(deny + (root / "Snakefile").read_text("utf-8"), "utf-8")
        return run(tmp_path, "snakemake", "-n", "--", "build/manifest.parquet", ok=ok)

    assert "This was a dry-run" in said("paper", ok=True)
    assert said("logs", ok=False).splitlines()[-1].startswith(f"error: {tmp_path}/build/logs: user ")


def test_a_folder_that_cannot_be_made_is_named_by_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build").mkdir()
    monkeypatch.setattr(os, "access", deny(tmp_path))
    demand_writable(tmp_path / "build")
    with pytest.raises(SignloomError, match=rf"{tmp_path}: user"):
        demand_writable(tmp_path / "metrics")


def test_a_project_with_a_brace_in_its_path_is_refused(tmp_path: Path) -> None:
    demand_no_brace(tmp_path / "we'ird 50% ñ日")
    with pytest.raises(SignloomError, match=r"my \{old\} videos: .* rename the folder"):
        demand_no_brace(tmp_path / "my {old} videos")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("full", "said"),
    [("temporary", "full: no space .* set TMPDIR"), ("own", "full: .* finished work is kept")],
)
def test_a_full_disk_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str, said: str
) -> None:
    (tmp_path / "full").mkdir()
    temporary, own = (tmp_path / ("full" if full == name else "free") for name in ("temporary", "own"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    demand_space(own)
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: Usage(10, 10, 4096 if path.name == "full" else 1 << 30)
    )
    with pytest.raises(SignloomError, match=said):
        demand_space(own)
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(0, 0, 0))  # of a disk that does not say
    demand_space(own)


def test_products_of_a_time_ahead_get_the_time_of_now_and_other_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").mkdir()
    now, day = time.time(), 86400
    for name, when in (("build/ahead", now + day), ("build/before", now - day), ("table.csv", now + day)):
        (tmp_path / name).write_text(name, "utf-8")
        os.utime(tmp_path / name, (when, when))
    lines = bring_to_now(["build/ahead", "build/before", "build/missing", "table.csv", "table.csv"])
    assert lines == ["the time of table.csv lies ahead of this machine's clock; `touch` it"]
    assert now - 1 <= (tmp_path / "build/ahead").stat().st_mtime <= time.time()
    assert (tmp_path / "build/before").stat().st_mtime == pytest.approx(now - day)
    assert (tmp_path / "table.csv").stat().st_mtime == pytest.approx(now + day)


def test_an_input_that_was_replaced_by_an_older_file_gets_the_time_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (".snakemake", "build"):
        (tmp_path / name).mkdir()
    names = ("code.py", "edited.py", "same.py", "build/product", ".snakemake/storage")
    old = time.time() - 86400
    for name in names:
        (tmp_path / name).write_text("first", "utf-8")
        os.utime(tmp_path / name, (old, old))
    rules = [SimpleNamespace(input=[*names, "missing.py", "{fold}splits.csv", lambda wildcards: ""])]
    assert notice_replaced(rules) == []
    (tmp_path / "same.py").replace(tmp_path / "copy")  # as a copy of the project has it
    shutil.copy2(tmp_path / "copy", tmp_path / "same.py")
    assert notice_replaced(rules) == []  # the last look counts, not the last change
    for name in ("code.py", "build/product", ".snakemake/storage"):  # as `mv`, `rsync -a` and `tar` leave it
        (tmp_path / "new").write_text("second", "utf-8")
        os.utime(tmp_path / "new", (old - 3600, old - 3600))
        (tmp_path / "new").replace(tmp_path / name)
    (tmp_path / "edited.py").write_text("second", "utf-8")
    edited = (tmp_path / "edited.py").stat().st_mtime_ns
    assert notice_replaced(rules) == []
    assert time.time() - (tmp_path / "code.py").stat().st_mtime < 60
    assert (tmp_path / "edited.py").stat().st_mtime_ns == edited
    assert (tmp_path / "same.py").stat().st_mtime == pytest.approx(old)
    for name in ("build/product", ".snakemake/storage"):
        assert (tmp_path / name).stat().st_mtime == pytest.approx(old - 3600)
    (tmp_path / "code.py").write_text("third", "utf-8")
    os.utime(tmp_path / "code.py", (old, old))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for _ in range(2):
        assert notice_replaced(rules) == ["code.py was replaced by a file with an older time; `touch` it"]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("dataset", "table", "data/clps.csv"),
        ("dataset", "review", "reviw.csv"),
        ("dataset", "variations", "var.json"),
        ("report", "recipes", ["recipes.csv"]),
        ("clip_features", "weights", "~/no-such-weights.pt"),
        ("text", "encoder", "data/none/encoder"),
        ("text", "encoder", "./encoder"),
        ("text", "encoder", "~/no-such-encoder"),
    ],
)
def test_a_file_that_parameters_name_must_be_there(root: Path, section: str, key: str, value: object) -> None:
    params = load_params(root / "params.yaml")
    params = params.model_copy(update={section: getattr(params, section).model_copy(update={key: value})})
    with pytest.raises(SignloomError, match=rf"{section}.{key}: .* does not exist; correct the parameter"):
        demand_inputs(Pipeline(params, []))
    if key == "weights":
        unread = params.pipeline.model_copy(update={"families": ["sign2text"]})
        demand_inputs(Pipeline(params.model_copy(update={"pipeline": unread}), []))


def test_the_home_folder_may_hold_a_model_but_no_file_that_snakemake_reads(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "encoder").mkdir()
    (tmp_path / "clips.csv").touch()
    params = load_params(root / "params.yaml")
    text = params.text.model_copy(update={"encoder": "~/encoder"})
    demand_inputs(Pipeline(params.model_copy(update={"text": text}), []))
    dataset = params.dataset.model_copy(update={"table": "~/clips.csv"})
    with pytest.raises(SignloomError, match=r"dataset.table: ~/clips.csv .* whole path in place of ~"):
        demand_inputs(Pipeline(params.model_copy(update={"dataset": dataset}), []))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backbone": "videomae", "weights": "random"}, "crop 80: videomae takes 224 only"),
        ({"backbone": "s3d", "stack_size": 8}, "stack_size 8: s3d needs at least 14 frames"),
        ({"backbone": "s3d", "mode": "dense"}, "mode dense: s3d cannot slide over a clip; use windowed"),
        ({"mode": "dense", "stack_size": 20}, "stack_size 20: mode dense takes multiples of 8"),
        ({"mode": "dense", "step_size": 3}, "step_size 3: mode dense takes multiples and divisors of 8"),
        ({"backbone": "i3d_r50"}, "weights pretrained: i3d_r50: no digest of its public weights is known"),
        ({"weights_sha256": "0" * 64}, "weights_sha256 0+: the package's weights of i3d have"),
    ],
)
def test_what_a_video_network_does_not_take_is_said_before_the_first_job(
    root: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(root)
    tree = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    tree["clip_features"] |= given
    with pytest.raises(SignloomError, match=rf"^clip_features\.{said}"):
        demand_inputs(Pipeline.load(tree))
    tree["gloss"]["variants"] = ["hybrid_pose"]  # reads no clip features
    tree["tcn"]["input"] = "pose"
    demand_inputs(Pipeline.load(tree))


@pytest.mark.parametrize(
    "review", ["build/review/review.csv", "./build/mine.csv", str(Path("build/a").resolve())]
)
def test_a_filled_in_review_is_not_read_where_its_stage_deletes_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, review: str
) -> None:
    monkeypatch.chdir(root)
    params = load_params(root / "params.yaml")
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"review": review})})
    with pytest.raises(SignloomError, match=r"^dataset\.review: .* is below build/, where stages write and"):
        demand_inputs(Pipeline(params, []))


@pytest.mark.parametrize("table", ["/", "."])
def test_a_table_is_no_folder_that_holds_the_project(root: Path, table: str) -> None:
    params = load_params(root / "params.yaml")
    params = params.model_copy(update={"dataset": params.dataset.model_copy(update={"table": table})})
    with pytest.raises(SignloomError, match=rf"^dataset\.table: {table} holds the project; name a file"):
        demand_inputs(Pipeline(params, []))


@pytest.mark.parametrize("key", ["table", "videos"])
def test_data_that_another_user_has_shut_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.chdir(root)
    params = load_params(root / "params.yaml")
    monkeypatch.setattr(os, "access", deny(Path(getattr(params.dataset, key))))
    with pytest.raises(SignloomError, match=rf"^dataset\.{key}: .* may not be read by you; ask its owner"):
        demand_inputs(Pipeline(params, []))


def test_videos_that_may_be_read_but_not_listed_are_no_fault(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    params = load_params(root / "params.yaml")
    videos = Path(params.dataset.videos)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != videos or mode == os.X_OK)
    assert not [*missing_inputs(params)]


def test_parameters_that_cannot_be_read_are_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").symlink_to("/proc/self/mem")  # a file that even root cannot read
    (tmp_path / "Snakefile").symlink_to(root / "Snakefile")
    said = run(tmp_path, "snakemake", "-n", ok=False)
    assert said.splitlines()[-1] == "error: parameters: params.yaml: Input/output error; check the disk"


def test_videos_are_not_standardised_by_signer(root: Path) -> None:
    flow = Pipeline.load(
        {**yaml.safe_load((root / "params.yaml").read_text()), "preset": "boston104_speakers"}
    )
    with pytest.raises(SignloomError, match=r"positions\.normalise_by: signer is for feature rows"):
        demand_inputs(flow)


STAGES = "stages:\n  copy:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of DVC with one stage, whose output is there and out of date."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    dvc("init", "--no-scm", "-q")
    (tmp_path / "dvc.yaml").write_text(STAGES, "utf-8")
    (tmp_path / "a").write_text("new", "utf-8")
    (tmp_path / "b").write_text("old", "utf-8")
    return tmp_path


def dvc(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("held", [(["b"], []), ([], ["a"])])
def test_dvc_leaves_the_files_of_a_running_build_alone(
    project: Path, held: tuple[list[str], list[str]]
) -> None:
    with hold(*held):
        refused = dvc("repro")
        assert refused.returncode and "is busy" in refused.stdout and "snakemake" in refused.stdout
        assert (project / "b").read_text("utf-8") == "old"
    assert dvc("repro").returncode == 0
    assert (project / "b").read_text("utf-8") == "new"


def test_a_build_does_not_start_while_dvc_is_at_work_on_its_files(project: Path) -> None:
    with hold([], ["b"]):
        # a process of its own, as the lock is between processes
        second = subprocess.run(
            [sys.executable, "-c", "from engines.build_folder import hold\nhold(['b'], [])"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
    last = second.stderr.splitlines()[-1]
    assert "SignloomError" in last and f"{project}/b' is busy" in last and "remove" in last


def test_a_stage_that_dvc_runs_is_not_locked_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold([], ["b"]):
        monkeypatch.setenv("DVC_STAGE", "copy")
        hold([], ["b"])
    assert not (project / ".dvc/tmp/rwlock").read_text("utf-8").count("pid")


def test_a_lock_that_was_cut_off_is_named_with_what_to_do(project: Path) -> None:
    (project / ".dvc/tmp").mkdir(exist_ok=True)
    (project / ".dvc/tmp/rwlock").write_text("", "utf-8")
    with pytest.raises(SignloomError, match=r"\.dvc/tmp/rwlock.*; remove this file"):
        hold([], ["b"])


def test_without_dvc_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hold(["a"], ["b"])
    assert [*tmp_path.iterdir()] == []


def test_snakemake_starts_no_job_while_dvc_is_at_work_on_its_files(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    make_small(folder, root)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    dvc("init", "--no-scm", "-q")
    with hold([], ["build/sources.parquet"]):
        said = run(folder, "snakemake", "--cores", "1", "build/sources.parquet", ok=False)
    assert "error: " in said and "sources.parquet' is busy" in said and "Traceback" not in said
    assert not (folder / "build/sources.parquet").exists()


def test_a_link_to_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "build").symlink_to(tmp_path / "scratch/build")
    with pytest.raises(SignloomError, match=r"build is a link to .*/scratch/build, which is not there"):
        demand_writable(tmp_path / "build")
    (tmp_path / "scratch/build").mkdir(parents=True)
    demand_writable(tmp_path / "build")


def test_a_folder_of_videos_that_is_not_connected_stops_a_build(root: Path, tmp_path: Path) -> None:
    params = load_params(root / "params.yaml")
    dataset = params.dataset.model_copy(update={"videos": str(tmp_path / "share")})
    flow = Pipeline(params.model_copy(update={"dataset": dataset}), [])
    with pytest.raises(SignloomError, match=r"dataset\.videos: .*share is not a folder"):
        demand_inputs(flow)
