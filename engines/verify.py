"""Compare the products of every build with what their stages wrote; name those that changed or are missing.

python -m engines.verify

The exit code is 1 if a product changed. A build or a `dvc repro` that runs meanwhile is seen half done.
"""

import sys
from collections import Counter
from collections.abc import Iterable

from signloom.console import run_program
from signloom.errors import PRESETS, SignloomError
from signloom.products import BUILD, Build, State
from signloom.progress import track

# folders below a build's own that hold no products, or few
NO_PRODUCTS = {"scratch", "records", "logs", "benchmarks", "code"}


def builds() -> list[Build]:
    """Return the builds in the working folder that have records of jobs or of DVC."""
    folders = [path.parent.name for path in BUILD.glob("*/records")]
    locks = [path.parent.name for path in PRESETS.glob("*/dvc.lock")]
    return [Build(), *(Build(name) for name in sorted({*folders, *locks}))]


def states(found: Iterable[Build]) -> dict[State, list[str]]:
    """Return the recorded products of builds by their state.

    Those that changed stand as the line about each, those that are missing as the command that makes each.

    Raises SignloomError if a record is damaged or a product cannot be read.
    """
    products = [(build, path) for build in found for path in build.recorded]
    result: dict[State, list[str]] = {state: [] for state in State}
    for build, path in track(products, "products", unit="file") if products else ():
        state = build.state(path)
        says = {State.CHANGED: build.complaint, State.MISSING: build.how_to_make}
        result[state].append(says[state](path) if state in says else path)
    return result


def unrecorded(recorded: set[str]) -> int:
    """Return how many files below build/ no record names, those that are no products left out."""
    # DVC leaves a .gitignore in every folder
    files = (path for path in BUILD.rglob("[!.]*") if path.is_file())
    return sum(path.as_posix() not in recorded and not NO_PRODUCTS.intersection(path.parts) for path in files)


def verify() -> int:
    """Print a line for every changed product and a summary; return 1 if a product changed, else 0."""
    found = builds()
    known = states(found)
    counts = Counter({state: len(paths) for state, paths in known.items()})
    recorded = {path for build in found for path in build.recorded}
    counts[State.UNRECORDED] += unrecorded(recorded)
    print(*known[State.CHANGED], sep="\n", end="\n" if counts[State.CHANGED] else "")
    print("products:", ", ".join(f"{counts[state]} {state.value}" for state in State))
    if missing := known[State.MISSING]:
        more = f"; {len(missing) - 1} more" if missing[1:] else ""
        how = "Snakemake makes what is missing only when something new needs it, or by name"
        print(f"{how}: {missing[0]}{more}")
    if counts[State.CHANGED]:
        print("then build what was made from them again: snakemake --cores all, or dvc repro")
    return int(counts[State.CHANGED] > 0)


def main(argv: list[str] | None = None) -> int:
    if sys.argv[1:] if argv is None else argv:
        print(__doc__)
        return 2
    try:
        return verify()
    except SignloomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(run_program(main))
