"""Check for packages that a command needs beyond the bare install."""

from __future__ import annotations

from importlib.util import find_spec

from signloom.errors import SignloomError

# the modules of the extra `video`
VIDEO = ("mediapipe", "av", "cv2", "scipy", "pydantic", "pandas", "matplotlib", "tqdm")


def need_video(command: str) -> None:
    """Raise SignloomError if a package that reads or tracks videos is not installed."""
    missing = [name for name in VIDEO if find_spec(name) is None]
    if missing:
        raise SignloomError(
            f"{command}: videos need packages that are not installed ({', '.join(missing)}); "
            'run pip install "signloom[video]"'
        )
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        # pip may replace ours with the OpenCV that MediaPipe requires, which needs desktop libraries
        raise SignloomError(
            f"{command}: OpenCV cannot be loaded ({error}); "
            "run pip install --force-reinstall --no-deps opencv-python-headless"
        ) from error
