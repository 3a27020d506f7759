"""Build a small project with its products in an S3 store on this machine, and compare its bytes.

    python -m tools.object_store WORK

WORK is a new folder, or one of an earlier call. WORK/here has a build with files. WORK/there is a clone of it
whose products are objects in a store (a server of moto on 127.0.0.1). WORK/second is a clone elsewhere. It
must find nothing to do, and, after bundle and page were deleted from the store, make them from the other
objects. All objects are then fetched to WORK/fetched and compared. It needs `make store`, or the packages
that `make test` puts apart.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.same_bytes import differences, products
from tools.small_project import commit_all, environment, make_small

APART = Path(sys.prefix, "store")  # where `make test` puts what the extra `store` asks for
BUCKET = "signloom"
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
print("port", server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Store:
    """A bucket on this machine that keeps objects in memory."""

    address: str

    @property
    def options(self) -> list[str]:
        """The options of Snakemake that put products under `s3://signloom/build of mine`."""
        place = f"s3://{BUCKET}/build of mine"
        return [
            *("--default-storage-provider", "s3", "--default-storage-prefix", place),
            *("--storage-s3-endpoint-url", self.address, "--storage-s3-region", "us-east-1"),
        ]

    def bucket(self) -> Any:
        """Return the bucket by boto3, made if need be."""
        if str(APART) not in sys.path:
            sys.path.append(str(APART))
        import boto3

        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        client = boto3.resource("s3", endpoint_url=self.address, region_name="us-east-1", **keys)
        client.create_bucket(Bucket=BUCKET)
        return client.Bucket(BUCKET)

    def fetch(self, folder: Path) -> None:
        """Copy all objects into `folder`, under their names below the prefix."""
        for found in self.bucket().objects.all():
            path = folder / found.key.partition("/")[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            found.Object().download_file(str(path))


@contextmanager
def store() -> Iterator[Store]:
    """Give a store on a free port of 127.0.0.1, which is stopped at the end."""
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env=with_store(Path()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout and server.stdin
    try:
        if not (port := _port(server.stdout)):
            raise SystemExit("error: moto's server does not start; run make store")
        found = Store(f"http://127.0.0.1:{port}")
        found.bucket()
        yield found
    finally:
        server.stdin.close()
        server.wait()


def _port(lines: Iterable[str]) -> str:
    """Return the port that the server names, "" if it ends before."""
    named = (line.split()[1] for line in lines if line.startswith("port "))
    return next(named, "")


def with_store(folder: Path) -> dict[str, str]:
    """Return the variables with which Snakemake in `folder` finds its code, the plugin and the keys."""
    plain = environment(folder)
    paths = os.pathsep.join([plain["PYTHONPATH"], str(APART)])
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**plain, **keys, "PATH": path, "PYTHONPATH": paths}


def snakemake(folder: Path, *options: str) -> str:
    """Run Snakemake in `folder` and return what it prints; exits if it fails."""
    command = ["snakemake", "--cores", "all", *options]
    done = subprocess.run(
        command,
        cwd=folder,
        env=with_store(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-4000:]}\nerror: {' '.join(command)} in {folder}")
    return done.stdout


def second_clone(first: Path, folder: Path) -> None:
    """Clone `first`, with files as old as the commit: Snakemake takes younger ones for changed."""
    subprocess.run(["git", "clone", "-q", str(first), str(folder)], check=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, check=True, capture_output=True).stdout
    when = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=folder, check=True, capture_output=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        os.utime(folder / name, (int(when), int(when)), follow_symlinks=False)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    work = parser.parse_args(argv).work
    here, there, second, fetched = (work / name for name in ("here", "there", "second", "fetched"))
    if not here.exists():
        make_small(here)
        commit_all(here)
    snakemake(here)
    for folder in (there, second, fetched):
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(here), str(there)], check=True)
    with store() as place:
        snakemake(there, *place.options)
        second_clone(here, second)
        if "Nothing to be done" not in snakemake(second, *place.options, "--dry-run"):
            raise SystemExit(f"error: {second} has work left")
        for found in place.bucket().objects.all():
            # the page asks for the bundle
            if "/export/" in found.key or "/report/" in found.key:
                found.delete()
        snakemake(second, *place.options)
        place.fetch(fetched)
    one, two = products(here), products(fetched)
    different = [path for path in differences(one, two) if not path.endswith(".gitkeep")]
    print(f"{len(one)} products here, {len(two)} in the store, {len(different)} different {different}")
    return 1 if different or not two else 0


if __name__ == "__main__":
    sys.exit(main())
