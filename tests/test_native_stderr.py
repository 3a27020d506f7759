"""What native libraries say on standard error: chatter is held back, errors pass, a failure shows all."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from exported import Exported
from small_corpus import arguments

CHATTER = re.compile(
    r"^INFO: |All log messages|[IW]\d{4} |Feedback manager|SymbolDatabase|warnings\.warn", re.M
)
SAY = """
import os, signal, subprocess, sys
from signloom.errors import ProcessDied, SignloomError
from signloom.native_stderr import only_errors
def say(*lines):
    os.write(2, "".join(line + "\\n" for line in lines).encode())
"""


def said(root: Path, program: str, code: int = 0) -> list[str]:
    """Return the lines that `program` writes to standard error; it ends with `code`."""
    done = subprocess.run(
        [sys.executable, "-c", SAY + program], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stderr.splitlines()


def test_chatter_is_dropped_errors_pass_and_so_does_all_afterwards(root: Path) -> None:
    lines = said(
        root,
        """
with only_errors():
    say("W0000 00:00:17.8 chatter", "E0000 00:00:17.8 bad", "INFO: Created TensorFlow")
    print("from Python", file=sys.stderr)
say("W0000 afterwards")
print("and later", file=sys.stderr)
""",
    )
    assert sorted(lines[:2]) == ["E0000 00:00:17.8 bad", "from Python"]
    assert lines[2:] == ["W0000 afterwards", "and later"]


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "W0000 00:00:1795646661.616622   24441 inference_feedback_manager.cc:114] Feedback manager requires",
        "[W1125 22:44:27.123 NNPACK.cpp:61] Could not initialize NNPACK! Reason: Unsupported hardware.",
        "[ WARN:0@0.013] global cap_v4l.cpp:914 open VIDEOIO(V4L2:/dev/video77): can't open camera by index",
        "\x1b[0;93m2026-11-25 22:44:27.1 [W:onnxruntime:, cpuid_info.cc:91 Log] Unknown CPU vendor\x1b[m",
    ],
)
def test_lines_of_every_library_are_held_back_and_shown_when_the_work_fails(root: Path, line: str) -> None:
    program = f"line = {line!r}\nwith only_errors():\n    say(line)\n    "
    assert said(root, program + "pass") == []
    assert line in said(root, program + "raise RuntimeError('broken')", code=1)


def test_an_error_that_explains_itself_shows_no_chatter_and_a_dead_process_does(root: Path) -> None:
    program = """
try:
    with only_errors():
        say("W0000 chatter", "E0000 bad")
        raise {}("what is wrong")
except SignloomError as error:
    say(f"error: {{error}}")
"""
    assert said(root, program.format("SignloomError")) == ["E0000 bad", "error: what is wrong"]
    assert said(root, program.format("ProcessDied")) == ["E0000 bad", "W0000 chatter", "error: what is wrong"]


def test_the_last_words_of_a_process_that_dies_are_shown_with_all_before(root: Path) -> None:
    program = 'with only_errors():\n    say("W0000 before", "F0000 check failed")\n    os.abort()'
    assert said(root, program, code=-signal.SIGABRT) == ["F0000 check failed", "W0000 before"]


def test_processes_that_the_work_starts_are_filtered_too(root: Path) -> None:
    program = """
with only_errors():
    subprocess.run(["sh", "-c", "echo 'W0000 chatter' >&2; echo 'E0000 bad' >&2"])
"""
    assert said(root, program) == ["E0000 bad"]


def test_long_chatter_and_unfinished_lines_block_nothing_and_lose_nothing(root: Path) -> None:
    program = """
with only_errors():
    for number in range(20000):
        say(f"W0000 {number} " + "x" * 80)
    os.write(2, b"E0000 no line ")
    os.write(2, b"end")
"""
    assert said(root, program) == ["E0000 no line end"]


def test_standard_error_that_is_a_terminal_stays_one_for_progress_bars(root: Path) -> None:
    ours, theirs = pty.openpty()
    program = (
        SAY + 'with only_errors():\n    say("W0000 chatter")\n    print(sys.stderr.isatty(), file=sys.stderr)'
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, stderr=theirs, timeout=60)
    os.close(theirs)
    assert (done.returncode, os.read(ours, 1000).split()) == (0, [b"True"])
    os.close(ours)


def run_as_a_program(root: Path, stage: str, command: list[str]) -> str:
    """Run a stage as its rule does; return what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", f"workflow_scripts.{stage}", *command],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def shard(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard list of one real video of a second, under the name of a test clip of the small corpus."""
    path = tmp_path_factory.mktemp("shard") / "0.csv"
    row = {"clip_id": "test/000", "start_s": "", "end_s": "", "video_hash": "", "n_bytes": 0}
    video = root / "data" / "demo" / "videos" / "bad" / "too_few_frames.mp4"
    pd.DataFrame([row | {"video_path": video}]).to_csv(path, index=False)
    return path


def test_landmarks_show_their_progress_and_no_chatter(root: Path, shard: Path, tmp_path: Path) -> None:
    outputs = {"npy": tmp_path / "0.npy", "parquet": tmp_path / "0.parquet"}
    unset = dict.fromkeys(("point_order", "frame_rate", "picture_size"))
    command = [
        *arguments({"shard": [shard]}, outputs, {"landmarks": {"max_fps": None}, "dataset": unset}),
        "--scratch",
        str(tmp_path),
    ]
    text = run_as_a_program(root, "landmarks", command)
    assert "100%" in text and "landmarks: 1 clips, 30 frames" in text
    assert CHATTER.search(text) is None, text


def test_the_inference_of_videos_shows_its_progress_and_no_chatter(
    root: Path, exported: Exported, shard: Path, tmp_path: Path
) -> None:
    splits = pd.read_csv(exported.inputs["splits"][0])
    clips = splits["clip_id"][
        (splits["split"] == "test") & (splits["sentence_id"] >= 0) & (splits["seen"] == 1)
    ]
    shown = pd.read_csv(shard).assign(clip_id=clips.iloc[0])
    shown.to_csv(tmp_path / "shard.csv", index=False)
    names = ("features", "mask", "index", "splits")
    inputs = {name: exported.inputs[name] for name in names} | {"bundle": [exported.bundle]}
    files = {"metrics": "m.json", "predictions": "p.csv", "latency": "latency.json"}
    outputs = {name: tmp_path / file for name, file in files.items()}
    params = {"inference": {"seed": 42}, "pose": {"fps": 12.0}, "evaluation": {"bootstrap": 100}}
    command = arguments(inputs | {"shards": [tmp_path / "shard.csv"]}, outputs, params)
    text = run_as_a_program(root, "evaluate_inference", command)
    assert '"videos": 1' in outputs["latency"].read_text("utf-8")
    assert "answer: 100%" in text
    assert CHATTER.search(text) is None, text


def test_a_program_without_standard_error_works(root: Path) -> None:
    code = "from signloom.native_stderr import only_errors\nwith only_errors(): print('done')"
    command = f'{sys.executable} -c "{code}" 2>&-'
    done = subprocess.run(["sh", "-c", command], cwd=root, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n")
