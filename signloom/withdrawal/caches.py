"""What Snakemake and DVC keep beside the products: records, copies in the cache, and what was pushed.

Both keep these in plain files, so no engine is imported. DVC's command says where its caches are.
"""

import base64
import binascii
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from signloom.errors import PRESETS, SignloomError
from signloom.withdrawal.git import git

SNAKEMAKE, DVC = Path(".snakemake"), Path(".dvc")
_NO_DATA = {".git", ".venv", ".dvc", ".snakemake"}  # folders without files that `dvc add` writes
_STAYS = {"conda", "conda-archive", "metadata"}  # of Snakemake's folder; of the records only those of files


@dataclass(frozen=True)
class DvcCache:
    """Where DVC keeps copies: the cache of contents, the cache of its state, and the remotes by name."""

    folder: Path
    site: Path | None
    remotes: dict[str, str]

    @classmethod
    def find(cls) -> "DvcCache | None":
        """Return the caches of the project, None if it has no DVC; raises SignloomError if DVC fails."""
        if not DVC.is_dir():
            return None
        site = re.search(r"^Repo\.site_cache_dir: (.+)$", _dvc("doctor"), re.MULTILINE)
        # `dvc remote list` folds long addresses to the width of the terminal; this list is not folded
        remotes = dict(re.findall(r"^remote\.(.+?)\.url=(.+)$", _dvc("config", "--list"), re.MULTILINE))
        return cls(Path(_dvc("cache", "dir").strip()), Path(site[1].strip()) if site else None, remotes)

    @property
    def is_shared(self) -> bool:
        """Whether the cache lies outside the project, so that other projects may use it."""
        return not self.folder.resolve().is_relative_to(Path.cwd())

    def doomed(self) -> list[Path]:
        """Return the copies to delete: all but those of files that are still there, and of data in git.

        A lock file may be older than what Snakemake has built. Of a shared cache only copies that a lock file
        or a run of this project names are deleted.
        """
        stay, named = _hashes_of_data(), set(_hashes_named(self.folder)) if self.is_shared else set()
        for folder in [digest for digest in stay if digest.endswith(".dir")]:
            copy = self._copy(folder)
            stay |= {*_members_of(copy)} if copy.exists() else set()
        stay |= {digest for digest, file in _outputs() if _are_same(self._copy(digest), file)}
        objects = [path for path in (self.folder / "files/md5").glob("??/*") if not path.is_dir()]
        mine = [path for path in objects if not self.is_shared or _hash_of(path) in named]
        runs = [path for path in (self.folder / "runs").rglob("*") if not path.is_dir()]
        return [path for path in mine if _hash_of(path) not in stay] + sorted(runs)

    def _copy(self, md5: str) -> Path:
        return self.folder / "files/md5" / md5[:2] / md5[2:]


def find_stores() -> list[str]:
    """Return the object stores, such as `s3://bucket/folder`, of which Snakemake has local copies."""
    root = SNAKEMAKE / "storage"
    folders = [path for path in root.rglob("build") if path.is_dir()]
    inner = [path for path in folders if not any(path in other.parents for other in folders)]
    found = {path.parent.relative_to(root) for path in inner}
    return [f"{place.parts[0]}://{'/'.join(place.parts[1:])}" for place in sorted(found) if place.parts]


def forget_records() -> None:
    """Delete Snakemake's logs, and its records of files that are no longer there."""
    for path in sorted(SNAKEMAKE.glob("*")):
        if path.name not in _STAYS:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for record in sorted((SNAKEMAKE / "metadata").rglob("*")):
        if not record.is_dir() and not _product_of(record).exists():
            record.unlink()


def forget_state(cache: DvcCache) -> None:
    """Delete what DVC remembers of files, and folders of experiments; it makes them anew."""
    for folder in filter(None, (DVC / "tmp", cache.site)):
        if folder.is_dir():
            shutil.rmtree(folder)


def _product_of(record: Path) -> Path:
    """Return the file that a record of Snakemake's is about; a long name is spread over folders with @."""
    name = "".join(part.removeprefix("@") for part in record.relative_to(SNAKEMAKE / "metadata").parts)
    try:
        return Path(base64.urlsafe_b64decode(name).decode())
    except (binascii.Error, UnicodeDecodeError):
        return SNAKEMAKE / "no such file"


def _dvc(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"dvc {' '.join(words)} failed: {done.stderr.strip()}"
        raise SignloomError(f"withdraw: {said}; mend DVC's settings in .dvc/config")
    return done.stdout


def _outputs() -> Iterator[tuple[str, Path]]:
    """Yield the MD5 and the path of every output in the lock files; none is a folder."""
    for lock in _locks():
        outs = [out for stage in _yaml(lock).get("stages", {}).values() for out in stage.get("outs", [])]
        yield from ((str(out.get("md5", "")), Path(str(out.get("path", "")))) for out in outs)


def _are_same(copy: Path, file: Path) -> bool:
    return copy.is_file() and file.is_file() and filecmp.cmp(copy, file, shallow=False)


def _hashes_of_data() -> set[str]:
    """Return the MD5 of data that `.dvc` files name."""
    found: set[str] = set()
    for folder, below, names in os.walk("."):
        below[:] = [name for name in below if name not in _NO_DATA]
        for file in (Path(folder, name) for name in names if name.endswith(".dvc")):
            found |= {str(out.get("md5", "")) for out in _yaml(file).get("outs") or []}
    return found


def _locks() -> list[Path]:
    """Return the lock files of DVC: the project's, and those of presets, which name the same paths."""
    return [lock for lock in (Path("dvc.lock"), *sorted(PRESETS.glob("*/dvc.lock"))) if lock.is_file()]


def _hashes_named(cache: Path) -> Iterator[str]:
    """Yield the MD5 of all outputs that the project's lock file, its history and its runs name."""
    texts = [path.read_text("utf-8") for path in (cache / "runs").rglob("*") if path.is_file()]
    for lock in _locks():
        texts.append(lock.read_text("utf-8"))
        # those that deleted the file have none to show
        commits = git("log", "--all", "--diff-filter=AMRCT", "--format=%H", "--", str(lock)).split()
        texts += [git("show", f"{commit}:./{lock.as_posix()}") for commit in commits]
    for text in texts:
        yield from re.findall(r"\bmd5: ['\"]?([0-9a-f]+(?:\.dir)?)", text)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())
        raise SignloomError(f"withdraw: {path} says which data of DVC stay: mend it: {said}") from error
    return tree if isinstance(tree, dict) else {}


def _hash_of(path: Path) -> str:
    """Return the MD5 of a copy, as lock files write it: a folder's ends with .dir."""
    return path.parent.name + path.name


def _members_of(folder_copy: Path) -> list[str]:
    """Return the MD5 of the files of a folder from its copy in the cache."""
    return [str(entry["md5"]) for entry in json.loads(folder_copy.read_text("utf-8"))]
