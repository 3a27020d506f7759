"""What a command needs beyond the bare package."""

from __future__ import annotations

from importlib.util import find_spec

from signloom.errors import SignloomError

# the modules of the extra `video`
VIDEO = ("mediapipe", "av", "cv2", "scipy", "pydantic", "pandas", "matplotlib", "tqdm")


def need_video(command: str) -> None:
    """Raise SignloomError where a package that reads and tracks videos is not installed."""
    missing = [name for name in VIDEO if find_spec(name) is None]
    if missing:
        raise SignloomError(
            f"{command}: videos need packages that are not installed ({', '.join(missing)}): "
            'pip install "signloom[video]"'
        )
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        # the one that MediaPipe's package asks for needs a desktop's libraries, and pip may put it over ours
        raise SignloomError(
            f"{command}: OpenCV cannot be loaded ({error}): "
            "pip install --force-reinstall --no-deps opencv-python-headless"
        ) from error
