"""What says that a shard must be built again: a digest of its clips, known before the manifest is built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from signloom.dataset.hashes import HashCache
from signloom.dataset.manifest import shard_digests
from signloom.dataset.shard_names import shard_names, shard_of
from signloom.dataset.sources import Table
from signloom.params.dataset import DatasetParams
from tests.manifests import dataset_of, manifest_of
from tests.videos import write_video

COUNT = 16
HEAD = "video,sentence_id,sentence,start_s,end_s\n"
ROWS = [
    "a.mp4,1,One.,,\n",
    "b.mp4,2,Two.,,\n",
    "b.mp4,2,Two.,,\n",  # a duplicate of the row above, under the same clip id
    "copy.mp4,1,One.,,\n",  # the content of a.mp4
    "broken.mp4,3,Three.,,\n",
    "c.mp4,many,Four.,,\n",
    "d.mp4,5,Five.,,\n",
    "e.mp4,5,Not five.,,\n",
    "f.mp4,6,Six.,0,0.1\n",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table with clips, a repeated row, a copy, a broken video, a bad row and a contradiction."""
    for seed, name in enumerate("abcdefg"):
        write_video(tmp_path / f"videos/{name}.mp4", seed=seed)
    (tmp_path / "videos/copy.mp4").write_bytes((tmp_path / "videos/a.mp4").read_bytes())
    (tmp_path / "videos/broken.mp4").write_text("not a video")
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, rows: list[str]) -> None:
    (folder / "clips.csv").write_text(HEAD + "".join(rows), "utf-8")


def dataset(folder: Path) -> DatasetParams:
    return dataset_of(folder / "clips.csv", folder / "videos")


def digests(folder: Path) -> dict[str, str]:
    return shard_digests(Table.read(dataset(folder), HashCache(folder / "hashes.json")), COUNT)


def lists(folder: Path) -> dict[str, str]:
    manifest = manifest_of(dataset(folder), folder / "hashes.json", 1.0)
    return {name: manifest.shard(name, COUNT).to_csv(index=False) for name in shard_names(COUNT)}


def rows_with(place: int, row: str) -> list[str]:
    return [*ROWS[:place], row, *ROWS[place + 1 :]]


EDITS: dict[str, Callable[[Path], object]] = {
    "another video under the same name": lambda f: write_video(f / "videos/a.mp4", seed=20),
    "another video of a repeated row": lambda f: write_video(f / "videos/b.mp4", seed=21),
    "a copy that is one no longer": lambda f: write_video(f / "videos/copy.mp4", seed=22),
    "a broken video mended": lambda f: write_video(f / "videos/broken.mp4", seed=23),
    "a video that breaks": lambda f: (f / "videos/d.mp4").write_text("not a video"),
    "a video that is gone": lambda f: (f / "videos/d.mp4").unlink(),
    "a bad row mended": lambda f: write(f, rows_with(5, "c.mp4,4,Four.,,\n")),
    "a row that goes bad": lambda f: write(f, rows_with(0, "a.mp4,many,One.,,\n")),
    "a row more": lambda f: write(f, [*ROWS, "g.mp4,7,Seven.,,\n"]),
    "a row less": lambda f: write(f, ROWS[1:]),
    "other times": lambda f: write(f, rows_with(8, "f.mp4,6,Six.,0,0.12\n")),
    "the first of a contradiction gone": lambda f: write(f, rows_with(6, "")),
    "a contradiction the other way round": lambda f: write(f, [*ROWS[:6], ROWS[7], ROWS[6], ROWS[8]]),
    "the original of a copy gone": lambda f: write(f, ROWS[1:]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_shard_whose_list_changes_has_another_digest_and_no_other_shard_has(
    folder: Path, edit: str
) -> None:
    digests_before, lists_before = digests(folder), lists(folder)
    EDITS[edit](folder)
    changed = {name for name, text in lists(folder).items() if text != lists_before[name]}
    assert changed
    assert {name for name, digest in digests(folder).items() if digest != digests_before[name]} == changed


KEPT: dict[str, Callable[[Path], object]] = {
    "another sentence": lambda f: write(f, rows_with(8, "f.mp4,6,Other.,0,0.1\n")),
    "another order": lambda f: write(f, [ROWS[8], *ROWS[:8]]),
    "another time stamp": lambda f: (f / "videos/a.mp4").touch(),
}


@pytest.mark.parametrize("edit", KEPT)
def test_what_changes_no_clip_changes_no_digest(folder: Path, edit: str) -> None:
    before = digests(folder)
    KEPT[edit](folder)
    assert digests(folder) == before


def test_a_video_that_may_not_be_read_is_rejected_and_the_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(folder)
    opened = Path.open

    def closed(self: Path, *args: object, **options: object) -> object:
        if self.name == "g.mp4":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **options)

    def no_decoder(name: str, *args: object, **options: object) -> object:
        if name.endswith("g.mp4"):
            raise PermissionError(13, "Permission denied", name)
        return decoder(name, *args, **options)

    decoder = av.open
    write(folder, [*ROWS, "g.mp4,7,Seven.,,\n"])
    monkeypatch.setattr(Path, "open", closed)
    monkeypatch.setattr(av, "open", no_decoder)
    closed_video = folder / "videos/g.mp4"
    assert HashCache(folder / "other.json").hash_all([closed_video]) == {closed_video: ""}
    after = digests(folder)
    assert {name for name in before if before[name] != after[name]} == {shard_of("g", COUNT)}
    manifest = manifest_of(dataset(folder), folder / "hashes.json", 1.0)
    last = manifest.rejects.iloc[-1]
    assert (last["clip_id"], last["reason"]) == ("g", "unreadable")
    assert "Permission denied" in last["detail"]
