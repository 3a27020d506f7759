"""Write a small corpus of flat bodies from Kinect skeletons of Indian Sign Language (Roy et al. 2020).

    python -m benchmarks.flat_bodies --data FOLDER

FOLDER has clips.csv and features.zip: 30 signs, 10 signers, 9 repetitions each, 20 joints a frame. Of every
sign and signer, as many repetitions are drawn as give `--clips`. The joints become `.pose` files without
depth, hands and face. The preset leaves each signer out in turn:

    snakemake --cores all --config preset=kinect_isl_flat
"""

import argparse
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.features.pose import layout
from signloom.features.pose.pose_files import write_pose
from signloom.features.pose.raw_clip import RawClip
from signloom.files import read_csv, write_csv
from signloom.progress import track

FPS, WIDTH, HEIGHT = 30.0, 640, 480
PIXELS_PER_METRE = 200
# the joint that gives each landmark of the pose; face landmarks get the head, fingers the hand
JOINTS = dict.fromkeys(range(11), 0)
JOINTS |= {11: 2, 12: 3, 13: 4, 14: 5, 15: 6, 16: 7, 17: 8, 18: 9, 19: 8, 20: 9, 21: 8, 22: 9, 23: 12, 24: 13}
JOINTS |= {25: 14, 26: 15, 27: 16, 28: 17, 29: 16, 30: 17, 31: 18, 32: 19}


def drawn(clips: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Return `count` clips, equally many of each sign and signer."""
    groups = clips.groupby(["gloss", "signer_id"])
    return groups.sample(count // groups.ngroups, random_state=seed).sort_index()


def flat_body(joints: npt.NDArray[np.float32]) -> RawClip:
    """Return landmarks without depth for `joints` (T, 60): x, y and z of 20 joints in metres."""
    points = joints.reshape(len(joints), 20, 3)[:, [JOINTS[n] for n in range(layout.POSE_POINTS)]]
    pose = np.zeros((len(joints), layout.POSE_POINTS, 4), np.float32)
    pose[..., 0] = 0.5 + points[..., 0] * PIXELS_PER_METRE / WIDTH
    pose[..., 1] = 0.5 - points[..., 1] * PIXELS_PER_METRE / HEIGHT
    pose[..., 3] = 1.0
    rows = np.full((len(joints), layout.RAW_DIM), np.nan, np.float32)
    rows[:, layout.RAW_PARTS["pose"]] = pose.reshape(len(joints), -1)
    return RawClip(rows, np.arange(len(joints)) / FPS, np.arange(len(joints)), WIDTH, HEIGHT)


def read_joints(archive: Path, names: list[str]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield every clip's name and joints (T, 60)."""
    with zipfile.ZipFile(archive) as file:
        members = {Path(name).name: name for name in file.namelist()}
        for name in track(names, "flat_bodies"):
            yield name, np.load(io.BytesIO(file.read(members[name])), allow_pickle=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of clips.csv and features.zip")
    parser.add_argument("--output", type=Path, default=Path("data/kinect_isl_flat"))
    parser.add_argument("--clips", type=int, default=600, help="a multiple of 300")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    clips = drawn(read_csv(args.data / "clips.csv"), args.clips, args.seed)
    (args.output / "poses").mkdir(parents=True, exist_ok=True)
    for name, joints in read_joints(args.data / "features.zip", clips["features"].tolist()):
        write_pose(args.output / "poses" / f"{Path(name).stem}.pose", flat_body(joints), FPS)
    write_csv(
        args.output / "clips.csv",
        pd.DataFrame(
            {
                "video": [f"{Path(name).stem}.pose" for name in clips["features"]],
                "sentence_id": clips["gloss"].astype("category").cat.codes.to_numpy(),
                "sentence": clips["gloss"].to_numpy(),
                "gloss": clips["gloss"].to_numpy(),
                "signer_id": clips["signer_id"].to_numpy(),
            }
        ),
    )
    print(f"{len(clips)} clips in {args.output}; next: see --help")


if __name__ == "__main__":
    main()
