"""Swap some labels of a corpus, and count how many of them the review queue puts into its first 5 %.

    snakemake --cores 1 build/kinect_isl/global_stats.npz --config preset=kinect_isl
    python -m benchmarks.swapped_labels --preset kinect_isl --seeds 0 1 2 3 4 \
        --output metrics/review/swapped_labels.csv

A swapped clip gets the label of a clip drawn from another one. The queue is that of stage review, from the
features and the swapped metadata. With `--folds`, a model is trained for each of these folds of the preset
as the pipeline trains it, for `--epochs`, after the swap; its evidence joins. Rows are added to the output.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from signloom.errors import SignloomError
from signloom.files import read_csv, write_csv, write_parquet
from signloom.params.presets import load_presets
from signloom.params.schema import Params
from workflow_scripts import embed, review, splits, stats_pose, text, train_sign2text

SHARE = 0.03  # of the clips, whose labels are swapped
FIRST = 0.05  # of the queue
_LABEL = ["sentence_id", "sentence", "gloss", "gloss_times", "category", "text_variations"]
_TEXTS = ("tokenizer", "glosses", "gloss_lines", "texts", "embeddings")


def swap(clips: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Return `clips` with `share` of the signed ones given another label, and the ids of those."""
    rng, swapped = np.random.default_rng(seed), clips.copy()
    signed = np.flatnonzero(clips["sentence_id"] >= 0)
    chosen = np.sort(rng.choice(signed, round(share * len(signed)), replace=False))
    first = clips.iloc[signed].drop_duplicates("sentence_id").set_index("sentence_id", drop=False)
    for row in chosen:
        others = [label for label in sorted(first.index) if label != clips["sentence_id"].iloc[row]]
        swapped.loc[clips.index[row], _LABEL] = first.loc[rng.choice(others), _LABEL].to_numpy()
    swapped.loc[clips.index[chosen], "gloss_times"] = ""
    return swapped, clips["clip_id"].iloc[chosen].tolist()


def recall(queue: pd.DataFrame, swapped: list[str], part: float = FIRST) -> tuple[int, int]:
    """Return how many of `swapped` are in the first `part` of the queue, and how many clips that is."""
    first = queue["clip_id"].iloc[: int(np.ceil(part * len(queue)))]
    return int(first.isin(swapped).sum()), len(first)


