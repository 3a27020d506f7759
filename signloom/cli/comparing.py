"""The work of `signloom compare`: find the predictions of two builds, compare and print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.compare import compare, most_changed
from signloom.evaluation.runs import read_answers
from signloom.metrics.metric_files import meaningful

RESAMPLES, SEED = 2000, 42
PRESETS = Path("config/presets")
# folders of predictions in dvc.lock: of the first seed, and of further ones
_FOLDERS = re.compile(r"^ +- path: (build/(?:seeds/\d+/)?predictions)/", re.MULTILINE)
ONE_SEED = "One seed a side: how far another seed would move these figures is unknown."
SEVERAL = "Intervals resample clips and seeds."


def compare_builds(a: str, b: str, clips: int, as_json: bool) -> int:
    """Compare the builds `a` and `b`; print a table or JSON; return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        first, second = (
            read_answers(predictions(name, Path(scratch) / side)) for side, name in (("a", a), ("b", b))
        )
    rows = compare(first, second, RESAMPLES, SEED)
    if not rows:
        raise SignloomError(f"compare: {a} and {b} have no model and data set in common")
    changed = most_changed(first, second, clips)
    if as_json:
        found = {"a": a, "b": b, "rows": meaningful(rows), "clips": changed.to_dict("records")}
        print(json.dumps(found, indent=2))
    else:
        print(in_words(a, b, rows, changed))
    return 0


def in_words(a: str, b: str, rows: list[dict[str, Any]], changed: pd.DataFrame) -> str:
    """Return the comparison as a table of the rows, a sentence for them all, and the clips that changed."""
    table = pd.DataFrame(
        [
            {
                "model": row["model"],
                "data": row["data"],
                "clips": row["n"],
                "A": f"{row['wer_a']:.3f}",
                "B": f"{row['wer_b']:.3f}",
                "B - A": f"{row['difference']:+.3f}",
                "95 % interval": f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}",
                "p": f"{row['p']:.3f}",
                "": "differs" if row["differs"] else "",
            }
            for row in rows
        ]
    )
    differ = sum(row["differs"] for row in rows)
    said = f"{differ} of {len(rows)} rows differ" if differ else "Nothing differs"
    left_out = max(row["left_out"] for row in rows)
    lines = [
        f"Word error rates, A = {a}, B = {b}",
        "",
        table.to_string(index=False),
        "",
        f"{said} (p below 0.05 after Holm's correction for {len(rows)} rows).",
        SEVERAL if all(row["many_seeds"] for row in rows) else ONE_SEED,
    ]
    if left_out:
        lines.append(f"Up to {left_out} clips of a row are in one build alone and were left out.")
    if len(changed):
        lines += ["", "Clips that changed most, in errors:", "", changed.to_string(index=False)]
    return "\n".join(lines)


def predictions(name: str, scratch: Path) -> list[Path]:
    """Return the prediction files of the build `name`; those of a revision are fetched into `scratch`.

    Raises SignloomError if there are none.
    """
    if Path(name).is_dir():
        root = Path(name) if (Path(name) / "predictions").is_dir() else Path(name) / "build"
    elif (PRESETS / f"{name}.yaml").exists():
        root = Path("build") / name
    else:
        root = _fetched(name, scratch)
    found = [
        path
        for place in (root, *sorted(root.glob("seeds/*")))
        for path in (place / "predictions/sign2text.csv", *sorted(place.glob("predictions/gloss/*.csv")))
        if path.exists()
    ]
    if not found:
        raise SignloomError(f"compare: {name} has no predictions in {root}; build it first")
    return found


def _fetched(revision: str, scratch: Path) -> Path:
    """Fetch the predictions of a git revision or a DVC experiment; return the folder like `build`."""
    lock = scratch / "dvc.lock"
    _dvc_get("dvc.lock", revision, lock)
    for folder in dict.fromkeys(_FOLDERS.findall(lock.read_text("utf-8"))):
        _dvc_get(folder, revision, scratch / folder)
    return scratch / "build"


def _dvc_get(path: str, revision: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "dvc", "get", "--quiet", ".", path, "--rev", revision]
    done = subprocess.run([*command, "--out", str(target)], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise SignloomError(
            f"compare: {revision}: {said}; expected a folder, a preset, a git revision or a DVC experiment"
        )
