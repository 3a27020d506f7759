"""Check for packages that a command needs beyond the bare install."""

from importlib.util import find_spec

from signloom.errors import SignloomError

# the modules of the extra `video`
VIDEO = (
    *("mediapipe", "ai_edge_litert", "flatbuffers", "av", "cv2", "scipy"),
    *("pydantic", "pandas", "matplotlib", "tqdm", "pympi", "pysubs2"),
)
# the modules of the extra `train` that score predictions and draw the page
SCORES = ("pandas", "pydantic", "jiwer", "sacrebleu", "jinja2", "yaml", "matplotlib")
# the modules of the extra `train` that read and write landmarks
POINTS = ("pose_format", "pandas", "pyarrow", "scipy", "av", "cv2", "pydantic", "tqdm")


def need_points(command: str) -> None:
    """Raise SignloomError if a package that reads or writes landmarks is not installed."""
    _need(command, "landmarks", POINTS, "train")


# the modules of the extra `train` that make features of recorded rows
ROWS = ("pandas", "pyarrow", "pydantic", "tqdm")


def need_rows(command: str) -> None:
    """Raise SignloomError if a package that makes features of recorded rows is not installed."""
    _need(command, "recorded rows", ROWS, "train")


# the modules of the extras `video` and `train` that read corpora and presets
CORPORA = ("av", "numpy", "pandas", "pydantic", "pympi", "pysubs2", "yaml")


def need_corpora(command: str) -> None:
    """Raise SignloomError if a package that reads annotations or presets is not installed."""
    _need(command, "corpora", CORPORA, "train")


def need_scores(command: str) -> None:
    """Raise SignloomError if a package that scores predictions is not installed."""
    _need(command, "scores", SCORES, "train")


def need_video(command: str) -> None:
    """Raise SignloomError if a package that reads or tracks videos is not installed."""
    _need(command, "videos", VIDEO, "video")
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        # pip may replace ours with the OpenCV that MediaPipe requires, which needs desktop libraries
        raise SignloomError(
            f"{command}: OpenCV cannot be loaded ({error}); "
            "run pip install --force-reinstall --no-deps opencv-python-headless"
        ) from error


def _need(command: str, what: str, modules: tuple[str, ...], extra: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise SignloomError(
            f"{command}: {what} need packages that are not installed ({', '.join(missing)}); "
            f'run pip install ".[{extra}]" in a clone of Signloom'
        )
