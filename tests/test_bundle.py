"""A bundle is used only where every file is the one that was exported; the command says so in one line."""

from __future__ import annotations

import doctest
import functools
import hashlib
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.errors import SignloomError
from signloom.export.package import write_zip
from signloom.features.pose.imported import _missing_parts
from signloom.inference import command
from signloom.inference import engine as engine_module
from signloom.inference.bundle import MANIFEST, OPTIONAL, Bundle
from signloom.inference.command import presence, read_clip
from signloom.inference.engine import SignEngine
from signloom.inference.gates import why_unfit

Content = dict[str, bytes | Path]

# runs the bundle where nothing can be imported but the standard library, NumPy and ONNX Runtime
BARE = """
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {"__main__", "numpy", "onnxruntime", "signloom", *sys.stdlib_module_names}:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Refuse())
sys.argv[0] = sys.argv.pop(1)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def content_of(path: Path) -> Content:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(content: Content, path: Path) -> Path:
    with path.open("wb") as file:
        write_zip(file, content)
    return path


def bare(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-c", BARE, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(call, capture_output=True, text=True, cwd="/", env=environment, check=False)


@pytest.fixture
def clip(exported: Exported, tmp_path: Path) -> Path:
    features, mask = clip_of(exported, "b/train1")
    np.savez(tmp_path / "clip.npz", features=features, mask=mask, motion_mean=1.5)
    return tmp_path / "clip.npz"


def test_a_bundle_answers_where_only_numpy_and_onnx_runtime_are(exported: Exported, clip: Path) -> None:
    done = bare(exported.bundle, clip, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["accepted"] and answer["matches"][0]["sentence"] == "Anna drinks tea."
    assert answer["matches"][0]["clip_id"] == "b/train1" and answer["motion_mean"] == 1.5
    assert answer["text"] is None and done.stderr.count("tokenizers") == 1
    own = SignEngine.load(exported.bundle).answer(*clip_of(exported, "b/train1"), 1.5, decode=False)
    assert [match["similarity"] for match in answer["matches"]] == [match.similarity for match in own.matches]
    reranked = json.loads(bare(exported.bundle, clip, "--json", "--rerank", "--no-decode").stdout)
    assert reranked["matches"][0]["dtw_score"] == pytest.approx(1, abs=1e-3)


def test_features_shorter_than_those_of_training_are_refused_as_videos_are(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SignEngine.load(exported.bundle).config
    config["quality"]["min_seconds"] = 0.2  # five rows of 25 a second
    bundle = with_content(exported, "model_config.json", json.dumps(config).encode(), tmp_path / "strict.zip")
    shorts = [clip_of(exported, "b/train1")[0][:rows] for rows in (1, 4, 5)]
    for rows in shorts:
        np.save(tmp_path / f"{len(rows)}.npy", rows)
    assert command.main(bundle, [*(str(tmp_path / f"{len(rows)}.npy") for rows in shorts), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["reason"] == "too_few_frames" for one in found] == [True, True, False]
    assert not found[0]["accepted"] and found[0]["matches"] == [] and found[0]["frames"] == 1
    clips = [(rows, presence(rows, config["features"]["parts"])) for rows in shorts]
    answers = SignEngine.load(bundle).answer_batch(clips, [1.5] * 3)
    assert [one.reason == "too_few_frames" for one in answers] == [True, True, False]
    slower = config | {"features": config["features"] | {"dim": 540}, "dataset": {"frame_rate": 100.0}}
    given = slower | {"features": config["features"] | {"dim": 3}}
    kept = config | {"quality": config["quality"] | {"keep_low": True}}
    second = given | {"positions": {"every": 2}}  # training measured the length of every second row
    assert [why_unfit(one, 10) for one in (slower, given, second, kept)] == ["", "too_few_frames", "", ""]
    assert why_unfit(second, 9) == "too_few_frames"
    assert (why_unfit(kept, 1), why_unfit(kept, 0)) == ("", "no_person")


def test_the_command_prints_a_table_and_answers_several_clips(
    exported: Exported, clip: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "same.npy", clip_of(exported, "b/train1")[0])
    np.savez(tmp_path / "nobody.npz", features=np.zeros((0, 540)), mask=np.zeros((0, 4)))
    done = bare(exported.bundle, clip, tmp_path / "same.npy", tmp_path / "nobody.npz", "--int8")
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.split("\n\n")
    assert first.splitlines()[0] == str(clip)
    assert first.splitlines()[1:3] == ["  accepted", "  30 frames, motion 1.50 shoulder widths/s"]
    assert second.splitlines()[1:3] == ["  accepted", "  30 frames, motion unknown"]
    assert third.splitlines()[1] == "  refused: nobody is in the picture (no_person)"
    assert done.stdout.count("Anna drinks tea.") == 2


def locked(path: Path) -> None:
    """Write a clip whose archive says that it is locked with a password."""
    np.savez(path, features=np.zeros((3, 540)))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.find(mark) + place] |= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("no clip"),
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path.open("wb"), other=np.zeros(3)),
        lambda path: np.savez(path.open("wb"), features=np.zeros((3, 540)), motion_mean=np.zeros(2)),
        lambda path: np.save(path.open("wb"), np.array([{"a": 1}], object), allow_pickle=True),
        lambda path: np.save(path.open("wb"), np.zeros(540)),
        lambda path: np.save(path.open("wb"), np.zeros((3, 1662))),
        lambda path: np.save(path.open("wb"), np.full((3, 540), np.inf)),
        lambda path: np.savez(path.open("wb"), features=np.zeros((3, 540)), mask=np.ones((1, 4))),
        locked,
        lambda path: None,
    ],
)
def test_what_is_no_clip_is_named_in_one_line(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str], write: Callable[[Path], object]
) -> None:
    from signloom.inference.command import main

    path = tmp_path / "wrong.npz"
    write(path)
    assert main(exported.folder, [str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1


def test_a_file_that_is_no_clip_does_not_keep_the_others_from_an_answer(
    exported: Exported, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from signloom.inference.command import main

    whole, damaged = clip.read_bytes(), {}
    for name, content in (("cut", whole[: len(whole) // 2]), ("flipped", whole[:99] + b"?" + whole[100:])):
        damaged[name] = clip.with_name(f"{name}.npz")
        damaged[name].write_bytes(content)
    broken = ["none.npz", *map(str, damaged.values())]
    assert main(exported.folder, [*broken, str(clip), "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["clip"] == str(clip)
    lines = said.err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "error: none.npz: file does not exist"
    for line, name in zip(lines[1:], broken[1:], strict=True):
        assert line.startswith(f"error: {name}: not a clip")


def test_unknown_motion_is_no_number(
    exported: Exported, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from signloom.inference.command import main

    with np.load(clip) as file:
        np.savez(clip.with_name("nan.npz"), **{**file, "motion_mean": np.float32(np.nan)})
    assert main(exported.folder, [str(clip.with_name("nan.npz")), "--json"]) in (0, 1)
    assert "NaN" not in capsys.readouterr().out


def test_a_part_is_there_where_it_has_a_number(exported: Exported) -> None:
    features, mask = clip_of(exported, "b/train1")
    parts = SignEngine.load(exported.folder).config["features"]["parts"]
    assert np.array_equal(presence(features, parts), mask)
    assert presence(features[:0], parts).shape == (0, 4)


def test_a_part_with_a_broken_number_is_missing_as_in_training(exported: Exported) -> None:
    features = clip_of(exported, "b/train1")[0].copy()
    features[3, 200], features[5:9, 0] = np.nan, np.nan
    parts = SignEngine.load(exported.folder).config["features"]["parts"]
    whole = np.nan_to_num(features)
    whole[3, 200], whole[5:9, 0] = np.nan, np.nan
    np.testing.assert_array_equal(presence(whole, parts), _missing_parts(whole)[1])
    rows = np.array([[1, np.nan, 0], [np.nan, np.nan, 0]], np.float32)  # points of a device, one not seen
    assert presence(rows, {name: [0, 3] for name in parts}).tolist() == [[1] * 4, [0] * 4]


def test_a_clip_is_read_as_it_was_stored(exported: Exported, clip: Path) -> None:
    parts = SignEngine.load(exported.folder).config["features"]["parts"]
    (features, mask), motion = read_clip(clip, parts)
    assert np.array_equal(features, clip_of(exported, "b/train1")[0], equal_nan=True)
    assert mask.shape == (30, 4) and motion == 1.5


def test_a_mask_says_only_what_is_there(exported: Exported, clip: Path) -> None:
    parts = SignEngine.load(exported.folder).config["features"]["parts"]
    with np.load(clip) as file:
        content = dict(file)
    for mask, wrong in (
        (content["mask"] * 255, True),
        (content["mask"] * 0.5, True),
        (content["mask"] > 0, False),
    ):
        np.savez(clip.with_name("mask.npz"), **{**content, "mask": mask})
        if wrong:
            with pytest.raises(SignloomError, match="the mask has other values than 0 and 1"):
                read_clip(clip.with_name("mask.npz"), parts)
        else:
            assert np.array_equal(read_clip(clip.with_name("mask.npz"), parts)[0][1], content["mask"])
    empty = np.full_like(content["features"], np.nan)
    np.savez(clip.with_name("mask.npz"), features=empty, mask=np.ones((len(empty), 4)))
    assert not read_clip(clip.with_name("mask.npz"), parts)[0][1].any()


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


def test_an_unpacked_bundle_and_the_folder_of_the_export_serve_as_well(
    exported: Exported, clip: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(exported.bundle) as file:
        file.extractall(tmp_path / "unpacked")
    for _ in range(2):  # the first run leaves compiled code behind
        done = subprocess.run(
            [sys.executable, str(tmp_path / "unpacked"), str(clip)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (tmp_path / "unpacked" / ".DS_Store").touch()  # macOS leaves it where somebody looks
    assert not set(OPTIONAL) & set(Bundle(str(tmp_path / "unpacked")).names)
    assert set(OPTIONAL) < Bundle(exported.folder).names
    (tmp_path / "unpacked" / "embeddings.npy").write_bytes(b"")
    with pytest.raises(SignloomError, match=r"embeddings\.npy has changed since the export"):
        SignEngine.load(tmp_path / "unpacked")


def test_without_its_two_packages_a_bundle_says_what_it_needs(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("signloom", "onnxruntime"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SystemExit, match="pip install numpy onnxruntime"):
        runpy.run_path(str(exported.bundle), run_name="__main__")


def test_an_older_python_is_told_which_one_a_bundle_needs(root: Path, exported: Exported) -> None:
    oldest = re.search(r'requires-python = ">=3\.(\d+)', (root / "pyproject.toml").read_text("utf-8"))
    assert oldest
    needs = f"Python 3.{oldest[1]} or later"
    older = f"sys.version_info = (3, {int(oldest[1]) - 1}); runpy.run_path(sys.argv[1], run_name='__main__')"
    command = [sys.executable, "-c", f"import runpy, sys; {older}", str(exported.bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: a bundle needs {needs}, and this is 3.{int(oldest[1]) - 1}\n"
    assert needs in (exported.folder / "MODEL_CARD.md").read_text("utf-8")


def test_the_model_card_in_a_bundle_says_how_to_use_it(root: Path, exported: Exported, clip: Path) -> None:
    shutil.copy(exported.bundle, clip.parent / "sign_encoder_bundle.zip")
    shutil.copy(clip, clip.parent / "CLIP.npz")
    card = bytes(content_of(exported.bundle)["MODEL_CARD.md"]).decode()  # type: ignore[arg-type]
    (example,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    (clip.parent / "own.py").write_text(example, "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "own.py"],
        capture_output=True,
        text=True,
        cwd=clip.parent,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True ok ['Anna drinks tea.'")
    oldest = re.search(r"onnxruntime>=([\d.]+)", (root / "pyproject.toml").read_text("utf-8"))
    assert oldest and f"ONNX Runtime {oldest[1]} or later" in card


def test_the_example_in_the_documentation_runs(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "export").symlink_to(exported.folder)
    monkeypatch.chdir(tmp_path)
    features, mask = clip_of(exported, "b/train1")
    example = doctest.DocTestParser().get_doctest(
        engine_module.__doc__ or "", {"features": features, "mask": mask}, "engine", None, 0
    )
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
