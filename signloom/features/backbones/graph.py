"""Write a network as a file of OpenVINO, for windows of one shape; `compiled` runs it."""

import os
import secrets
import shutil
import warnings
from pathlib import Path

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from signloom.features.backbones.backbone import Backbone
from signloom.features.backbones.graph_files import DIGEST_FILE, GRAPH_FILES
from signloom.files import hash_files


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


def write_graph(backbone: Backbone, shape: tuple[int, int, int, int], folder: Path) -> None:
    """Write `backbone` in fp32 for windows of `shape` (N, T, H, W) to the new `folder`, with a digest.

    A folder that another process wrote meanwhile is left as it is. Raises SignloomError if the network does
    not accept `shape`.
    """
    example = torch.zeros(shape[0], 3, *shape[1:])
    backbone.check(example.shape)
    # jobs in containers and on other machines may have the same process id
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.part")
    part.mkdir(parents=True)
    try:
        files = [part / name for name in GRAPH_FILES]
        openvino.save_model(_converted(Prepared(backbone), example), files[0], compress_to_fp16=False)
        (part / DIGEST_FILE).write_text(hash_files(files), "utf-8")
        for file in part.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _converted(network: nn.Module, example: Tensor) -> openvino.Model:
    """Return `network` for inputs of the same shape as `example`."""
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
    return frontend.convert(model)
