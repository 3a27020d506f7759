"""Compile networks for the CPU with OpenVINO, which gives the same rows as PyTorch in less time.

OpenVINO was faster than PyTorch and ONNX Runtime in fp32, on CPUs with only AVX2 and on CPUs with AVX-512
(docs/design/clip-features.md). GPUs and bf16 use PyTorch.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from signloom.features.backbones.backbone import Backbone
from signloom.features.backbones.video_networks import Network

Rows = Callable[[Tensor], Tensor]

_SETTINGS = {
    # OpenVINO's default is bf16 on processors that support it, and fp16 on ARM
    "INFERENCE_PRECISION_HINT": "f32",
    # sums depend on the number of threads, and shards already run side by side
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    # pinned processes would all share the first core
    "ENABLE_CPU_PINNING": False,
}


def fast_rows(backbone: Backbone, shape: tuple[int, int, int, int]) -> Rows:
    """Return a function that computes `backbone.rows` for windows of one `shape` (N, T, H, W).

    On a CPU in fp32 it is a network compiled for this shape. Its rows agree with PyTorch's to 1e-4 and do not
    depend on their place in the batch.
    """
    # a network from outside the registry may not be traceable
    traceable = isinstance(backbone.network, Network)
    if backbone.device.type != "cpu" or backbone.precision != "fp32" or not traceable:
        return backbone.rows
    backbone.check(torch.Size((shape[0], 3, *shape[1:])))
    request = _compile(Prepared(backbone), torch.zeros(shape[0], 3, *shape[1:])).create_infer_request()

    def rows(frames: Tensor) -> Tensor:
        # the request overwrites its output with the next rows
        features = request.infer([frames.numpy()], share_inputs=True)[0].copy()
        return torch.from_numpy(features).mean(1)

    return rows


class Prepared(nn.Module):
    """A network together with the normalisation of its pictures, as one graph."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network = backbone.network
        self.register_buffer("mean", torch.tensor(backbone.spec.mean).view(1, 3, 1, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.spec.std).view(1, 3, 1, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        features: Tensor = self.network((frames - self.mean) / self.std)
        return features.float()


def _compile(network: nn.Module, example: Tensor) -> Any:
    """Return `network` compiled for inputs of the same shape as `example`."""
    # a slow import that a GPU does not need
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        # the warnings say that a trace is valid for one shape only, which is enough here
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
    # openvino.convert_model does the same several times slower, and it sends telemetry
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(torch.jit.freeze(traced))  # must outlive the conversion
    model = frontend.load(decoder)
    entry = model.get_inputs()[0]
    model.set_element_type(entry, openvino.Type.f32)
    model.set_partial_shape(entry, openvino.PartialShape(list(example.shape)))
    return openvino.Core().compile_model(frontend.convert(model), "CPU", _SETTINGS)
