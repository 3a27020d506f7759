"""Messages about parameters name the key, the line that has it, and what may stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from signloom.errors import SignloomError
from signloom.params.load import check_params, overlay, read_yaml


def refusal(root: Path, folder: Path, *presets: str) -> str:
    """Return the message about presets with these texts over params.yaml; it begins with a file's name."""
    files = [root / "params.yaml"]
    for number, text in enumerate(presets, 1):
        files.append(folder / f"preset{number}.yaml")
        files[-1].write_text(text, "utf-8")
    tree = read_yaml(files[0])
    for file in files[1:]:
        tree = overlay(tree, read_yaml(file))
    with pytest.raises(SignloomError) as caught:
        check_params(tree, files)
    return str(caught.value).removeprefix(f"{folder}/")


def test_what_a_section_refuses_is_named_with_the_line_of_its_key(root: Path, tmp_path: Path) -> None:
    mixed, noisy = "gloss_augment:\n  mixup_p: 0.95\n", "gloss_augment:\n  noise: 0.02\n"
    assert refusal(root, tmp_path, mixed, noisy) == (
        "preset1.yaml:2: gloss_augment.mixup_p: the sum of mixup_p and cutmix_p must be at most 1"
    )
    cut = mixed.replace("mixup", "cutmix")
    assert refusal(root, tmp_path, noisy, cut).startswith("preset2.yaml:2: gloss_augment.cutmix_p: ")
    text = "landmarks:\n  max_fps: 5.0\n  model_complexity: 2\n"
    assert refusal(root, tmp_path, text).startswith("preset1.yaml:3: landmarks.model_complexity: expected 1")
    text = "runs:\n  seed: 42\n  more_seeds: [42]\n"
    assert refusal(root, tmp_path, text).startswith("preset1.yaml:3: runs.more_seeds: a value occurs twice")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("runs: {fold: signer}", "runs.folds (list[str])"),
        ("runs: {more_seed: []}", "runs.more_seeds (list[int])"),
        ("dataset: {picture_sise: null}", "dataset.picture_size (list[int] | None)"),
        ("positions: {length: []}", "positions.lengths (list[list[str]])"),
        ("dataset: {importr: csv}", "dataset.importer (str)"),
        ("dataset: {point_ordr: null}", "dataset.point_order (Literal['signloom', 'mp_data'] | None)"),
        ("landmarks: {max_fp: 5.0}", "landmarks.max_fps (float | None)"),
    ],
)
def test_the_nearest_key_comes_with_its_type_in_words(
    root: Path, tmp_path: Path, text: str, meant: str
) -> None:
    assert refusal(root, tmp_path, text).endswith(f"; did you mean {meant}?")
