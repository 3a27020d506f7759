"""Frames of a live camera."""

import time
from collections.abc import Iterator

import cv2
import numpy as np

from signloom.errors import SignloomError
from signloom.video.decode import Frame


def camera_frames(source: int | str) -> Iterator[Frame]:
    """Yield the pictures of a camera, given by its number or address, until it stops.

    A frame's time is when it was received, in seconds after the first. Raises SignloomError if the camera
    cannot be opened.
    """
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise SignloomError(
                f"camera {source} cannot be opened; check that it is connected and that you may read "
                f"/dev/video{source}"
            )
        # a picture that waits in the buffer makes the answer late
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        number, first_s = 0, 0.0
        while True:
            shown, image = capture.read()
            if not shown:
                return
            now_s = time.monotonic()
            first_s = first_s or now_s
            yield Frame(number, now_s - first_s, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
            number += 1
    finally:
        capture.release()
