"""What stages share: where a job that was cut off finds its state again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from signloom.errors import SignloomError
from signloom.files import remove_folder, write_text
from signloom.params.base import RunParams, Section
from signloom.params.evaluation import RetrievalParams
from signloom.params.gloss import TcnParams
from tests.demo_params import section
from tests.interruptions import Killed
from workflow_scripts.job import Job, entry_point


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "00.csv").write_text("clip_id\n")
    (tmp_path / "01.csv").write_text("clip_id\n")
    inputs = {"shard": [tmp_path / "00.csv"]}
    return Job(
        "landmarks", inputs, {"npy": [tmp_path / "00.npy"]}, {"landmarks": {"a": 1}}, 1, tmp_path / "scratch"
    )


def test_a_job_finds_its_state_again_whatever_the_number_of_its_threads(job: Job) -> None:
    assert job.scratch() == replace(job, threads=4).scratch()
    assert job.scratch().is_dir()


def test_jobs_with_equal_inputs_do_not_share_their_state(job: Job, tmp_path: Path) -> None:
    empty_too = replace(job, inputs={"shard": [tmp_path / "01.csv"]}, outputs={"npy": [tmp_path / "01.npy"]})
    assert empty_too.scratch() != job.scratch()


def test_state_whose_deletion_was_cut_off_is_not_gone_on_with(job: Job) -> None:
    really_unlink, deleted = os.unlink, []

    def unlink(*args: Any, **more: Any) -> None:
        if deleted:
            raise Killed
        deleted.append(args)
        really_unlink(*args, **more)

    for name in ("a.f32", "a.json", "b.f32", "b.json"):
        (job.scratch() / name).touch()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "unlink", unlink)
        remove_folder(job.scratch())
    assert deleted and not list(job.scratch().iterdir())
    remove_folder(job.scratch())
    assert not list(job.scratch_root.rglob("*.*"))


def test_other_parameters_or_contents_start_anew(job: Job, tmp_path: Path) -> None:
    first = job.scratch()
    assert replace(job, params={"landmarks": {"a": 2}}).scratch() != first
    (tmp_path / "00.csv").write_text("clip_id\na\n")
    assert job.scratch() != first


def test_a_stage_signs_its_outputs_with_what_the_rule_says_they_are_made_from(tmp_path: Path) -> None:
    (tmp_path / "00.csv").write_text("clip_id\na\n")
    files = ["--input", f"shard={tmp_path}/00.csv", "--output", f"origin={tmp_path}/00.origin"]
    assert entry_point(lambda job: None)([*files, "--params", '{"origin": "abc"}']) == 0
    listed = hashlib.sha256(b"clip_id\na\n").hexdigest()
    assert (tmp_path / "00.origin").read_text() == f"abc\n{listed}\n"


def test_a_job_waits_for_one_that_outlived_its_engine_and_writes_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--output", f"model={tmp_path}/best.pth", "--scratch", str(tmp_path / "scratch")]
    begun, may_end = threading.Event(), threading.Event()

    def outlive(job: Job) -> None:
        begun.set()
        assert may_end.wait(60)
        job.output("model").write_text("old")

    def write(job: Job) -> None:
        job.output("model").write_text("new")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(entry_point(outlive), line)
        assert begun.wait(60)
        second = pool.submit(entry_point(write), line)
        with pytest.raises(TimeoutError):
            second.result(0.5)
        assert not (tmp_path / "best.pth").exists()
        may_end.set()
        assert first.result(60) == second.result(60) == 0
    assert (tmp_path / "best.pth").read_text() == "new"
    said = f"test_job: waiting for process {os.getpid()} on "
    assert said in (told := capsys.readouterr().err) and f"at work on {tmp_path}/best.pth" in told


def test_what_a_kill_left_of_an_output_is_deleted_and_of_others_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom signloom.files import atomic\n"
        "with atomic(Path(sys.argv[1])) as part:\n    part.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    names = ["[s1] 0*.npy", "0.npy", "n" * 240]
    for name in names:
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    assert len(list(tmp_path.glob(".*.part"))) == 3
    for name in (names[0], names[2]):
        line = ["--output", f"rows={tmp_path / name}", "--scratch", str(tmp_path / "scratch")]
        assert entry_point(lambda job: write_text(job.output("rows"), "whole"))(line) == 0
    assert [part.name.split(".")[1] for part in tmp_path.glob(".*.part")] == ["0"]


def test_outputs_that_another_build_deleted_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--output", f"model={tmp_path}/best.pth", "--scratch", str(tmp_path / "scratch")]
    assert entry_point(lambda job: None)(line) == 2
    assert f"error: test_job: {tmp_path}/best.pth was deleted while the job ran" in capsys.readouterr().err


def test_a_stage_that_fails_signs_nothing(tmp_path: Path) -> None:
    def fail(job: Job) -> None:
        raise SignloomError("no")

    line = ["--output", f"origin={tmp_path}/00.origin", "--params", '{"origin": "abc"}']
    assert entry_point(fail)(line) == 2
    assert not list(tmp_path.iterdir())


def test_a_single_parameter_must_be_given(job: Job) -> None:
    given = replace(job, params={"retrieval": {"prototype_min_clips": 3}})
    assert given.value("retrieval.prototype_min_clips", RetrievalParams) == 3
    with pytest.raises(SignloomError, match=r"--params has no key retrieval\.exact_limit"):
        given.value("retrieval.exact_limit", RetrievalParams)
    with pytest.raises(SignloomError, match=r"retrieval\.prototype_min_clips"):
        replace(job, params={"retrieval": {"prototype_min_clips": 0}}).value(
            "retrieval.prototype_min_clips", RetrievalParams
        )


TCN = section(TcnParams).model_dump()


class Asked(Section):
    run: RunParams
    tcn: TcnParams | None = None


def test_sections_are_filled_by_name_and_one_with_a_default_may_be_left_out(job: Job) -> None:
    seeded = replace(job, params={"run": {"seed": 3}, "quality": {}})
    assert seeded.sections(Asked) == Asked(run=RunParams(seed=3))
    with pytest.raises(SignloomError, match="--params has no section 'run'; add it"):
        job.sections(Asked)
    with pytest.raises(SignloomError, match=r"landmarks: parameter tcn\.lr: .* greater than 0"):
        replace(seeded, params=seeded.params | {"tcn": TCN | {"lr": -1.0}}).sections(Asked)


@dataclass(frozen=True)
class Shards:
    shard: Path
    more: Sequence[Path] = ()
    extra: Path | None = None


def test_files_are_filled_by_name_one_path_or_all_of_them(job: Job, tmp_path: Path) -> None:
    one, two = tmp_path / "00.csv", tmp_path / "01.csv"
    assert job.input_files(Shards) == Shards(one)
    more = replace(job, inputs={"shard": [one], "more": [two, one], "extra": [two], "other": [one]})
    assert more.input_files(Shards) == Shards(one, [two, one], two)
    for wrong, said in ({}, "FILE is missing"), ({"shard": [one, two]}, "FILE takes one file, not 2"):
        with pytest.raises(SignloomError, match=f"landmarks: --input shard={said}"):
            replace(job, inputs=wrong).input_files(Shards)
    with pytest.raises(SignloomError, match=r"landmarks: input extra: .*gone\.csv does not exist"):
        replace(more, inputs=more.inputs | {"extra": [tmp_path / "gone.csv"]}).input_files(Shards)


def test_the_program_of_a_stage_shows_its_docstring_and_its_name(root: Path) -> None:
    command = [sys.executable, "-m", "workflow_scripts.stats_pose", "--help"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert shown.startswith("usage: python -m workflow_scripts.stats_pose [-h]")
    assert "Compute mean and standard deviation of the pose features" in shown


def test_products_of_matrices_in_a_stage_do_not_depend_on_the_number_of_cores(root: Path) -> None:
    program = """
