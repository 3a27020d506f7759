"""Run models with LiteRT, on one thread each."""

import cv2
import numpy as np
from numpy.typing import NDArray

_ROWS = 7


class Network:
    """One model, which sees pixels as numbers from `low` to 1."""

    def __init__(self, content: bytes, low: float = 0.0) -> None:
        # a slow import, so only a process that tracks should do it
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        scale = float(np.float32((1 - low) / 255))
        self._levels = (np.arange(256) * scale + low).astype(np.float32)

    def see(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the outputs for a picture (side, side, 3), in the order of the model."""
        # straight into the interpreter's memory, which must not be held when it runs
        cv2.LUT(picture, self._levels, dst=self._interpreter.tensor(self._input)()[0])
        return self._run()

    def __call__(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the outputs for an input of the model's shape, in the order of the model."""
        self._interpreter.set_tensor(self._input, values)
        return self._run()

    def _run(self) -> list[NDArray[np.float32]]:
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def mean_of_places(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means (1, C) of values (1, 7, 7, C), summed in the order of MediaPipe's wheel."""
    count = values.shape[1] * values.shape[2]
    rows = values.reshape(count // _ROWS, _ROWS, -1)
    first = rows[0]
    total = ((first[0] + first[1]) + first[6]) + ((first[2] + first[3]) + (first[4] + first[5]))
    for row in rows[1:]:
        total = ((row[0] + row[1]) + (row[2] + row[3])) + ((row[4] + row[5]) + (row[6] + total))
    means: NDArray[np.float32] = total[None] * np.float32(1 / count)
    return means
