"""Write ONNX and TorchScript files: equal networks give equal bytes, whichever machine writes them."""

import io
import logging
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxscript import optimizer
from torch import Tensor, nn

from signloom.export.package import write_zip

OPSET = 20  # the first with GELU as one operator
# a counter of earlier traces in this process, which is not a property of the network
_COUNTED = re.compile(rb"[./]?___torch_mangle_\d+")


class Port(NamedTuple):
    """A named input or output; an axis of variable length has a name instead of a number."""

    name: str
    axes: tuple[str | int, ...]


def to_onnx(
    network: nn.Module, examples: Sequence[Tensor], inputs: Sequence[Port], outputs: Sequence[Port]
) -> bytes:
    """Return the checked ONNX file of `network`; `examples` have length 2 or more on every variable axis."""
    free = [
        {place: torch.export.Dim.DYNAMIC for place, axis in enumerate(port.axes) if isinstance(axis, str)}
        for port in inputs
    ]
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(examples),
            dynamo=True,
            opset_version=OPSET,
            input_names=[port.name for port in inputs],
            output_names=[port.name for port in outputs],
            dynamic_shapes=tuple(free),
            # the exporter's optimisation treats a constant of 1e-8 as 0 and drops it
            optimize=False,
            verbose=False,
        )
    assert program is not None
    # store weights already transposed, so that quantisation finds them
    optimizer.fold_constants(
        program.model, should_fold=lambda node: True if node.op_type == "Transpose" else None
    )
    optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    for values, ports in ((model.graph.input, inputs), (model.graph.output, outputs)):
        for value, port in zip(values, ports, strict=True):
            _set_axes(value, port)
    return _clean(model)


def to_int8(model: bytes) -> bytes:
    """Return the ONNX file `model` with the weights of its matrix products in 8 bits.

    Activations are quantised at run time. One bit of the weights stays unused, because processors without
    VNNI add products in 16 bits and would overflow. Weights are unsigned, because ONNX Runtime before 1.24
    has no convolution with signed ones.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            onnx.load_from_string(model),
            path,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QUInt8,
        )
        return _clean(onnx.load(path))


def to_torchscript(network: nn.Module, examples: Sequence[Tensor]) -> bytes:
    """Return the TorchScript file of `network`, for C++ programs and phones.

    It has no source positions and no process counters.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing is deprecated, and sizes are traced as constants
        traced = torch.jit.trace(network, tuple(examples), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(torch.jit.freeze(traced), buffer)
    kept: dict[str, bytes | Path] = {}
    with zipfile.ZipFile(buffer) as file:
        for name in file.namelist():
            if name.endswith((".debug_pkl", ".data/serialization_id")):
                continue  # these hold paths of source files, and a hash over files that are dropped here
            content = file.read(name)
            if name.endswith((".py", "/data.pkl")):
                content = _COUNTED.sub(b"", content)
            kept[_COUNTED.sub(b"", name.encode()).decode()] = content
    clean = io.BytesIO()
    write_zip(clean, kept)
    return clean.getvalue()


def _set_axes(value: onnx.ValueInfoProto, port: Port) -> None:
    """Give the axes of an input or output the names and lengths of `port`."""
    del value.type.tensor_type.shape.dim[:]
    for axis in port.axes:
        dim = value.type.tensor_type.shape.dim.add()
        if isinstance(axis, str):
            dim.dim_param = axis
        else:
            dim.dim_value = axis


def _clean(model: onnx.ModelProto) -> bytes:
    """Return the bytes of `model` without source file names, versions and intermediate shapes."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    model.producer_name, model.producer_version = "signloom", ""
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice to its developers out of the log; errors are still raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
