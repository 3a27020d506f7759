"""Clip features: rows of real frames, however they are batched, in blocks, after a kill, at any length."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import params_json, section

from signloom.errors import SignloomError
from signloom.features.backbones.backbone import Backbone, load_backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.features.backbones.video_networks import I3d
from signloom.features.clip.clip_features import extract
from signloom.features.clip.dense import Slider, SlidingI3d
from signloom.features.partial_shard import clip_tasks
from signloom.features.pose.resample import nearest_frames, time_grid
from signloom.features.shards import FeatureShards
from signloom.params.clips import ClipFeaturesParams
from signloom.video.decode import read_frames
from signloom.video.windows import completed, window_count
from tests.videos import write_video
from workflow_scripts import clip_features

SMALL = {"weights": "random", "resize": 34, "crop": 32, "batch_size": 4, "mode": "windowed"}
LENGTHS = {"a": (23, 25), "b": (1, 25), "c": (36, 30), "d": (3, 25)}


def write_list(path: Path, clips: dict[str, Path]) -> Path:
    table = pd.DataFrame({"clip_id": list(clips), "video_path": list(clips.values())})
    table.assign(start_s="", end_s="", video_hash="h").to_csv(path, index=False)
    return path


def run(shard: Path, folder: Path, **params: Any) -> FeatureShards:
    folder.mkdir(exist_ok=True)
    assert clip_features.main(arguments(shard, folder, **params)) == 0
    return FeatureShards([folder / "0.npy"], [folder / "0.parquet"])


def arguments(shard: Path, folder: Path, frame_rate: float | None = None, **params: object) -> list[str]:
    outputs = ["--output", f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    sections = {"clip_features": SMALL | params, "dataset": {"frame_rate": frame_rate}}
    given = ["--params", params_json(sections), "--scratch", f"{folder}/scratch"]
    return ["--input", f"shard={shard}", *outputs, *given]


def test_a_folder_of_frames_has_the_rate_that_the_dataset_says(tmp_path: Path) -> None:
    for number in range(18):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
    shard = write_list(tmp_path / "0.csv", {"a": tmp_path})
    usual, slow = (run(shard, tmp_path / str(rate), frame_rate=rate).index.loc[0] for rate in (None, 12.5))
    assert (usual["fps"], slow["fps"]) == (25.0, 12.5)
    assert slow["length"] > 2 * usual["length"], "half the rate is twice the time, and so more windows"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {
        name: write_video(folder / f"{name}.mp4", frames, seed, fps)
        for seed, (name, (frames, fps)) in enumerate(LENGTHS.items())
    }


@pytest.fixture(scope="module")
def i3d() -> Backbone:
    return load_backbone(section(ClipFeaturesParams, weights="random"), torch.device("cpu"))


@pytest.fixture(scope="module")
def shards(videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> FeatureShards:
    folder = tmp_path_factory.mktemp("windowed")
    return run(write_list(folder / "0.csv", videos), folder)


def plain_windows(video: Path, stack: int = 16, step: int = 4) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The way of a first draft: the whole video in memory, resized and cropped, then cut into windows."""
    frames = list(read_frames(video))
    times = np.array([frame.time_s for frame in frames])
    nearest = nearest_frames(times, time_grid(times, 25))
    pictures = [
        cv2.resize(frame.image, (34, 34), interpolation=cv2.INTER_AREA)[1:33, 1:33] for frame in frames
    ]
    rows = 1 + int(np.ceil(max(len(nearest) - stack, 0) / step))
    places = [np.minimum(row * step + np.arange(stack), len(nearest) - 1) for row in range(rows)]
    return [np.stack([pictures[nearest[k]] for k in place]) for place in places], [nearest[p] for p in places]