@dataclass(frozen=True)
class Build:
    """The products of one build, and the parameters that it was made with."""

    folder: Path
    params: Params
    scratch: Path

    def run(self, stage: Any, inputs: dict[str, Any], outputs: dict[str, Path], **params: Any) -> None:
        """Run a stage in this process; raises SignloomError if it fails."""
        several = {name: it if isinstance(it, list) else [it] for name, it in inputs.items()}
        given = [f"{name}={path}" for name, paths in several.items() for path in paths]
        made = [f"{name}={path}" for name, path in outputs.items()]
        argv = ["--input", *given, "--output", *made, "--params", json.dumps(params)]
        if stage.main([*argv, "--scratch", str(self.scratch / "scratch")]):
            raise SignloomError(f"{stage.__name__} failed; see the line above")

    def shards(self) -> dict[str, list[Path]]:
        index = sorted((self.folder / "pose_features").glob("*.parquet"))
        if not index:
            raise SignloomError(f"{self.folder}: no features; build {self.folder}/global_stats.npz first")
        ends = {"features": ".npy", "mask": ".mask.npy", "index": ".parquet"}
        return {name: [path.with_suffix(end) for path in index] for name, end in ends.items()}

    def queue(self, metadata: Path, embedded: list[Path]) -> pd.DataFrame:
        """Return the queue of stage review; `embedded` are folders with the embeddings of a fold."""
        names = {"manifest": "manifest.parquet", "rejects": "manifest_rejects.csv", "rows": "sources.parquet"}
        inputs: dict[str, Any] = {name: self.folder / file for name, file in names.items()}
        inputs |= self.shards() | {"metadata": metadata, "stats": self.folder / "global_stats.npz"}
        if tracked := sorted((self.folder / "landmarks").glob("*.npy")):
            inputs["landmarks"] = tracked
            inputs["landmarks_index"] = [path.with_suffix(".parquet") for path in tracked]
            inputs["shards"] = sorted((self.folder / "shards").glob("*.csv"))
        if embedded:
            inputs["embeddings"] = [folder / "embeddings.npy" for folder in embedded]
            inputs["map"] = [folder / "map.csv" for folder in embedded]
        outputs = {"table": "review.csv", "page": "index.html", "metrics": "review.json"}
        positions = self.params.positions.model_dump(mode="json")
        self.run(review, inputs, {k: self.scratch / v for k, v in outputs.items()}, positions=positions)
        return read_csv(self.scratch / "review.csv", dtype=str, keep_default_na=False)

    def embed_fold(self, metadata: Path, fold: str, epochs: int) -> Path:
        """Train the model of a fold for so many epochs; return the folder of its embeddings."""
        out, runs = self.scratch / "folds" / fold, self.params.runs
        if (out / "map.csv").exists():
            return out
        out.mkdir(parents=True, exist_ok=True)
        tree = self.params.model_dump(mode="json")
        model = {"epochs": epochs, "warmup_epochs": min(tree["sign2text"]["warmup_epochs"], epochs / 5)}
        tree["sign2text"] |= model
        where = {"by": runs.fold_by, "name": fold, "all": runs.folds}
        files = {"splits": out / "splits.csv", "metrics": out / "splits.json"}
        self.run(splits, {"metadata": metadata}, files, splits=tree["splits"], fold=where)
        split, clips = {"splits": files["splits"]}, self.shards()
        stats, texts = {"stats": out / "stats.npz"}, {name: out / f"text_{name}" for name in _TEXTS}
        self.run(stats_pose, split | clips, stats)
        self.run(text, split | {"metadata": metadata}, texts, text=tree["text"])
        trained = {name: out / name for name in ("best", "latest", "history", "metrics")}
        read = {name: texts[name] for name in ("texts", "embeddings", "tokenizer")}
        sections = {name: tree[name] for name in ("sign2text", "augment", "text", "positions")}
        self.run(train_sign2text, split | clips | stats | read, trained, run={"seed": runs.seed}, **sections)
        found = {"embeddings": out / "embeddings.npy", "frames": out / "frames.npy"}
        found |= {"frames_index": out / "frames.parquet", "map": out / "map.csv"}
        self.run(embed, split | clips | stats | {"metadata": metadata, "checkpoint": out / "best"}, found)
        return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", help="default: the demo")
    parser.add_argument("--build", type=Path, help="default: build/PRESET")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the swaps")
    parser.add_argument("--folds", nargs="+", default=[], help="folds of the preset to train; default: none")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, default=Path("build/scratch/swapped_labels"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    params, name = load_presets([args.preset] if args.preset else []), args.preset or "demo"
    folder = args.build or Path("build", args.preset or "")
    clips = pd.read_parquet(folder / "processed_metadata.parquet")
    done = read_csv(args.output).to_dict("records") if args.output.exists() else []
    for seed in args.seeds:
        scratch = args.scratch / name / str(seed)
        swapped, ids = swap(clips, SHARE, seed)
        write_parquet(scratch / "metadata.parquet", swapped)
        build = Build(folder, params, scratch)
        embedded = [build.embed_fold(scratch / "metadata.parquet", fold, args.epochs) for fold in args.folds]
        found, first = recall(build.queue(scratch / "metadata.parquet", embedded), ids)
        row = {
            "corpus": name, "seed": seed, "folds": len(args.folds),
            "epochs": args.epochs if args.folds else 0, "clips": len(clips), "swapped": len(ids),
            "first": first, "found": found, "recall": round(found / len(ids), 4),
        }  # fmt: skip
        done.append(row)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        write_csv(args.output, pd.DataFrame(done))
        print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
