"""What people decided about clips: read from review.csv, and applied to the rows of the table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from signloom.dataset.hashes import HashCache
from signloom.dataset.manifest import Manifest, shard_digests
from signloom.dataset.reviewed import left_out, read_review, settled, short_hash
from signloom.dataset.sources import Table
from signloom.dataset.withdrawn import add_withdrawn
from signloom.errors import SignloomError
from signloom.files import file_sha256, write_csv
from signloom.params.dataset import DatasetParams
from tests.manifests import dataset_of, manifest_of

TABLE = """video,sentence_id,sentence,gloss,category,gloss_times
a.npy,1,ball,BALL,toys,"[[0.0, 0.2]]"
b.npy,1,ball,BALL,toys,
c.npy,2,tree,TREE,nature,
"""


def corpus(folder: Path, review: str | None, table: str = TABLE) -> DatasetParams:
    """Write three clips of rows, the table, and review.csv unless it is None; return section `dataset`."""
    for number, name in enumerate("abc"):
        np.save(folder / f"{name}.npy", np.full((20, 3), number, np.float32))
    (folder / "clips.csv").write_text(table, "utf-8")
    if review is not None:
        (folder / "review.csv").write_text(review, "utf-8")
    given = str(folder / "review.csv") if review is not None else None
    return dataset_of(folder / "clips.csv", folder, features=True, review=given)


def built(folder: Path, review: str | None, table: str = TABLE) -> Manifest:
    return manifest_of(corpus(folder, review, table), folder / "hashes.json")


def test_a_new_label_brings_all_that_belongs_to_it(tmp_path: Path) -> None:
    clips = built(tmp_path, "clip_id,action,new_label\na,relabel,tree\n").clips.set_index("clip_id")
    assert clips.loc["a", ["sentence_id", "sentence", "gloss", "category"]].tolist() == [
        *(2, "tree", "TREE", "nature")
    ]
    assert clips.loc["a", "gloss_times"] == ""  # the times were those of the other sign
    assert clips.loc["b", "sentence"] == "ball"


def test_a_decision_about_a_withdrawn_clip_stops_nothing(tmp_path: Path) -> None:
    listed = pd.DataFrame({"clip_id": ["gone"], "signer_id": [""], "video_hash": ["h"]})
    review = "clip_id,action\ngone,set_aside\nb,set_aside\n"
    with pytest.raises(SignloomError, match="the table has no clip 'gone'"):
        built(tmp_path, review)
    add_withdrawn(tmp_path / "withdrawn.csv", listed, [], date(2030, 1, 1))
    assert built(tmp_path, review).clips["clip_id"].tolist() == ["a", "c"]
    # a clip that came back and that is withdrawn by its signer alone
    add_withdrawn(tmp_path / "withdrawn.csv", listed.head(0), ["anna"], date(2030, 1, 1))
    head, *rows = TABLE.splitlines()
    lines = [f"{head},signer_id", *(f"{row},ben" for row in rows), "d.npy,2,tree,TREE,nature,,anna"]
    table = "\n".join(lines) + "\n"
    clips = built(tmp_path, review + "d,set_aside\n", table).clips
    assert clips["clip_id"].tolist() == ["a", "c"]


def test_a_clip_that_is_set_aside_is_a_reject_and_stays_in_its_shard(tmp_path: Path) -> None:
    plain = built(tmp_path, None)
    manifest = built(tmp_path, "clip_id,action,note\nb,set_aside,two people\n")
    assert manifest.clips["clip_id"].tolist() == ["a", "c"]
    assert manifest.rejects[["clip_id", "row", "reason", "detail"]].to_numpy().tolist() == [
        ["b", 3, "reviewed", "two people"]
    ]
    pd.testing.assert_frame_equal(manifest.shard("00", 1), plain.shard("00", 1))


def test_a_review_changes_no_digest_of_a_shard(tmp_path: Path) -> None:
    plain = shard_digests(Table.read(corpus(tmp_path, None), HashCache(tmp_path / "h.json")), 2)
    review = "clip_id,action,new_label\nb,set_aside,\na,relabel,tree\n"
    assert shard_digests(Table.read(corpus(tmp_path, review), HashCache(tmp_path / "h.json")), 2) == plain


def test_rows_without_an_action_decide_nothing(tmp_path: Path) -> None:
    manifest = built(tmp_path, "rank,clip_id,why,action,new_label,note\n1,a,odd,,,\n2,b,odd,keep,,\n")
    assert manifest.clips["sentence"].tolist() == ["ball", "ball", "tree"]
    assert manifest.rejects.empty


def test_decisions_hold_for_what_people_saw(tmp_path: Path) -> None:
    plain = built(tmp_path, None).clips
    digest = short_hash(plain["video_hash"].iloc[0])
    seen = tmp_path / "seen.csv"
    seen.write_text(f"clip_id,label,content,action\na,ball,{digest},keep\nb,tree,,keep\nc,tree,123,keep\n")
    assert [it.clip_id for it in settled(plain, seen)] == ["a"]


def test_a_relabelled_clip_counts_as_looked_at_before_and_after_its_table_is_put_right(
    tmp_path: Path,
) -> None:
    review = "clip_id,label,action,new_label\na,ball,relabel,tree\n"
    for table in (TABLE, TABLE.replace('a.npy,1,ball,BALL,toys,"[[0.0, 0.2]]"', "a.npy,2,tree,TREE,nature,")):
        clips = built(tmp_path, review, table).clips
        assert clips["sentence"].tolist() == ["tree", "ball", "tree"]
        assert [it.clip_id for it in settled(clips, tmp_path / "review.csv")] == ["a"]


def test_a_table_that_was_put_right_keeps_what_it_says_of_a_relabelled_clip(tmp_path: Path) -> None:
    own = TABLE.replace(
        'a.npy,1,ball,BALL,toys,"[[0.0, 0.2]]"', 'a.npy,2,tree,OLD TREE,plants,"[[0, 0.1], [0.1, 0.2]]"'
    )
    review = "clip_id,label,action,new_label\na,ball,relabel,tree\n"
    columns = ["gloss", "category", "gloss_times"]
    kept = built(tmp_path, review, own).clips.set_index("clip_id").loc["a", columns]
    assert kept.tolist() == ["OLD TREE", "plants", "[[0.0, 0.1], [0.1, 0.2]]"]


def test_a_decision_about_a_clip_that_has_changed_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = "clip_id,label,content,action,new_label\na,ball,0123,set_aside,\nb,house,,relabel,tree\n"
    assert built(tmp_path, review).clips["sentence"].tolist() == ["ball", "ball", "tree"]
    said = capsys.readouterr().err
    assert (
        "2 decisions are left out, because the clip has changed since; first: row 2, clip a: its video"
        in said
    )


def test_what_a_spreadsheet_makes_of_labels_and_hashes_voids_no_decision(tmp_path: Path) -> None:
    table = TABLE.replace("ball,", "01,").replace("tree,", "1e3,")
    plain = built(tmp_path, None, table).clips.set_index("clip_id")
    shown = [short_hash(digest) for digest in plain["video_hash"]]
    assert not any(text.replace("e", "").isdecimal() for text in shown)
    # 01 became 1, and 1e3 became 1000; older tables have bare digits
    old = plain.loc["c", "video_hash"][:12]
    review = f"clip_id,label,content,action\na,1,{shown[0]},set_aside\nc,1000,{old},keep\n"
    manifest = built(tmp_path, review, table)
    assert manifest.rejects["clip_id"].tolist() == ["a"]
    assert [it.clip_id for it in settled(manifest.clips, tmp_path / "review.csv")] == ["a", "c"]


def test_the_warning_says_what_has_changed(tmp_path: Path) -> None:
    clips = built(tmp_path, "clip_id,label,action\na,ball,keep\nb,2,set_aside\n").clips
    said = left_out(clips, tmp_path / "review.csv")
    assert "1 decision is left out" in said
    assert "first: row 3, clip b: its label was '2' and is 'ball'; look at it again" in said
    assert left_out(clips[clips["clip_id"] != "b"], tmp_path / "review.csv") == ""


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("d,keep,", "row 2: the table has no clip 'd'"),
        ("a,relabel,bal", "row 2: no clip has the label 'bal' (did you mean 'ball'?)"),
        ("a,relabel,", "row 2: relabel without a new_label"),
        ("a,delete,", "row 2: unknown action 'delete'; expected keep, relabel, set_aside"),
        ("a,,tree", "row 2: new_label 'tree' without an action; write relabel"),
        ("a,keep,tree", "row 2: keep with new_label 'tree'"),
        (",keep,", "row 2: action keep without a clip_id"),
        ("a,keep,\na,set_aside,", "row 3: clip 'a' has an action in row 2 already"),
    ],
)
def test_a_wrong_row_is_named_with_what_to_do(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(SignloomError, match=r"review\.csv: ") as error:
        built(tmp_path, f"clip_id,action,new_label\n{row}\n")
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "review.csv").write_text("clip_id,new_label\na,tree\n")
    with pytest.raises(SignloomError, match="column 'action' is missing"):
        read_review(tmp_path / "review.csv")


def test_a_corpus_cannot_be_set_aside_as_a_whole(tmp_path: Path) -> None:
    review = "clip_id,action\na,set_aside\nb,set_aside\nc,set_aside\n"
    with pytest.raises(SignloomError, match="every clip is set aside"):
        built(tmp_path, review)


def test_a_label_that_a_spreadsheet_would_run_comes_back_from_the_review(tmp_path: Path) -> None:
    table = TABLE.replace("ball,", "=ball,").replace("tree,", "-tree,")
    clips = built(tmp_path, None, table).clips
    seen = {
        "clip_id": ["a", "b"],
        "label": clips["sentence"][:2],
        "content": clips["video_hash"][:2].str[:12],
    }
    write_csv(
        tmp_path / "queue.csv", pd.DataFrame(seen | {"action": ["relabel", "set_aside"], "new_label": ""})
    )
    review = (tmp_path / "queue.csv").read_text()
    assert review.splitlines()[1].startswith("a,'=ball,")
    # a person writes the label as the column shows the others
    manifest = built(tmp_path, review.replace("relabel,", "relabel,'-tree"), table)
    assert manifest.clips.set_index("clip_id")["sentence"].to_dict() == {"a": "-tree", "c": "-tree"}
    assert manifest.rejects["clip_id"].tolist() == ["b"]


def test_a_row_that_is_there_twice_is_set_aside_once_and_no_bad_row_gives_its_id(tmp_path: Path) -> None:
    table = TABLE + "a.npy,1,ball,BALL,toys,\n"
    manifest = built(tmp_path, "clip_id,action\na,set_aside\n", table)
    assert manifest.rejects[["row", "reason"]].to_numpy().tolist() == [[5, "duplicate"], [2, "reviewed"]]
    table = TABLE.replace("b.npy,1,ball", "b.npy,x2,tree").replace("a.npy,1", "a.npy,3")
    manifest = built(tmp_path, "clip_id,action,new_label\na,relabel,tree\n", table)
    assert manifest.clips.set_index("clip_id").loc["a", "sentence_id"] == 2


def test_a_review_names_a_clip_in_either_spelling_of_unicode(tmp_path: Path) -> None:
    for name in ("Zoe\u0308", "Rene\u0301"):  # as some disks write them
        np.save(tmp_path / f"{name}.npy", np.full((20, 3), len(name), np.float32))
    table = f"{TABLE}Zoe\u0308.npy,1,ball,BALL,toys,\nRene\u0301.npy,1,ball,BALL,toys,\n"
    review = "clip_id,action,new_label\nZo\u00eb,relabel,tree\nRen\u00e9,set_aside,\n"
    manifest = built(tmp_path, review, table)
    assert manifest.clips.set_index("clip_id")["sentence"]["Zoe\u0308"] == "tree"
    assert manifest.rejects["clip_id"].tolist() == ["Rene\u0301"]
    done = settled(manifest.clips, tmp_path / "review.csv")
    assert [it.clip_id for it in done] == ["Zoe\u0308", "Ren\u00e9"]
    with pytest.raises(SignloomError, match="has an action in row 2 already"):
        built(tmp_path, f"{review}Zoe\u0308,keep,\n", table)


def test_a_label_that_a_clip_got_later_is_not_overridden(tmp_path: Path) -> None:
    table = TABLE.replace("a.npy,1,ball,BALL", "a.npy,,,")
    corpus(tmp_path, None)
    content = short_hash(file_sha256(tmp_path / "a.npy"))
    review = f"clip_id,label,content,action,new_label\na,,{content},relabel,tree\n"
    assert built(tmp_path, review, table).clips["sentence"].tolist()[0] == "tree"
    assert built(tmp_path, review).clips["sentence"].tolist()[0] == "ball"


@pytest.mark.parametrize("columns", ["clip_id,action,new_label", "clip_id,label,content,action,new_label"])
def test_a_row_that_was_typed_by_hand_does_not_say_what_was_seen(tmp_path: Path, columns: str) -> None:
    cells = dict.fromkeys(columns.split(","), "") | {"clip_id": "a", "action": "relabel", "new_label": "tree"}
    assert built(tmp_path, f"{columns}\n{','.join(cells.values())}\n").clips["sentence"].tolist()[0] == "tree"


@pytest.mark.parametrize("new", ["caf\u00e9  noir", "cafe\u0301 noir"])
def test_a_label_copied_from_the_table_is_known_whatever_its_form(tmp_path: Path, new: str) -> None:
    table = TABLE.replace("2,tree", "2,caf\u00e9  noir")
    clips = built(tmp_path, f"clip_id,action,new_label\na,relabel,{new}\n", table).clips
    assert clips["sentence"].tolist()[0] == "caf\u00e9 noir"
