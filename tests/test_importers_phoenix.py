"""The two PHOENIX forms: `|` without quoting, three files of a folder, a folder of frames a clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json
from form_stages import read_corpus

from signloom.dataset.forms.texts import sentence_number
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import annotation_files, load_table
from signloom.dataset.manifest import Manifest, shard_digests
from signloom.dataset.shard_names import shard_of
from signloom.dataset.sources import Table
from signloom.errors import SignloomError
from tests.manifests import dataset_of, manifest_of
from tests.videos import write_frames
from workflow_scripts import landmarks

HEAD_2014 = "id|folder|signer|annotation\n"
ROWS_2014 = {
    "train": 'abend-1|abend-1/1/*.png|Signer02|ICH "SUED" __ON__ KÄLTE\nabend-2|abend-2/1/*.png|Signer01|\n',
    "dev": 'tag-1|tag-1/1/*.png|Signer01|ICH "SUED" __ON__ KÄLTE\n',
    "test": "nacht-1|nacht-1/1/*.png|Signer02|REGEN loc-NORD\n",
}
HEAD_2014T = "name|video|start|end|speaker|orth|translation\n"
ROWS_2014T = {
    "train": (
        'abend-1|abend-1/1/*.png|-1|-1|Signer08|WIND STARK|und nun "das wetter , sagt sie .\n'
        "abend-2|abend-2/1/*.png|-1|-1|Signer08|WIND|Gru\u0308\u00dfe  aus dem s\u00fcden\n"
    ),
    "dev": "tag-1|tag-1/1/*.png|-1|-1|Signer01|GRUSS|Gr\u00fc\u00dfe aus dem s\u00fcden\n",
    "test": "nacht-1|nacht-1/1/*.png|-1|-1|Signer05|REGEN|\n",
}


def write_2014(folder: Path, **rows: str) -> Path:
    for split, lines in (ROWS_2014 | rows).items():
        (folder / f"{split}.corpus.csv").write_text(HEAD_2014 + lines, "utf-8")
    return folder


def write_2014t(folder: Path, **rows: str) -> Path:
    for split, lines in (ROWS_2014T | rows).items():
        (folder / f"PHOENIX-2014-T.{split}.corpus.csv").write_text(HEAD_2014T + lines, "utf-8")
    return folder


def build(folder: Path, importer: str, ratio: float = 1.0) -> Manifest:
    dataset = dataset_of(folder, folder / "frames", importer)
    return manifest_of(dataset, folder / "hashes.json", ratio)


def test_2014_takes_the_gloss_line_for_the_sentence_and_quotes_for_letters(tmp_path: Path) -> None:
    rows = load_table("phoenix2014", write_2014(tmp_path), tmp_path)
    line = 'ICH "SUED" __ON__ KÄLTE'
    columns = ["row", "video", "sentence_id", "sentence", "gloss", "signer_id", "split"]
    same = str(sentence_number(line))
    rain = str(sentence_number("REGEN loc-NORD"))
    assert rows[columns].to_numpy().tolist() == [
        ["train.corpus.csv:2", "train/abend-1/1", same, line, line, "Signer02", "train"],
        ["train.corpus.csv:3", "train/abend-2/1", "-1", "", "", "Signer01", "train"],
        ["dev.corpus.csv:2", "dev/tag-1/1", same, line, line, "Signer01", "dev"],
        ["test.corpus.csv:2", "test/nacht-1/1", rain, *["REGEN loc-NORD"] * 2, "Signer02", "test"],
    ]


def test_2014t_reads_translation_and_glosses_and_equal_texts_have_one_id(tmp_path: Path) -> None:
    rows = load_table("phoenix2014t", write_2014t(tmp_path), tmp_path)
    assert rows["video"].tolist() == ["train/abend-1", "train/abend-2", "dev/tag-1", "test/nacht-1"]
    greeting = "Gr\u00fc\u00dfe aus dem s\u00fcden"
    sentences = ['und nun "das wetter , sagt sie .', greeting, greeting, "REGEN"]
    assert rows["sentence"].tolist() == sentences
    assert rows["gloss"].tolist() == ["WIND STARK", "WIND", "GRUSS", "REGEN"]
    assert rows["sentence_id"].tolist() == [str(sentence_number(text)) for text in sentences]
    assert rows["signer_id"].tolist() == ["Signer08", "Signer08", "Signer01", "Signer05"]


@pytest.mark.parametrize("given", ["", "dev.corpus.csv", "train.corpus.csv"])
def test_the_folder_and_any_of_its_files_are_the_same_table(tmp_path: Path, given: str) -> None:
    write_2014(tmp_path)
    names = ["train.corpus.csv", "dev.corpus.csv", "test.corpus.csv"]
    assert annotation_files("phoenix2014", tmp_path / given) == [tmp_path / name for name in names]
    whole = load_table("phoenix2014", tmp_path, tmp_path)
    assert load_table("phoenix2014", tmp_path / given, tmp_path).equals(whole)


def test_a_folder_without_one_of_the_files_and_a_strange_file_are_named(tmp_path: Path) -> None:
    write_2014(tmp_path)
    (tmp_path / "dev.corpus.csv").rename(tmp_path / "other.csv")
    with pytest.raises(SignloomError, match=r"dev\.corpus\.csv is missing; expected train\.corpus\.csv"):
        load_table("phoenix2014", tmp_path, tmp_path)
    with pytest.raises(SignloomError, match=r"other\.csv: expected a folder or one of train\.corpus\.csv"):
        load_table("phoenix2014", tmp_path / "other.csv", tmp_path)
    with pytest.raises(SignloomError, match="expected a table file, found a folder"):
        load_table("csv", tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a|a/1/*.png|-1|-1|S|WIND", r"T\.dev\.corpus\.csv: line 2 has 6 fields .* 7 columns"),
        ("a|a/1/*.png|-1|-1|S|WIND|wind|mehr", r"T\.dev\.corpus\.csv: line 2 has 8 fields"),
        ("a|a/1/*.png|0|25|S|WIND|wind", r"T\.dev\.corpus\.csv:2: start '0', end '25': expected -1"),
    ],
)
def test_a_damaged_line_is_named_with_its_file(tmp_path: Path, line: str, message: str) -> None:
    write_2014t(tmp_path, dev=line + "\n")
    with pytest.raises(SignloomError, match=message):
        load_table("phoenix2014t", tmp_path, tmp_path)


def test_a_file_of_the_other_corpus_names_the_missing_column(tmp_path: Path) -> None:
    write_2014(tmp_path)
    (tmp_path / "dev.corpus.csv").write_text(HEAD_2014T, "utf-8")
    with pytest.raises(SignloomError, match=r"dev\.corpus\.csv: column 'id' is missing; the table has: name"):
        load_table("phoenix2014", tmp_path, tmp_path)


def test_folders_of_frames_become_clips_with_their_bytes_and_hash(tmp_path: Path) -> None:
    write_2014t(tmp_path)
    folders = ["train/abend-1", "train/abend-2", "dev/tag-1"]
    for seed, name in enumerate(folders):
        write_frames(tmp_path / "frames" / name, seed=seed, suffix=".jpg" if seed else ".png")
    first = build(tmp_path, "phoenix2014t")
    assert first.clips["clip_id"].tolist() == ["dev/tag-1", "train/abend-1", "train/abend-2"]
    assert first.clips["split"].tolist() == ["dev", "train", "train"]
    files = list((tmp_path / "frames/dev/tag-1").iterdir())
    assert first.clips["n_bytes"][0] == sum(file.stat().st_size for file in files)
    assert first.rejects[["row", "reason"]].to_numpy().tolist() == [
        ["PHOENIX-2014-T.test.corpus.csv:2", "missing"]
    ]
    # a frame more changes its clip's shard and no other, and the engines know it before the manifest is built
    dataset = dataset_of(tmp_path, tmp_path / "frames", "phoenix2014t")
    before = shard_digests(Table.read(dataset, HashCache(tmp_path / "hashes.json")), 8)
    write_frames(tmp_path / "frames/train/abend-2", count=4, seed=2)
    after = shard_digests(Table.read(dataset, HashCache(tmp_path / "hashes.json")), 8)
    assert [name for name in before if before[name] != after[name]] == [shard_of("train/abend-2", 8)]


@pytest.mark.parametrize(
    ("importer", "write", "ends"), [("phoenix2014", write_2014, "/1"), ("phoenix2014t", write_2014t, "")]
)
def test_folders_of_frames_reach_the_splits_of_their_corpus(
    tmp_path: Path, importer: str, write: Callable[[Path], Path], ends: str
) -> None:
    names = [f"{name}{ends}" for name in ("dev/tag-1", "test/nacht-1", "train/abend-1", "train/abend-2")]
    for seed, name in enumerate(names):
        write_frames(tmp_path / "frames" / name, seed=seed)
    read = read_corpus(tmp_path, importer, write(tmp_path), tmp_path / "frames")
    expected = dict(zip(names, ("val", "test", "train", "train"), strict=True))
    if importer == "phoenix2014":  # a clip without glosses is measured and never trained on
        expected["train/abend-2/1"] = "val"
    assert read.splits == expected
    assert read.clips["clip_id"].tolist() == names


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("0001.png", b"no picture", "0001.png: no frame can be decoded"),
        ("first.png", None, "frame first.png has no number in its name"),
        ("notes.txt", b"text", "holds no PNG or JPEG frame"),
    ],
)
def test_a_folder_that_is_no_clip_is_rejected(
    tmp_path: Path, name: str, content: bytes | None, detail: str
) -> None:
    folder = tmp_path / "videos/a"
    picture = next(write_frames(tmp_path / "good", count=1).iterdir())
    folder.mkdir(parents=True)
    (folder / name).write_bytes(picture.read_bytes() if content is None else content)
    write_frames(tmp_path / "videos/b")
    (tmp_path / "clips.csv").write_text("video,sentence\na,One.\nb,One.\n")
    dataset = dataset_of(tmp_path / "clips.csv", tmp_path / "videos")
    manifest = manifest_of(dataset, tmp_path / "h.json", 1)
    assert manifest.clips["clip_id"].tolist() == ["b"]
    assert manifest.rejects["reason"].tolist() == ["unreadable"]
    assert detail in manifest.rejects["detail"][0]


@pytest.mark.parametrize(("frame_rate", "fps"), [(None, 25.0), (30.0, 30.0)])
def test_landmarks_are_taken_of_a_folder_of_frames_at_its_rate(
    tmp_path: Path, frame_rate: float | None, fps: float
) -> None:
    write_2014(tmp_path)
    write_frames(tmp_path / "frames/dev/tag-1/1", count=12)
    manifest = build(tmp_path, "phoenix2014")
    manifest.shard("00", 1).to_csv(tmp_path / "00.csv", index=False)
    argv = [
        "--input",
        f"shard={tmp_path}/00.csv",
        "--params",
        params_json({"landmarks": {"max_fps": None}, "dataset": {"frame_rate": frame_rate}}),
    ]
    argv += ["--output", f"npy={tmp_path}/0.npy", f"parquet={tmp_path}/0.parquet"]
    assert landmarks.main([*argv, "--scratch", str(tmp_path / "scratch")]) == 0
    clip = pd.read_parquet(tmp_path / "0.parquet").iloc[0]
    assert clip[["clip_id", "status", "length", "fps", "width", "height"]].tolist() == [
        *("dev/tag-1/1", "ok", 12, fps, 64, 48),
    ]
    assert clip["frame_index"].tolist() == list(range(12))
    assert clip["time_s"].tolist() == [number / fps for number in range(12)]
    assert np.load(tmp_path / "0.npy").shape == (12, 1662)


@pytest.mark.parametrize(("importer", "form"), [("phoenix2014", write_2014), ("phoenix2014t", write_2014t)])
def test_a_consent_that_is_stated_is_read(tmp_path: Path, importer: str, form: Callable[..., Path]) -> None:
    form(tmp_path)
    (file,) = (path for path in tmp_path.iterdir() if "train" in path.name)
    head, *lines = file.read_text("utf-8").splitlines()
    file.write_text(
        "\n".join([f"{head}|Consent|until", *(f"{line}|none|2031-01-01" for line in lines)]) + "\n"
    )
    rows = load_table(importer, tmp_path, tmp_path)
    said = rows.groupby("split")[["consent", "until"]].first()
    assert said.loc["train"].tolist() == ["none", "2031-01-01"]
    assert said.loc["test"].tolist() == ["all", ""]
