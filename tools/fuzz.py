"""Damage valid files at random and read them: every reader must answer, or say what is wrong in one line.

    python -m tools.fuzz WORK [--reader NAME] [--seconds 600] [--seed N] [--bundle ZIP]

Readers are table, yaml, container, pose and bundle; each gets so many seconds. Input number i of a seed is
always the same. An input that raises anything but SignloomError, ends the process, or takes more than 30 s is
kept in WORK/<reader>-<seed>-<i>, and the exit code is 1. `bundle` needs an exported bundle; the digests of
its damaged files are made to fit.
"""

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import IMPORTERS
from signloom.dataset.manifest import build_manifest
from signloom.dataset.probe import frame_times, why_unreadable
from signloom.dataset.sources import read_sources
from signloom.errors import SignloomError
from signloom.features.pose.pose_files import read_pose
from signloom.files import file_sha256, read_csv
from signloom.inference.bundle import MANIFEST, ZIP
from signloom.inference.engine import SignEngine
from signloom.params.dataset import DatasetParams, ManifestParams
from signloom.params.load import load_params
from signloom.video.decode import read_frames

ROOT = Path(__file__).parent.parent
LONGEST_S = 30
_MOST_FRAMES = 400
# what breaks readers: ends of numbers and texts, marks of formats, and things that mean more elsewhere
_PIECES = (
    *(
        b"\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x80\0\0\0",
        b"\xef\xbb\xbf",
        b"\xc3\x28",
        b"\r",
        b'"',
    ),
    *(
        b",",
        b";",
        b"\t",
        b"\n",
        b"nan",
        b"inf",
        b"-1",
        b"1e999",
        b"999999999999",
        b"&a ",
        b"*a",
        b"!!python/name:x",
    ),
    *(b"../", b"/dev/zero", b"\x1b[2J", b"{", b"[", b"<!ENTITY", b"=cmd()"),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--reader", choices=READERS, action="append")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, default=Path("build/export") / ZIP)
    args = parser.parse_args(argv)
    names, bad = args.reader or READERS, 0
    if "bundle" in names and not args.bundle.exists():
        parser.error(f"--bundle: {args.bundle} does not exist; make demo builds one")
    for name, seeds in {name: seeds_of(name, args.work / "seeds", args.bundle) for name in names}.items():
        tried, found = fuzz(name, seeds, args.work, args.seed, args.seconds)
        print(f"{name}: {tried} inputs, seed {args.seed}: {found} faults", flush=True)
        bad += found
    return 1 if bad else 0


def fuzz(name: str, seeds: list[Path], work: Path, seed: int, seconds: float) -> tuple[int, int]:
    """Read damaged `seeds` for so many seconds; return the numbers of inputs and of faults."""
    number, faults, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        state = multiprocessing.Value("i", number)
        process = multiprocessing.Process(target=_work, args=(name, seeds, work, seed, state, end))
        process.start()
        seen, since = -1, time.monotonic()
        while process.is_alive():
            process.join(1)
            if state.value != seen:
                seen, since = state.value, time.monotonic()
            elif time.monotonic() - since > LONGEST_S:
                process.kill()
                process.join()
        number = state.value
        if process.exitcode == 0:
            break
        faults += 1
        kept = work / f"{name}-{seed}-{number}"
        what = "took too long" if process.exitcode == -9 else f"exit code {process.exitcode}"
        print(f"{name}: input {number}: {what}; kept in {kept}", flush=True)
        number += 1
    return number, faults


def _work(name: str, seeds: list[Path], work: Path, seed: int, state: object, end: float) -> None:
    """Read inputs one after the other; the number of the current one is in `state`."""
    while time.monotonic() < end:
        number = state.value  # type: ignore[attr-defined]
        rng = random.Random(f"{name} {seed} {number}")
        folder = work / f"{name}-{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            READERS[name](rng.choice(seeds), folder, rng)
        except SignloomError as error:
            if "\n" in str(error):
                raise
        except BaseException:
            (folder / "traceback.txt").write_text(traceback.format_exc(), "utf-8")
            traceback.print_exc()
            sys.exit(1)
        shutil.rmtree(folder)
        state.value = number + 1  # type: ignore[attr-defined]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with a few bytes flipped, cut out, doubled, or replaced by pieces that mean something."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        # headers decide more than what follows them
        place = rng.randrange(min(len(made), rng.choice((64, 1024, len(made) or 1))) + 1)
        length = rng.choice((1, 4, 64, 1024))
        match rng.randrange(5):
            case 0 if place < len(made):
                made[place] ^= 1 << rng.randrange(8)
            case 1:
                del made[place : place + length]
            case 2:
                made[place:place] = made[place : place + length]
            case 3:
                piece = rng.choice(_PIECES)
                made[place : place + len(piece)] = piece
            case _:
                made[place:place] = rng.choice(_PIECES)
    return bytes(made[: rng.randrange(len(made) + 1)] if rng.random() < 0.1 else made)


def read_table(source: Path, folder: Path, rng: random.Random) -> None:
    """Read a damaged table with an importer that could be meant, and make its manifest."""
    table = folder / source.name
    table.write_bytes(damaged(source.read_bytes(), rng))
    importer = rng.choice(_IMPORTERS[source.suffix])
    given = load_params(ROOT / "params.yaml").dataset.model_dump()
    given |= {"importer": importer, "table": str(table), "videos": str(ROOT / "data/demo/videos")}
    dataset = DatasetParams(**(given | {"variations": None}))
    hashes = HashCache(folder / "hashes.json")
    build_manifest(read_sources(dataset, hashes), dataset, ManifestParams(max_reject_ratio=1.0), hashes)


def read_yaml(source: Path, folder: Path, rng: random.Random) -> None:
    """Check damaged parameters."""
    file = folder / "params.yaml"
    file.write_bytes(damaged(source.read_bytes(), rng))
    load_params(file)


def read_container(source: Path, folder: Path, rng: random.Random) -> None:
    """Probe and decode a damaged video."""
    video = folder / source.name
    video.write_bytes(damaged(source.read_bytes(), rng))
    frame_times(video)
    if why_unreadable(video) is None:
        for number, _ in enumerate(read_frames(video)):
            if number > _MOST_FRAMES:
                break


def read_pose_file(source: Path, folder: Path, rng: random.Random) -> None:
    """Read a damaged `.pose` file."""
    file = folder / source.name
    file.write_bytes(damaged(source.read_bytes(), rng))
    read_pose(file)


def read_bundle(source: Path, folder: Path, rng: random.Random) -> None:
    """Open a bundle with one damaged file whose digest fits."""
    bundle = folder / "bundle"
    shutil.copytree(source, bundle)
    manifest = json.loads((bundle / MANIFEST).read_text("utf-8"))
    named = [name for name in sorted(manifest["files"]) if (bundle / name).exists()]
    entry = manifest["files"][name := rng.choice(named)]
    victim = bundle / name
    victim.write_bytes(damaged(victim.read_bytes(), rng))
    entry |= {"bytes": victim.stat().st_size, "sha256": file_sha256(victim)}
    (bundle / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    SignEngine.load(bundle)


READERS: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "table": read_table,
    "yaml": read_yaml,
    "container": read_container,
    "pose": read_pose_file,
    "bundle": read_bundle,
}
_IMPORTERS = {
    ".csv": ("csv", "wlasl", "signtalk", "processed", "fairseq"),
    ".tsv": ("csv", "fairseq"),
    ".xlsx": ("csv",),
    ".eaf": ("elan",),
    ".vtt": ("subtitles",),
    ".srt": ("subtitles",),
    ".json": ("wlasl", "msasl"),
}


def seeds_of(name: str, folder: Path, bundle: Path) -> list[Path]:
    """Return the valid files that inputs of a reader are made of, and write those that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "bundle":
        opened = folder / "bundle"
        if not opened.exists():
            zipfile.ZipFile(bundle).extractall(opened)
        return [opened]
    return _SEEDS[name](folder)


def _tables(folder: Path) -> list[Path]:

    rows = read_csv(ROOT / "data/demo/clips.csv", keep_default_na=False).head(12)
    rows.to_csv(folder / "t.csv", index=False)
    rows.to_csv(folder / "t.tsv", sep="\t", index=False)
    rows.to_excel(folder / "t.xlsx", index=False)
    cue = "00:00:00.100 --> 00:00:01.500\nHello there.\n\n"
    (folder / "t.vtt").write_text("WEBVTT\n\n" + cue * 3, "utf-8")
    (folder / "t.srt").write_text(
        "1\n" + cue.replace(".", ",", 2) + "2\n" + cue.replace(".", ",", 2), "utf-8"
    )
    glosses = [{"gloss": "book", "instances": [{"video_id": "s1/001_1", "split": "train", "signer_id": 1}]}]
    (folder / "t.json").write_text(json.dumps(glosses), "utf-8")
    return sorted(path for path in folder.glob("t.*") if path.suffix in _IMPORTERS)


def _yamls(folder: Path) -> list[Path]:
    return [ROOT / "params.yaml"]


def _videos(folder: Path) -> list[Path]:
    return sorted((ROOT / "data/demo/videos").rglob("*.*"), key=lambda path: path.stat().st_size)[:12]


def _poses(folder: Path) -> list[Path]:
    import numpy as np

    from signloom.features.pose.layout import RAW_DIM
    from signloom.features.pose.pose_files import write_pose
    from signloom.features.pose.raw_clip import RawClip

    rows = np.random.default_rng(0).uniform(0.2, 0.8, (20, RAW_DIM)).astype(np.float32)
    path = folder / "a.pose"
    write_pose(path, RawClip(rows, np.arange(20) / 25, np.arange(20), 640, 480), 25.0)
    return [path]


_SEEDS: dict[str, Callable[[Path], list[Path]]] = {
    "table": _tables,
    "yaml": _yamls,
    "container": _videos,
    "pose": _poses,
}
assert set(IMPORTERS) >= {name for names in _IMPORTERS.values() for name in names}

if __name__ == "__main__":
    sys.exit(main())