def test_rows_are_those_of_one_window_at_a_time(
    videos: dict[str, Path], shards: FeatureShards, i3d: Backbone
) -> None:
    for clip_id, video in videos.items():
        windows, _ = plain_windows(video)
        tensor = torch.from_numpy(np.stack(windows)).permute(0, 4, 1, 2, 3).float() / 255
        expected = np.concatenate([i3d.rows(window[None]).numpy() for window in tensor])
        rows = shards.clip(clip_id)
        assert rows.shape == expected.shape and rows.dtype == np.float32
        np.testing.assert_allclose(rows, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_index_says_which_frames_a_row_covers_and_what_made_it(
    videos: dict[str, Path], shards: FeatureShards
) -> None:
    index = shards.index.set_index("clip_id")
    assert list(index.index) == list(videos)
    assert index["offset"].tolist() == [0, *np.cumsum(index["length"])[:-1]]
    for clip_id, video in videos.items():
        row, (_, numbers) = index.loc[clip_id], plain_windows(video)
        assert row["first_frame"].tolist() == [window[0] for window in numbers]
        assert row["last_frame"].tolist() == [window[-1] for window in numbers]
        assert row["frame_index"].tolist() == [window[8] for window in numbers]
        fps = LENGTHS[clip_id][1]
        np.testing.assert_allclose(row["time_s"] * fps, row["frame_index"], atol=1e-3)
        assert (row["fps"], row["width"], row["height"]) == (fps, 64, 64)
    assert (index["status"] == "ok").all() and (index["reason"] == "").all()
    for column, value in {
        "backbone": "i3d",
        "weights": "random",
        "weights_sha256": "",
        "mode": "windowed",
    }.items():
        assert (index[column] == value).all()


def test_rows_do_not_depend_on_the_clips_that_share_a_batch(
    videos: dict[str, Path], shards: FeatureShards, tmp_path: Path
) -> None:
    for clip_id in ("c", "d"):
        alone = run(write_list(tmp_path / "0.csv", {clip_id: videos[clip_id]}), tmp_path)
        assert alone.clip(clip_id).tobytes() == shards.clip(clip_id).tobytes()


class Means(torch.nn.Module):
    """A network that costs nothing: the mean colour of every frame; counts its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return x.mean((3, 4)).transpose(1, 2)


def means() -> tuple[Backbone, Means]:
    spec = replace(BACKBONES["resnet18"], dim=3, mean=(0, 0, 0), std=(1, 1, 1))
    network = Means()
    return Backbone(spec, network, "random", "", torch.device("cpu"), "fp32"), network


def test_windows_of_several_clips_share_a_batch_of_always_the_same_size(
    videos: dict[str, Path], tmp_path: Path
) -> None:
    backbone, network = means()
    clips = [
        {"clip_id": name, "video_path": path, "start_s": None, "end_s": None} for name, path in videos.items()
    ]
    extract(clip_tasks(clips, tmp_path), backbone, section(ClipFeaturesParams, **SMALL), "clip_features")
    lengths = [json.loads(path.read_text())["length"] for path in tmp_path.glob("*.json")]
    assert sorted(lengths) == [1, 1, 3, 5]
    assert network.shapes == [(4, 3, 16, 32, 32)] * 3


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage with a network that costs nothing."""
    monkeypatch.setattr("signloom.features.clip.clip_features.open_network", lambda *given: means()[0])
    monkeypatch.setitem(BACKBONES, "i3d", replace(BACKBONES["i3d"], dim=means()[0].spec.dim))


@pytest.mark.parametrize("step", [1, 4, 16, 20])
@pytest.mark.parametrize("batch", [1, 3])
def test_sliding_a_network_of_single_pictures_gives_the_windowed_rows(step: int, batch: int) -> None:
    backbone, _ = means()
    rng = np.random.default_rng(0)
    for frames in (1, 3, 16, 17, 50, 97):
        pictures = [rng.integers(0, 256, (2, 2, 3), dtype=np.uint8) for _ in range(frames)]
        params = section(ClipFeaturesParams, step_size=step, batch_size=batch)
        rows = np.concatenate(list(Slider(backbone, params).rows(completed(pictures, 16, step))))
        colours = np.stack([picture.mean((0, 1)) for picture in pictures]) / 255
        count = window_count(frames, 16, step)
        expected = [colours[np.minimum(r * step + np.arange(16), frames - 1)].mean(0) for r in range(count)]
        np.testing.assert_allclose(rows[:count], expected, atol=1e-6)


@pytest.mark.parametrize(("hop", "shifts"), [(1, (3,)), (2, (2,)), (4, (0, 4)), (8, (0,))])
def test_sliding_i3d_gives_the_positions_of_passes_shifted_by_frames(
    i3d: Backbone, hop: int, shifts: tuple[int, ...]
) -> None:
    assert isinstance(i3d.network, I3d)
    model, length = i3d.network.model, 128
    frames = torch.rand(1, 3, length, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        slid = SlidingI3d(model, hop)(frames)[0]
        assert slid.shape == ((length - 8) // hop + 1, 1024)
        for shift in shifts:
            passed = frames[:, :, shift : shift + (length - shift) // 8 * 8]
            plain = model.maps(passed).mean((3, 4))[0].T
            # a position sees 44 frames before and 47 after its own 8: none of them padding
            inner = [p for p in range(len(plain)) if 8 * p >= 44 and 8 * p + 55 <= passed.shape[2] - 8]
            assert inner
            ours = slid[[(8 * p + shift) // hop for p in inner]]
            np.testing.assert_allclose(ours, plain[inner], rtol=1e-4, atol=1e-4 * float(plain.max()))


def test_where_blocks_fall_does_not_change_a_long_clip(i3d: Backbone) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(200)]
    rows = []
    for batch in (1, 30):  # blocks of 120 frames, and the whole clip
        params = section(ClipFeaturesParams, step_size=4, batch_size=batch)
        rows.append(np.concatenate(list(Slider(i3d, params).rows(completed(pictures, 16, 4))))[:47])
    assert rows[0].shape == (47, 1024)
    np.testing.assert_allclose(*rows, rtol=1e-3, atol=1e-4 * np.abs(rows[1]).max())


def test_dense_has_the_rows_of_windowed_and_says_so(
    videos: dict[str, Path], shards: FeatureShards, tmp_path: Path
) -> None:
    dense = run(write_list(tmp_path / "0.csv", videos), tmp_path, mode="dense")
    assert (dense.index["mode"] == "dense").all()
    same = ["clip_id", "offset", "length", "status"]
    pd.testing.assert_frame_equal(dense.index[same], shards.index[same])
    for clip_id in videos:
        assert (
            np.isfinite(dense.clip(clip_id)).all() and dense.clip(clip_id).shape == shards.clip(clip_id).shape
        )


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("mode", ["windowed", "dense"])
def test_an_unreadable_clip_becomes_a_row_of_the_index_and_the_others_stay_as_they_are(
    videos: dict[str, Path], tmp_path: Path, mode: str
) -> None:
    whole, garbage = write_video(tmp_path / "whole.mp4", 40), tmp_path / "garbage.mp4"
    garbage.write_bytes(b"no video")
    broken = tmp_path / "broken"
    broken.mkdir()
    for number, frame in enumerate(read_frames(whole)):
        cv2.imwrite(str(broken / f"{number:03d}.png"), frame.image)
    (broken / "037.png").write_bytes(b"no picture")
    clips = {
        "a": videos["a"],
        "garbage": garbage,
        "broken": broken,
        "missing": tmp_path / "no.mp4",
        "c": videos["c"],
    }
    found = run(write_list(tmp_path / "0.csv", clips), tmp_path / "all", mode=mode)
    index = found.index.set_index("clip_id")
    assert list(index.index) == list(clips)
    for clip_id in ("garbage", "broken", "missing"):
        row = index.loc[clip_id]
        assert (row["length"], row["status"], row["reason"]) == (0, "rejected", "unreadable")
        assert row["detail"] and not len(row["frame_index"])
    assert "037.png" in index.loc["broken", "detail"]
    good = {name: videos[name] for name in ("a", "c")}
    alone = run(write_list(tmp_path / "1.csv", good), tmp_path / "good", mode=mode)
    for clip_id in good:
        assert alone.clip(clip_id).tobytes() == found.clip(clip_id).tobytes()


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("mode", ["windowed", "dense"])
def test_a_run_that_is_killed_goes_on_and_gives_the_same_bytes(
    videos: dict[str, Path],
    tmp_path: Path,
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shard = write_list(tmp_path / "0.csv", videos)
    run(shard, tmp_path / "through", mode=mode)
    folder = tmp_path / "killed"
    folder.mkdir()
    calls = 0
    features = Backbone._features

    def die(self: Backbone, frames: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return features(self, frames)

    with monkeypatch.context() as patch:
        patch.setattr(Backbone, "_features", die)
        with pytest.raises(KeyboardInterrupt):
            clip_features.main(arguments(shard, folder, mode=mode))
    finished = len(list(folder.rglob("*.json")))
    assert 1 <= finished < len(videos) and not (folder / "0.npy").exists()
    capsys.readouterr()
    run(shard, folder, mode=mode)
    assert f"{finished} clips are already finished" in capsys.readouterr().err
    for name in ("0.npy", "0.parquet"):
        assert (folder / name).read_bytes() == (tmp_path / "through" / name).read_bytes()
    assert not any((folder / "scratch").rglob("*.f32"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mode": "dense", "stack_size": 12}, "clip_features.stack_size 12: mode dense takes multiples of 8"),
        (
            {"mode": "dense", "step_size": 3},
            "clip_features.step_size 3: mode dense takes multiples and divisors of 8",
        ),
        (
            {"crop": 40},
            "clip_features.crop 40 is larger than clip_features.resize 34; lower crop or raise resize",
        ),
    ],
)
def test_parameters_that_cannot_be_are_an_error_of_one_line(
    params: dict[str, object],
    message: str,
    videos: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shard = write_list(tmp_path / "0.csv", videos)
    assert clip_features.main(arguments(shard, tmp_path, **params)) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_network_that_cannot_slide_says_so() -> None:
    backbone, _ = means()
    still = replace(backbone, spec=replace(backbone.spec, stride=None))
    with pytest.raises(
        SignloomError, match=r"clip_features.mode dense: s3d cannot slide over a clip; use windowed"
    ):
        Slider(still, section(ClipFeaturesParams, backbone="s3d", mode="dense"))


def test_a_shard_without_clips_is_a_valid_shard(tmp_path: Path) -> None:
    empty = run(write_list(tmp_path / "0.csv", {}), tmp_path)
    full = np.load(tmp_path / "0.npy")
    assert full.shape == (0, 1024) and full.dtype == np.float32 and empty.index.empty


MEASURE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from typing import Any
import torch
from signloom.features.backbones.backbone import Backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.features.clip.clip_features import extract
from signloom.features.partial_shard import clip_tasks
from signloom.params.clips import ClipFeaturesParams
from tests.demo_params import section

class Means(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.avg_pool1d(x.mean((3, 4)), 8).transpose(1, 2)

folder = Path(sys.argv[1])
torch.set_num_threads(1)
backbone = Backbone(replace(BACKBONES["i3d"], dim=3), Means(), "random", "", torch.device("cpu"), "fp32")
for name in ("short", "long"):
    clips = [{"clip_id": name, "video_path": folder / name, "start_s": None, "end_s": None}]
    for mode in ("windowed", "dense"):
        (folder / mode).mkdir(exist_ok=True)
        params = section(ClipFeaturesParams, mode=mode, resize=64, crop=64, step_size=16)
        extract(clip_tasks(clips, folder / mode), backbone, params, "clip_features")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_ten_thousand_frames_take_the_memory_of_three_hundred(tmp_path: Path, root: Path) -> None:
    # a network that costs nothing, and one picture under many names: what is measured is everything else
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    for name, frames in (("short", 300), ("long", 10_000)):
        (tmp_path / name).mkdir()
        for number in range(frames):
            (tmp_path / name / f"{number:05d}.png").hardlink_to(tmp_path / "picture.png")
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    short, long = map(int, done.stdout.split())
    for mode in ("windowed", "dense"):
        lengths = [json.loads(path.read_text())["length"] for path in (tmp_path / mode).glob("*.json")]
        assert sorted(lengths) == [19, 625]
    assert long <= 1.1 * short
