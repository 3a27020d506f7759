"""Names of presets and of folds, which name folders."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from demo_params import section

from signloom.errors import SignloomError
from signloom.params.presets import PRODUCT_FOLDERS, check_names, load_presets
from signloom.params.runs import RunsParams


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["my corpus"], "my corpus.yaml does not exist"),
        (["../presets/gru"], "preset '../presets/gru': '.' cannot stand there in the name of a folder"),
        (["models"], "build/models/ is a folder of products"),
        (["recipes"], "metrics/recipes/ is a folder of products"),
        (["gru", "gru"], "preset 'gru' is named twice"),
    ],
)
def test_presets_whose_names_cannot_name_their_folders_are_refused(
    names: list[str], said: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(SignloomError, match=said):
        load_presets(names)


def test_no_preset_has_the_name_of_a_committed_folder_of_tables(root: Path) -> None:
    tables = {path.parent.name for path in root.glob("metrics/*/*.csv")}
    assert {"recipes", "few_clips"} <= tables <= PRODUCT_FOLDERS


def test_two_presets_do_not_share_the_folder_of_a_third(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config/presets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    names = ["gebärden-2024", normalize("NFD", "gebärden"), "हिन्दी", "ภาษามือ", "العربية", "gru", "a.b+c"]
    for name in names:
        (tmp_path / f"config/presets/{name}.yaml").write_text("{}")
    check_names(names)
    for name in ("my corpus", "a{b}", "a;b", ".hidden", "-x"):
        (tmp_path / f"config/presets/{name}.yaml").write_text("{}")
        with pytest.raises(SignloomError, match="cannot stand there in the name of a folder"):
            check_names([name])
    check_names(["tiny", "gru"])
    (tmp_path / "config/presets/tiny-gru.yaml").write_text("{}")
    with pytest.raises(SignloomError, match="build/tiny-gru/ belongs to the preset 'tiny-gru'"):
        check_names(["tiny", "gru"])
    for name in ("a", "a-b", "b-c", "c"):
        (tmp_path / f"config/presets/{name}.yaml").write_text("{}")
    for names, other in ((["a-b", "c"], "a,b-c"), (["a", "b-c"], "a-b,c")):
        with pytest.raises(SignloomError, match=f"build/a-b-c/ belongs to presets {other}; rename one"):
            check_names(names)


def test_a_fold_that_is_no_name_of_a_folder_says_what_is() -> None:
    with pytest.raises(ValueError, match=r"letters A to Z, digits, _, \. and -, found 'Müller'"):
        section(RunsParams, folds=["Müller", "b", "c"])
