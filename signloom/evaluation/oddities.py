"""What is odd about a clip apart from its label's neighbours: its tracking, its hands, its length."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.features.pose.hands import hand_share, other_handed
from signloom.features.pose.layout import POSE_POINTS, RAW_PARTS, WRISTS
from signloom.features.pose.motion import VISIBLE, shoulder_width
from signloom.features.shards import FeatureShards
from signloom.progress import track

LEAST_FOUND = 0.8  # of the frames, with a pose or a hand
FEW_HANDS = 0.5  # of the usual share of frames with a hand
SWAP_GAIN = 0.5  # exchanged hands go at most this part of the way
SWAP_APART = 0.5  # shoulder widths between hands that can be told apart
TIMES_AS_LONG = 2.0
LENGTH_DEVIATIONS = 3.5  # robust ones; Iglewicz and Hoaglin (1993) call more of them an outlier
_FEWEST = 4  # other clips of a label that say how long it lasts


class Oddity(NamedTuple):
    """One reason to look at a clip: the kind of reason, and the reason in words."""

    clip_id: str
    kind: str
    words: str


def odd_lengths(clips: pd.DataFrame) -> Iterator[Oddity]:
    """Yield clips that are far longer or shorter than the others of their label.

    `clips` has `clip_id, sentence_id, sentence, num_frames`. A clip is compared with the median of at least
    four other clips: it lasts over twice or under half as long, and the logarithm of its length lies over 3.5
    robust deviations (1.4826 times the median deviation) from theirs.
    """
    for _, own in clips.groupby("sentence_id", sort=True):
        lengths = np.log(own["num_frames"].to_numpy(np.float64))
        for number, clip in enumerate(own.itertuples()):
            others = np.delete(lengths, number)
            if len(others) < _FEWEST:
                break
            usual = float(np.median(others))
            spread = 1.4826 * float(np.median(np.abs(others - usual)))
            away = float(lengths[number]) - usual
            if abs(away) > max(np.log(TIMES_AS_LONG), LENGTH_DEVIATIONS * spread):
                times = f"{np.exp(abs(away)):.1f} times as {'long' if away > 0 else 'short'}"
                yield Oddity(
                    str(clip.clip_id), "length", f"{times} as clips of `{clip.sentence}` usually are"
                )


def poorly_found(clips: pd.DataFrame) -> Iterator[Oddity]:
    """Yield clips with a pose or a hand in less than LEAST_FOUND of their frames (`detection_ratio`)."""
    for clip in clips[clips["detection_ratio"] < LEAST_FOUND].itertuples():
        share = f"{100 * clip.detection_ratio:.0f} %"
        yield Oddity(str(clip.clip_id), "tracking", f"somebody was found in only {share} of its frames")


def odd_hands(clips: pd.DataFrame, landmarks: FeatureShards) -> Iterator[Oddity]:
    """Yield clips whose hands swap, are seldom found, or do what the signer's other hand usually does.

    `clips` has `clip_id, signer_id`; `landmarks` are raw ones, with the size of their pictures.
    """
    sizes = landmarks.index.set_index("clip_id")[["width", "height"]]
    shares, seen = {}, {}
    for clip_id in track(clips["clip_id"].tolist(), "hands"):
        rows = landmarks.clip(clip_id)
        width, height = (int(side) for side in sizes.loc[clip_id])
        shares[clip_id], seen[clip_id] = hand_share(rows, width, height), hands_found(rows)
        if count := swaps(rows, width, height):
            often = "once" if count == 1 else f"{count} times"
            yield Oddity(
                clip_id, "swap", f"left and right hand change places {often} from one frame to the next"
            )
    yield from _few_hands(seen)
    for clip_id, hand in other_handed(clips.assign(share=clips["clip_id"].map(shares))):
        yield Oddity(clip_id, "other_hand", f"signed with the {hand} hand, unlike the signer's other clips")


def hands_found(rows: NDArray[np.float32]) -> float:
    """Return the share of raw rows (T, 1662) with a hand."""
    there = [np.isfinite(rows[:, RAW_PARTS[hand].start]) for hand in WRISTS]
    return float(np.logical_or(*there).mean()) if len(rows) else 0.0


def _few_hands(seen: Mapping[str, float]) -> Iterator[Oddity]:
    usual = float(np.median(list(seen.values()))) if seen else 0.0
    for clip_id, share in seen.items():
        if share < FEW_HANDS * usual:
            words = (
                f"a hand was found in only {100 * share:.0f} % of its frames, usually in {100 * usual:.0f} %"
            )
            yield Oddity(clip_id, "tracking", words)


def swaps(rows: NDArray[np.float32], width: int, height: int) -> int:
    """Return how often the wrists of raw rows (T, 1662) change places from one frame to the next.

    They do where both are seen in both frames, over half a shoulder width apart in each, and exchanged
    they would go at most half as far. Pictures have `width` and `height` pixels.
    """
    pose = rows[:, RAW_PARTS["pose"]].reshape(-1, POSE_POINTS, 4).astype(np.float64)
    pose[..., :2] *= (width, height)
    left, right = (
        np.where(pose[:, WRISTS[side], 3:] >= VISIBLE, pose[:, WRISTS[side], :2], np.nan)
        for side in ("left_hand", "right_hand")
    )
    apart = np.linalg.norm(left - right, axis=1) > SWAP_APART * shoulder_width(pose)
    kept = _way(left, left) + _way(right, right)
    exchanged = _way(left, right) + _way(right, left)
    # comparisons with NaN, of a wrist that is not seen, are false
    return int((apart[1:] & apart[:-1] & (exchanged <= SWAP_GAIN * kept)).sum())


def _way(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (T - 1,) from `before` (T, 2) in a frame to `after` (T, 2) in the next one."""
    return np.asarray(np.linalg.norm(after[1:] - before[:-1], axis=1))
