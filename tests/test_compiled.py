"""Networks compiled by OpenVINO: the rows of PyTorch, whatever the network and the place in the batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_backbones import SMALL, clip, load

from signloom.errors import SignloomError
from signloom.features.backbones.compiled import fast_rows
from signloom.features.backbones.registry import BACKBONES

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.mark.parametrize("name", list(BACKBONES))
def test_a_compiled_network_gives_the_rows_of_pytorch(name: str) -> None:
    frames, side = SMALL[name]
    backbone = load(name)
    windows = clip(2, 3, frames, side, side)
    plain = backbone.rows(windows)
    rows = fast_rows(backbone, (2, frames, side, side))(windows)
    assert rows.dtype == torch.float32 and rows.shape == plain.shape
    torch.testing.assert_close(rows, plain, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))
    assert torch.cosine_similarity(rows, plain).min() > 0.99999


def test_i3d_at_the_size_of_the_demo_is_the_same_compiled_with_its_real_weights() -> None:
    backbone = load("i3d", weights="pretrained", crop=112, stack_size=16)
    windows = clip(2, 3, 16, 112, 112)
    plain = backbone.rows(windows)
    torch.testing.assert_close(fast_rows(backbone, (2, 16, 112, 112))(windows), plain, rtol=1e-4, atol=1e-4)


def test_a_row_depends_neither_on_its_place_in_the_batch_nor_on_the_rows_before_it() -> None:
    compiled = fast_rows(load("i3d"), (3, 9, 32, 32))
    windows = clip(3, 3, 9, 32, 32)
    rows = compiled(windows).numpy()
    turned = compiled(windows[[2, 0, 1]].contiguous()).numpy()
    np.testing.assert_array_equal(turned, rows[[2, 0, 1]])
    np.testing.assert_array_equal(compiled(windows).numpy(), rows)


def test_another_process_gives_the_same_bytes(root: Path) -> None:
    script = (
        "import hashlib\n"
        "import torch\n"
        "from signloom.features.backbones.compiled import fast_rows\n"
        "from signloom.features.backbones.backbone import load_backbone\n"
        "from signloom.params.clips import ClipFeaturesParams\n"
        "from tests.demo_params import section\n"
        "backbone = load_backbone(section(ClipFeaturesParams, weights='random'))\n"
        "windows = torch.rand(2, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0))\n"
        "rows = fast_rows(backbone, (2, 9, 32, 32))(windows)\n"
        "print(hashlib.sha256(rows.numpy().tobytes()).hexdigest())\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(told) == 1


def test_half_precision_stays_with_pytorch() -> None:
    backbone = load("i3d", precision="bf16")
    assert fast_rows(backbone, (1, 9, 32, 32)) == backbone.rows


def test_a_window_that_the_network_cannot_take_is_an_error_before_anything_is_compiled() -> None:
    with pytest.raises(SignloomError, match="i3d needs at least 9 frames, not 8"):
        fast_rows(load("i3d"), (1, 8, 32, 32))
