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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "gloss:\n  hypotheses:\n    - {better: hybrid_pose, worse: tcn_ctc, claim: a}\n"
            "    - better: hybrid_both\n      wors: tcn_ctc\n      claim: b\n",
            "5: unknown key gloss.hypotheses.wors; did you mean gloss.hypotheses.worse (Literal[",
        ),
        (
            "positions:\n  points:\n    - {name: neck, columns: [0, 1]}\n    - {name: hip, column: [3, 4]}\n",
            "4: unknown key positions.points.column; did you mean positions.points.columns (list[int])?",
        ),
        (
            "gloss:\n  hypotheses:\n    - {better: hybrid_pose, worse: tcn_ctc, claim: a}\n"
            "    - better: hybrid_both\n      claim: b\n",
            "4: missing key gloss.hypotheses.worse; expected Literal[",
        ),
        (
            "gloss:\n  hypotheses:\n    - better: hybrid_both\n      worse: tcn_ct\n      claim: b\n",
            "4: gloss.hypotheses.worse: Input should be",
        ),
        ("gloss:\n  variants:\n    - tcn_ctc\n    - tcn\n", "4: gloss.variants: Input should be"),
        (
            "gloss:\n  hypothesis: []\n",
            "2: unknown key gloss.hypothesis; did you mean gloss.hypotheses (list[",
        ),
        ("runs:\n  folds: [{a: b}]\n", "2: unknown key runs.folds.a; did you mean runs.folds (list[str])?"),
    ],
)
def test_a_wrong_key_in_an_entry_of_a_list_is_named_with_its_line(
    root: Path, tmp_path: Path, text: str, said: str
) -> None:
    assert refusal(root, tmp_path, text).startswith(f"preset1.yaml:{said}")


@pytest.mark.parametrize(
    ("section", "line", "key"),
    [
        ("dataset", "table: ''", "table"),
        ("dataset", "videos: ''", "videos"),
        ("dataset", "variations: ''", "variations"),
        ("dataset", "review: ''", "review"),
        ("dataset", "elan: [{sentence: ''}]", "elan.sentence"),
        ("report", "recipes: ['']", "recipes"),
        ("clip_features", "weights: ''", "weights"),
        ("text", "encoder: ''", "encoder"),
        ("positions", "points: [{name: '', columns: [0, 1]}]", "points.name"),
        ("positions", "centre: ''", "centre"),
    ],
)
def test_an_empty_text_is_no_name(root: Path, tmp_path: Path, section: str, line: str, key: str) -> None:
    expected = f"preset1.yaml:2: {section}.{key}: String should have at least 1 character, found ''"
    assert refusal(root, tmp_path, f"{section}:\n  {line}\n") == expected


def test_a_kernel_is_odd(root: Path, tmp_path: Path) -> None:
    found = refusal(root, tmp_path, "tcn:\n  kernel: 4\n")
    assert found == "preset1.yaml:2: tcn.kernel: expected an odd number, found 4"


def test_without_a_file_the_key_is_named(root: Path) -> None:
    tree = read_yaml(root / "params.yaml")
    for change, said in (
        ({"pose": {"fsp": 3}}, "the parameters: unknown key pose.fsp; did you mean pose.fps (float)?"),
        ({"pose": {"fps": "x"}}, "the parameters: pose.fps: "),
        ({"pose.fps": 3}, "the parameters: write pose.fps as a section"),
    ):
        with pytest.raises(SignloomError) as caught:
            check_params(overlay(tree, change), [])
        assert str(caught.value).startswith(said)
    with pytest.raises(SignloomError, match=r"^the parameters: missing key"):
        check_params({}, [])
    assert check_params(tree, []) == check_params(tree, [root / "params.yaml"])
