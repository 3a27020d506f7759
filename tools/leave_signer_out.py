"""Calibrate on one signer and score on another, for each training signer in turn; no test clip is read.

    python -m tools.leave_signer_out

It needs a finished build, whose features and texts it reads. For each signer of the training split, the
encoder is trained on the others. Thresholds are chosen on the validation clips and scored on the signer's
clips, and the other way round. Products go to build/signers/<signer>/.

The first table has the false accepts of clips that ought to be refused, and the in-set clips accepted rightly
out of those whose first sentence is right, pooled over all signers. It compares four rules for thresholds:
that of stage calibrate (loosest), the fewest false accepts at the same number accepted rightly, the strictest
that still accept these, and the first rule without frame sequences. The second table has the in-set clips
whose first sentence is right by cosine, and after re-ranking.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from engines.workflow import workflow
from signloom.evaluation.calibration import OPEN, calibrate, choose, search
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.embed import encode_clips
from signloom.evaluation.gate_inputs import TrainedGallery
from signloom.evaluation.outofset import IN_SET, Questions
from signloom.features.shards import FeatureShards
from signloom.inference.dtw import dtw_score
from signloom.inference.gates import OK, Evidence, Thresholds, judge
from signloom.models.trained_sign2text import load_trained
from signloom.params.load import load_params
from signloom.text.sentences import read_splits

RULES = ["stats_pose", "train_sign2text", "embed", "prototypes"]
TOP = 5


class Asked(NamedTuple):
    """The answers to one signer's clips, from a network that was not trained on them."""

    evidence: Evidence
    right: npt.NDArray[np.bool_]
    out: npt.NDArray[np.bool_]
    first: dict[str, npt.NDArray[np.bool_]]  # whether in-set clips are answered rightly, by ranking


def main() -> int:
    torch.set_num_threads(1)
    lines, shards = commands()
    metadata = pd.read_parquet("build/processed_metadata.parquet").set_index("clip_id")
    splits = read_splits(Path("build/splits.csv"))
    signers = metadata.loc[splits["clip_id"], "signer_id"].to_numpy()
    params = load_params(Path("params.yaml"))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    pairs = []
    for signer in sorted(set(signers[(splits["split"] == "train").to_numpy()])):
        folder = Path(f"build/signers/{signer}")
        folder.mkdir(parents=True, exist_ok=True)
        table = without(splits, signers == signer)
        table.to_csv(folder / "splits.csv", index=False)
        for line in lines:
            subprocess.run(moved(line, folder), shell=True, check=True, env=environment)
        asked = [
            ask(folder, Questions(table, split, shards, params.pose.fps, params.inference.seed))
            for split in ("val", "test")
        ]
        pairs += [tuple(asked), tuple(asked[::-1])]
    report(pairs, params.quality.motion_floor, params.inference.max_false_accept_rate)
    return 0


def commands() -> tuple[list[str], FeatureShards]:
    """Return the command lines of the stages to run per signer, and the shards of pose features."""
    with workflow(Path(), dag=True) as flow:
        jobs = {job.rule.name: job for job in flow.dag.jobs}
        lines = [
            f"{job.params.call} --params {shlex.quote(job.params.given)} --threads {job.threads}"
            for job in (jobs[name] for name in RULES)
        ]
        given = jobs["embed"].input
        files = ([Path(path) for path in given[name]] for name in ("features", "index", "mask"))
        return lines, FeatureShards(*files)


