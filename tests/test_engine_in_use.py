"""An engine stays right while it is used: its bundle is moved or replaced, its input is odd, it is copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.errors import SignloomError
from signloom.inference.bundle import MANIFEST
from signloom.inference.engine import SignEngine
from tests.test_bundle import content_of, with_content, zipped


@pytest.fixture
def clip(exported: Exported) -> tuple[np.ndarray, np.ndarray]:
    return clip_of(exported, "b/train1")


@pytest.fixture
def copied(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copy(exported.bundle, tmp_path / "copied.zip"))


@pytest.mark.parametrize(
    "name", ["sign_encoder.onnx", "gloss_vocabulary.json", "tokenizer.json", "frames.npy"]
)
def test_files_of_another_bundle_are_never_mixed_in(
    exported: Exported, copied: Path, name: str, clip: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    whole = content_of(exported.bundle)[name]
    assert isinstance(whole, bytes)
    content = (
        content_of(exported.bundle)["sign_encoder.int8.onnx"] if name.endswith(".onnx") else whole + b" "
    )
    engine = SignEngine.load(copied)
    with_content(exported, name, content, tmp_path / "other.zip").replace(copied)
    with pytest.raises(SignloomError, match=f"{name} has changed since the bundle was opened; open"):
        engine.answer(*clip)


def test_a_file_of_a_folder_that_is_cut_short_later_is_named(
    exported: Exported, clip: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "folder"))
    engine, network = SignEngine.load(folder), folder / "sign_encoder.onnx"
    network.write_bytes(network.read_bytes()[:1000])
    with pytest.raises(SignloomError, match=r"sign_encoder\.onnx has changed since the bundle was opened"):
        engine.answer(*clip)


def test_an_engine_answers_wherever_its_program_goes(
    exported: Exported,
    copied: Path,
    clip: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(exported.folder, tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    engines = [SignEngine.load(Path(name)) for name in (copied.name, "folder")]
    monkeypatch.chdir("/")
    for engine in engines:
        assert engine.answer(*clip) == SignEngine.load(exported.bundle).answer(*clip)


def test_a_bundle_that_is_gone_is_named_with_its_file(
    copied: Path, exported: Exported, clip: tuple[np.ndarray, np.ndarray]
) -> None:
    engine = SignEngine.load(copied)
    engine.answer(*clip, decode=False)
    copied.unlink()
    with pytest.raises(SignloomError, match=r"copied\.zip: \S+ cannot be read any more .*No such file"):
        engine.answer(*clip)
    content = content_of(exported.bundle)
    zipped({name: content[name] for name in content if name == MANIFEST}, copied)
    with pytest.raises(SignloomError, match=r"copied\.zip: \S+ cannot be read any more .*no item named"):
        engine.answer(*clip)
