"""The gzip pickles of slt, which the script on the page about forms makes rows and a table of."""

from __future__ import annotations

import gzip
import io
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from signloom.features.shards import FeatureShards
from tests.form_files import values
from tests.row_stages import splits_in, to_splits


class Trap:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("sprung"),)


class TrapInTensor:
    """A pickle that torch itself opens, where a tensor has its numbers."""

    def __reduce__(self) -> tuple[object, tuple[bytes]]:
        inside = io.BytesIO()
        torch.save(Trap(), inside)
        return torch.storage._load_from_bytes, (inside.getvalue(),)


@pytest.fixture
def page(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The script and the preset of the page; the test stands in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    section = (root / "docs/annotation-forms.md").read_text("utf-8").partition("as gzip pickles\n")[2]
    return dict(re.findall(r"^```(python|yaml)\n(.*?)^```$", section.partition("\n### ")[0], re.M | re.S))


def write_pickles(**clips: list[object]) -> None:
    Path("data/slt").mkdir(parents=True)
    for split, found in clips.items():
        with gzip.open(f"data/slt/phoenix14t.pami0.{split}", "wb") as file:
            pickle.dump(found, file)


def clips_of(split: str, count: int, scale: int) -> list[object]:
    return [
        {
            "name": f"{split}/tag-{number}",
            **{"signer": f"Signer0{number % 2}", "gloss": ("WIND STARK", "REGEN")[number % 2]},
            **{"text": ('der wind , "stark" .', "regen .")[number % 2]},
            "sign": scale * torch.arange(20 + number)[:, None] + torch.linspace(1, 2, 8),
        }
        for number in range(count)
    ]


def test_the_script_of_the_page_makes_rows_that_reach_the_splits(page: dict[str, str]) -> None:
    write_pickles(train=clips_of("train", 4, 1), dev=clips_of("dev", 2, 2), test=clips_of("test", 2, 3))
    exec(compile(page["python"], "slt_to_rows.py", "exec"), {})
    found = to_splits(Path("out"), yaml.safe_load(page["yaml"])["dataset"])
    clips = pd.read_parquet(found["metadata"][0])
    assert values(clips, "clip_id", "sentence", "gloss", "signer_id")[2:4] == [
        ["test/tag-0", 'der wind , "stark" .', "WIND STARK", "Signer00"],
        ["test/tag-1", "regen .", "REGEN", "Signer01"],
    ]
    parts = {"train": (4, "train"), "dev": (2, "val"), "test": (2, "test")}
    assert splits_in(found) == {
        f"{folder}/tag-{number}": name for folder, (count, name) in parts.items() for number in range(count)
    }
    shards = FeatureShards(found["features"], found["index"], found["mask"])
    np.testing.assert_allclose(
        shards.clip("train/tag-3"), np.arange(23)[:, None] + torch.linspace(1, 2, 8).numpy()
    )
    assert shards.index["fps"].unique().tolist() == [25.0]


@pytest.mark.parametrize(
    ("trap", "error", "named"),
    [(Trap, KeyError, "Path.touch|getattr"), (TrapInTensor, pickle.UnpicklingError, "Weights only")],
)
def test_the_script_runs_nothing_that_a_pickle_names(
    page: dict[str, str], trap: type, error: type[Exception], named: str
) -> None:
    write_pickles(train=[{"name": "a", "sign": trap()}])
    with pytest.raises(error, match=named):
        exec(compile(page["python"], "slt_to_rows.py", "exec"), {})
    assert not Path("sprung").exists()
