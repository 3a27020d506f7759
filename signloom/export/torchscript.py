"""Export the encoder as TorchScript, for C++ programs and phones."""

import io
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from signloom.export.archive import write_zip

# a counter of earlier traces in this process, which is not a property of the network
_COUNTED = re.compile(rb"[./]?___torch_mangle_\d+")


def to_torchscript(network: nn.Module, examples: Sequence[Tensor]) -> bytes:
    """Return the TorchScript file of `network`, without source positions and process counters."""
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
