"""Find the videos that annotations name: by name alone, and whatever way their letters are composed."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from signloom.dataset.forms.texts import one_form
from signloom.dataset.probe import FRAME_SUFFIXES, VIDEO_SUFFIXES
from signloom.errors import SignloomError
from signloom.gate import is_hidden, is_there


def on_disk(root: Path, video: str) -> str:
    """Return `video` as the disk below `root` writes it: `é` is one letter (NFC) or two (NFD).

    Returns `video` unchanged if it exists as it is, or in no form.
    """
    if not video or is_there(root / video) or video.isascii():
        return video
    place = root
    for part in Path(video).parts:
        spelled = (part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part))
        found = next((text for text in spelled if is_there(place / text)), None)
        if found is None:
            return video
        place /= found
    return place.relative_to(root).as_posix()


class VideoFiles:
    """The videos at any depth below a folder, by name."""

    def __init__(self, root: Path, others: bool = False) -> None:
        """List the videos below `root`, apart from hidden files and folders.

        With `others`, `.pose` files and folders of pictures take the place of videos that are not there.
        """
        self._root = root
        self.folders = Counter[str]()  # how many videos are in folders of a name, in small letters
        self._named: dict[str, list[str]] = {}
        self._poses: dict[str, list[str]] = {}
        self._folders: dict[str, list[str]] = {}
        wanted = {*VIDEO_SUFFIXES, *((".pose", *FRAME_SUFFIXES) if others else ())}
        folders = set[Path]()
        for path in sorted(root.rglob("*")):
            suffix = path.suffix.lower()
            if suffix not in wanted or is_hidden(path.relative_to(root)):
                continue
            if suffix in FRAME_SUFFIXES:
                folders.add(path.parent)
            else:
                self.folders[one_form(path.parent.name).casefold()] += 1
                self._add(self._poses if suffix == ".pose" else self._named, path, path.name, path.stem)
        for folder in sorted(folders - {root}):
            self._add(self._folders, folder, folder.name)

    def _add(self, names: dict[str, list[str]], path: Path, *called: str) -> None:
        for name in {unicodedata.normalize("NFC", name) for name in called}:
            names.setdefault(name, []).append(path.relative_to(self._root).as_posix())

    def find(self, name: str, file: Path | None = None, folders: Sequence[str] = ()) -> str | None:
        """Return the path below the root of the video `name`, with or without its suffix, or None.

        Of several videos of this name, the one in the folder of the annotation `file` is taken, or the one
        with most of the `folders` above it that the annotation names. Raises SignloomError if that leaves
        several. Several `.pose` files or folders count as none.
        """
        name = unicodedata.normalize("NFC", name)
        kinds = (self._named, self._poses, self._folders)
        found = next((files[name] for files in kinds if name in files), [])
        if len(found) > 1 and file:
            found = [video for video in found if (self._root / video).parent == file.parent] or found
        if len(found) > 1 and folders:
            alike = [_alike(Path(video).parts[:-1], folders) for video in found]
            found = [video for video, parts in zip(found, alike, strict=True) if parts == max(alike)]
        if len(found) > 1 and name not in self._named:
            return None
        if len(found) > 1:
            raise SignloomError(
                f"{self._root}: {found[0]} and {found[1]} are both called {name}; an annotation names its "
                "video by this name alone, so keep one of them below dataset.videos"
            )
        return found[0] if found else None


def _alike(folders: Sequence[str], others: Sequence[str]) -> int:
    """Return how many folders two paths have in common, counted from the last."""
    same = [one == other for one, other in zip(reversed(folders), reversed(others), strict=False)]
    return (*same, False).index(False)
