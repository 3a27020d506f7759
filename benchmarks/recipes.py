"""Compare recipes for signs of a signer not seen, by cross-validation among training signers alone.

    snakemake --cores 1 build/kinect_isl/manifest.parquet --config preset=kinect_isl
    python -m benchmarks.recipes --preset kinect_isl --signers s01 s02 s03 s04 s05 \
        --output metrics/recipes/kinect_isl_s01_to_s05.csv

Each of the signers is left out in turn; clips of other signers are not read. A recipe is the preset with the
changes that benchmarks/recipes.yaml lists. There, `clips_of_a_sign` is no parameter: so many clips of each
sign by each signer are trained on, drawn by the seed of the training. Finished trainings are kept in the
table of `--output`, so a run that was stopped goes on. Every training is that of stage train_sign2text.
"""

import argparse
import functools
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import yaml

from benchmarks.trials import score_all, show_means, train_sentences
from signloom.evaluation.adapted import rank_adapted
from signloom.evaluation.embed import encode_clips
from signloom.features.pose.imported import write_ready_shard
from signloom.features.shards import FeatureShards
from signloom.features.signer_stats import SignerStats, write_signer_stats
from signloom.features.stats import write_pose_stats
from signloom.files import write_csv, write_npy, write_parquet, write_text
from signloom.inference.prototypes import make_prototypes
from signloom.inference.signer_adaptation import RELEVANCE
from signloom.metrics.retrieval import rank_sentences
from signloom.models.trained_sign2text import load_trained
from signloom.params.presets import load_presets
from signloom.params.schema import Params
from signloom.text.encoders import load_encoder
from signloom.text.sentences import gather_texts
from signloom.text.tokenizer import train_tokenizer
from signloom.training.sentences.corpus import SentenceFiles

KEYS = ["recipe", "left_out", "seed"]
Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Trial:
    """One recipe on the clips of some signers (`clips`, rows of the manifest), in the folder `scratch`.

    Of each sign, `most` clips of a signer are trained on, which the seed of a training draws.
    """

    params: Params
    clips: pd.DataFrame
    scratch: Path
    most: int | None = None

    def shard(self) -> tuple[Path, Path, Path]:
        """Return features, mask and index of the clips, made once for all recipes with these columns."""
        p = self.params
        made_of = json.dumps(
            [p.positions.model_dump(), p.quality.model_dump(), self.clips["clip_id"].tolist()]
        )
        folder = self.scratch / hashlib.sha256(made_of.encode()).hexdigest()[:16]
        files = (folder / "rows.npy", folder / "rows.mask.npy", folder / "rows.parquet")
        if not files[2].exists():
            folder.mkdir(parents=True, exist_ok=True)
            rows = self.clips[["clip_id", "video_path", "start_s", "end_s", "signer_id"]].astype(object)
            listed: list[Any] = rows.where(rows.notna(), None).to_dict("records")
            fps, by_signer = p.dataset.frame_rate or p.pose.fps, None
            if p.positions.normalise_by == "signer":
                write_signer_stats(listed, p.positions, fps, folder / "signer_stats.npz")
                by_signer = SignerStats.read(folder / "signer_stats.npz").standardise
            write_ready_shard(listed, files, p.quality, p.positions, fps, by_signer)
        return files

    def texts(self) -> SentenceFiles:
        """Return what a training reads besides the split of the clips: features and texts."""
        features, mask, index = self.shard()
        names = {
            "stats": "npz",
            "splits": "csv",
            "texts": "parquet",
            "embeddings": "npy",
            "tokenizer": "json",
        }
        paths = {name: self.scratch / f"{name}.{end}" for name, end in names.items()}
        if not paths["tokenizer"].exists():
            table = gather_texts(self.clips)
            write_parquet(paths["texts"], table)
            write_npy(paths["embeddings"], load_encoder(self.params.text).embed(table["text"].tolist()))
            write_text(
                paths["tokenizer"], train_tokenizer(table["text"], self.params.text.vocab_size).to_json()
            )
        return SentenceFiles(features=[features], mask=[mask], index=[index], **paths)

    def encode(self, left_out: Sequence[str], seed: int) -> tuple[Vectors, pd.DataFrame]:
        """Return embeddings (N, E) and their map, by a model that never saw a clip of `left_out`."""
        files = self.texts()
        shards = FeatureShards(files.features, files.index, files.mask)
        kept = self.clips[[shards.length(clip) > 0 for clip in self.clips["clip_id"]]].sort_values("clip_id")
        asked = kept["signer_id"].isin(left_out)
        drawn = kept.sample(frac=1.0, random_state=seed)  # the first of kinect_isl show one side of the body
        number = drawn.groupby(["signer_id", "sentence_id"]).cumcount()
        kept = kept[asked | (number.loc[kept.index] < (self.most or len(kept)))]
        split = np.where(kept["signer_id"].isin(left_out), "test", "train")
        table = kept[["clip_id", "sentence_id", "signer_id"]].assign(split=split).reset_index(drop=True)
        write_csv(files.splits, table[["clip_id", "sentence_id", "split"]].assign(seen=1))
        write_pose_stats(table["clip_id"][split == "train"].tolist(), shards, files.stats)
        model = load_trained(train_sentences(files, self.params, seed, self.scratch), files.stats)
        vectors = np.empty((len(table), model.model.config.embedding_dim), np.float32)
        for rows, encoded in encode_clips(model, shards, table["clip_id"].tolist(), 32, "embed"):
            vectors[rows] = encoded.embedding.float().cpu().numpy()
        return vectors, table