import hashlib
import workflow_scripts.stats_pose
import numpy as np
found = hashlib.sha256()
draw = np.random.default_rng(0)
for rows, columns, width in ((31, 112, 256), (143, 112, 256), (500, 1000, 256)):
    a, b = (draw.standard_normal((n, width)).astype(np.float32) for n in (rows, columns))
    found.update((a @ b.T).tobytes() + (b.astype(float) @ b[:rows].T.astype(float)).tobytes())
print(found.hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1


def test_a_stage_says_what_a_terminal_of_another_encoding_cannot_show(root: Path, tmp_path: Path) -> None:
    program = """
from workflow_scripts.job import entry_point
entry_point(lambda job: job.output("csv").touch() or print("0.2 \\u00b1 0.1"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "--output", f"csv={tmp_path}/a.csv"],
        cwd=root,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, rb"0.2 \xb1 0.1" + b"\n", b"")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("none.yaml", "--params none.yaml: No such file or directory; give a file of YAML"),
        (".", "--params .: Is a directory; give a file of YAML"),
        ("{bad", "--params: Expecting property name"),
        ("broken.yaml", "--params broken.yaml: while parsing a flow mapping"),
        ("latin.yaml", "--params latin.yaml: 'utf-8' codec can't decode"),
        ("list.yaml", "--params list.yaml: expected sections of parameters, found list"),
        ("empty.yaml", "--params empty.yaml: expected sections of parameters, found NoneType"),
    ],
)
def test_parameters_that_cannot_be_read_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"broken": "a: {b", "latin": "a: \xff", "list": "- a", "empty": ""}.items():
        Path(f"{name}.yaml").write_text(content, "latin-1")
    main = entry_point(lambda job: None)
    assert main(["--output", "a=a.npy", "--params", given]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1
