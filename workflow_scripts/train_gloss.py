"""Train one variant of the gloss family with one seed.

Inputs: splits, glosses, gloss_lines; pose, pose_index, mask (one of each per shard), pose_stats and/or clip,
clip_index, clip_stats; for hybrid_clip_aug also copies, copies_index.
Outputs: best, latest (checkpoints), history (CSV), metrics (one JSON line per epoch).
"""

from __future__ import annotations

import sys

from signloom.stage import run_stage
from signloom.training.glosses.train import train


def main(argv: list[str] | None = None) -> int:
    """Run the stage; return its exit code."""
    return run_stage("train_gloss", train, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
