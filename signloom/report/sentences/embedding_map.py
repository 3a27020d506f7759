"""The map of clip embeddings in two dimensions."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from signloom.report.drawing import INK, LETTERS, MARKS, PAGE, SERIES, Picture, picture
from signloom.report.labels import LABELS

Floats = NDArray[np.float64]
_SPLITS = ("train", "val", "test")
_MOST_POINTS = 1500  # larger pictures are slow to open
_LABELS = "ABCDEF"


def project(embeddings: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return the first two principal components (N, 2) of `embeddings` (N, E), and their shares of variance.

    Eigenvectors of the covariance (Jolliffe, Principal Component Analysis, 2002, chapter 1). The sign of
    each makes its largest entry positive, so that equal clips give equal maps. Shares are 0 if nothing
    varies.
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(0, dtype=np.float64)
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, [-1, -2]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
    total = variances.sum()
    shares = variances[[-1, -2]] / total if total > 0 else np.zeros(2)
    return centred @ axes, shares


def spread_out(centres: Floats, count: int) -> list[int]:
    """Return rows of `centres` (S, 2) far apart: the outermost, then always the farthest from all chosen."""
    if not len(centres):
        return []
    chosen = [int(np.linalg.norm(centres, axis=1).argmax())]
    while len(chosen) < min(count, len(centres)):
        distance = np.linalg.norm(centres[:, None] - centres[chosen], axis=2).min(1)
        chosen.append(int(distance.argmax()))
    return chosen


def describe(embeddings: NDArray[np.floating], clips: pd.DataFrame) -> dict[str, Any] | None:
    """Return the template's values for the map of unit rows `embeddings` (N, E).

    `clips` has `split, sentence_id, sentence`, in the same order. `named` lists the letters of the picture as
    `letter, sentence, clips`; `share` is that of the variance. None with fewer than three clips.
    """
    if len(clips) < 3 or embeddings.shape[1] < 2:
        return None
    points, shares = project(embeddings)
    table = clips.reset_index(drop=True).assign(x=points[:, 0], y=points[:, 1])
    signed = table[table["sentence_id"] >= 0]
    sentences = signed.groupby(["sentence_id", "sentence"], sort=True, as_index=False).agg(
        x=("x", "mean"), y=("y", "mean"), size=("x", "size")
    )
    sentences = sentences[sentences["size"] > 1]
    chosen = spread_out(sentences[["x", "y"]].to_numpy(), len(_LABELS))
    named = [
        (letter, int(row["sentence_id"]), str(row["sentence"]), int(row["size"]))
        for letter, row in zip(_LABELS, sentences.iloc[chosen].to_dict("records"), strict=False)
    ]
    marked = {sentence_id: letter for letter, sentence_id, _, _ in named}
    wanted = table["sentence_id"].isin(list(marked)).to_numpy()
    lettered = _evenly(np.flatnonzero(wanted), max(_MOST_POINTS // 2, _MOST_POINTS - int((~wanted).sum())))
    rest = _evenly(np.flatnonzero(~wanted), _MOST_POINTS - len(lettered))
    shown = table.loc[np.union1d(lettered, rest)]
    return {
        "picture": _draw(shown, marked, shares),
        "named": [(letter, sentence, size) for letter, _, sentence, size in named],
        "share": float(shares.sum()),
        "dimensions": embeddings.shape[1],
        "drawn": len(shown),
        "clips": len(table),
    }


def _evenly(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most `most` of `rows`, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def _draw(clips: pd.DataFrame, marked: dict[int, str], shares: Floats) -> Picture:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for sentence_id in marked:
            part = clips[clips["sentence_id"] == sentence_id]
            for x, y in part[["x", "y"]].to_numpy():
                axes.plot([part["x"].mean(), x], [part["y"].mean(), y], color=INK, linewidth=0.8)
        for number, split in enumerate(_SPLITS):
            for signed in (True, False):
                part = clips[(clips["split"] == split) & ((clips["sentence_id"] >= 0) == signed)]
                if len(part):
                    look = {"color": SERIES[number], "markerfacecolor": SERIES[number] if signed else PAGE}
                    label = split if signed else f"{split}, not signing"
                    axes.plot(part["x"], part["y"], MARKS[number], markersize=4.5, label=label, **look)
        for sentence_id, letter in marked.items():
            centre = clips.loc[clips["sentence_id"] == sentence_id, ["x", "y"]].to_numpy().mean(0)
            # placed outwards, where there are fewer clips
            away = 13 * centre / max(float(np.linalg.norm(centre)), 1e-12)
            axes.annotate(letter, tuple(centre), tuple(away), **LETTERS)
        axes.margins(0.08)
        axes.set_aspect("equal", "datalim")
        axes.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
        axes.set_ylabel(f"second axis, {shares[1]:.0%}")
        figure.legend(loc="outside upper left", ncols=2)

    counts = ", ".join(
        f"{int((clips['split'] == split).sum())} {split}"
        for split in _SPLITS
        if (clips["split"] == split).any()
    )
    alt = (
        f"Map of clip embeddings: {len(clips)} clips, {counts}; "
        f"{int((clips['sentence_id'] < 0).sum())} of them without signing. The two axes hold "
        f"{shares[0]:.0%} and {shares[1]:.0%} of the variance."
    )
    return picture("embedding-map", LABELS["captions"]["embedding-map"], alt, draw, 4.4)
