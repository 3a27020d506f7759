"""Frames of a camera, as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np

from signloom.errors import SignloomError
from signloom.video.decode import Frame


def camera_frames(source: int | str) -> Iterator[Frame]:
    """Yield the pictures of a camera, by its number or address, until it gives no more.

    Times are those at which a picture was to be had, in seconds from the first. Raises SignloomError where
    the camera cannot be opened.
    """
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise SignloomError(
                f"camera {source} cannot be opened; is one connected, and may you read /dev/video{source}?"
            )
        # a picture that waited is a late answer
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
