"""Networks compiled by OpenVINO: the rows of PyTorch, whatever the network, the place and the job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from demo_params import section
from small_backbones import SMALL, clip, load
from torch import Tensor

from signloom.errors import SignloomError
from signloom.features.backbones import compiled, graph
from signloom.features.backbones.backbone import Backbone, to_tensor
from signloom.features.backbones.compiled import CompiledNetwork, compiled_rows, open_network
from signloom.features.backbones.graph import write_graph
from signloom.features.backbones.registry import BACKBONES
from signloom.features.backbones.weights import find_weights
from signloom.params.clips import ClipFeaturesParams

pytestmark = pytest.mark.usefixtures("small_networks")


def compiled_of(backbone: Backbone, windows: Tensor, folder: Path) -> Tensor:
    """Return the rows of `windows` by the compiled `backbone`."""
    if not folder.exists():
        count, _, *shape = windows.shape
        write_graph(backbone, (count, shape[0], shape[1], shape[2]), folder)
    return torch.from_numpy(compiled_rows(folder)(windows.numpy()))


@pytest.mark.parametrize("name", list(BACKBONES))
def test_a_compiled_network_gives_the_rows_of_pytorch(name: str, tmp_path: Path) -> None:
    frames, side = SMALL[name]
    backbone = load(name)
    windows = clip(2, 3, frames, side, side)
    plain = backbone.rows(windows)
    rows = compiled_of(backbone, windows, tmp_path / "graph")
    assert rows.dtype == torch.float32 and rows.shape == plain.shape
    torch.testing.assert_close(rows, plain, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))
    assert torch.cosine_similarity(rows, plain).min() > 0.99999


def test_i3d_at_the_size_of_the_demo_is_the_same_compiled_with_its_real_weights(tmp_path: Path) -> None:
    backbone = load("i3d", weights="pretrained", crop=112, stack_size=16)
    windows = clip(2, 3, 16, 112, 112)
    rows = compiled_of(backbone, windows, tmp_path / "graph")
    torch.testing.assert_close(rows, backbone.rows(windows), rtol=1e-4, atol=1e-4)


def test_a_row_depends_neither_on_its_place_in_the_batch_nor_on_the_rows_before_it(tmp_path: Path) -> None:
    write_graph(load("i3d"), (3, 9, 32, 32), tmp_path / "graph")
    rows_of = compiled_rows(tmp_path / "graph")
    windows = clip(3, 3, 9, 32, 32).numpy()
    rows = rows_of(windows)
    np.testing.assert_array_equal(rows_of(np.ascontiguousarray(windows[[2, 0, 1]])), rows[[2, 0, 1]])
    np.testing.assert_array_equal(rows_of(windows), rows)


def test_pictures_become_the_same_numbers_in_both() -> None:
    shades = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1)
    windows = np.concatenate([shades, 255 - shades, shades[:, :, ::-1]], 4)
    seen = []
    network = CompiledNetwork(BACKBONES["i3d"], "random", lambda frames: seen.append(frames) or frames)
    network.of_windows(list(windows))
    np.testing.assert_array_equal(seen[0], to_tensor(list(windows), torch.device("cpu")).numpy())
    assert seen[0].flags.c_contiguous


SECOND_JOB = """
import hashlib, sys
from pathlib import Path
import numpy as np
from signloom.features.backbones.compiled import open_network
from signloom.params.clips import ClipFeaturesParams
from tests.demo_params import section

given = dict(weights="random", crop=32, resize=32, stack_size=9, batch_size=2)
network = open_network(section(ClipFeaturesParams, **given), Path(sys.argv[1]))
windows = np.random.default_rng(0).integers(0, 256, (2, 9, 32, 32, 3), dtype=np.uint8)
print(hashlib.sha256(network.of_windows(list(windows)).tobytes()).hexdigest(), "torch" in sys.modules)
"""


def test_the_next_job_gives_the_same_bytes_and_starts_without_pytorch(root: Path, tmp_path: Path) -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", SECOND_JOB, str(tmp_path / folder)],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for folder in ("here", "here", "elsewhere")
    ]
    assert len({digest for digest, _ in told}) == 1
    assert [loaded for _, loaded in told] == ["True", "False", "True"]
    assert len(list((tmp_path / "here").iterdir())) == 1


SMALLEST = {"weights": "random", "crop": 32, "resize": 32, "stack_size": 9, "batch_size": 1}


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"batch_size": 2}, {"crop": 48, "resize": 48}, {"stack_size": 10}]
)
def test_another_network_or_shape_is_another_file(
    tmp_path: Path, other: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(compiled, "_loaded", lambda *given: None)
    monkeypatch.setattr(graph, "write_graph", lambda backbone, shape, folder: written.append(folder))
    for given in (SMALLEST, SMALLEST | other, SMALLEST):
        params = section(ClipFeaturesParams, **given)
        compiled._converted(params, find_weights(BACKBONES["i3d"], "random", None), tmp_path)
    assert written[0] == written[2] != written[1]


def test_a_network_that_another_job_wrote_first_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    write_graph(load("i3d"), (1, 9, 32, 32), folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_graph(load("i3d"), (1, 9, 32, 32), folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_damaged_network_is_converted_again_and_a_killed_job_is_in_nobodys_way(tmp_path: Path) -> None:
    params = section(ClipFeaturesParams, **SMALLEST)
    window = [np.zeros((9, 32, 32, 3), np.uint8)]
    rows = open_network(params, tmp_path).of_windows(window)
    (folder,) = tmp_path.iterdir()
    for harm in (lambda file: file.write_bytes(file.read_bytes()[:-8]), Path.unlink):
        harm(folder / "network.bin")
        (tmp_path / f".{folder.name}.1.part").mkdir(exist_ok=True)
        np.testing.assert_array_equal(open_network(params, tmp_path).of_windows(window), rows)
        assert compiled.is_whole(folder)


def test_a_gpu_and_half_precision_stay_with_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = open_network(section(ClipFeaturesParams, **SMALLEST, precision="bf16"), tmp_path)
    assert isinstance(half, Backbone) and half.precision == "bf16"
    monkeypatch.setattr(compiled, "_has_gpu", lambda: True)
    assert isinstance(open_network(section(ClipFeaturesParams, **SMALLEST), tmp_path), Backbone)
    assert not any(tmp_path.iterdir())


def test_pytorch_agrees_whether_there_is_a_gpu() -> None:
    assert compiled._has_gpu() == torch.cuda.is_available()


def test_a_window_that_the_network_cannot_take_is_an_error_before_anything_is_compiled(
    tmp_path: Path,
) -> None:
    with pytest.raises(SignloomError, match="i3d needs at least 9 frames, not 8"):
        write_graph(load("i3d"), (1, 8, 32, 32), tmp_path / "graph")
    assert not any(tmp_path.iterdir())
