"""The tables of fairseq for sign languages: rows cut by offset and length, one table a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from signloom.dataset.forms.likely import likely
from signloom.dataset.importers import load_rows, load_table
from signloom.errors import SignloomError
from signloom.features.shards import FeatureShards
from tests.form_files import values, write
from tests.manifests import dataset_of
from tests.row_stages import splits_in, to_splits

HEAD = "id\tsigns_file\tsigns_offset\tsigns_length\tsigns_type\tsigns_lang\ttranslation\tglosses\ttopic\n"


def line(name: str, offset: int, length: int, text: str = 'Turn it "left, now.') -> str:
    return f"{name}_0\t{name}\t{offset}\t{length}\ti3d\tase\t{text}\tTURN LEFT\tsport\n"


def corpus(folder: Path) -> Path:
    """Two clips of one training file, cut by rows, and a whole file in each of the other splits."""
    tables = {
        "train": line("/home/x/i3d/train/a.npy", 0, 30) + line("train/a.npy", 30, 20, "It snows."),
        "val": line("val/b.npy", 0, 25, "It snows."),
        "test": line("/y/c.npy", 0, 26),
    }
    write(folder, **{f"how2sign_i3d_{name}__tsv": HEAD + rows for name, rows in tables.items()})
    for name, count in {"train/a": 50, "val/b": 25, "test/c": 26}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        rows = np.arange(count, dtype=np.float32)[:, None] + np.linspace(1, 2, 1024, dtype=np.float32)
        np.save(folder / f"{name}.npy", rows)
    (folder / "c.npy").write_bytes((folder / "test/c.npy").read_bytes())
    return folder


def test_rows_become_clips_with_their_split_text_and_cut(tmp_path: Path) -> None:
    corpus(tmp_path)
    rows = load_rows(dataset_of(tmp_path, tmp_path, "fairseq", frame_rate=12.5))
    found = {row[0]: row[1:] for row in values(rows, "row", "video", "start_s", "end_s", "split", "gloss")}
    assert found == {
        "how2sign_i3d_train.tsv:2": ["train/a.npy", "", "2.4", "train", "TURN LEFT"],
        "how2sign_i3d_train.tsv:3": ["train/a.npy", "2.4", "4", "train", "TURN LEFT"],
        "how2sign_i3d_val.tsv:2": ["val/b.npy", "", "2", "val", "TURN LEFT"],
        "how2sign_i3d_test.tsv:2": ["c.npy", "", "2.08", "test", "TURN LEFT"],
    }
    assert rows["sentence"].tolist()[1:3] == ['Turn it "left, now.', "It snows."]
    assert rows["category"].tolist() == ["sport"] * 4
    same = rows.groupby("sentence")["sentence_id"].nunique()
    assert same.tolist() == [1, 1] and rows["sentence_id"].nunique() == 2


def test_a_path_of_another_system_is_found_by_its_end(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    rows = line("C:\\data\\i3d\\val\\b.npy", 0, 25) + line("C:\\data\\val\\gone.npy", 0, 25)
    write(folder, how2sign_i3d_val__tsv=HEAD + rows)
    table = folder / "how2sign_i3d_val.tsv"
    videos = load_table("fairseq", table, folder, frame_rate=25.0)["video"]
    assert videos.tolist() == ["val/b.npy", "val/gone.npy"]


@pytest.mark.parametrize("rate", [25.0, 3.125, 29.97])
def test_offset_and_length_cut_exactly_these_rows_at_any_rate(tmp_path: Path, rate: float) -> None:
    folder = corpus(tmp_path / "i3d")
    dataset = {"importer": "fairseq", "table": str(folder), "videos": str(folder), "variations": None}
    found = to_splits(tmp_path / "out", dataset | {"frame_rate": rate})
    shards = FeatureShards(found["features"], found["index"], found["mask"])
    index = shards.index.set_index("clip_id")
    cut = {name: index.loc[name, "frame_index"].tolist() for name in index.index if name.startswith("train")}
    assert sorted(cut.values()) == [list(range(30)), list(range(30, 50))]
    late = next(name for name, frames in cut.items() if frames[0] == 30)
    assert shards.clip(late)[:, 0].tolist() == [row + 1.0 for row in range(30, 50)]
    assert index["dim"].unique().tolist() == [1024] and index["fps"].unique().tolist() == [rate]
    parts = [(name.partition("@")[0], part) for name, part in splits_in(found).items()]
    assert sorted(parts) == [("c", "test"), *[("train/a", "train")] * 2, ("val/b", "val")]


def test_a_rate_is_asked_for_and_wrong_numbers_are_named(tmp_path: Path) -> None:
    corpus(tmp_path)
    with pytest.raises(SignloomError, match=r"dataset.frame_rate: .* set the rows a second"):
        load_table("fairseq", tmp_path, tmp_path)
    broken = write(tmp_path / "b", train__tsv=HEAD + line("a.npy", 0, 5).replace("\t5\t", "\t5.5\t"))
    with pytest.raises(
        SignloomError, match=r"train.tsv: line 2: signs_length '5.5': expected a whole number"
    ):
        load_table("fairseq", broken, tmp_path, frame_rate=25.0)


def test_other_importers_name_the_form(tmp_path: Path) -> None:
    corpus(tmp_path)
    for table in (tmp_path, tmp_path / "how2sign_i3d_train.tsv"):
        assert "set dataset.importer to fairseq" in str(likely(table, "csv"))


def test_a_column_of_one_table_alone_and_consent_in_capitals_are_read(tmp_path: Path) -> None:
    corpus(tmp_path)
    test = tmp_path / "how2sign_i3d_test.tsv"
    head, *lines = test.read_text("utf-8").splitlines()
    names = head.replace("glosses", "remark").replace("gloss", "remark") + "\tConsent\tuntil"
    test.write_text("\n".join([names, *(f"{line}\tnone\t2031-01-01" for line in lines)]) + "\n", "utf-8")
    rows = load_rows(dataset_of(tmp_path, tmp_path, "fairseq", frame_rate=12.5))
    assert sorted(rows["consent"]) == ["all", "all", "all", "none"]
    assert rows["gloss"].tolist().count("") == 1
