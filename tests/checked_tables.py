"""Tables of clips and presets for the tests of `signloom check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.form_files import write


def checked(new_project: Path, rows: list[str], **sections: dict[str, Any]) -> None:
    """Write a table of `rows` (video, sentence_id, sentence, signer_id, split, end_s) and a preset for it."""
    head = "video,sentence_id,sentence,signer_id,split,end_s"
    write(new_project / "data/mine", clips__csv="\n".join([head, *rows]) + "\n")
    dataset = {"table": "data/mine/clips.csv", "videos": "data/mine/videos", "variations": None}
    tree = {"pipeline": {"families": ["sign2text"]}, "dataset": dataset, **sections}
    Path("config/presets/mine.yaml").write_text(yaml.safe_dump(tree))


FOLDERS = {"table": "data/mine/clips.csv", "videos": "data/mine/videos", "variations": None}
ROWS = [f"{n}.mp4,{n % 2},sentence {n % 2},s{n % 3},{'train' if n < 8 else 'val'}," for n in range(9)]