def scores_of(vectors: Vectors, table: pd.DataFrame, signer: str) -> dict[str, float]:
    """Return how often the signs of `signer` are found, by prototypes if the name says nothing else.

    `nearest_*` ranks by the nearest clip, `adapted_*` by prototypes that were adapted to the signer: with
    other relevances too, and to the clips of half of the signs or a tenth of all, drawn with a fixed seed.
    """
    asked = np.flatnonzero(table["signer_id"] == signer)
    gallery, sentences = np.flatnonzero(table["split"] == "train"), table["sentence_id"].to_numpy(np.int64)
    means = make_prototypes(vectors, table, 1)
    who = dict(zip(table["clip_id"], table["signer_id"], strict=True))
    prototypes = (means["embeddings"].astype(np.float64), means["sentence_ids"].astype(np.int64))

    def plain(rows: Rows, gallery: npt.NDArray[Any], of: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return rank_sentences(vectors[rows], sentences[rows], gallery, of).rank

    def adapted(rows: Rows, relevance: float = RELEVANCE) -> npt.NDArray[np.float64]:
        return rank_adapted(vectors, table, rows, who, relevance)

    rng, signs = np.random.default_rng(0), np.unique(sentences[asked])
    half = asked[np.isin(sentences[asked], rng.permutation(signs)[: len(signs) // 2])]
    tenth = np.sort(rng.choice(asked, -(-len(asked) // 10), replace=False))
    ranks = {
        "": plain(asked, *prototypes),
        "nearest_": plain(asked, vectors[gallery], sentences[gallery]),
        "adapted_": adapted(asked),
    }
    found = {f"{name}top1": rank for name, rank in ranks.items()}
    found |= {f"adapted_as_{clips}": adapted(asked, clips) for clips in (1, 4, 8)}
    for name, rows in {"half_of_signs": half, "tenth": tenth}.items():
        found |= {name: plain(rows, *prototypes), f"adapted_{name}": adapted(rows)}
    mrr = {f"{name}mrr": float((1 / rank).mean()) for name, rank in ranks.items()}
    return {name: float((rank == 1).mean()) for name, rank in found.items()} | mrr


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", required=True)
    parser.add_argument("--signers", nargs="+", required=True, help="at least two; only their clips are read")
    parser.add_argument(
        "--left-out",
        nargs="+",
        help="signers left out of each training, such as s01+s02, which is scored on either; "
        "default: one at a time",
    )
    parser.add_argument("--recipes", type=Path, default=Path(__file__).with_suffix(".yaml"))
    parser.add_argument("--only", nargs="+", help="names of recipes; default: all of the preset")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, default=Path("build/scratch/recipes"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    manifest = pd.read_parquet(Path("build") / args.preset / "manifest.parquet")
    clips = manifest[manifest["signer_id"].isin(args.signers)].reset_index(drop=True)
    recipes: dict[str, Any] = yaml.safe_load(args.recipes.read_text("utf-8"))[args.preset]

    @functools.lru_cache(maxsize=1)  # one training is scored on each signer that it left out
    def encode(recipe: str, left_out: tuple[str, ...], seed: int) -> tuple[Vectors, pd.DataFrame]:
        changes = dict(recipes[recipe])
        most = changes.pop("clips_of_a_sign", None)
        params, scratch = load_presets([args.preset], changes), args.scratch / args.output.stem
        return Trial(params, clips, scratch, most).encode(left_out, seed)

    def score(key: tuple[str, str, int]) -> dict[str, float]:
        recipe, signers, seed = key
        own, *others = signers.split(" and ")
        vectors, table = encode(recipe, tuple(sorted([own, *others])), seed)
        return {"clips": int((table["signer_id"] == own).sum()), **scores_of(vectors, table, own)}

    groups = [group.split("+") for group in args.left_out or args.signers]
    each = [" and ".join([own, *(it for it in group if it != own)]) for group in groups for own in group]
    wanted = itertools.product(args.only or recipes, each, [args.seed])
    show_means(score_all(args.output, KEYS, wanted, score), ["nearest_top1", "top1", "adapted_top1"])


if __name__ == "__main__":
    main()
