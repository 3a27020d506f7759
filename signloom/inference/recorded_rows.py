"""Clips of rows as a device recorded them, made into the features of a bundle that was trained on points."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.imported import Rows, source_of
from signloom.features.signer_stats import Moments
from signloom.inference.networks import Clip
from signloom.params.features import PositionsParams

Array = NDArray[np.float64]
Reader = Callable[[Path], Clip]
# so many clips' worth of a training signer's statistics are mixed in, as one clip alone says little
_PRIOR = 10


def recorded_rows(config: Mapping[str, Any], paths: Sequence[Path]) -> Reader:
    """Return how a file of recorded rows (T, columns) becomes features (T, D) and mask (T, 4).

    `config` is the bundle's model_config.json. If it standardises by signer, all of `paths` are taken for
    clips of one, and their mean and deviation are used, with ten clips' worth of a training signer's. The
    reader raises SignloomError for a file that is no clip.
    """
    source = source_of(PositionsParams(**config["positions"]))

    def load(path: Path) -> Rows:
        rows = source.load(path)
        if not rows.present.any():
            raise SignloomError(f"every value of {len(rows.frames)} rows is 0 or missing")
        return rows

    if config["signer"] is None:
        return lambda path: _clip(load(path))
    moments = Moments()
    for path in paths:
        with suppress(SignloomError):  # the reader says what is wrong with it
            moments.add(load(path).features)
    mean, std = _signer(moments, *(np.array(config["signer"][name]) for name in ("mean", "std")))
    print(f"note: all files are taken for clips of one signer ({len(moments.means)} read)", file=sys.stderr)

    def read(path: Path) -> Clip:
        features, mask = _clip(load(path))
        return np.asarray((features - mean) / std, np.float32), mask

    return read


def _signer(moments: Moments, mean: Array, std: Array) -> tuple[Array, Array]:
    """Return mean and deviation (D,) of a signer's clips and of clips by a training signer together."""
    clips = len(moments.means)
    if not clips:
        return mean, std
    own_mean, own_variance = moments.result()
    # a column without a value says nothing about this signer
    own_mean = np.where(np.isnan(own_mean), mean, own_mean)
    own_variance = np.where(np.isnan(own_variance), std**2, own_variance)
    share = clips / (clips + _PRIOR)
    both = share * own_mean + (1 - share) * mean
    variance = share * (own_variance + (own_mean - both) ** 2)
    variance += (1 - share) * (std**2 + (mean - both) ** 2)
    return both, np.sqrt(variance)


def _clip(rows: Rows) -> Clip:
    return rows.features, rows.present.astype(np.int8)
