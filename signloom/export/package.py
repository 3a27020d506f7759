"""The manifest of an export, and its bundle: one file that needs only Python, NumPy and ONNX Runtime.

Its zip files have the same bytes for the same content.
"""

import hashlib
import io
import json
import platform
import shutil
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import signloom.decoding.beam
import signloom.inference
import signloom.text
from signloom import cells, console, errors, letters, processors
from signloom.files import atomic, file_sha256, write_json, write_text
from signloom.inference import (
    answer,
    answer_text,
    beam,
    bundle,
    command,
    dtw,
    engine,
    gates,
    gloss_places,
    index,
    networks,
    ranking,
    spotting,
)
from signloom.text import tokenizer, vocabulary

# the modules that answer from features; they import only the standard library, NumPy and ONNX Runtime
RUNTIME = (
    *(signloom, signloom.decoding, signloom.decoding.beam, signloom.inference, signloom.text),
    *(cells, console, errors, letters, processors, tokenizer, vocabulary),
    *(answer, answer_text, beam, bundle, command, dtw, engine),
    *(gates, gloss_places, index, networks, ranking, spotting),
)
MAIN = b'''"""Answer clips of features: python sign_encoder_bundle.zip CLIP.npz"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("error: a bundle needs Python 3.11 or later, and this is %d.%d" % sys.version_info[:2])

try:
    from signloom.inference.command import main
except ModuleNotFoundError as error:
    sys.exit(f"error: {error}; a bundle needs numpy and onnxruntime: pip install numpy onnxruntime")

sys.exit(main(Path(__file__).parent))
'''
THRESHOLDS = "thresholds.json"
PACKAGES = ("torch", "numpy", "onnx", "onnxscript", "onnxruntime", "safetensors", "tokenizers")
# optional packages of the runtime and their uses
EXTRAS = {
    "tokenizers": "decoded sentences",
    "dtaidistance": "faster re-ranking",
    "faiss-cpu": "approximate search in large galleries",
    "signloom[video]": "video input, by `signloom predict`",
}


def code() -> dict[str, bytes]:
    """Return the bundle's code and its licence by file name; who passes the code on passes both on."""
    root = Path(__file__).parents[2]
    files = [*(Path(str(module.__file__)) for module in RUNTIME), root / "LICENSE"]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files} | {"__main__.py": MAIN}


_START = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold


def write_bundle(target: Path, files: Mapping[str, Path], manifest: Path) -> str:
    """Write the zip file with `files` by name and the code, and return its SHA-256."""
    content: dict[str, bytes | Path] = {
        name: path for name, path in files.items() if name not in bundle.OPTIONAL
    }
    return _write(target, {**content, **code(), bundle.MANIFEST: manifest})


def write_recalibrated(source: Path, target: Path, thresholds: Mapping[str, Any]) -> str:
    """Copy the bundle `source` (a zip file) to `target` with `thresholds`; return its SHA-256.

    The digest is also written beside `target`. Only thresholds.json and its entry in the manifest change.
    Raises SignloomError if `source` has changed since its export.
    """
    old = bundle.Bundle(source)
    with TemporaryDirectory() as folder:
        changed = {name: Path(folder) / name for name in (THRESHOLDS, bundle.MANIFEST)}
        write_json(changed[THRESHOLDS], thresholds)
        files = old.manifest["files"] | listed({THRESHOLDS: changed[THRESHOLDS]})
        write_json(changed[bundle.MANIFEST], old.manifest | {"files": files})
        kept = {name: old.read(name) for name in old.names - set(changed)}
        digest = _write(target, {**kept, **changed})
    write_text(target.with_name(f"{target.name}.sha256"), f"{digest}  {target.name}\n")
    return digest


def _write(target: Path, content: Mapping[str, bytes | Path]) -> str:
    with atomic(target) as part, part.open("w+b") as file:
        write_zip(file, content)
    return file_sha256(target)


def write_zip(target: IO[bytes], content: Mapping[str, bytes | Path]) -> None:
    """Write bytes and files sorted by name, uncompressed because compressors differ between machines."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            part = content[name]
            entry = zipfile.ZipInfo(name, _START)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            entry.file_size = len(part) if isinstance(part, bytes) else part.stat().st_size
            with (
                io.BytesIO(part) if isinstance(part, bytes) else part.open("rb") as source,
                archive.open(entry, "w") as file,
            ):
                shutil.copyfileobj(source, file, 1 << 20)


def make_manifest(about: dict[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return export_manifest.json: SHA-256 and size of `files` and of the code, then `about`."""
    modules = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(code().items())
    }
    return {"format": bundle.FORMAT, "files": listed(files), "modules": modules, "extras": EXTRAS, **about}


def listed(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Return SHA-256 and size of `files` by name, sorted."""
    return {
        name: {"sha256": file_sha256(path), "bytes": path.stat().st_size}
        for name, path in sorted(files.items())
    }


def hash_of(value: Any) -> str:
    """Return the hex SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the bytes of an export depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
