"""Train the landmarks-to-sentence model.

Inputs: features, mask, index (one of each per shard), stats, splits, texts, embeddings, tokenizer.
Outputs: best, latest (checkpoints), history (CSV), metrics (one JSON line per epoch).
"""

from __future__ import annotations

import sys

from signloom.stage import run_stage
from signloom.training.sentences.train import train


def main(argv: list[str] | None = None) -> int:
    """Run the stage; return its exit code."""
    return run_stage("train_sign2text", train, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
