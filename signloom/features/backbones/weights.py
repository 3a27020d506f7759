"""Find a backbone's weights: in an installed package, the user's cache, a download or a local file."""

import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetensors import SafetensorError

from signloom.errors import SignloomError
from signloom.features.backbones.download import download
from signloom.features.backbones.registry import BackboneSpec, wrong_digest
from signloom.files import atomic, file_sha256

if TYPE_CHECKING:
    from torch import Tensor


class Weights(NamedTuple):
    """The name of the weights in reports, the SHA-256 of their file, and what loads their tensors by name.

    To find weights takes no PyTorch, which loads for a second.
    """

    name: str
    sha256: str
    tensors: "Callable[[], dict[str, Tensor]]"


def cache_folder() -> Path:
    """Return the folder for fetched and converted weights, below XDG_CACHE_HOME or ~/.cache.

    Raises SignloomError if there is neither.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "signloom" / "weights"
    except RuntimeError as error:  # a container may run as a user who has no home
        raise SignloomError("this user has no home folder to keep weights in; set XDG_CACHE_HOME") from error


def find_weights(spec: BackboneSpec, weights: str, sha256: str | None) -> Weights:
    """Return the weights of `spec`: `random`, `pretrained`, or those of the local file `weights`.

    `sha256` overrides the registry's digest. Random weights have no digest and no tensors. Raises
    SignloomError if the file is missing, cannot be fetched, is not the expected one, or has no digest to
    check it against; `tensors` raises it if the package or the file is damaged.
    """
    if weights == "random":
        return Weights("random", "", dict)
    if said := wrong_digest(spec, weights, sha256):
        raise SignloomError(said)
    if weights != "pretrained":
        return _local(spec, Path(weights).expanduser(), sha256)
    if spec.weights.package:
        return Weights("pretrained", spec.weights.sha256, partial(_from_package, spec))
    expected = sha256 or spec.weights.sha256
    path = cache_folder() / spec.weights.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SignloomError(f"{spec.name}: weights cannot be kept: {error}; set XDG_CACHE_HOME") from error
    digest = download(spec.weights.url, path, expected)
    return Weights("pretrained", digest, partial(_from_torch, path))


def _local(spec: BackboneSpec, path: Path, sha256: str | None) -> Weights:
    if not path.is_file():
        raise SignloomError(
            f"clip_features.weights {path}: no such file; expected a file, pretrained or random"
        )
    digest = file_sha256(path)
    expected = sha256 or spec.weights.sha256
    if not expected or not digest.startswith(expected):
        against = f"not {expected}" if expected else f"and no digest of {spec.name} is known"
        raise SignloomError(
            f"clip_features.weights {path}: sha256 is {digest}, {against}; if this is the right file, set "
            "clip_features.weights_sha256 to that digest"
        )
    if spec.weights.package and digest == spec.weights.sha256:
        return Weights(path.name, digest, partial(_from_flax, path))
    return Weights(path.name, digest, partial(_from_torch, path))


def _from_torch(path: Path) -> "dict[str, Tensor]":
    from signloom.features.backbones.convert import read_torch

    return read_torch(path)


def _from_flax(path: Path) -> "dict[str, Tensor]":
    from signloom.features.backbones.convert import i3d_from_flax, read_arrays

    return i3d_from_flax(read_arrays(path))


def _from_package(spec: BackboneSpec) -> "dict[str, Tensor]":
    """Return the converted weights of a package, from the cache if its copy is intact."""
    from safetensors.torch import load_file, save_file

    from signloom.features.backbones.convert import tensors_digest

    source = spec.weights
    cached = cache_folder() / f"{spec.name}-{source.tensors_sha256[:16]}.safetensors"
    if cached.exists():
        try:
            tensors: dict[str, Tensor] = load_file(cached)
        except SafetensorError:
            tensors = {}  # damaged, so converted again below
        if tensors_digest(tensors) == source.tensors_sha256:
            return tensors
    path = packaged_file(spec)
    if (digest := file_sha256(path)) != source.sha256:
        raise SignloomError(
            f"{path}: sha256 is {digest}, expected {source.sha256}; install the package again"
        )
    tensors = _from_flax(path)
    if tensors_digest(tensors) != source.tensors_sha256:
        raise SignloomError(
            f"{path}: its converted tensors differ from those registered for {spec.name}; "
            "install the package again"
        )
    try:
        with atomic(cached) as part:
            save_file(tensors, part)
    except (OSError, SafetensorError) as error:
        print(
            f"warning: converted weights cannot be kept, so every job converts them again: {error}; "
            "set XDG_CACHE_HOME to a folder that can be written to",
            file=sys.stderr,
        )
    return tensors


def packaged_file(spec: BackboneSpec) -> Path:
    """Return the path of the weight file inside the installed package, without importing the package."""
    found = find_spec(spec.weights.package)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (path := Path(folder) / spec.weights.file).is_file():
            return path
    name = spec.weights.package.replace("_", "-")
    raise SignloomError(
        f"{spec.name}: the package {name} with {spec.weights.file} is missing; run make setup"
    )
