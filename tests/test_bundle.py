"""A bundle is used only where every file is the one that was exported; the command says so in one line."""

from __future__ import annotations

import doctest
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
from signloom.features.pose.imported import _missing_parts
from signloom.inference import command
from signloom.inference import engine as engine_module
from signloom.inference.bundle import OPTIONAL, Bundle
from signloom.inference.command import presence, read_clip
from signloom.inference.engine import SignEngine
from signloom.inference.gates import why_unfit
from tests.test_damaged_bundles import content_of, with_content

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
