"""A project whose clips are ready rows of features, so that a build takes seconds up to the statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from checkouts import change_params, link_code

ROOT = Path(__file__).parent.parent
CLIPS = [f"s{number // 3}/take-{number}" for number in range(12)]
TARGETS = ("build/global_stats.npz", "build/processed_metadata.parquet", "build/splits.csv")
SCRAPS = ("build/scratch/", "build/logs/", "build/benchmarks/", "build/records/", "build/code/")


def write_project(root: Path, signers: Sequence[str] = ("s0", "s1", "s2", "s3")) -> None:
    """Code, parameters, table and rows of a project with three clips of each of `signers`."""
    root.mkdir(exist_ok=True)
    link_code(ROOT, root)
    dataset = {"importer": "csv", "table": "data/own/clips.csv", "videos": "data/own/rows", "features": True}
    changes = {"dataset": dataset | {"variations": None}, "shards": {"count": 2}}
    change_params(root, changes | {"gloss": {"variants": ["hybrid_pose"]}, "tcn": {"input": "pose"}})
    lines = ["video,sentence,signer_id,split,until"]
    for number, clip in enumerate(CLIPS):
        signer, path = f"s{number // 3}", root / f"data/own/rows/{clip}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(number).normal(size=(40, 16)).astype(np.float32))
        if signer in signers:
            split = "test" if signer == "s3" else "train"
            lines.append(f'{clip}.npy,"Sentence {number % 2},\nof two lines",{signer},{split},')
    (root / "data/own/clips.csv").write_bytes("\ufeff".encode() + "\r\n".join([*lines, ""]).encode())


def products(folder: Path) -> dict[str, bytes]:
    """The bytes of what was built; hashes of files, times of jobs and DVC's .gitignore are no products."""
    files = [path for place in ("build", "metrics") for path in (folder / place).rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {
        name: data
        for name, data in names.items()
        if not name.startswith(SCRAPS) and not name.endswith((".gitignore", ".gitkeep"))
    }
