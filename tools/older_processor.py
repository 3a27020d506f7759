"""Make all libraries of an environment believe that the processor has AVX2 and nothing newer.

    make setup    # in a clone of its own, because its .venv is changed
    .venv/bin/python -m tools.older_processor .venv
    LD_PRELOAD="$PWD/.venv/older_processor.so" make demo

PyTorch can be told to leave newer instructions alone, other libraries cannot. This replaces every CPUID
instruction in the libraries below a folder by one that is not valid, and compiles a library that answers in
its place (`older_processor.c`): as the processor does, without AVX-512, AVX-VNNI and AMX. The system's own
libraries stay as they are. Linux on x86-64 alone; it needs gcc and binutils.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from signloom.progress import track

CPUID, INVALID = b"\x0f\xa2", b"\x0e\x90"  # the second is PUSH CS, which 64-bit code cannot do, and NOP
_SEGMENT = re.compile(r"\s+LOAD\s+0x(\w+)\s+0x(\w+)\s+0x\w+\s+0x(\w+)\s+0x\w+\s+[R ][W ]E")
_FOUND = re.compile(r"^\s*(\w+):\s+cpuid\s*$", re.MULTILINE)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="an environment, whose libraries are changed for good")
    args = parser.parse_args(argv)
    if not args.folder.is_dir():
        parser.error(f"{args.folder} is not a folder")
    library = (args.folder / "older_processor.so").absolute()
    if set(" :") & set(str(library)):
        parser.error(f"{library}: LD_PRELOAD takes no path with a space or a colon; use another folder")
    files = sorted(path for path in args.folder.rglob("*.so*") if path.is_file() and not path.is_symlink())
    changed = sum(change(path) for path in track(files, "libraries", unit="file"))
    # last, because its own question must stay as it is
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    print(f"{changed} instructions changed; start programs with LD_PRELOAD={library}")
    return 0


def change(path: Path) -> int:
    """Replace the CPUID instructions of a library in a copy that takes its place; return their number."""
    data = bytearray(path.read_bytes())
    segments = list(_code(path)) if data.startswith(b"\x7fELF") else []
    if not any(CPUID in data[start : start + size] for start, _, size in segments):
        return 0
    # through grep: the whole text of a large library has gigabytes
    with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", path], stdout=subprocess.PIPE) as listed:
        search = ["grep", "-w", "cpuid"]
        lines = subprocess.run(search, stdin=listed.stdout, capture_output=True, text=True).stdout
    count = 0
    for found in _FOUND.finditer(lines):
        address = int(found[1], 16)
        for start, first, size in segments:
            place = start + address - first
            if first <= address < first + size and data[place : place + 2] == CPUID:
                data[place : place + 2] = INVALID
                count += 1
    if count:
        # a new file: the old one may be a link to a cache
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(data)
        part.chmod(path.stat().st_mode)
        part.replace(path)
    return count


def _code(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield place in the file, address and size of the parts of a library that hold code."""
    listed = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True)
    for found in _SEGMENT.finditer(listed.stdout):
        start, address, size = (int(number, 16) for number in found.groups())
        yield start, address, size


if __name__ == "__main__":
    sys.exit(main())
