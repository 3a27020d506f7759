"""Draw the pictures of the docs.

python -m tools.pictures               docs/images/answer.webp and motion.png from the demo
python -m tools.pictures --bundle ZIP  docs/images/answer.webp alone, answered by that bundle
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from signloom.dataset.shard_names import shard_names
from signloom.params.load import load_params
from tools.answer_picture import answer_picture

BUNDLE = Path("build/export/sign_encoder_bundle.zip")
ANSWERED = Path("data/demo/videos/s6/001_1.mp4")
IMAGES = Path("docs/images")


def motion_figure(output: Path) -> None:
    """Draw the mean motion of signed, unsigned and frozen clips and the floor between them."""
    params = load_params(Path("params.yaml"))
    tables = [
        pd.read_parquet(f"build/pose_features/{name}.parquet") for name in shard_names(params.shards.count)
    ]
    index = pd.concat(tables).merge(pd.read_parquet("build/manifest.parquet"), on="clip_id")
    groups = {
        "signed": index[(index["status"] == "ok") & (index["sentence_id"] >= 0)],
        "moving, not signing": index[(index["status"] == "ok") & (index["sentence_id"] < 0)],
        "one frozen frame": index[index["reason"] == "low_motion"],
    }
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    edges = np.linspace(0, index["motion_mean"].max() * 1.02, 60)
    for (name, part), colour in zip(groups.items(), ("#0072b2", "#e69f00", "#000000"), strict=True):
        axes.hist(part["motion_mean"], bins=edges, label=f"{name} ({len(part)})", color=colour, alpha=0.85)
    floor = params.quality.motion_floor
    axes.axvline(floor, color="#d55e00", linestyle="--", label=f"quality.motion_floor {floor:g}")
    axes.set(xlabel="mean motion, shoulder widths a second", ylabel="clips")
    axes.legend(frameon=False)
    figure.savefig(output, dpi=110, metadata={"Software": None})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, metavar="ZIP")
    args = parser.parse_args(argv)
    mpl.use("Agg")
    print(f"{ANSWERED}: {answer_picture(args.bundle or BUNDLE, ANSWERED, IMAGES / 'answer.webp')}")
    if not args.bundle:
        motion_figure(IMAGES / "motion.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
