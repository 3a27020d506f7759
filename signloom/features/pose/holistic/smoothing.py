"""Smooth landmarks from frame to frame: the One Euro filter and a low pass.

The filter is that of Casiez, Roussel and Vogel (CHI 2012). Values are single precision and steps between them
double, as in MediaPipe.
"""

import math

import numpy as np
from numpy.typing import NDArray

# MediaPipe's Python interface counts 33,333 microseconds from each frame to the next, whatever the video says
FREQUENCY = 1 / (33_333_000 * 1e-9)


class LowPass:
    """Gives a share `alpha` of each new value and the rest of its last result."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def __call__(
        self, new: NDArray[np.float32], alpha: np.float32 | NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the smoothed values; `alpha` is one number or one for each value."""
        if self._last is None:
            self._last = new
        else:
            rest = 1 - np.asarray(alpha, np.float64)
            self._last = (alpha * new + rest * self._last).astype(np.float32)
        return self._last


class OneEuro:
    """A low pass for each value that follows the faster, the faster the value moves."""

    def __init__(self, min_cutoff: float, beta: float, speed_cutoff: float = 1.0) -> None:
        """Cutoffs are in hertz, `beta` is their growth with speed."""
        self._min_cutoff, self._beta = float(np.float32(min_cutoff)), float(np.float32(beta))
        self._speed_alpha = np.float32(_alpha(np.array(speed_cutoff)))
        self._last: NDArray[np.float64] | None = None
        self._speed, self._value = LowPass(), LowPass()

    def __call__(self, new: NDArray[np.float32], scale: np.float32) -> NDArray[np.float32]:
        """Return the smoothed values of one frame, whose speeds are multiplied by `scale`."""
        wide = new.astype(np.float64)
        last = wide if self._last is None else self._last
        speed = (wide - last) * float(scale) * FREQUENCY
        self._last = wide
        smooth = self._speed(speed.astype(np.float32), self._speed_alpha).astype(np.float64)
        alpha = _alpha(self._min_cutoff + self._beta * np.abs(smooth))
        return self._value(new, alpha.astype(np.float32))


def _alpha(cutoff: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + FREQUENCY / (2 * math.pi * cutoff))
