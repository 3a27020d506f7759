"""Command line that answers clips of features from a bundle.

    python sign_encoder_bundle.zip CLIP.npz [CLIP.npy ...] [--json]

A .npz file has `features` (frames, 540), `mask` (frames, 4: pose, left hand, right hand, face) and optionally
`motion_mean` in shoulder widths a second. A .npy file has features alone, NaN or 0 where a part is missing. A
bundle that was trained on given rows has their number of columns in place of 540.
"""

import argparse
import math
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.console import json_line, run_program
from signloom.errors import SignloomError
from signloom.inference.answer_text import clip_table
from signloom.inference.engine import SignEngine
from signloom.inference.networks import Clip
from signloom.processors import usable_cores

_UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, IndexError, KeyError),
    # of a damaged or locked file; NumPy reads the header of an array as Python
    *(zipfile.BadZipFile, zlib.error, MemoryError, RuntimeError, tokenize.TokenError),
)


def main(bundle: Path, argv: list[str] | None = None) -> int:
    """Answer the clips that `argv` names from `bundle`; return the exit code."""
    # a program that is started owns its standard streams; one that calls `main` keeps its own
    return run_program(lambda: _run(bundle, None)) if argv is None else _run(bundle, argv)


def _run(bundle: Path, argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python {bundle.name}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--json", action="store_true", help="print one JSON object per clip")
    parser.add_argument("--int8", action="store_true", help="use the smaller and faster encoder")
    parser.add_argument("--rerank", action="store_true", help="re-rank sentences by time warping")
    parser.add_argument("--no-decode", action="store_true", help="skip the decoded sentence and glosses")
    parser.add_argument("--threads", type=_threads, default=1, metavar="N")
    args = parser.parse_args(argv)
    try:
        engine = load_engine(bundle, threads=args.threads, int8=args.int8)
    except SignloomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        return _answer(engine, args)
    except BrokenPipeError:
        raise
    except OSError as error:  # of a full disk
        print(f"error: the answer cannot be written: {error.strerror}", file=sys.stderr)
        return 2


def _answer(engine: SignEngine, args: argparse.Namespace) -> int:
    return answer_files(engine, args.clips, as_json=args.json, rerank=args.rerank, decode=not args.no_decode)


def _threads(text: str) -> int:
    most = usable_cores()
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"expected 1 to {most}, the processors for it, found {text!r}")
    return int(text)


def load_engine(bundle: Path, *, threads: int = 1, int8: bool = False, top: int | None = None) -> SignEngine:
    """Return the engine of a bundle; answers list `top` sentences (None: the bundle's own number)."""
    engine = SignEngine.load(bundle, threads=threads, int8=int8)
    engine.listed = top
    return engine


def answer_files(
    engine: SignEngine,
    paths: Sequence[Path],
    *,
    as_json: bool,
    rerank: bool,
    decode: bool = True,
    recorded: Callable[[Path], Clip] | None = None,
) -> int:
    """Print the answers to files of features; return the exit code, 2 if one of them cannot be used.

    `recorded` reads the files but for .npz, if they hold rows of which features have to be made.
    """
    parts = engine.config["features"]["parts"]
    failed = False
    for number, path in enumerate(paths, 1):
        try:
            if recorded and path.suffix.lower() != ".npz":
                clip, motion_mean = recorded(path), None
            else:
                clip, motion_mean = read_clip(path, parts)
            answer = engine.answer(*clip, motion_mean, rerank=rerank, decode=decode)
        except SignloomError as error:
            print(f"error: {path}: {error}", file=sys.stderr)
            failed = True
            continue
        if as_json:
            print(json_line({"clip": str(path), **answer.to_dict()}), flush=True)
        else:
            print(clip_table(str(path), answer), end="\n\n" if number < len(paths) else "\n", flush=True)
    return 2 if failed else 0


def read_clip(path: Path, parts: dict[str, list[int]]) -> tuple[Clip, float | None]:
    """Return features with mask, and motion_mean or None; `parts` maps a part to its first and end column.

    Raises SignloomError if the file has another format.
    """
    if not path.exists():
        raise SignloomError("file does not exist")
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            content = {"features": content}
        features = np.asarray(content["features"], np.float32)
        _refuse_single_nan(features, parts)
        mask = presence(features, parts)
        if "mask" in content:
            mask *= given_mask(content["mask"], mask.shape)
        motion = float(content["motion_mean"]) if "motion_mean" in content else None
        motion = motion if motion is not None and math.isfinite(motion) else None
    except _UNREADABLE as error:
        raise SignloomError(
            f"not a clip ({error}); expected .npz with features and mask, or .npy with features"
        ) from error
    return (features, mask), motion


def given_mask(mask: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Return the mask of a file, 0 or 1; raises ValueError for other values or another shape."""
    if mask.shape != shape:
        raise ValueError(f"the mask has the shape {mask.shape}, expected {shape}")
    if not np.isin(mask, (0, 1)).all():
        raise ValueError("the mask has other values than 0 and 1")
    return mask.astype(np.int8)


def _refuse_single_nan(features: npt.NDArray[np.floating], parts: dict[str, list[int]]) -> None:
    """Raise ValueError for a row that misses some numbers if rows are no landmarks, as `Source.load` does."""
    if features.ndim != 2 or [0, features.shape[1]] not in parts.values():
        return
    missing = np.isnan(features).sum(axis=1)
    if (some := np.flatnonzero((missing > 0) & (missing < features.shape[1]))).size:
        row = some[0]
        raise ValueError(f"row {row} has {missing[row]} NaN among {features.shape[1]} values")


def presence(features: npt.NDArray[np.floating], parts: dict[str, list[int]]) -> npt.NDArray[np.int8]:
    """Return the mask (T, 4) of `features` (T, D), as stage import_features does.

    A part of the body is missing if all of it is 0 or any of it is NaN. Rows that are no landmarks are one
    part, which is missing if all of it is 0 or NaN.
    """
    found = [features[:, first:end] for first, end in parts.values()]
    there = [(np.nan_to_num(part) != 0).any(axis=1) for part in found]
    if found[0].shape[1] < features.shape[1]:
        there = [some & ~np.isnan(part).any(axis=1) for some, part in zip(there, found, strict=True)]
    return np.stack(there, axis=1).astype(np.int8)
