"""The command line that all stages share: named inputs, named outputs and the stage's parameters.

    python -m workflow_scripts.splits --input metadata=build/processed_metadata.parquet \
        --output splits=build/splits.csv metrics=metrics/splits.json --params params.yaml
"""

import argparse
import fcntl
import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import ValidationError

from signloom.console import run_program
from signloom.disk import disk_error
from signloom.errors import SignloomError
from signloom.files import file_sha256, hash_files, remove_parts, write_text
from signloom.native_stderr import only_errors
from signloom.params.base import Section
from signloom.records import write_record

S = TypeVar("S", bound=Section)
if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Files = TypeVar("Files", bound="DataclassInstance")


@dataclass(frozen=True)
class Job:
    """The inputs, outputs and parameters of one run of a stage."""

    stage: str
    inputs: dict[str, list[Path]]
    outputs: dict[str, list[Path]]
    params: dict[str, Any]
    threads: int
    scratch_root: Path
    stored: Path = Path()  # where local copies of products in object storage are

    def input(self, name: str) -> Path:
        """Return the one input called `name`."""
        paths = self.input_list(name)
        if len(paths) != 1:
            raise SignloomError(f"{self.stage}: --input {name}=FILE takes one file, not {len(paths)}")
        return paths[0]

    def input_list(self, name: str) -> list[Path]:
        """Return all inputs called `name`, in the order given; a missing file is an error."""
        if name not in self.inputs:
            raise SignloomError(f"{self.stage}: --input {name}=FILE is missing")
        for path in self.inputs[name]:
            if not path.exists():
                raise SignloomError(f"{self.stage}: input {name}: {path} does not exist; build it first")
        return self.inputs[name]

    def output(self, name: str) -> Path:
        """Return the one output called `name` and create its folder."""
        paths = self.output_list(name)
        if len(paths) != 1:
            raise SignloomError(f"{self.stage}: --output {name}=FILE takes one file, not {len(paths)}")
        return paths[0]

    def output_list(self, name: str) -> list[Path]:
        """Return all outputs called `name`, in the order given, and create their folders."""
        if name not in self.outputs:
            raise SignloomError(f"{self.stage}: --output {name}=FILE is missing")
        for path in self.outputs[name]:
            path.parent.mkdir(parents=True, exist_ok=True)
        return self.outputs[name]

    def input_files(self, kind: type[Files]) -> Files:
        """Return dataclass `kind`, each field filled with the input of its name: one path, or all of them.

        An input whose field has a default may be missing.
        """
        hints, found = get_type_hints(kind), {}
        for field in fields(kind):
            if field.name in self.inputs or field.default is MISSING:
                several = hints[field.name] == Sequence[Path]
                found[field.name] = self.input_list(field.name) if several else self.input(field.name)
        return kind(**found)

    def section(self, name: str, kind: type[S]) -> S:
        """Return the parameters of section `name`."""
        if name not in self.params:
            raise SignloomError(f"{self.stage}: --params has no section {name!r}; add it")
        return self._checked(name, kind, self.params[name])

    def value(self, name: str, kind: type[Section]) -> Any:
        """Return the parameter `name` (`section.key`), for a stage that gets only some keys."""
        section, _, key = name.partition(".")
        given = self.params.get(section, {})
        if key not in given:
            raise SignloomError(f"{self.stage}: --params has no key {name}; add it")
        return getattr(self._checked(section, kind.only(key), {key: given[key]}), key)

    def _checked(self, name: str, kind: type[S], values: Any) -> S:
        try:
            return kind.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join([name, *map(str, first["loc"])])
            raise SignloomError(f"{self.stage}: parameter {key}: {first['msg']}") from error

    def sections(self, kind: type[S]) -> S:
        """Return the sections that the fields of `kind` name; one with a default may be missing."""
        known, hints = kind.model_fields.items(), get_type_hints(kind)
        asked = [name for name, field in known if field.is_required() or name in self.params]
        # a section that may be missing has the hint `Section | None`
        return kind(**{name: self.section(name, (*get_args(hints[name]), hints[name])[0]) for name in asked})

    def folder(self) -> Path:
        """Return the folder of the first output."""
        return next(iter(self.outputs.values()))[0].parent

    def name_of(self, path: Path) -> Path:
        """Return the name of a product, which is not where its local copy is if it is in object storage."""
        return path.relative_to(self.stored) if path.is_relative_to(self.stored) else path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process is at work on the outputs, and keep others off them meanwhile.

        A job may outlive the engine that started it. What it writes at its end may be of other parameters, so
        the next one waits and writes its own.
        """
        first = self.name_of(next(iter(self.outputs.values()))[0])
        place = self.scratch_root / "locks" / hashlib.sha256(first.as_posix().encode()).hexdigest()[:16]
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a+", encoding="utf-8") as file:
            with suppress(OSError):  # some file systems of clusters have no locks
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.seek(0)
                    who = file.read() or "another process"
                    print(f"{self.stage}: waiting for {who}, which is at work on {first}", file=sys.stderr)
                    fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            # a kill leaves what it cut off, which may be as large as a product
            for path in (path for paths in self.outputs.values() for path in paths):
                remove_parts(path)
            yield

    def sign(self) -> None:
        """Write to the output `origin`, if there is one, what the rule says the outputs were made from.

        The digest of the shard's list stands below it: `manifest` also opens files, of which no rule knows.
        """
        for path in self.outputs.get("origin", []):
            lists = "".join(f"{file_sha256(file)}\n" for file in self.inputs.get("shard", []))
            write_text(path, f"{self.params.get('origin', '')}\n{lists}")

    def record(self) -> None:
        """Record what the job wrote, beside the folder of resumable state."""
        outputs = [path for paths in self.outputs.values() for path in paths]
        if gone := [path for path in outputs if not path.exists()]:
            raise SignloomError(f"{self.stage}: {gone[0]} was deleted while the job ran; build again")
        write_record(self.scratch_root.with_name("records"), self.stage, outputs)

    def setting(self) -> str | None:
        """Return what outputs are made with besides the inputs; None without the digest of the code."""
        given = {key: value for key, value in self.params.items() if key != "origin"}
        return json.dumps(given, sort_keys=True) if "code" in given else None

    def kept(self) -> Path:
        """Return a name in the scratch folder for what the next job with the same outputs may use."""
        first = next(iter(self.outputs.values()))[0]
        name = hashlib.sha256(self.name_of(first).as_posix().encode()).hexdigest()[:16]
        return self.scratch_root / self.stage / "kept" / name

    def networks(self) -> Path:
        """Return the folder of converted networks, which all jobs share."""
        return self.scratch_root / "networks"

    def scratch(self) -> Path:
        """Return a folder for resumable state, keyed by inputs, outputs, parameters and loaded code."""
        key = hashlib.sha256()
        # jobs that run side by side may have equal inputs, such as two shards without clips
        key.update(repr(sorted(self.outputs.items())).encode())
        for name, paths in sorted(self.inputs.items()):
            key.update(f"{name}:{hash_files(paths)}".encode())
        key.update(json.dumps(self.params, sort_keys=True).encode())
        key.update(hash_files(_own_modules()).encode())
        folder = self.scratch_root / self.stage / key.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _own_modules() -> list[Path]:
    """Return the files of the signloom modules that are loaded, sorted by module name."""
    loaded = sorted(name for name in sys.modules if name.split(".")[0] == "signloom")
    return [Path(file) for name in loaded if (file := getattr(sys.modules[name], "__file__", None))]


def entry_point(work: Callable[[Job], None]) -> Callable[..., int]:
    """Return `main(argv=None)` of the stage that `work` does, and run it if its module is the program.

    The stage has the name of its file, and `--help` shows the docstring of its module. An error that a user
    can fix becomes one line and exit code 2.
    """
    stage, module = Path(work.__code__.co_filename).stem, sys.modules[work.__module__]

    def run(argv: list[str] | None) -> int:
        job = None
        try:
            job = parse(stage, argv, module.__doc__)
            if argv is None:
                threading.excepthook = _hook(stage, job.folder())
            with job.alone():
                with only_errors() if argv is None else nullcontext():
                    work(job)
                job.sign()
                job.record()
        except SignloomError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except Exception as error:
            if job is None or (known := disk_error(error, stage, job.folder())) is None:
                raise
            print(f"error: {known}", file=sys.stderr)
            return 2
        return 0

    def main(argv: list[str] | None = None) -> int:
        # a program that is started owns its standard streams; one that calls `main` keeps its own
        return run_program(lambda: run(None)) if argv is None else run(argv)

    if module.__name__ == "__main__":
        sys.exit(main())
    return main


def _hook(stage: str, folder: Path) -> Callable[[threading.ExceptHookArgs], None]:
    """Return what says in one line that the disk failed a thread of a library, such as TensorBoard's."""

    def hook(args: threading.ExceptHookArgs) -> None:
        known = disk_error(args.exc_value, stage, folder) if args.exc_value else None
        if known is None:
            threading.__excepthook__(args)
            return
        with suppress(ValueError):  # standard error is closed when the program ends
            print(f"warning: {known}", file=sys.stderr)

    return hook


