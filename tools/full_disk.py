"""Build a small project with a disk that is full in every stage once, and compare its bytes.

    python -m tools.full_disk WORK

WORK is a new folder, or one of an earlier call. WORK/reference is built on an ordinary disk. WORK/full has
its `build` on a disk of its own (tmpfs, which needs root). Before each job the disk is filled to the last
block; the job must fail, say so in one line without a traceback, and leave no file under its final name that
differs. Then space is freed, and the next run must go on.
"""

import argparse
import re
import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

from tools.same_bytes import differences, products
from tools.small_project import commit_all, environment, make_small

_SIZE = "256m"
_SAID = "no space left on the disk"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    work = parser.parse_args(argv).work.resolve()
    reference, full = work / "reference", work / "full"
    if not reference.exists():
        make_small(reference)
        commit_all(reference)
    shutil.rmtree(full, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(reference), str(full)], check=True)
    build(reference, "--cores", "all")
    whole = products(reference)
    (full / "build").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(full / "build")], check=True)
    try:
        bad = sum(not fails_well(full, rule, whole) for rule in rules(full))
    finally:
        subprocess.run(["umount", "-l", str(full / "build")], check=True)
    print(
        f"{bad} stages did not fail as they should" if bad else "every stage failed in one line and went on"
    )
    return 1 if bad else 0


def rules(full: Path) -> list[str]:
    """Return the rules of a full build, in an order in which each has its inputs."""
    graph = build(full, "--cores", "1", "--rulegraph")
    names = dict(re.findall(r"(\d+)\s*\[\s*label\s*=\s*\"(\w+)\"", graph))
    order = TopologicalSorter({number: [] for number in names})
    for first, then in re.findall(r"(\d+)\s*->\s*(\d+)", graph):
        order.add(then, first)
    return [names[number] for number in order.static_order()]


def fails_well(full: Path, rule: str, whole: dict[str, str]) -> bool:
    """Fill the disk, run the jobs of `rule`, free it, and run them again; return whether all was well."""
    if rule == "all":
        return differences(whole, products(full)) == []
    ballast = full / "build/.ballast"
    fill(ballast)
    said = build(full, "--cores", "1", "--until", rule, "--keep-going", ok=False)
    wrong = [path for path in differences(whole, products(full)) if path in products(full)]
    ballast.unlink()
    wrong = [path for path in wrong if not path.endswith(".ballast")]
    lines = len(re.findall(_SAID, said))
    well = lines > 0 and "Traceback" not in said and not wrong
    print(f"{'ok ' if well else 'BAD'} {rule}: {lines} lines, half-written: {wrong}", flush=True)
    if not well:
        (full.parent / f"{rule}.log").write_text(said, "utf-8")
    build(full, "--cores", "all", "--until", rule)
    return well


def fill(ballast: Path) -> None:
    """Write to `ballast` until the disk is full."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def build(folder: Path, *words: str, ok: bool = True) -> str:
    """Run Snakemake in `folder` and return what it prints; raise SystemExit if it fails though `ok`."""
    done = subprocess.run(
        ["snakemake", *words],
        cwd=folder,
        env=environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ok and done.returncode:
        raise SystemExit(f"snakemake {' '.join(words)} failed in {folder}:\n{done.stdout[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
