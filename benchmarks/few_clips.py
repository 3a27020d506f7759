"""How well a bundle answers a signer whom training did not see, by how many of their clips are given at once.

    snakemake --cores all build/kinect_isl/export/sign_encoder_bundle.zip --config preset=kinect_isl
    python -m benchmarks.few_clips --preset kinect_isl --output metrics/few_clips/kinect_isl.csv

The clips are those of `signloom predict ROWS.npy ...`: the test clips of the build, as the device recorded
them. Where training standardises by signer, the given clips alone say how this person signs. For each number
of clips, groups are drawn with a fixed seed from one signer's clips; the last row has all of them.
"""

import argparse
import contextlib
import io
from pathlib import Path

import numpy as np
import pandas as pd

from signloom.files import read_csv, write_csv
from signloom.inference.engine import SignEngine
from signloom.inference.recorded_rows import recorded_rows
from signloom.progress import track

SIZES, GROUPS, SEED = (1, 3, 10, 30), 60, 0


def ask(engine: SignEngine, clips: pd.DataFrame) -> pd.DataFrame:
    """Return whether each of `clips`, given at once, has its sign first (`right`), and is `accepted`."""
    paths = [Path(path) for path in clips["video_path"]]
    with contextlib.redirect_stderr(io.StringIO()):  # the note for users
        read = recorded_rows(engine.config, paths)
    answers = engine.answer_batch([read(path) for path in paths], [None] * len(paths), decode=False)
    found = [answer.matches[0].sentence for answer in answers]
    return pd.DataFrame(
        {"right": np.array(found) == clips["sentence"], "accepted": [answer.accepted for answer in answers]}
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    build = Path("build") / args.preset
    engine = SignEngine.load(build / "export/sign_encoder_bundle.zip")
    splits = read_csv(build / "splits.csv").set_index("clip_id")["split"]
    manifest = pd.read_parquet(build / "manifest.parquet")
    test = manifest[manifest["clip_id"].map(splits) == "test"]
    rng, rows = np.random.default_rng(SEED), []
    for size in [*SIZES, None]:
        asked = []
        for _, clips in track(list(test.groupby("signer_id")), f"{size or 'all'} clips"):
            groups = (
                [rng.choice(len(clips), min(size, len(clips)), replace=False) for _ in range(GROUPS)]
                if size
                else [np.arange(len(clips))]
            )
            asked += [ask(engine, clips.iloc[group].reset_index(drop=True)) for group in groups]
        found = pd.concat(asked)
        right, accepted = found["right"].mean(), found["accepted"].mean()
        rows.append({"given": size or "all", "groups": len(asked), "right": right, "accepted": accepted})
    table = pd.DataFrame(rows).round(4)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv(args.output, table)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
