"""The optional networks' packages, which `make test` installs apart; and torchvision without its operators.

There is no build of torchvision's binary operators for every torch.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import torch

APART = Path(sys.prefix) / "backbones"

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# torch forgets the operators of a library that is collected
_KEPT: list[torch.library.Library] = []


def import_torchvision() -> bool:
    """Import torchvision and tell whether it is there; where its operators are missing, declare them."""
    if find_spec("torchvision") is None and str(APART) not in sys.path:
        sys.path.append(str(APART))
        importlib.invalidate_caches()
    if find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            library.define(schema)
        _KEPT.append(library)
        importlib.import_module("torchvision")
    return True
