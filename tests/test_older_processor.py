"""Libraries that ask the processor what it can do are answered as by an older one."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.older_processor import main

SOURCE = """
#include <cpuid.h>
unsigned features(int part) {
    unsigned a, b, c, d;
    __cpuid_count(7, part, a, b, c, d);
    return part ? a : b;
}
"""
ASK = "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).features; print(f(0), f(1))"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not shutil.which("gcc"),
    reason="needs Linux on x86-64 and gcc",
)


def ask(library: Path, preload: str = "") -> tuple[int, int]:
    command = [sys.executable, "-c", ASK, str(library)]
    done = subprocess.run(command, env={"LD_PRELOAD": preload}, capture_output=True, text=True, check=True)
    first, second = map(int, done.stdout.split())
    return first & 0xFFFFFFFF, second


def test_a_changed_library_finds_everything_but_what_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "asks.c").write_text(SOURCE)
    library = tmp_path / "lib/asks.so"
    library.parent.mkdir()
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "asks.c"], check=True)
    true, _ = ask(library)
    monkeypatch.chdir(tmp_path)
    assert main(["lib"]) == 0
    assert "1 instructions changed" in capsys.readouterr().out
    newer = sum(1 << bit for bit in (16, 17, 21, 26, 27, 28, 30, 31))
    assert ask(library, str(library.parent / "older_processor.so")) == (true & ~newer, 0)
    with pytest.raises(subprocess.CalledProcessError):  # the instruction is not valid by itself
        ask(library)
