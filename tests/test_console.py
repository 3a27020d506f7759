"""What programs print reaches a reader in every locale, and one that stops reading ends them quietly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.__main__ import main
from signloom.cells import CONTROL

# runs a stage that prints and then does `{}`
STAGE = """
import os
from workflow_scripts.job import entry_point
def work(job):
    os.write(2, b"W0000 00:00:17.8 chatter\\n")
    print("said", flush=True)
    {}
entry_point(work)
"""
ASCII = {"PYTHONIOENCODING": "ascii"}


@pytest.fixture
def clip(exported: Exported, tmp_path: Path) -> Path:
    """A clip of features whose name is not in ASCII."""
    features, mask = clip_of(exported, "b/train1")
    path = tmp_path / "Ügür çlips" / "ışık 手.npz"
    path.parent.mkdir()
    with path.open("wb") as file:
        np.savez(file, features=features, mask=mask, motion_mean=1.5)
    return path


def started(
    root: Path, *command: str | Path, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=root,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )


def with_no_reader(root: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `command` with standard output that its reader has closed, as `head` does when it has enough."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return started(root, *command, stdout=writer, **environment)
    finally:
        os.close(writer)


def commands_that_answer(exported: Exported, clip: Path) -> list[list[str | Path]]:
    """Return the commands that answer `clip`: ours, and the bundle by itself."""
    return [["-m", "signloom", "predict", clip, "--bundle", exported.bundle], [exported.bundle, clip]]


def test_an_answer_is_printed_where_the_encoding_lacks_its_letters(
    root: Path, exported: Exported, clip: Path
) -> None:
    shown = str(clip).encode("ascii", "backslashreplace").decode()
    for command in commands_that_answer(exported, clip):
        done = started(root, *command, **ASCII)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == shown


def test_json_is_json_in_every_encoding_and_legible_in_utf_8(
    root: Path, exported: Exported, clip: Path
) -> None:
    for command in commands_that_answer(exported, clip):
        ascii = started(root, *command, "--json", **ASCII)
        utf_8 = started(root, *command, "--json", PYTHONIOENCODING="utf-8")
        assert json.loads(ascii.stdout) == json.loads(utf_8.stdout)
        assert clip.name in utf_8.stdout and "\\u624b" in ascii.stdout


def test_names_cannot_steer_the_terminal_and_json_gives_them_back(
    root: Path, exported: Exported, clip: Path, tmp_path: Path
) -> None:
    name = "a\x1b[2J\x9b1m\r\u202eb.npz"
    steers = clip.rename(tmp_path / name)
    shown = "a\\u001b[2J\\u009b1m\\r\\u202eb.npz"
    for command in commands_that_answer(exported, steers):
        place = command.index(steers) + 1
        both = [*command[:place], steers.with_suffix(".npy"), *command[place:]]
        done = started(root, *both, PYTHONIOENCODING="utf-8")
        assert done.returncode == 2 and done.stdout.splitlines()[0] == f"{tmp_path}/{shown}"
        assert f"error: {tmp_path}/{shown.replace('npz', 'npy')}: " in done.stderr
        assert not CONTROL.search((done.stdout + done.stderr).replace("\n", ""))
        as_json = started(root, *command, "--json", PYTHONIOENCODING="utf-8").stdout
        assert json.loads(as_json)["clip"] == str(steers) and not CONTROL.search(as_json[:-1])


def test_nothing_that_a_stage_prints_steers_the_terminal(root: Path) -> None:
    program = STAGE.format(
        "print('\\x1b[31m\\x00', '\\u202e', file=__import__('sys').stderr)\n"
        "    from signloom.progress import say, track\n"
        "    list(track([1], 'a\\x1b[2J'))\n"
        "    say('b\\rc')\n"
        "    raise ValueError('d\\x9b\\te')"
    )
    done = started(root, "-c", program, "--output", f"csv={root}/build/x.csv", PYTHONIOENCODING="utf-8")
    for line in ("\\u001b[31m\\u0000 \\u202e", "a\\u001b[2J: 100%", "b\\rc", "ValueError: d\\u009b\te"):
        assert line in done.stderr
    assert not CONTROL.search((done.stdout + done.stderr).replace("\n", "").replace("\t", ""))


def test_a_bar_still_moves_the_cursor_of_a_terminal(root: Path, tmp_path: Path) -> None:
    shown = "from signloom.progress import track\n    list(track([1, 2], 'bar'))"
    program = STAGE.format(f"{shown}\n    job.output('csv').touch()")
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", program, "--output", f"csv={tmp_path}/x.csv"]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=theirs, timeout=120)
    os.close(theirs)
    said = os.read(ours, 65536)
    os.close(ours)
    assert done.returncode == 0 and b"\rbar: " in said and b"\\r" not in said


def test_a_reader_that_stops_reading_ends_a_command_quietly(
    root: Path, exported: Exported, clip: Path
) -> None:
    asked: list[list[str | Path]] = [
        *commands_that_answer(exported, clip),
        ["-m", "signloom", "predict", "--help"],
        ["-m", "workflow_scripts.splits", "--help"],
        ["-c", STAGE.format("pass"), "--output", f"csv={root}/build/none.csv"],
    ]
    for command in asked:
        for unbuffered in ("", "1"):
            done = with_no_reader(root, *command, PYTHONUNBUFFERED=unbuffered)
            # argparse takes no notice of help that it cannot write
            assert done.returncode == 141 or (unbuffered and "--help" in command and done.returncode == 0)
            assert done.stderr == "", command


def test_a_video_whose_answer_nobody_reads_shows_no_chatter(root: Path, exported: Exported) -> None:
    video = root / "data/demo/videos/bad/too_few_frames.mp4"
    done = with_no_reader(root, "-m", "signloom", "predict", video, "--bundle", exported.bundle)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_pipe_that_breaks_elsewhere_is_not_taken_for_the_reader(root: Path) -> None:
    done = started(
        root, "-c", STAGE.format("raise BrokenPipeError('worker')"), "--output", f"csv={root}/build/x.csv"
    )
    assert (done.returncode, done.stdout) == (1, "said\n")
    assert "W0000" in done.stderr and "BrokenPipeError: worker" in done.stderr


def test_a_program_runs_with_standard_output_closed(root: Path) -> None:
    program = ["sh", "-c", '"$0" -m signloom --version >&-', sys.executable]
    assert subprocess.run(program, cwd=root, capture_output=True).returncode == 0


def test_a_program_whose_error_stream_is_closed_prints_no_errors_into_its_answer(root: Path) -> None:
    code = STAGE.format("open(os.devnull).fileno() > 2 or os.abort(); raise SignloomError('wrong')")
    code = code.replace("import os", "import os\nfrom signloom.errors import SignloomError")
    program = [
        "sh",
        "-c",
        '"$0" "$@" 2>&-',
        sys.executable,
        "-c",
        code,
        "--output",
        f"csv={root}/build/x.csv",
    ]
    done = subprocess.run(program, cwd=root, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (2, "said\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("print_it", ["print('more')", "print('more', flush=True)"])
def test_an_answer_that_a_full_disk_cuts_off_is_one_line(root: Path, print_it: str) -> None:
    code = STAGE.replace('    print("said", flush=True)\n', "").format(print_it)
    command = ["-c", code, "--output", f"csv={root}/build/x.csv"]
    with Path("/dev/full").open("wb") as full:
        done = started(root, *command, stdout=full.fileno())
    assert done.returncode == 2 and "error: " in done.stderr and "Traceback" not in done.stderr
    assert "standard output: " in done.stderr


def test_signloom_without_a_command_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == "" and all(f"\n    {name} " in said.err for name in ("init", "check", "predict"))
