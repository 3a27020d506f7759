"""Write a copy of a bundle with other thresholds."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from signloom.export.archive import write_zip
from signloom.export.package import listed
from signloom.files import atomic, file_sha256, write_json, write_text
from signloom.inference.bundle import MANIFEST, Bundle

THRESHOLDS = "thresholds.json"


def write_recalibrated(source: Path, target: Path, thresholds: Mapping[str, Any]) -> str:
    """Copy the bundle `source` (a zip file) to `target` with `thresholds`; return its SHA-256.

    The digest is also written beside `target`. Only thresholds.json and its entry in the manifest change.
    Raises SignloomError if `source` has changed since its export.
    """
    bundle = Bundle(source)
    with TemporaryDirectory() as folder:
        changed = {name: Path(folder) / name for name in (THRESHOLDS, MANIFEST)}
        write_json(changed[THRESHOLDS], thresholds)
        files = bundle.manifest["files"] | listed({THRESHOLDS: changed[THRESHOLDS]})
        write_json(changed[MANIFEST], bundle.manifest | {"files": files})
        kept = {name: bundle.read(name) for name in bundle.names - set(changed)}
        with atomic(target) as part, part.open("w+b") as file:
            write_zip(file, {**kept, **changed})
    digest = file_sha256(target)
    write_text(target.with_name(f"{target.name}.sha256"), f"{digest}  {target.name}\n")
    return digest
