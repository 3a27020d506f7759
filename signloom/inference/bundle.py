"""An exported bundle, a zip file or a folder, whose files are checked against its manifest before use."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from signloom.errors import SignloomError

FORMAT = 1
MANIFEST = "export_manifest.json"
ZIP, ZIP_DIGEST = "sign_encoder_bundle.zip", "sign_encoder_bundle.zip.sha256"
# files of the manifest that may be missing, as no answer needs them
OPTIONAL = ("sign_encoder.ts", "model.safetensors")
_CHUNK = 1 << 20
_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Bundle:
    """The files of a bundle by name; `names` lists them."""

    def __init__(self, path: Path) -> None:
        """Compare every file with the manifest.

        Raises SignloomError with the file's name if it is changed, missing or not in the manifest.
        """
        self.path = path
        if not path.exists():
            raise SignloomError(f"{path} does not exist; give sign_encoder_bundle.zip, or its folder")
        self._zipped = path.is_file()
        self.names = self._list()
        if MANIFEST not in self.names:
            raise SignloomError(f"{path} has no {MANIFEST}, so it is not a complete bundle; export it again")
        self.manifest: dict[str, Any] = self._manifest()
        self._compare()

    def read(self, name: str) -> bytes:
        """Return the content of file `name`."""
        with self._open(name) as file:
            return file.read()

    def json(self, name: str) -> Any:
        """Return the content of the JSON file `name`."""
        return json.loads(self.read(name))

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return the array of the .npy file `name`."""
        return np.asarray(np.load(io.BytesIO(self.read(name)), allow_pickle=False))

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the .npz file `name`."""
        with np.load(io.BytesIO(self.read(name)), allow_pickle=False) as file:
            return dict(file)

    def _list(self) -> frozenset[str]:
        if not self._zipped:
            files = (path for path in self.path.rglob("*") if path.is_file())
            names = [path.relative_to(self.path) for path in files]
            return frozenset(name.as_posix() for name in names if "__pycache__" not in name.parts)
        try:
            with zipfile.ZipFile(self.path) as file:
                listed = file.namelist()
        except _UNREADABLE as error:
            raise SignloomError(f"{self.path} is not a complete zip file ({error}); copy it again") from error
        twice = [name for name in listed if listed.count(name) > 1]
        if twice:
            raise SignloomError(f"{self.path} contains {twice[0]} twice; copy it again")
        return frozenset(listed)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        if not self._zipped:
            with (self.path / name).open("rb") as plain:
                yield plain
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
            yield file

    def _manifest(self) -> dict[str, Any]:
        try:
            manifest = self.json(MANIFEST)
            known = manifest["format"] == FORMAT
            for entry in (*manifest["files"].values(), *manifest["modules"].values()):
                _ = entry["sha256"], entry["bytes"]
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
            if name in self.names and self._digest(name) != entry["sha256"]:
                raise SignloomError(
                    f"{self.path}: {name} has changed since the export; copy the bundle again"
                )

    def _digest(self, name: str) -> str:
        """Return the SHA-256 of file `name`, or an empty string if it cannot be read."""
        total = hashlib.sha256()
        try:
            with self._open(name) as file:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
        except _UNREADABLE:
            return ""
        return total.hexdigest()
