"""An exported bundle, a zip file or a folder, whose files are checked against its manifest before use."""

import csv
import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from signloom.cells import plain
from signloom.errors import SignloomError
from signloom.inference.gates import why_unfit

FORMAT = 1
MANIFEST = "export_manifest.json"
ZIP, ZIP_DIGEST = "sign_encoder_bundle.zip", "sign_encoder_bundle.zip.sha256"
# files of the manifest that may be missing, as no answer needs them
OPTIONAL = ("sign_encoder.ts", "model.safetensors")
CONFIG = "model_config.json"
# what every answer reads of it
_NEEDED = (
    *("features.dim", "features.parts", "pose.smoothing", "pose.fps", "seq_len", "gloss", "tokens"),
    *("inference.top_k", "inference.temperature", "retrieval.exact_limit", "sign2text.decoder_layers"),
    *("decoding.beam", "decoding.length_penalty"),
)
_CHUNK = 1 << 20
_LONGEST_MANIFEST = 1 << 24  # bytes; one of ten thousand files has two million
_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Bundle:
    """The files of a bundle by name; `names` lists them.

    A file is read when it is asked for, and compared with the manifest that the bundle was opened with.
    """

    def __init__(self, path: Path | str) -> None:
        """Compare every file with the manifest.

        Raises SignloomError with the file's name if it is changed, missing or not in the manifest.
        """
        path = Path(path)
        self.path, self._place = path, path.absolute()  # messages name the path as it was given
        if not path.exists():
            raise SignloomError(f"{path} does not exist; give sign_encoder_bundle.zip, or its folder")
        self._zipped = path.is_file()
        self.names = self._list()
        if MANIFEST not in self.names:
            raise SignloomError(f"{path} has no {MANIFEST}, so it is not a complete bundle; export it again")
        self.manifest: dict[str, Any] = self._manifest()
        self._compare()

    def need(self, name: str) -> None:
        """Raise SignloomError if the bundle has no file `name`."""
        if name not in self.names:
            raise SignloomError(f"{self.path}: {name} is missing; export the bundle again")

    def read(self, name: str) -> bytes:
        """Return the content of file `name`.

        Raises SignloomError if the bundle has none, or if it cannot be read or has changed since the bundle
        was opened.
        """
        self.need(name)
        entry = (self.manifest["files"] | self.manifest["modules"]).get(name)
        try:
            with self._open(name) as file:
                content = file.read(entry["bytes"] + 1 if entry else -1)
        except (*_UNREADABLE, KeyError) as error:
            raise SignloomError(
                f"{self.path}: {name} cannot be read any more ({error}); put the bundle back"
            ) from error
        if entry and hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise SignloomError(
                f"{self.path}: {name} has changed since the bundle was opened; open the bundle again"
            )
        return content

    def json(self, name: str) -> Any:
        """Return the content of the JSON file `name`; raises SignloomError if it is none."""
        with self.fits(name):
            return json.loads(self.read(name))

    def config(self) -> dict[str, Any]:
        """Return the content of model_config.json; raises SignloomError if it lacks what answers need."""
        found = self.json(CONFIG)
        with self.fits(CONFIG):
            for place in _NEEDED:
                value = found
                for key in place.split("."):
                    value = value[key]
            if found["inference"]["top_k"] < 1:
                raise ValueError("inference.top_k is below 1")
            if not 0 < found["inference"]["temperature"] < math.inf:
                raise ValueError("inference.temperature is no number above 0")
            # a range takes whole numbers alone
            whole = (found["inference"]["top_k"], found["retrieval"]["exact_limit"])
            _ = [range(first, end) for first, end in (whole, *found["features"]["parts"].values())]
            _ = why_unfit(found, 1)
            if found["gloss"] is not None:
                _ = found["gloss"]["tokens"]["blank"]
        return dict(found)

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of the CSV file `name`; raises SignloomError if it is none."""
        with self.fits(name):
            rows = csv.DictReader(io.StringIO(self.read(name).decode("utf-8"), newline=""))
            return [{column: plain(text) for column, text in row.items()} for row in rows]

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return the array of the .npy file `name`; raises SignloomError if it is none."""
        with self.fits(name):
            return _array(self.read(name))

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the .npz file `name`; raises SignloomError if it is none."""
        with self.fits(name), zipfile.ZipFile(io.BytesIO(content := self.read(name))) as file:
            # the export packs none, and a packed megabyte can hold gigabytes
            if sum(entry.file_size for entry in file.infolist()) > len(content):
                raise ValueError("its arrays are packed")
            return {entry.removesuffix(".npy"): _array(file.read(entry)) for entry in file.namelist()}

    @contextmanager
    def fits(self, name: str) -> Iterator[None]:
        """Turn any error into a SignloomError that says that the content of `name` is not what is expected.

        The runtime of the networks has no base class for its errors.
        """
        try:
            yield
        except SignloomError:
            raise
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0][:200]
            raise SignloomError(
                f"{self.path}: {name} is not what this Signloom expects ({type(error).__name__}: {reason}); "
                "export the bundle again"
            ) from error

    def _list(self) -> frozenset[str]:
        if not self._zipped:
            files = (path for path in self._place.rglob("*") if path.is_file())
            names = [path.relative_to(self._place) for path in files]
            # a desktop leaves hidden files in a folder that somebody looks at
            own = [name for name in names if "__pycache__" not in name.parts and name.name[0] != "."]
            return frozenset(name.as_posix() for name in own)
        try:
            with zipfile.ZipFile(self._place) as file:
                listed = [name for name in file.namelist() if not name.endswith("/")]  # folders hold nothing
        except _UNREADABLE as error:
            raise SignloomError(f"{self.path} is not a complete zip file ({error}); copy it again") from error
        twice = [name for name in listed if listed.count(name) > 1]
        if twice:
            raise SignloomError(f"{self.path} contains {twice[0]} twice; copy it again")
        return frozenset(listed)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        if not self._zipped:
            with (self._place / name).open("rb") as plain:
                yield plain
            return
        with zipfile.ZipFile(self._place) as archive, archive.open(name) as file:
            yield file

    def _manifest(self) -> dict[str, Any]:
        try:
            with self._open(MANIFEST) as file:
                text = file.read(_LONGEST_MANIFEST + 1)
            if len(text) > _LONGEST_MANIFEST:
                raise ValueError("too long")
            manifest = json.loads(text)
            known = manifest["format"] == FORMAT
            for entry in (*manifest["files"].values(), *manifest["modules"].values()):
                _ = entry["sha256"], range(entry["bytes"])
        except (*_UNREADABLE, KeyError, TypeError, AttributeError) as error:
            raise SignloomError(f"{self.path}: {MANIFEST} cannot be read; copy the bundle again") from error
        if not known:
            raise SignloomError(
                f"{self.path}: {MANIFEST} has format {manifest['format']}, expected {FORMAT}; use the "
                "Signloom that exported it, or export it again"
            )
        return dict(manifest)

    def _compare(self) -> None:
        files, modules = self.manifest["files"], self.manifest["modules"]
        # a zip file needs the bundle's own code, because it is run directly; a folder may lack it
        needed = (set(files) | set(modules) if self._zipped else set(files)) - set(OPTIONAL)
        beside = {MANIFEST} if self._zipped else {MANIFEST, ZIP, ZIP_DIGEST}
        missing = sorted(needed - self.names)
        if missing:
            raise SignloomError(
                f"{self.path}: {missing[0]} is missing; copy the bundle again, or export it again"
            )
        extra = sorted(self.names - set(files) - set(modules) - beside)
        if extra:
            raise SignloomError(f"{self.path}: {extra[0]} is not in {MANIFEST}; remove it, or export again")
        for name, entry in (files | modules).items():
            if name in self.names and self._digest(name, entry["bytes"]) != entry["sha256"]:
                raise SignloomError(
                    f"{self.path}: {name} has changed since the export; copy the bundle again"
                )

    def _digest(self, name: str, size: int) -> str:
        """Return the SHA-256 of file `name`, or "" if it cannot be read or is longer than `size` bytes."""
        total, left = hashlib.sha256(), size
        try:
            with self._open(name) as file:
                while left >= 0 and (chunk := file.read(_CHUNK)):
                    total.update(chunk)
                    left -= len(chunk)
        except _UNREADABLE:
            return ""
        return total.hexdigest() if left >= 0 else ""


def _array(content: bytes) -> npt.NDArray[Any]:
    """Return the array of a .npy file; raises ValueError if its header claims more than the file holds."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, kind = read[version](file)
    if math.prod(shape) * kind.itemsize != len(content) - file.tell():
        raise ValueError(f"the array should have {shape} numbers, and the file holds others")
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
