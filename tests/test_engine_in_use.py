"""An engine stays right while it is used: its bundle is moved or replaced, its input is odd, it is copied."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of

from signloom.errors import SignloomError
from signloom.inference.bundle import MANIFEST
from signloom.inference.engine import SignEngine
from signloom.inference.networks import checked
from tests.test_damaged_bundles import content_of, with_content, zipped


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


def test_a_part_with_a_nan_is_missing_whatever_the_mask_says(
    exported: Exported, clip: tuple[np.ndarray, np.ndarray]
) -> None:
    engine, (features, mask) = SignEngine.load(exported.bundle), clip
    nothing, everywhere = np.full_like(features, np.nan), np.ones_like(mask)
    assert engine.answer(nothing, everywhere).reason == "no_person"
    hand = features.copy()
    hand[3:20, 140] = np.nan  # one number of the left hand
    said, known = mask.copy(), mask.copy()
    said[3:20, 1], known[3:20, 1] = 1, 0
    assert engine.answer(hand, said) == engine.answer(features, known)
    np.testing.assert_array_equal(engine.embed([(hand, said)]), engine.embed([(features, known)]))
    np.testing.assert_array_equal(engine.sign_rows((hand, said)), engine.sign_rows((features, known)))
    glosses = (engine.answer(*clip).glosses or "").split()[:1]
    assert glosses and engine.align((hand, said), glosses) == engine.align((features, known), glosses)
    assert said[3:20, 1].all()  # the caller's own


def test_given_rows_may_lack_numbers_but_not_all_of_them() -> None:
    rows = np.array([[1, np.nan, 0], [np.nan, np.nan, np.nan], [1, 2, 3]], np.float32)
    for kind in (np.int8, np.float64, bool):
        clip, parts = (rows, np.ones((3, 4), kind)), {name: [0, 3] for name in "abcd"}
        assert (checked(clip, parts)[1] == 1).all()
        assert not checked((rows * np.nan, clip[1]), parts)[1].any()


@pytest.mark.parametrize("motion", [np.nan, np.inf, np.float32(np.nan)])
def test_motion_that_is_no_number_is_unknown(
    exported: Exported, clip: tuple[np.ndarray, np.ndarray], motion: float
) -> None:
    engine = SignEngine.load(exported.bundle)
    for features, mask in (clip, (clip[0], 0 * clip[1])):
        answer = engine.answer(features, mask, motion)
        assert answer == engine.answer(features, mask)
        json.dumps(answer.to_dict(), allow_nan=False)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda engine: pickle.loads(pickle.dumps(engine))])
def test_an_engine_that_has_answered_can_be_copied_to_another_process(
    exported: Exported, clip: tuple[np.ndarray, np.ndarray], copy_of: Callable[[SignEngine], SignEngine]
) -> None:
    engine = SignEngine.load(exported.bundle)
    engine.config["retrieval"]["exact_limit"] = 1
    answer = engine.answer(*clip, 1.5, rerank=True)
    assert answer.text and answer.glosses
    assert copy_of(engine).answer(*clip, 1.5, rerank=True) == answer
    assert engine.answer(*clip, 1.5, rerank=True) == answer
