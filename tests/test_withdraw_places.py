"""What a withdrawal says of places that it cannot reach, and parts of a video that are the same."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from row_project import write_project

from signloom.__main__ import main
from signloom.dataset.withdrawn import are_withdrawn, same_parts
from signloom.withdrawal.builds import Build


def test_object_stores_are_named_where_products_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake/storage/s3/bucket/our folder/build/shards").mkdir(parents=True)
    assert main(["withdraw", "s1", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "the object store: before the rebuild, delete s3://bucket/our folder/build" in said
    assert not (tmp_path / ".snakemake/storage").exists()
    (tmp_path / ".snakemake/storage/s3/bucket/our folder/build").mkdir(parents=True)
    main(["withdraw", "--verify"])
    assert "aside     s3://bucket/our folder is not searched" in capsys.readouterr().out


def test_parts_of_a_video_are_compared_by_content_and_numbers() -> None:
    names, hashes = ["a@0.50-1.0", "b", "unknown"], ["h", "g", ""]
    listed = pd.DataFrame({"clip_id": names, "signer_id": "", "video_hash": hashes})
    rows = pd.DataFrame({"start_s": ["0.5", "0.5", "", "0", "1", ""], "end_s": ["1", "2", "", "", "", ""]})
    out = same_parts(rows, ["h", "h", "h", "g", "g", ""], listed)
    assert out.tolist() == [True, False, False, True, False, False]


def test_a_signer_is_withdrawn_whatever_unseen_marks_the_list_has_in_the_name() -> None:
    listed = pd.DataFrame({"clip_id": "", "signer_id": ["Zoe\u0308\u200f "], "video_hash": ""})
    rows = pd.DataFrame(
        {"video": ["a.mp4", "b.mp4"], "start_s": "", "end_s": "", "signer_id": ["Zo\u00eb", "Z"]}
    )
    assert are_withdrawn(rows, listed).tolist() == [True, False]


def test_of_a_recording_that_others_share_only_the_withdrawn_parts_are_named(tmp_path: Path) -> None:
    manifest = pd.DataFrame(
        {
            "clip_id": ["rec@0-0.2", "rec@0.2-0.4", "rec@0.4-"],
            "video_hash": "h",
            "start_s": [0.0, 0.2, 0.4],
            "end_s": [0.2, 0.4, None],
        }
    )
    manifest.to_parquet(tmp_path / "manifest.parquet")
    for clip, named in {"a@0.2-0.4": "rec@0.2-0.4", "b@0.4-": "rec@0.4-", "c@0-0.2": "rec@0-0.2"}.items():
        listed = pd.DataFrame({"clip_id": [clip], "video_hash": ["h"]})
        assert Build(tmp_path).clips_of(listed) == [named]
    assert Build(tmp_path / "none").clips_of(listed) == []
