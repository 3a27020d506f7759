"""Rows of a gloss network: which of a clip are read, when each is shown, and how long the clip is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section

from signloom.features.clip.clip_shard import OpenClip
from signloom.features.gloss_rows import GlossRows, Rows
from signloom.features.partial_shard import ClipTask
from signloom.features.stats import Stats
from signloom.params.clips import ClipFeaturesParams
from signloom.video.decode import Frame
from signloom.video.windows import resampled
from tests.synthetic_gloss import Inputs, write_corpus
from tests.test_gloss_data import files


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("length", [1, 2, 3, 60, 61, 500])
def test_long_clips_are_evenly_subsampled_and_never_cut(length: int) -> None:
    stats = {"clip": Stats(np.zeros(1, np.float32), np.ones(1, np.float32))}
    rows = GlossRows("clip", None, None, stats, 60)
    given_rows = Rows(np.arange(length, dtype=np.float32)[:, None], np.zeros((length, 0), np.float32))
    kept = rows.subsample(given_rows)[0][:, 0]
    assert len(kept) == min(length, 60) and kept[0] == 0 and kept[-1] == length - 1
    steps = np.diff(kept)
    assert length == 1 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)


@pytest.mark.parametrize(("length", "every", "most"), [(1, 1, 60), (7, 3, 60), (500, 3, 60), (61, 1, 60)])
def test_every_input_row_has_the_time_of_its_own_row(length: int, every: int, most: int) -> None:
    stats = {"clip": Stats(np.zeros(1, np.float32), np.ones(1, np.float32))}
    rows = GlossRows("clip", None, None, stats, most, every=every)
    rows.times = lambda clip_id: np.arange(length) / 25  # type: ignore[method-assign]
    given_rows = Rows(np.arange(length, dtype=np.float32)[:, None], np.zeros((length, 0), np.float32))
    kept = rows.subsample(rows.thin(given_rows))[0][:, 0]
    np.testing.assert_allclose(rows.input_times("a"), kept / 25)


def test_a_clip_is_as_long_as_its_frames_are_shown(inputs: Inputs, tmp_path: Path) -> None:
    """The last window's middle is half a window before its end, whatever the step between windows."""
    index = inputs["clip_index"][0]
    table = pd.read_parquet(index)
    first = table.iloc[0]
    for name, values in {"frame_index": [32, 64], "last_frame": [63, 95], "time_s": [1.28, 2.56]}.items():
        table[name] = [values, *table[name][1:]]
    table.loc[0, "fps"] = 25.0
    clip = [tmp_path / "windows.parquet"]
    table.to_parquet(clip[0], index=False)
    for kind in ("clip", "both"):
        rows = GlossRows.open(files({**inputs, "clip_index": clip}, tmp_path), kind, 150)
        assert rows.length_s(first["clip_id"]) == pytest.approx(96 / 25)


@pytest.mark.parametrize(
    "times",
    [
        [*np.arange(240) / 60, *(4 + np.arange(20) / 10)],  # the light goes down
        [*np.arange(120) / 30, *(4 + np.arange(30) / 15)],
        [*np.arange(60) / 30, *(2 + np.arange(6) / 2)],
        [*np.arange(20) / 2, *(10 + np.arange(60) / 30)],
        [*np.arange(90) / 30],
    ],
)
def test_a_clip_whose_rate_varies_lasts_to_its_last_frame(
    inputs: Inputs, tmp_path: Path, times: list[float]
) -> None:
    index = inputs["clip_index"][0]
    table, clip = pd.read_parquet(index), OpenClip(ClipTask("a", Path("a.mp4"), None, None, tmp_path))
    frames = (Frame(number, time_s, np.zeros((0, 0, 3), np.uint8)) for number, time_s in enumerate(times))
    for frame in resampled(frames, 25):
        clip.note(frame)
    clip.fps = (len(times) - 1) / times[-1]
    clip.finish(section(ClipFeaturesParams, stack_size=16, step_size=4, extraction_fps=25.0))
    found = json.loads(clip.task.journal.read_text())
    for name in ("frame_index", "first_frame", "last_frame", "time_s"):
        table[name] = [found[name], *table[name][1:]]
    table.loc[0, "fps"] = found["fps"]
    table.to_parquet(tmp_path / "windows.parquet", index=False)
    inputs = {**inputs, "clip_index": [tmp_path / "windows.parquet"]}
    length = GlossRows.open(files(inputs, tmp_path), "clip", 150).length_s(table["clip_id"][0])
    assert times[-1] <= length <= 2 * times[-1] - times[-2] + 1e-9
