"""Warn before the first job about number formats that this machine would emulate."""

from collections.abc import Iterable
from typing import Any

from signloom.params.schema import Params

_CLIPS = ("clip_features.precision", "convolution")
# the precision parameter of a rule, and its main work
_PRECISIONS: dict[str, tuple[str, Any]] = {
    "clip_features": _CLIPS,
    "clip_features_augmented": _CLIPS,
    "train_sign2text": ("sign2text.precision", "product"),
    "train_gloss": ("train_gloss.precision", "product"),
}


def emulation_warnings(params: Params, rules: Iterable[str]) -> list[str]:
    """Return a warning for each precision of `params` that jobs of `rules` would emulate on this machine."""
    asked = {}
    for rule in {name.removeprefix("side_") for name in rules} & set(_PRECISIONS):
        key, work = _PRECISIONS[rule]
        section, _, name = key.partition(".")
        asked[key, getattr(getattr(params, section), name)] = work
    half = [(key, precision, work) for (key, precision), work in sorted(asked.items()) if precision != "fp32"]
    if not half:
        return []
    # imports PyTorch, which is slow
    from signloom.precision import emulation_warning

    return [line for key, precision, work in half if (line := emulation_warning(key, precision, work))]