def without(splits: pd.DataFrame, left_out: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Return `splits` with the clips `left_out` as the test split, instead of the real one."""
    table = splits.assign(split=splits["split"].where(~left_out, "held out"))
    table = table[table["split"] != "test"].replace({"split": {"held out": "test"}})
    trained = table["sentence_id"][(table["split"] == "train") & (table["sentence_id"] >= 0)]
    return table.assign(seen=table["sentence_id"].isin(trained).astype(int))


def moved(line: str, folder: Path) -> str:
    """Return the command `line` with its own splits and products under `folder`, in one thread."""
    line = re.sub(r'"threads": \d+', '"threads": 1', line)  # threads that wait for each other are far slower
    for product in ("splits.csv", "global_stats.npz", "models/", "embeddings/"):
        line = line.replace(f"=build/{product}", f"={folder}/{product}")
    return re.sub(r"=metrics/", f"={folder}/metrics/", line)


def ask(folder: Path, questions: Questions) -> Asked:
    """Answer `questions` with the gallery of `folder`, in-set clips by cosine and re-ranked."""
    trained = load_trained(folder / "models/sign2text/best.pth", folder / "global_stats.npz")
    made = folder / "embeddings"
    clips = EmbeddedClips(made / "embeddings.npy", made / "embeddings_map.csv")
    known = TrainedGallery(clips, made / "prototypes.npz", made / "frames.npy", made / "frames_index.parquet")
    evidence = known.ask(trained, questions)
    inside = [question for question in questions.of if question.kind == IN_SET]
    found = np.zeros((3, len(inside)), np.int64)
    names = [question.name for question in inside]
    for rows, encoded in encode_clips(trained, questions, names, 32, "re-rank"):
        cosines, near = known.gallery.by_sentence(encoded.embedding.numpy())
        for row, states, valid, cosine, clip in zip(
            rows, encoded.frames.numpy(), encoded.valid, cosines, near, strict=True
        ):
            top = np.argsort(-cosine, kind="stable")[:TOP]
            frames = states[: int(valid.sum())]
            score = np.array([dtw_score(frames, known.frames(int(clip[place]))) for place in top])
            best = [0, int((score + cosine[top]).argmax()), int(score.argmax())]
            found[:, row] = known.gallery.sentences[top[best]]
    own = np.array([question.sentence_id for question in inside])
    by = ("cosine", "mean of both", "frame sequence")
    first = {name: sentences == own for name, sentences in zip(by, found, strict=True)}
    return Asked(evidence, questions.right(known.gallery.sentences[evidence.place]), questions.out, first)


def report(pairs: list[tuple[Asked, ...]], floor: float, limit: float) -> None:
    """Print the two tables; each pair has the questions to choose thresholds on and those to score."""
    rules = {
        "loosest": lambda asked: calibrate(asked.evidence, asked.right, asked.out, floor, limit).thresholds,
        "fewest false accepts": lambda asked: fewest(asked, floor, limit),
        "hugging": lambda asked: hugging(asked, floor, limit),
    }
    blind = [tuple(without_frames(asked) for asked in pair) for pair in pairs]
    rows = [(name, scores(pairs, rule, floor)) for name, rule in rules.items()]
    rows.append(("loosest, no frame sequences", scores(blind, rules["loosest"], floor)))
    print("| thresholds | accepted and right | false accepts |\n|---|---|---|")
    for name, (right, answered, accepted, out) in rows:
        print(
            f"| {name} | {right} of {answered} ({right / answered:.3f}) "
            f"| {accepted} of {out} ({accepted / out:.3f}) |"
        )
    print("\n| ranked by | first sentence right |\n|---|---|")
    for name in pairs[0][0].first:
        hits = np.concatenate([scored.first[name] for _, scored in pairs])
        print(f"| {name} | {hits.sum()} of {len(hits)} ({hits.mean():.3f}) |")


def scores(
    pairs: list[tuple[Asked, ...]], rule: Callable[[Asked], Thresholds], floor: float
) -> tuple[int, int, int, int]:
    """Return sums over `pairs`: accepted rightly, answered rightly, accepted falsely, to be refused."""
    total = np.zeros(4, np.int64)
    for chosen_by, scored in pairs:
        accepted = np.array(judge(scored.evidence, rule(chosen_by))) == OK
        counted = (accepted & scored.right, scored.right, accepted & scored.out, scored.out)
        total += [int(which.sum()) for which in counted]
    return tuple(total.tolist())


def fewest(asked: Asked, floor: float, limit: float) -> Thresholds:
    """Return the loosest thresholds with the fewest false accepts at the same number accepted rightly."""
    points = search(asked.evidence, asked.right, asked.out, floor)
    most = choose(points, int(limit * asked.out.sum() + 1e-9)).right
    point = next(point for point in points if point.right == most)  # points are sorted by false accepts
    return Thresholds(*point.thresholds, motion_floor=floor)


def hugging(asked: Asked, floor: float, limit: float) -> Thresholds:
    """Return the strictest thresholds that accept the clips that `fewest` accepts rightly."""
    kept = asked.right & (np.array(judge(asked.evidence, fewest(asked, floor, limit))) == OK)
    e = asked.evidence
    columns = (e.similarity, e.margin, e.proto_similarity, e.dtw_score)
    lowest = (column[kept & ~np.isnan(column)].min(initial=np.inf) for column in columns)
    return Thresholds(*(float(low) if low < np.inf else OPEN for low in lowest), motion_floor=floor)


def without_frames(asked: Asked) -> Asked:
    """Return `asked` as if frame sequences had not been compared."""
    unknown = np.full(len(asked.out), np.nan)
    return asked._replace(evidence=asked.evidence._replace(dtw_score=unknown))


if __name__ == "__main__":
    sys.exit(main())
