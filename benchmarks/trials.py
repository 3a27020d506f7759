"""What comparisons of recipes share: a training in this process, and a table that goes on after a stop."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from signloom.files import read_csv, write_csv
from signloom.params.base import RunParams
from signloom.params.schema import Params
from signloom.training.progress import TrainedFiles
from signloom.training.sentences.corpus import SentenceFiles
from signloom.training.sentences.train import SentenceTraining, train


def train_sentences(files: SentenceFiles, p: Params, seed: int, scratch: Path) -> Path:
    """Train as stage train_sign2text does, in the folder `scratch`, and return the best checkpoint."""
    names = ("best.pth", "latest.pth", "history.csv", "metrics.jsonl")
    trained = TrainedFiles(*(scratch / name for name in names))
    how = SentenceTraining(
        run=RunParams(seed=seed),
        sign2text=p.sign2text,
        augment=p.augment,
        text=p.text,
        positions=p.positions,
    )
    # what a stopped comparison left may be of another recipe
    if (scratch / "training").exists():
        shutil.rmtree(scratch / "training")
    train(files, trained, how, scratch / "training")
    return trained.best


def score_all(
    output: Path,
    keys: Sequence[str],
    wanted: Iterable[tuple[Any, ...]],
    score: Callable[[tuple[Any, ...]], dict[str, float]],
) -> pd.DataFrame:
    """Return the table `output` with a row of scores for each of `wanted`, values of the columns `keys`.

    The table is written after every row, and what it has already is not scored again.
    """
    # a signer may be called 01
    texts = {"left_out": str}
    done = read_csv(output, dtype=texts) if output.exists() else pd.DataFrame(columns=list(keys))
    output.parent.mkdir(parents=True, exist_ok=True)
    wanted, known = list(wanted), set(done[list(keys)].itertuples(index=False, name=None))
    if old := sum(key in known for key in wanted):
        print(
            f"{old} of {len(wanted)} rows are those of {output}, whatever the recipes say now; "
            "name another --output to score them again",
            file=sys.stderr,
        )
    for key in wanted:
        if key in known:
            continue
        start = time.process_time()
        scores = {name: round(value, 4) for name, value in score(key).items()}
        row = dict(zip(keys, key, strict=True)) | scores | {"cpu_s": round(time.process_time() - start)}
        done = pd.DataFrame([*done.to_dict("records"), row])
        write_csv(output, done)
        print(*row.values(), flush=True)
    return done


def show_means(done: pd.DataFrame, columns: Sequence[str]) -> None:
    """Print the mean of `columns` and the number of trainings, by recipe."""
    means = done.groupby("recipe", sort=False)[[*columns, "cpu_s"]].mean()
    print(means.assign(trainings=done.groupby("recipe").size()).round(4).to_string())
