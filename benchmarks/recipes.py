"""Compare recipes for signs of a signer not seen, by cross-validation among training signers alone.

    snakemake --cores 1 build/kinect_isl/manifest.parquet --config preset=kinect_isl
    python -m benchmarks.recipes --preset kinect_isl --signers s01 s02 s03 s04 s05 \
        --output metrics/recipes/kinect_isl_s01_to_s05.csv

Each of the signers is left out in turn; clips of other signers are not read. A recipe is the preset with the
changes that benchmarks/recipes.yaml lists. Finished trainings are kept in the table of `--output`, so a run
that was stopped goes on. Every training is that of stage train_sign2text, in this process.
"""

import argparse
import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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
from signloom.metrics.retrieval import rank_sentences
from signloom.models.trained_sign2text import load_trained
from signloom.params.presets import load_presets
from signloom.params.schema import Params
from signloom.text.encoders import load_encoder
from signloom.text.sentences import gather_texts
from signloom.text.tokenizer import train_tokenizer
from signloom.training.sentences.corpus import SentenceFiles

KEYS = ["recipe", "left_out", "seed"]


@dataclass(frozen=True)
class Trial:
    """One recipe on the clips of some signers (`clips`, rows of the manifest), in the folder `scratch`."""

    params: Params
    clips: pd.DataFrame
    scratch: Path

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

    def score(self, signer: str, seed: int) -> dict[str, float]:
        """Return top-1 and mean reciprocal rank of the clips of `signer`, by a model that never saw them.

        Signs are ranked by their nearest clip (`nearest_*`), by their prototypes, and by prototypes that were
        adapted to the clips of `signer` (`adapted_*`).
        """
        files = self.texts()
        shards = FeatureShards(files.features, files.index, files.mask)
        kept = self.clips[[shards.length(clip) > 0 for clip in self.clips["clip_id"]]].sort_values("clip_id")
        split = np.where(kept["signer_id"] == signer, "test", "train")
        write_csv(files.splits, kept[["clip_id", "sentence_id"]].assign(split=split, seen=1))
        ids, sentences = kept["clip_id"].tolist(), kept["sentence_id"].to_numpy(np.int64)
        gallery, asked = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
        write_pose_stats([ids[row] for row in gallery], shards, files.stats)
        best = train_sentences(files, self.params, seed, self.scratch)
        model = load_trained(best, files.stats)
        vectors = np.empty((len(ids), model.model.config.embedding_dim), np.float32)
        for rows, encoded in encode_clips(model, shards, ids, 32, "embed"):
            vectors[rows] = encoded.embedding.float().cpu().numpy()
        queries = (vectors[asked], sentences[asked])
        nearest = rank_sentences(*queries, vectors[gallery], sentences[gallery]).rank
        table = pd.DataFrame({"clip_id": ids, "split": split, "sentence_id": sentences})
        means = make_prototypes(vectors, table, 1)
        adapted = rank_adapted(vectors, table, asked, [signer] * len(asked))
        found = rank_sentences(*queries, means["embeddings"], means["sentence_ids"].astype(np.int64)).rank
        return {
            "top1": float((found == 1).mean()),
            "mrr": float((1 / found).mean()),
            "nearest_top1": float((nearest == 1).mean()),
            "nearest_mrr": float((1 / nearest).mean()),
            "adapted_top1": float((adapted == 1).mean()),
            "adapted_mrr": float((1 / adapted).mean()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", required=True)
    parser.add_argument("--signers", nargs="+", required=True, help="at least two; each is left out in turn")
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

    def score(key: tuple[str, str, int]) -> dict[str, float]:
        recipe, signer, seed = key
        trial = Trial(load_presets([args.preset], recipes[recipe]), clips, args.scratch / args.output.stem)
        return {"clips": int((clips["signer_id"] == signer).sum()), **trial.score(signer, seed)}

    wanted = itertools.product(args.only or recipes, args.signers, [args.seed])
    show_means(score_all(args.output, KEYS, wanted, score), ["nearest_top1", "top1", "adapted_top1"])


if __name__ == "__main__":
    main()