def parse(stage: str, argv: list[str] | None, doc: str | None) -> Job:
    """Parse the command line of stage `stage`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m workflow_scripts.{stage}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", nargs="*", action="extend", default=[], metavar="NAME=FILE")
    parser.add_argument("--output", nargs="+", action="extend", required=True, metavar="NAME=FILE")
    parser.add_argument(
        "--params", default="{}", metavar="FILE_OR_JSON", help="params.yaml, or its sections as JSON"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--scratch", type=Path, default=Path("build/scratch"), metavar="DIR")
    parser.add_argument(
        "--stored",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where Snakemake keeps local copies of products in object storage; their names begin below it",
    )
    args = parser.parse_args(argv)
    inputs, outputs = _group(args.input), _group(args.output)
    return Job(stage, inputs, outputs, _load_params(args.params), args.threads, args.scratch, args.stored)


def _group(items: list[str]) -> dict[str, list[Path]]:
    """Return the files of `NAME=FILE` items by name."""
    groups: dict[str, list[Path]] = {}
    for item in items:
        name, equals, path = item.partition("=")
        if not equals:
            raise SignloomError(f"{item!r}: expected NAME=FILE")
        groups.setdefault(name, []).append(Path(path))
    return groups


def _load_params(given: str) -> dict[str, Any]:
    """Return the sections of a YAML file, or of JSON in braces; raises SignloomError for anything else."""
    is_json = given.lstrip().startswith("{")
    name = "--params" if is_json else f"--params {given}"
    try:
        tree = json.loads(given) if is_json else yaml.safe_load(Path(given).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SignloomError(f"{name}: {said}; give a file of YAML, or JSON in braces") from error
    if not isinstance(tree, dict):
        raise SignloomError(f"{name}: expected sections of parameters, found {type(tree).__name__}")
    return tree
