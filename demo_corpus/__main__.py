"""Render the demo corpus.

``python -m demo_corpus --output data/demo [--jobs N] [--check]``
"""

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Render the corpus; return the exit code."""
    parser = argparse.ArgumentParser("python -m demo_corpus", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the corpus, usually data/demo")
    parser.add_argument("--jobs", type=int, default=2, help="number of processes that render or detect")
    parser.add_argument("--check", action="store_true", help="also run MediaPipe and write detection.csv")
    parser.add_argument("--only", nargs="*", help="render only these clip ids, and no tables")
    options = parser.parse_args(argv)
    if options.jobs < 1:
        parser.error(f"--jobs: expected 1 or more, found {options.jobs}")
    try:
        from demo_corpus import build

        if unknown := build.unknown_ids(options.only or []):
            parser.error(unknown)
        build.make_videos(options.output, options.jobs, options.only)
        if options.only is None:
            build.write_truth(options.output)
    except ImportError as error:
        print(
            f'the demo corpus needs packages that are not installed ({error.name}): pip install ".[corpus]"',
            file=sys.stderr,
        )
        return 2
    if options.only is not None:
        return 0
    build.write_tables(options.output)
    if options.check:
        from demo_corpus.check import check

        table = check(options.output, options.jobs)
        print(table[table["scope"] != "clip"].to_string(index=False))
    print(build.summary(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
