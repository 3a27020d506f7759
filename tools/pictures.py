"""Draw the pictures of the docs.

python -m tools.pictures                         docs/images/answer.webp and motion.png from the demo
python -m tools.pictures --bundle ZIP            docs/images/answer.webp alone, answered by that bundle
python -m tools.pictures --clip ID --output PNG  a strip of four frames of one clip with its landmarks
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from PIL import Image

from signloom.dataset.shard_names import shard_names, shard_of
from signloom.features.shards import FeatureShards
from signloom.params.load import load_params
from signloom.report.overlay import draw_landmarks
from signloom.video.decode import read_frames
from tools.answer_picture import answer_picture

FRAMES = 4
TIMES = ("start_s", "end_s")
HEIGHT = 360
BUNDLE = Path("build/export/sign_encoder_bundle.zip")
ANSWERED = Path("data/demo/videos/s6/001_1.mp4")
IMAGES = Path("docs/images")


def clip_strip(clip_id: str, build: Path = Path("build")) -> Image.Image:
    """Return evenly spaced frames of a clip side by side, with the raw landmarks drawn over them."""
    count = len(list((build / "shards").glob("*.csv")))
    shard = build / "landmarks" / shard_of(clip_id, count)
    landmarks = FeatureShards([shard.with_suffix(".npy")], [shard.with_suffix(".parquet")])
    clips = pd.read_parquet(build / "manifest.parquet").set_index("clip_id")
    rows = landmarks.clip(clip_id)
    numbers = landmarks.index.set_index("clip_id")["frame_index"][clip_id]
    wanted = {int(numbers[row]): row for row in (np.linspace(0.18, 0.82, FRAMES) * len(rows)).astype(int)}
    start, end = (None if pd.isna(clips.loc[clip_id, name]) else clips.loc[clip_id, name] for name in TIMES)
    frames = read_frames(Path(clips.loc[clip_id, "video_path"]), start, end)
    tiles = [draw_landmarks(f.image, rows[wanted[f.number]]) for f in frames if f.number in wanted]
    images = [Image.fromarray(tile) for tile in tiles]
    images = [image.resize((round(image.width * HEIGHT / image.height), HEIGHT)) for image in images]
    return Image.fromarray(np.concatenate([np.asarray(image) for image in images], axis=1))


def motion_figure(output: Path, build: Path = Path("build")) -> None:
    """Draw the mean motion of signed, unsigned and frozen clips and the floor between them."""
    params = load_params(Path("params.yaml"))
    tables = [
        pd.read_parquet(build / f"pose_features/{name}.parquet") for name in shard_names(params.shards.count)
    ]
    index = pd.concat(tables).merge(pd.read_parquet(build / "manifest.parquet"), on="clip_id")
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
    parser.add_argument("--clip", metavar="ID")
    parser.add_argument("--build", type=Path, default=Path("build"), metavar="DIR", help="build/<preset>")
    parser.add_argument("--output", type=Path, default=Path("clip.png"), metavar="PNG", help="of --clip")
    args = parser.parse_args(argv)
    mpl.use("Agg")
    if args.clip:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        clip_strip(args.clip, args.build).save(args.output)
        return 0
    print(f"{ANSWERED}: {answer_picture(args.bundle or BUNDLE, ANSWERED, IMAGES / 'answer.webp')}")
    if not args.bundle:
        motion_figure(IMAGES / "motion.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
