"""The manifest keeps the times of glosses in one form, and rejects those that do not fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from signloom.dataset.manifest import Manifest
from tests.manifests import build
from tests.videos import write_video


def with_times(folder: Path, gloss: str, cell: str) -> Manifest:
    """The manifest of a clip with `gloss` whose gloss_times are `cell`, and of a clip that has none."""
    for number, name in enumerate("ab"):
        write_video(folder / f"videos/{name}.mp4", seed=number)
    rows = pd.DataFrame(
        {"video": ["a.mp4", "b.mp4"], "sentence": "One.", "gloss": [gloss, "ONE"], "gloss_times": [cell, ""]}
    )
    return build(folder, rows.to_csv(index=False))


@pytest.mark.parametrize(
    ("gloss", "cell", "detail"),
    [
        ("A B", "[[0, 1]]", "1 pairs of gloss_times for 2 glosses"),
        ("A B", "[]", "0 pairs of gloss_times for 2 glosses"),
        ("", "[[0, 1]]", "1 pairs of gloss_times for 0 glosses"),
        ("A", "[[1, 0.5]]", "gloss 1 ends at 0.5 s, before its start 1 s"),
        ("A B", "[[1, 2], [0.5, 3]]", "gloss 2 starts at 0.5 s, before gloss 1 (1 s)"),
        ("A", "[[-1, 2]]", "gloss_times[0][0]: "),
        ("A", '[["0", 1]]', "gloss_times[0][0]: "),
        ("A", "[[0, true]]", "gloss_times[0][1]: "),
        ("A", "[[0, NaN]]", "gloss_times[0][1]: "),
        ("A", "[[0, Infinity]]", "gloss_times[0][1]: "),
        ("A", "[[0]]", "gloss_times[0][1]: "),
        ("A", "[[0, 1, 2]]", "gloss_times[0]: "),
        ("A", "[0, 1]", "gloss_times[0]: "),
        ("A", "null", "gloss_times: "),
        ("A", "0-1", "gloss_times: "),
    ],
)
def test_a_row_whose_gloss_times_do_not_fit_its_glosses_is_rejected(
    tmp_path: Path, gloss: str, cell: str, detail: str
) -> None:
    manifest = with_times(tmp_path, gloss, cell)
    assert manifest.rejects[["row", "reason"]].to_numpy().tolist() == [[2, "bad_gloss_times"]]
    assert manifest.rejects["detail"][0].startswith(detail)
    assert manifest.clips["clip_id"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("gloss", "cell", "kept"),
    [
        # glosses may overlap, start together and take no time
        ("A  B C", " [[0, 1.5],[0,0.25], [1,1]] ", "[[0.0, 1.5], [0.0, 0.25], [1.0, 1.0]]"),
        ("A", "  ", ""),
        ("", "[]", ""),
    ],
)
def test_gloss_times_are_kept_in_one_form_and_empty_where_unknown(
    tmp_path: Path, gloss: str, cell: str, kept: str
) -> None:
    manifest = with_times(tmp_path, gloss, cell)
    assert manifest.rejects.empty
    assert manifest.clips["gloss_times"].tolist() == [kept, ""]
