"""The digests that decide what runs again are those of now, and are not computed again for nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import PARAMS

from engines import table_digests
from engines.pipeline import Pipeline
from engines.table_digests import Digests, wrong_folds
from signloom.dataset.sources import Table
from signloom.params.load import load_params
from tests.form_files import bobsl, write


@pytest.fixture
def corpus(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the code, a table of four clips and their rows."""
    for name in ("signloom", "workflow_scripts", "config", "params.yaml"):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    Path("rows/a").mkdir(parents=True)
    for name in ("a/1", "a/2", "3", "4"):
        np.save(f"rows/{name}.npy", np.ones((4, 6), np.float32))
    write_table("a/1", "a/2", "3", "4")
    return tmp_path


def write_table(*names: str) -> None:
    lines = ["video,sentence", *(f"{name}.npy,word {name}" for name in names)]
    Path("clips.csv").write_text("\n".join(lines) + "\n")


def pipeline(**dataset: object) -> Pipeline:
    tree = PARAMS.model_dump(mode="json")
    tree["dataset"] |= {"importer": "csv", "table": "clips.csv", "videos": "rows", "features": True}
    tree["dataset"] |= {"variations": None, "review": None} | dataset
    tree["gloss"]["variants"], tree["tcn"]["input"] = ["hybrid_pose"], "pose"
    tree["gloss"]["hypotheses"], tree["shards"] = [], {"count": 3}
    return Pipeline.load(tree)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by an entry whenever the table is read."""
    found: list[int] = []
    read = Table.read

    def counted(*args: object) -> Table:
        found.append(1)
        return read(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Table, "read", counted)
    return found


def test_an_unchanged_table_is_read_once(corpus: Path, reads: list[int]) -> None:
    first = Digests.of(pipeline())
    assert first.rows and len(first.clips) == 3
    assert Digests.of(pipeline()) == first
    assert len(reads) == 1


def rewrite(name: str) -> None:
    np.save(name, np.zeros((4, 6), np.float32))


@pytest.mark.parametrize(
    "change",
    [
        lambda: rewrite("rows/a/1.npy"),
        lambda: Path("rows/3.npy").unlink(),
        lambda: write_table("a/1", "a/2", "3"),
        lambda: Path("rows/a").rename("rows/b"),
    ],
)
def test_what_changes_a_clip_changes_the_digests(
    change: Callable[[], None], corpus: Path, reads: list[int]
) -> None:
    before = Digests.of(pipeline())
    change()
    after = Digests.of(pipeline())
    assert after.rows != before.rows and after.clips != before.clips
    assert len(reads) == 2


def test_a_missing_file_that_comes_is_seen(corpus: Path) -> None:
    write_table("a/1", "new")
    before = Digests.of(pipeline())
    rewrite("rows/new.npy")
    assert Digests.of(pipeline()) != before


def test_parameters_and_the_day_count(
    corpus: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Digests.of(pipeline())
    Digests.of(pipeline(frame_rate=25.0))

    class Later(date):
        @classmethod
        def today(cls) -> Later:
            return cls(2999, 1, 1)

    monkeypatch.setattr(table_digests, "date", Later)
    Digests.of(pipeline(frame_rate=25.0))  # a consent may have ended
    assert len(reads) == 3


def test_a_table_that_cannot_be_read_is_not_remembered(corpus: Path, reads: list[int]) -> None:
    Path("clips.csv").write_text("nothing\n")
    assert Digests.of(pipeline()) == ("", {}, "")
    write_table("3")
    assert Digests.of(pipeline()).rows
    Path("build/scratch/table_digests.json").write_text("{")
    assert Digests.of(pipeline()).rows
    assert len(reads) == 3


def test_a_clip_in_a_folder_that_held_none_is_noticed(corpus: Path) -> None:
    for sign in "AB":
        Path(f"rows/{sign}").mkdir()
        np.save(f"rows/{sign}/1.npy", np.full((4, 6), ord(sign), np.float32))
    Path("rows/C").mkdir()
    found = {"importer": "folders", "table": "rows"}
    before = Digests.of(pipeline(**found))
    assert before.rows and Digests.of(pipeline(**found)) == before
    np.save("rows/C/1.npy", np.zeros((4, 6), np.float32))
    assert Digests.of(pipeline(**found)) != before


@pytest.mark.parametrize("file", ["subtitles/manually-aligned/5085.vtt", "spottings/mouthing.json"])
def test_a_changed_file_of_a_folder_that_is_the_table_is_noticed(corpus: Path, file: str) -> None:
    table = bobsl(corpus / "t")
    found = {"importer": "bobsl", "table": "t"}
    before = Digests.of(pipeline(**found))
    assert before.rows and Digests.of(pipeline(**found)) == before
    text = (table / file).read_text("utf-8")
    (table / file).write_text(text.replace("New", "Old").replace("tree", "bush"))
    assert Digests.of(pipeline(**found)).rows != before.rows


FAIRSEQ = "id,signs_file,signs_offset,signs_length,translation\n1,/a/1.npy,0,3,One.\n2,/b/c/2.npy,0,3,Two.\n"


@pytest.mark.parametrize(
    ("importer", "table"),
    [("own.yaml", "id,word\n1,One.\n2,Two.\n"), ("fairseq", FAIRSEQ.replace(",", "\t"))],
    ids=["form", "fairseq"],
)
def test_a_clip_that_comes_into_another_of_its_places_is_noticed(
    corpus: Path, importer: str, table: str
) -> None:
    form = "columns: {video: ['{id}.npy', 'b/c/{id}.npy'], sentence: word}"
    write(corpus, own__yaml=form, t__csv=table)
    Path("rows/b/c").mkdir(parents=True)
    found = {"importer": importer, "table": "t.csv", "frame_rate": 25.0}
    before = Digests.of(pipeline(**found))
    assert before.rows and Digests.of(pipeline(**found)) == before
    rewrite("rows/b/c/2.npy")
    assert Digests.of(pipeline(**found)).rows != before.rows


@pytest.mark.parametrize("changed", ["clips.csv", "rows/3.npy"])
def test_what_is_saved_while_the_table_is_read_is_read_the_next_time(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    read = Table.read

    def slow(*args: object) -> Table:
        table = read(*args)  # type: ignore[arg-type]
        if changed == "clips.csv":
            write_table("a/1", "a/2", "3")
        else:
            np.save(changed, np.full((4, 6), 7, np.float32))
        return table

    monkeypatch.setattr(Table, "read", slow)
    before = Digests.of(pipeline())
    monkeypatch.setattr(Table, "read", read)
    assert Digests.of(pipeline()) != before


def test_folds_that_the_table_cannot_have_are_said(root: Path) -> None:
    params = load_params(root / "params.yaml")

    def said(folds: list[str], by: str = "signer") -> str:
        runs = params.runs.model_copy(update={"fold_by": by, "folds": folds})
        return wrong_folds(rows, params.model_copy(update={"runs": runs}))

    def table(**columns: list[str]) -> pd.DataFrame:
        same = {"signer_id": ["an", "bo ", ""], "split": ["train", "train", "test"], "consent": [""] * 3}
        return pd.DataFrame({**same, "content": ["1", "2", "3"], **columns})

    rows = table()
    assert said(["an", "bo", "zz"]) == (
        "runs.folds: no clip of the table has the signer 'zz'; expected ['an', 'bo']"
    )
    assert said(["bo", "an"]) == said([]) == said(["0", "1"], "clip") == ""
    # every clip of 'bo' may be rejected later, and stage splits then asks for folds without 'bo'
    assert said(["an"]) == ""
    for kind in ("clip", "part"):
        assert said(["0", "1", "2", "3"], kind) == "runs.folds: 4 folds of 3 clips; name at most 3"
    rows = table(split=["train", "Dev", "test"])
    assert said(["0", "1"], "clip").startswith(
        "runs.fold_by: clip, but the table has 1 val clips of its own; "
    )
    assert said(["0", "1"], "part") == ""
    # clips without a file, or that may not be trained on, are no clips of a fold
    for gone in ({"content": ["1", "", "3"]}, {"consent": ["", "answer", ""]}, {"consent": ["", "?", ""]}):
        rows = table(split=["train", "val", "test"], **gone)
        assert said(["0", "1"], "clip") == ""
