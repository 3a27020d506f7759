"""Compare PyTorch, ONNX Runtime and OpenVINO for video networks in fp32, by batch size and layout.

    python -m benchmarks.runtimes
    python -m benchmarks.runtimes --backbones i3d --side 112 --frames 16 --batches 1 2 8

It prints windows per second of processor time on one thread, the best of several runs in turns, and the
difference of the rows from PyTorch's. I3D has its real weights, the others have seeded random weights.
The start time covers tracing, conversion and compilation of the loaded network.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from benchmarks import processor
from benchmarks.i3d import library_pool
from signloom.errors import SignloomError
from signloom.export.network_files import OPSET
from signloom.features.backbones import i3d
from signloom.features.backbones.backbone import Backbone, load_backbone
from signloom.features.backbones.compiled import compiled_rows
from signloom.features.backbones.graph import Prepared, write_graph
from signloom.features.backbones.registry import BACKBONES
from signloom.params.load import load_params

Rows = Callable[[Tensor], Tensor]


def pytorch(backbone: Backbone, windows: Tensor) -> Rows:
    """Return the network in eager PyTorch."""
    return backbone.rows


def channels_last(backbone: Backbone, windows: Tensor) -> Rows:
    """Return the network in eager PyTorch with channels-last pictures and weights."""
    network = Prepared(backbone).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def rows(frames: Tensor) -> Tensor:
        with torch.inference_mode():
            features: Tensor = network(frames.contiguous(memory_format=torch.channels_last_3d))
            return features.mean(1)

    return rows


def onnx_runtime(backbone: Backbone, windows: Tensor) -> Rows:
    """Return the network in ONNX Runtime."""
    file = io.BytesIO()
    with torch.no_grad(), library_pooling(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = Prepared(backbone).eval()
        program = torch.onnx.export(
            network, (windows,), dynamo=True, opset_version=OPSET, input_names=["frames"], verbose=False
        )
        assert program is not None
        program.save(file)  # type: ignore[arg-type]  # it writes to open files too
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda frames: torch.from_numpy(session.run(None, {"frames": frames.numpy()})[0]).mean(1)


@contextmanager
def library_pooling() -> Iterator[None]:
    """Let I3D pool by PyTorch's own operator, which the exporter knows."""
    ours, i3d.max_pool = i3d.max_pool, library_pool
    try:
        yield
    finally:
        i3d.max_pool = ours


def openvino(backbone: Backbone, windows: Tensor) -> Rows:
    """Return the network in OpenVINO, as the stage runs it."""
    count, _, *shape = windows.shape
    with tempfile.TemporaryDirectory() as folder:
        write_graph(backbone, (count, shape[0], shape[1], shape[2]), Path(folder) / "network")
        rows = compiled_rows(Path(folder) / "network")
    return lambda frames: torch.from_numpy(rows(frames.numpy()))


RUNTIMES = {
    "PyTorch": pytorch,
    "PyTorch, channels last": channels_last,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
}


def measure(name: str, side: int, frames: int, batches: list[int], repeats: int) -> None:
    """Print a row of the table for every runtime and batch size of one network."""
    spec = BACKBONES[name]
    side, frames = spec.crop if spec.fixed_crop else side, max(frames, spec.min_frames)
    given = {"backbone": name, "crop": side, "resize": side, "stack_size": frames}
    weights = "pretrained" if name == "i3d" else "random"
    try:
        params = load_params(Path("params.yaml")).clip_features
        backbone = load_backbone(params.model_copy(update=given | {"weights": weights, "mode": "windowed"}))
    except SignloomError as error:
        print(f"{name} left out: {error}")
        return
    for batch in batches:
        windows = torch.rand(batch, 3, frames, side, side, generator=torch.Generator().manual_seed(0))
        ways, starts = {}, {}
        for runtime, make in RUNTIMES.items():
            if make is channels_last and name == "resnet18":
                continue  # its pictures have no time, and this layout needs it
            started = time.process_time()
            ways[runtime] = make(backbone, windows)
            starts[runtime] = time.process_time() - started
        rows = {runtime: way(windows).numpy() for runtime, way in ways.items()}
        seconds = dict.fromkeys(ways, float("inf"))
        for _ in range(repeats):
            for runtime, way in ways.items():
                started = time.process_time()
                way(windows)
                seconds[runtime] = min(seconds[runtime], time.process_time() - started)
        for runtime in ways:
            speed, ratio = batch / seconds[runtime], seconds["PyTorch"] / seconds[runtime]
            furthest = float(np.abs(rows[runtime] - rows["PyTorch"]).max())
            print(
                f"| {name}, {frames} x {side} | {batch} | {runtime} | {speed:.2f} | {ratio:.2f}x "
                f"| {starts[runtime]:.1f} s | {furthest:.0e} of {np.abs(rows['PyTorch']).max():.2f} |",
                flush=True,
            )


def main() -> None:
    """Measure and print rows of a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbones", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--side", type=int, default=112, help="pixels")
    parser.add_argument("--frames", type=int, default=16, help="of a window")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}; one thread, processor time\n")
    print("| network | windows at once | runtime | windows/s | against PyTorch | start | rows differ by |")
    print("|---|---|---|---|---|---|---|")
    for name in args.backbones:
        measure(name, args.side, args.frames, args.batches, args.repeats)


if __name__ == "__main__":
    main()
