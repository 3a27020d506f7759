"""Compare products with what their jobs wrote, or with what DVC recorded and can put back.

A product is as written if its job's record has its digest, or else `dvc.lock`: Snakemake builds without DVC,
and DVC puts older products back without a job.
"""

import hashlib
import json
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from signloom.errors import PRESETS, SignloomError
from signloom.files import file_sha256
from signloom.preset_names import presets_of
from signloom.progress import track
from signloom.records import read_records

BUILD = Path("build")


class State(Enum):
    """What a product is, compared with its records."""

    AS_WRITTEN = "as written"
    CHANGED = "changed"
    MISSING = "missing"
    UNRECORDED = "without a record"


class Made(NamedTuple):
    """What made a product, a stage's job or DVC, and the hex digest of what it made."""

    stage: str
    digest: str


class _Out(BaseModel):
    path: str
    md5: str | None = None


class _Stage(BaseModel):
    outs: list[_Out] = []


class _Lock(BaseModel):
    stages: dict[str, _Stage] = {}


class Build:
    """The products of one build: the one without presets, or that of `preset` (its joined names)."""

    def __init__(self, preset: str = "") -> None:
        self.preset = preset
        self.folder = BUILD / preset
        self.lock = PRESETS / preset / "dvc.lock" if preset else Path("dvc.lock")

    @cached_property
    def jobs(self) -> dict[str, list[Made]]:
        """What jobs wrote, by path; a stage that has another name now left an old record too."""
        found = defaultdict(list)
        for record in read_records(self.folder / "records"):
            for path, digest in record.sha256.items():
                found[path].append(Made(record.stage, digest))
        return dict(found)

    @cached_property
    def locked(self) -> dict[str, Made]:
        """What DVC recorded, by path; raises SignloomError if its file is damaged."""
        if not self.lock.exists():
            return {}
        try:
            # the file has hundreds of kilobytes; PyYAML's own parser would take seconds
            tree = yaml.load(self.lock.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            stages = _Lock.model_validate(tree).stages
        except (yaml.YAMLError, ValidationError) as error:
            raise SignloomError(
                f"{self.lock} is damaged: it is no file of DVC's; restore it: git checkout {self.lock}"
            ) from error
        # DVC's own stage of this name says what code the others have, and makes no product
        products = [(name, stage) for name, stage in stages.items() if name != "code"]
        outs = [(name, out.path, out.md5) for name, stage in products for out in stage.outs]
        return {
            file: Made(name, digest)
            for name, path, md5 in outs
            if md5
            for file, digest in self._files_of(path, md5).items()
        }

    @property
    def recorded(self) -> list[str]:
        """The sorted paths of all recorded products."""
        return sorted({*self.jobs, *self.locked})

    def state(self, path: str) -> State:
        """Return what the product at `path` is; raises SignloomError if it cannot be read."""
        jobs = self.jobs.get(path)
        if not Path(path).is_file():
            return State.MISSING if jobs or path in self.locked else State.UNRECORDED
        try:
            if jobs and file_sha256(Path(path)) in [made.digest for made in jobs]:
                return State.AS_WRITTEN
            if path in self.locked and _md5(Path(path)) == self.locked[path].digest:
                return State.AS_WRITTEN
        except OSError as error:
            raise SignloomError(f"{path} cannot be read ({error.strerror}); {self._again(path)}") from error
        # a clone has dvc.lock from git, which says nothing of files that DVC never had
        return State.CHANGED if jobs or self._kept(path) else State.UNRECORDED

    def complaint(self, path: str) -> str:
        """Return the line about a changed product: its stage, and how either engine makes it again."""
        stage = [*self.jobs.get(path, ()), *filter(None, [self.locked.get(path)])][0].stage
        return f"{path} is not what stage {stage} wrote; {self._again(path)}"

    def how_to_make(self, path: str, force: bool = False) -> str:
        """Return the command that makes the product at `path` under Snakemake; `force` if it is there."""
        config = f" --config preset={presets_of(self.preset)}" if self.preset else ""
        return f"snakemake{config} --cores all{' --force' if force else ''} -- {shlex.quote(path)}"

    def _again(self, path: str) -> str:
        name, locked = shlex.quote(path), self.locked.get(path)
        ways = [f"make it again: {self.how_to_make(path, force=True)}"]
        if locked:
            kept, jobs = self._kept(path), self.jobs.get(path)
            same = kept and (not jobs or file_sha256(kept) in [made.digest for made in jobs])
            # metrics are in git, and DVC puts back only what its cache is for
            if same and BUILD in Path(path).parents:
                ways += [f"or restore it: rm {name} && dvc checkout {name}"]
            else:
                place = f"{self.lock.with_suffix('.yaml')}:" if self.preset else ""
                ways += [f"or: dvc repro --force --single-item {place}{locked.stage}"]
        return ", ".join(ways)

    def _kept(self, path: str) -> Path | None:
        """Return DVC's own whole copy of the product, as it recorded it, if it has one."""
        locked = self.locked.get(path)
        copy = self._in_cache(locked.digest) if locked else None
        return copy if locked and copy and _md5(copy) == locked.digest else None

    def _files_of(self, path: str, md5: str) -> dict[str, str]:
        """Return the MD5 of an output of DVC: its own, or those of the files in a folder that DVC listed."""
        if not md5.endswith(".dir"):
            return {path: md5}
        listed = self._in_cache(md5)
        files = json.loads(listed.read_bytes()) if listed else []
        return {f"{path}/{file['relpath']}": file["md5"] for file in files}

    def _in_cache(self, md5: str) -> Path | None:
        """Return the file of this name in DVC's cache, if there is one."""
        copy = self._cache / "files/md5" / md5[:2] / md5[2:] if self._cache else None
        return copy if copy and copy.is_file() else None

    @cached_property
    def _cache(self) -> Path | None:
        """DVC's cache, which may lie anywhere; None without DVC."""
        done = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True)
        return Path(done.stdout.strip()) if done.returncode == 0 else None


def check_unchanged(paths: Sequence[Path], scratch: Path) -> None:
    """Raise SignloomError if one of `paths`, products of the build with this scratch folder, has changed."""
    build = Build("" if scratch.parent == BUILD else scratch.parent.name)
    products = [path.as_posix() for path in paths if not path.is_absolute()]
    compared = track(products, "inputs", unit="file") if products else ()  # a bar of nothing is noise
    changed = [path for path in compared if build.state(path) is State.CHANGED]
    if changed:
        more = f"; {len(changed) - 1} more: python -m engines.verify" if changed[1:] else ""
        raise SignloomError(build.complaint(changed[0]) + more)


def _md5(path: Path) -> str:
    """Return the hex MD5 of a file, which is what DVC compares."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
