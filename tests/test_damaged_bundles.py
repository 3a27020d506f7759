"""A bundle that was damaged, cut off or changed is refused in one line."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.errors import SignloomError
from signloom.export.package import write_zip
from signloom.inference.bundle import MANIFEST, OPTIONAL, Bundle
from signloom.inference.engine import SignEngine

Content = dict[str, bytes | Path]


def content_of(path: Path) -> Content:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(content: Content, path: Path) -> Path:
    with path.open("wb") as file:
        write_zip(file, content)
    return path


def test_a_changed_byte_of_any_file_is_refused_with_its_name(exported: Exported, tmp_path: Path) -> None:
    content = content_of(exported.bundle)
    for name in content:
        changed = bytearray(content[name])
        # in the middle of the manifest stands the digest of another file, which would be named
        changed[0 if name == MANIFEST else len(changed) // 2] ^= 1
        path = zipped({**content, name: bytes(changed)}, tmp_path / "changed.zip")
        with pytest.raises(SignloomError, match=MANIFEST if name == MANIFEST else name) as error:
            Bundle(path)
        assert "\n" not in str(error.value)


def test_a_byte_that_changes_on_the_way_is_refused(exported: Exported, tmp_path: Path) -> None:
    raw = exported.bundle.read_bytes()
    with zipfile.ZipFile(exported.bundle) as file:
        places = {entry.filename: entry.header_offset for entry in file.infolist()}
    for name, place in places.items():
        changed = bytearray(raw)
        changed[place + 30 + len(name) + 4] ^= 0x10  # in the content, behind its header
        (tmp_path / "changed.zip").write_bytes(changed)
        with pytest.raises(SignloomError, match=name):
            Bundle(tmp_path / "changed.zip")
    for cut in (0, 1, 100, len(raw) // 2, len(raw) - 1):
        (tmp_path / "cut.zip").write_bytes(raw[:cut])
        with pytest.raises(SignloomError, match=r"cut\.zip .*not a complete"):
            Bundle(tmp_path / "cut.zip")


def with_content(exported: Exported, name: str, content: bytes, path: Path) -> Path:
    """A bundle whose file `name` has another content, and whose manifest has the digest of this content."""
    files = content_of(exported.bundle)
    manifest = json.loads(files[MANIFEST])
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return zipped({**files, name: content, MANIFEST: json.dumps(manifest).encode()}, path)


def test_a_file_whose_digest_fits_and_whose_content_does_not_is_named_in_one_line(
    exported: Exported, tmp_path: Path
) -> None:
    files = content_of(exported.bundle)
    manifest = json.loads(files[MANIFEST])
    clip = clip_of(exported, "b/train1")
    # no answer reads them
    unread = {"MODEL_CARD.md", "global_stats.npz", *OPTIONAL}
    other = {"onnx": files["sign_decoder.onnx"], "npy": npy(np.zeros((2, 3))), "json": b"[]"}
    for name in sorted(set(manifest["files"]) - unread):
        whole = files[name]
        replaced = (
            files["gloss_model.onnx"] if name == "sign_decoder.onnx" else other.get(name.split(".")[-1])
        )
        for content in (b"", b"garbage\xff\x00" * 9, whole[: len(whole) // 2], replaced):
            if content is None:
                continue
            path = with_content(exported, name, content, tmp_path / "changed.zip")
            with pytest.raises(SignloomError, match=r"changed\.zip: ") as error:
                engine = SignEngine.load(path, int8=name == "sign_encoder.int8.onnx")
                engine.answer(*clip, 1.5, rerank=True)
            assert "\n" not in str(error.value), name


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("thresholds.json", ["min_dtw_score"], float("nan")),
        ("model_config.json", ["inference", "temperature"], -1),
        ("model_config.json", ["inference", "temperature"], float("nan")),
        ("model_config.json", ["inference", "top_k"], 2.5),
        ("model_config.json", ["retrieval", "exact_limit"], None),
        ("model_config.json", ["features", "parts", "pose"], [0]),
        ("model_config.json", ["pose", "fps"], 0),
        ("model_config.json", ["quality", "min_seconds"], None),
        ("model_config.json", ["quality"], None),
        ("model_config.json", ["features", "parts", "face"], None),
    ],
)
def test_a_number_that_no_export_writes_is_refused(
    exported: Exported, tmp_path: Path, name: str, place: list[str], value: object
) -> None:
    tree = json.loads(content_of(exported.bundle)[name])
    *way, last = place
    functools.reduce(dict.__getitem__, way, tree)[last] = value
    path = with_content(exported, name, json.dumps(tree).encode(), tmp_path / "changed.zip")
    with pytest.raises(SignloomError, match=rf"^{path}: {name} is not what this Signloom expects"):
        SignEngine.load(path).answer(*clip_of(exported, "b/train1"), 1.5)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_an_array_that_claims_more_than_its_file_holds_is_never_made(
    exported: Exported, tmp_path: Path
) -> None:
    claims = b"'shape': (2000000000000, 3), }"
    holds = b"'shape': (2, 3), }".ljust(len(claims))
    claimed = npy(np.zeros((2, 3), np.float32)).replace(holds, claims)
    assert claims in claimed
    path = with_content(exported, "embeddings.npy", claimed, tmp_path / "large.zip")
    with pytest.raises(
        SignloomError, match=r"embeddings\.npy is not what .*should have \(2000000000000, 3\)"
    ):
        SignEngine.load(path)


def test_packed_arrays_are_never_unpacked(exported: Exported, tmp_path: Path) -> None:
    whole = np.load(io.BytesIO(content_of(exported.bundle)["prototypes.npz"]))
    packed = io.BytesIO()
    np.savez_compressed(packed, **whole, more=np.zeros(100_000))
    path = with_content(exported, "prototypes.npz", packed.getvalue(), tmp_path / "packed.zip")
    with pytest.raises(SignloomError, match=r"prototypes\.npz is not what .*its arrays are packed"):
        SignEngine.load(path)


def test_a_file_longer_than_its_manifest_says_is_not_read_to_its_end(
    exported: Exported, tmp_path: Path
) -> None:
    files = content_of(exported.bundle)
    path = zipped(
        {**files, "thresholds.json": files["thresholds.json"] + b" " * 50_000_000}, tmp_path / "long.zip"
    )
    with pytest.raises(SignloomError, match=r"thresholds\.json has changed since the export"):
        Bundle(path)
    path = zipped({**files, MANIFEST: files[MANIFEST] + b" " * 50_000_000}, tmp_path / "long.zip")
    with pytest.raises(SignloomError, match="cannot be read"):
        Bundle(path)


def test_a_missing_or_superfluous_file_is_refused_with_its_name(exported: Exported, tmp_path: Path) -> None:
    content = content_of(exported.bundle)
    for name in content:
        less = {key: value for key, value in content.items() if key != name}
        with pytest.raises(SignloomError, match=name):
            Bundle(zipped(less, tmp_path / "less.zip"))
    with pytest.raises(SignloomError, match=r"numpy\.py is not in"):
        Bundle(zipped({**content, "numpy.py": b""}, tmp_path / "more.zip"))
    with pytest.raises(SignloomError, match="does not exist"):
        Bundle(tmp_path / "nowhere.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SignloomError, match="not a complete bundle"):
        Bundle(tmp_path / "empty")


def test_a_bundle_that_was_unpacked_and_packed_again_is_the_same(exported: Exported, tmp_path: Path) -> None:
    with zipfile.ZipFile(exported.bundle) as file:
        file.extractall(tmp_path / "unpacked")
    again = shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path / "unpacked")
    assert any(name.endswith("/") for name in zipfile.ZipFile(again).namelist())
    assert Bundle(Path(again)).names == Bundle(exported.bundle).names


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(exported: Exported, tmp_path: Path) -> None:
    shutil.copy(exported.bundle, tmp_path / "twice.zip")
    with zipfile.ZipFile(tmp_path / "twice.zip", "a") as file:
        file.writestr("thresholds.json", "{}")
    with pytest.raises(SignloomError, match=r"thresholds\.json twice"):
        Bundle(tmp_path / "twice.zip")


@pytest.mark.parametrize(
    "manifest",
    [
        *(b"{", b"[]", b"null", b'{"format": 1}', b'{"format": 1, "files": {"a": 1}, "modules": {}}'),
        b'{"format": 1, "files": {"a": {"sha256": "", "bytes": "9"}}, "modules": {}}',
    ],
)
def test_a_manifest_that_is_none_is_refused(exported: Exported, tmp_path: Path, manifest: bytes) -> None:
    path = zipped({**content_of(exported.bundle), MANIFEST: manifest}, tmp_path / "changed.zip")
    with pytest.raises(SignloomError, match="cannot be read"):
        Bundle(path)


def test_a_tokenizers_package_that_is_too_old_is_named(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Old:
        @staticmethod
        def from_str(text: str) -> None:
            raise Exception("data did not match any variant")  # what tokenizers 0.15 says

    monkeypatch.setattr("signloom.text.tokenizer.Tokenizer", Old)
    with pytest.raises(
        SignloomError, match=r"tokenizer\.json cannot be read by tokenizers \S+ \(.*install a newer"
    ):
        SignEngine.load(exported.bundle).answer(*clip_of(exported, "b/train1"))


def test_a_bundle_of_another_format_is_refused(exported: Exported, tmp_path: Path) -> None:
    content = content_of(exported.bundle)
    manifest = json.loads(bytes(content[MANIFEST])) | {"format": 2}  # type: ignore[arg-type]
    path = zipped({**content, MANIFEST: json.dumps(manifest).encode()}, tmp_path / "new.zip")
    with pytest.raises(SignloomError, match="format 2, expected 1"):
        Bundle(path)
