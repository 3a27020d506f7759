"""Run networks on the CPU with OpenVINO, which gives the same rows as PyTorch in less time.

OpenVINO was faster than PyTorch and ONNX Runtime in fp32, on CPUs with only AVX2 and on CPUs with AVX-512
(docs/design/clip-features.md). GPUs and bf16 use PyTorch. A network is kept as a file once it is converted:
the next job reads it in a tenth of a second, where PyTorch and the conversion take three.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

from signloom.features.backbones.graph_files import DIGEST_FILE, GRAPH_FILES
from signloom.features.backbones.registry import BACKBONES, BackboneSpec
from signloom.features.backbones.weights import Weights, find_weights
from signloom.files import hash_files
from signloom.params.clips import ClipFeaturesParams

if TYPE_CHECKING:
    import torch

    from signloom.features.backbones.backbone import Backbone

# float32 (N, 3, T, H, W) in 0 to 1, to float32 (N, dim)
Rows = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_SETTINGS = {
    # OpenVINO's default is bf16 on processors that support it, and fp16 on ARM
    "INFERENCE_PRECISION_HINT": "f32",
    # sums depend on the number of threads, and shards already run side by side
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    # pinned processes would all share the first core
    "ENABLE_CPU_PINNING": False,
}
# what a converted network depends on, besides this package
_LIBRARIES = ("torch", "openvino", "torchvision", "pytorchvideo", "transformers")
# without one of them PyTorch has no GPU to use: NVIDIA, AMD, Windows Subsystem for Linux
_GPU_DEVICES = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True)
class CompiledNetwork:
    """A network compiled for windows of one shape, with the name of its weights."""

    spec: BackboneSpec
    weights_name: str
    rows: Rows
    device: str = "cpu"

    def of_windows(self, windows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float32]:
        """Return one row per window, float32 (N, dim); each of `windows` is T pictures (H, W, 3).

        Rows agree with PyTorch's to 1e-4 and do not depend on their place in the batch.
        """
        return self.rows(np.divide(np.stack(windows).transpose(0, 4, 1, 2, 3), np.float32(255), order="C"))


VideoNetwork = Union["Backbone", CompiledNetwork]


def open_network(params: ClipFeaturesParams, kept: Path) -> VideoNetwork:
    """Return the network that `params` names; `kept` is the folder of networks that are already converted.

    Raises SignloomError as `load_backbone` does.
    """
    if params.mode == "windowed" and params.precision == "fp32" and not _has_gpu():
        spec = BACKBONES[params.backbone]
        weights = find_weights(spec, params.weights, params.weights_sha256)
        return CompiledNetwork(spec, weights.name, compiled_rows(_converted(params, weights, kept)))
    return _loaded(params)


def _loaded(params: ClipFeaturesParams, device: "torch.device | None" = None) -> "Backbone":
    """Return the network in PyTorch, which then uses one thread; `device` is as for `load_backbone`."""
    import torch

    from signloom.features.backbones.backbone import load_backbone
    from signloom.precision import warn_if_emulated

    # sums depend on the number of threads, and shards run side by side
    torch.set_num_threads(1)
    warn_if_emulated("clip_features.precision", params.precision, "convolution")
    return load_backbone(params, device)


def _converted(params: ClipFeaturesParams, weights: Weights, kept: Path) -> Path:
    """Return the folder below `kept` with the network that `params` names, and write it if it is new."""
    shape = (params.batch_size, params.stack_size, params.crop, params.crop)
    seed = None if weights.sha256 else params.seed
    made_from = repr([params.backbone, weights.sha256, seed, shape, _versions()])
    folder = kept / f"{params.backbone}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    was_there = folder.is_dir()
    if not is_whole(folder):
        import torch

        from signloom.features.backbones.graph import write_graph

        if was_there:  # damaged; one that another job has written meanwhile stays
            shutil.rmtree(folder, ignore_errors=True)
        write_graph(_loaded(params, torch.device("cpu")), shape, folder)
    return folder


def is_whole(graph: Path) -> bool:
    """Return whether the folder `graph` holds a network as it was written."""
    files = [graph / name for name in GRAPH_FILES]
    try:
        return hash_files(files) == (graph / DIGEST_FILE).read_text("utf-8")
    except OSError:
        return False


def compiled_rows(graph: Path) -> Rows:
    """Return the rows of the network that `write_graph` wrote to the folder `graph`."""
    import openvino  # takes a tenth of a second, and a shard without new clips does not need it

    network = openvino.Core().compile_model(graph / GRAPH_FILES[0], "CPU", _SETTINGS)
    request = network.create_infer_request()

    def rows(frames: NDArray[np.float32]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = request.infer([frames], share_inputs=True)[0]
        # a new array: the request overwrites its output with the next rows
        return np.asarray(features.mean(1), np.float32)

    return rows


def _versions() -> list[str]:
    """Return the versions of all code that a converted network depends on."""
    here = Path(__file__).parent.iterdir()
    found = [hash_files(sorted(file for file in here if file.suffix in (".py", ".yaml")))]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return found


def _has_gpu() -> bool:
    """Return whether PyTorch has a GPU; only PyTorch knows, and it is asked only where there may be one."""
    if sys.platform == "linux" and not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    import torch

    return torch.cuda.is_available()
