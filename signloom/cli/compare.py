"""The work of `signloom compare`: find two builds, compare them, print and write what moved."""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signloom.errors import SignloomError
from signloom.evaluation.build_differences import Comparison, compare_builds
from signloom.evaluation.build_differences_text import in_words
from signloom.evaluation.builds import Build, places, read_build
from signloom.metrics.metric_files import meaningful
from signloom.preset_names import folder_of, preset_file


def run_compare(a: str, b: str, clips: int, as_json: bool, html: Path | None) -> int:
    """Compare the builds `a` and `b`; print text or JSON, write the page `html`; return the exit code."""
    found = compare_builds(find_build(a), find_build(b), clips)
    if html:
        # slow to import
        from signloom.report.comparison import write_page

        write_page(html, a, b, found)
    print(json.dumps(as_tree(a, b, found), indent=2) if as_json else in_words(a, b, found))
    return 0


def as_tree(a: str, b: str, found: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data, with the digits of the metric files."""
    rows = [
        {
            name: meaningful(value, "" if name == "p" else row.metric)
            for name, value in {**asdict(row), "differs": row.differs}.items()
        }
        for row in found.rows
    ]
    return {"a": a, "b": b, **found._asdict(), "rows": rows}


def find_build(name: str) -> Build:
    """Read the build `name`: a folder, a preset, or a revision or experiment, which DVC fetches.

    The build of a preset at a revision is `revision:preset`.
    Raises SignloomError if there is none.
    """
    if Path(name).is_dir():
        folder = Path(name)
        return read_build(folder if (folder / "predictions").is_dir() else folder / "build")
    joined = folder_of(name)
    if preset_file(name).exists() or (Path("build") / joined / "predictions").is_dir():
        return read_build(Path("build") / joined)
    # no revision of git has a colon
    revision, _, preset = name.partition(":")
    with tempfile.TemporaryDirectory() as scratch:
        return _fetched(revision, folder_of(preset), Path(scratch))


def _fetched(revision: str, preset: str, scratch: Path) -> Build:
    build = Path("build", preset)
    for path in (Path("metrics", preset), build / "predictions"):
        _dvc_get(path.as_posix(), revision, scratch)
    for place in places(scratch / build):
        if place != Path():
            _dvc_get((build / place / "predictions").as_posix(), revision, scratch)
    return read_build(scratch / build)


def _dvc_get(path: str, revision: str, scratch: Path) -> None:
    target = scratch / path
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dvc", "get", ".", path, "--rev", revision]
    done = subprocess.run([*command, "--out", str(target)], capture_output=True, text=True)
    if done.returncode:
        said = re.search(r"^ERROR: (.*)", done.stderr, re.MULTILINE)
        raise SignloomError(
            f"compare: {revision}: {path}: {said[1] if said else done.stderr.strip()}; expected a folder, a "
            "preset, or a git revision or DVC experiment (REVISION:PRESET for a preset's build) with "
            "products in DVC's cache or remote (dvc push)"
        )
