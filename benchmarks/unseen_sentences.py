"""Compare recipes for sentences that training never saw, by cross-validation among the training's own.

    snakemake --cores 2 build/text/texts.parquet build/global_stats.npz
    python -m benchmarks.unseen_sentences --folds 0 1 --output metrics/recipes/demo_sentences.csv

The sentences of the demo's training are dealt into eight folds. All clips of a fold's sentences are taken
from training and validation and then decoded. Statistics, tokenizer and gloss vocabulary are those of what is
left. Test clips are not read. A recipe is params.yaml with the changes that
benchmarks/unseen_sentences.yaml lists.
Finished trainings are kept in the table of `--output`, so a run that was stopped goes on. Every training is
that of stage train_sign2text, in this process.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.trials import score_all, show_means, train_sentences
from signloom.evaluation.sign2text import decode_clips
from signloom.features.shards import FeatureShards
from signloom.features.stats import write_pose_stats
from signloom.files import write_csv, write_json, write_text
from signloom.metrics.wer import wer_stats
from signloom.models.trained_sign2text import load_trained
from signloom.params.presets import load_presets
from signloom.params.schema import Params
from signloom.text.glosses import read_gloss_lines
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer, train_tokenizer
from signloom.text.vocabulary import build_vocabulary
from signloom.training.sentences.corpus import SentenceFiles

KEYS = ["recipe", "fold", "seed"]
FOLDS = 8


@dataclass(frozen=True)
class Trial:
    """One recipe on the build in folder `build`, with its files in the folder `scratch`."""

    params: Params
    build: Path
    scratch: Path

    def files(self, held_out: set[int]) -> SentenceFiles:
        """Write and return what a training without the sentences `held_out` reads."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        shards = sorted((self.build / "pose_features").glob("*.parquet"))
        given = {end: [path.with_suffix(end) for path in shards] for end in (".npy", ".mask.npy", ".parquet")}
        text, own = self.build / "text", self.scratch
        files = SentenceFiles(
            features=given[".npy"],
            mask=given[".mask.npy"],
            index=given[".parquet"],
            texts=text / "texts.parquet",
            embeddings=text / "text_embeddings.npy",
            gloss_lines=text / "gloss_lines.csv",
            splits=own / "splits.csv",
            stats=own / "stats.npz",
            tokenizer=own / "tokenizer.json",
            glosses=own / "glosses.json",
        )
        splits = read_splits(self.build / "splits.csv")
        away = splits["sentence_id"].isin(held_out) & splits["split"].isin(["train", "val"])
        write_csv(files.splits, splits.assign(split=splits["split"].mask(away, "held_out")))
        training = splits[~away & (splits["split"] == "train")]
        read = FeatureShards(files.features, files.index, files.mask)
        write_pose_stats(training["clip_id"].tolist(), read, files.stats)
        texts, lines = pd.read_parquet(files.texts), read_gloss_lines(text / "gloss_lines.csv")
        known = texts["text"][texts["sentence_id"].isin(training["sentence_id"])]
        write_text(files.tokenizer, train_tokenizer(known, self.params.text.vocab_size).to_json())
        glosses = lines["gloss"].reindex(training["clip_id"]).dropna()
        write_json(own / "glosses.json", build_vocabulary(glosses))
        return files

    def score(self, held_out: set[int], seed: int) -> dict[str, float]:
        """Return the WER of the clips with sentences `held_out`, and that of the other validation clips."""
        files, p = self.files(held_out), self.params
        best = train_sentences(files, p, seed, self.scratch)
        model, tokenizer = load_trained(best, files.stats), TextTokenizer.load(files.tokenizer)
        shards = FeatureShards(files.features, files.index, files.mask)
        texts = pd.read_parquet(files.texts)
        main = texts[texts["variation"] == 0].set_index("sentence_id")["text"]
        splits = read_splits(files.splits)
        found: dict[str, float] = {}
        for split in ("held_out", "val"):
            clips = splits[(splits["split"] == split) & (splits["sentence_id"] >= 0)]
            said = decode_clips(model, tokenizer, shards, clips["clip_id"].tolist(), p.decoding, split)
            edits, words = wer_stats(main[clips["sentence_id"]].tolist(), said).sum(0)
            found |= {f"{split}_clips": len(clips), f"{split}_wer": float(edits / words)}
        return found


def deal(sentences: list[int]) -> list[set[int]]:
    """Return the folds of `sentences`, which are shuffled with a fixed seed."""
    shuffled = np.random.default_rng(0).permutation(sorted(sentences)).tolist()
    return [set(shuffled[fold::FOLDS]) for fold in range(FOLDS)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--folds", type=int, nargs="+", choices=range(FOLDS), default=list(range(FOLDS)))
    parser.add_argument("--recipes", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--only", nargs="+", help="names of recipes; default: all")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, default=Path("build/scratch/unseen_sentences"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    splits = read_splits(args.build / "splits.csv")
    signed = splits[(splits["split"] == "train") & (splits["sentence_id"] >= 0)]
    folds = deal(signed["sentence_id"].unique().tolist())
    recipes: dict[str, Any] = yaml.safe_load(args.recipes.read_text("utf-8"))

    def score(key: tuple[str, int, int]) -> dict[str, float]:
        recipe, fold, seed = key
        return Trial(load_presets([], recipes[recipe]), args.build, args.scratch).score(folds[fold], seed)

    wanted = ((recipe, fold, args.seed) for fold in args.folds for recipe in args.only or recipes)
    show_means(score_all(args.output, KEYS, wanted, score), ["held_out_wer", "val_wer"])


if __name__ == "__main__":
    main()
