r"""Join demo clips with pauses into one long video, answer it into files, and score them against the truth.

    python -m benchmarks.passages --bundle build/export/sign_encoder_bundle.zip \
        --output build/scratch/long --minutes 2

In a pause the last frame is held for 0.8 to 2 s. `signloom predict --eaf --vtt` answers the video. A start or
an end of a passage is found if one was cut within the tolerance. A gloss is found if an annotation of its
name overlaps it. The video and the files stay in the folder of `--output`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import pandas as pd
from pympi.Elan import Eaf

from signloom.__main__ import main as signloom
from signloom.files import read_csv
from signloom.inference.engine import SignEngine
from signloom.video.decode import read_frames

FPS = 25
TOLERANCE_S = 0.4
PAUSES_S = (0.8, 2.0)


class TrueClip(NamedTuple):
    """A clip in the long video: its times in seconds, its sentence, and its glosses with their times."""

    start_s: float
    end_s: float
    sentence: str
    glosses: list[tuple[float, float, str]]


def choose(corpus: Path, signer: str, sentences: set[int]) -> Iterator[tuple[Path, str, str]]:
    """Yield video, clip id and sentence of a signer's clips of `sentences`, shuffled, over and over."""
    table = read_csv(corpus / "clips.csv", keep_default_na=False)
    table = table[(table["signer_id"] == signer) & table["sentence_id"].isin([*sentences])]
    clips = [
        (corpus / "videos" / row.video, row.video.removesuffix(".mp4"), row.sentence)
        for row in table.itertuples()
    ]
    rng = random.Random(1)
    while clips:
        yield from rng.sample(clips, len(clips))


def join(
    clips: Iterator[tuple[Path, str, str]], truth: pd.DataFrame, path: Path, seconds: float
) -> list[TrueClip]:
    """Write clips with pauses to the video `path` until it has `seconds`; return where they are."""
    rng = random.Random(2)
    found: list[TrueClip] = []
    number = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for video, clip_id, sentence in clips:
            if number >= seconds * FPS:
                break
            start = number / FPS
            pictures = [frame.image for frame in read_frames(video)]
            if not found:
                stream.height, stream.width = pictures[0].shape[:2]
            held = round(rng.uniform(*PAUSES_S) * FPS)
            for picture in itertools.chain(pictures, itertools.repeat(pictures[-1], held)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                number += 1
            own = truth[truth["clip_id"] == clip_id]
            glosses = [(start + row.start_s, start + row.end_s, row.gloss) for row in own.itertuples()]
            found.append(TrueClip(start, start + len(pictures) / FPS, sentence, glosses))
        container.mux(stream.encode())
    return found


def matched(true: Sequence[float], cut: Sequence[float], tolerance_s: float) -> int:
    """Return how many of `true` have a point of `cut` of their own within the tolerance; both ascend."""
    left, found = list(cut), 0
    for time_s in true:
        near = [other for other in left if abs(other - time_s) <= tolerance_s]
        if near:
            left.remove(min(near, key=lambda other: abs(other - time_s)))
            found += 1
    return found


def matched_texts(true: Sequence[tuple[float, float, str]], said: Sequence[tuple[float, float, str]]) -> int:
    """Return how many true texts overlap an annotation of the same text that no other one took."""
    left, found = list(said), 0
    for start, end, text in true:
        over = [other for other in left if other[2] == text and other[0] < end and start < other[1]]
        if over:
            left.remove(over[0])
            found += 1
    return found


class Score(NamedTuple):
    """How many were found, of the true ones and of those that were said."""

    found: int
    true: int
    said: int

    def __str__(self) -> str:
        """Return precision and recall."""
        precision = f"precision {self.found / max(self.said, 1):.3f} ({self.found} of {self.said})"
        return f"{precision}, recall {self.found / self.true:.3f} ({self.found} of {self.true})"


def answer_joined(
    bundle: Path, output: Path, minutes: float, corpus: Path = Path("data/demo"), signer: str = "s6"
) -> dict[str, Score]:
    """Write the long video of a signer to `output`, answer it into files beside it, and score them."""
    output.mkdir(parents=True, exist_ok=True)
    video, eaf, said = (output / f"long{end}" for end in (".mp4", ".eaf", ".jsonl"))
    known = {int(clip["sentence_id"]) for clip in SignEngine.load(bundle).clips}
    truth = read_csv(corpus / "truth/gloss_times.csv")
    clips = join(choose(corpus, signer, known), truth, video, 60 * minutes)
    with said.open("w") as file, contextlib.redirect_stdout(file):
        files = ["--eaf", str(eaf), "--vtt", str(eaf.with_suffix(".vtt"))]
        code = signloom(["predict", str(video), "--bundle", str(bundle), "--json", *files])
    if code:
        raise SystemExit(code)
    passages = [json.loads(line) for line in said.read_text("utf-8").splitlines()]
    scores = {}
    for name in ("start_s", "end_s"):
        true, cut = [getattr(clip, name) for clip in clips], [passage[name] for passage in passages]
        scores[f"{name[:-2]}s"] = Score(matched(true, cut, TOLERANCE_S), len(true), len(cut))
    tiers = Eaf(str(eaf))
    true_texts = {
        "sentence": [(clip.start_s, clip.end_s, clip.sentence) for clip in clips],
        "gloss": [gloss for clip in clips for gloss in clip.glosses],
    }
    for tier, texts in true_texts.items():
        found = sorted((a / 1000, b / 1000, text) for a, b, text in tiers.get_annotation_data_for_tier(tier))
        scores[tier] = Score(matched_texts(texts, found), len(texts), len(found))
    return scores


def main() -> None:
    """Write the video, answer it and print the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.0)
    args = parser.parse_args()
    for name, score in answer_joined(args.bundle, args.output, args.minutes).items():
        print(f"{name:<9} {score}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
