"""Feature rows of any width, from a user's files through the real stages to both trained families."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import PARAMS, params_json
from exported import THRESHOLDS, export_small, write_metrics
from small_corpus import run_embed, run_prototypes

from signloom.augment.feature_rows import Geometry, augment_rows
from signloom.dataset.row_files import RowFiles
from signloom.errors import SignloomError
from signloom.features.shards import FeatureShards
from signloom.inference import command
from signloom.inference.engine import SignEngine
from signloom.inference.video import bundle_tracker
from signloom.params.load import check_params, overlay
from signloom.params.sign2text import AugmentParams
from tests.manifests import dataset_of, manifest_of
from tests.row_stages import prepare, write_rows
from workflow_scripts import train_gloss, train_sign2text

TINY = {"width": 16, "heads": 2, "layers": 1, "feedforward": 16, "decoder_layers": 1}
NOTE = "rows of 3 columns are no landmarks: {0}.rotation and {0}.body do not apply"


def trained(folder: Path) -> list[str]:
    return [f"{name}={folder}/{name}" for name in ("best", "latest", "history", "metrics")]


def train_sentences(found: dict[str, list[Path]], folder: Path) -> None:
    """Train the family of sentences for one epoch on what `prepare` made."""
    names = ("features", "mask", "index", "stats", "splits", "texts", "embeddings", "tokenizer")
    names += ("glosses", "gloss_lines")
    inputs = [f"{name}={path}" for name in names for path in found[name]]
    sections = {
        "run": {"seed": 1},
        "sign2text": TINY | {"epochs": 1},
        "augment": {},
        "text": {},
        "positions": {},
    }
    argv = ["--input", *inputs, "--output", *trained(folder), "--params", params_json(sections)]
    assert train_sign2text.main([*argv, "--scratch", str(folder / "scratch")]) == 0


@pytest.mark.parametrize(("columns", "suffix"), [(3, ".txt"), (60, ".npz"), (1024, ".npy")])
def test_rows_of_any_width_train_a_gloss_network(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], columns: int, suffix: str
) -> None:
    found = prepare(tmp_path / "out", write_rows(tmp_path / "rows", columns, suffix))
    names = {"pose": "features", "pose_index": "index", "mask": "mask", "pose_stats": "stats"}
    names |= {name: name for name in ("splits", "glosses", "gloss_lines")}
    inputs = [f"{name}={path}" for name, theirs in names.items() for path in found[theirs]]
    shape = {name: value for name, value in TINY.items() if name != "width"}
    sections = {
        "run": {"seed": 1, "variant": "hybrid_pose"},
        "hybrid": shape,
        "train_gloss": {"width": 16, "epochs": 1, "max_infeasible": 1.0},
        **{
            name: {} for name in ("gloss_augment", "gloss_pose_augment", "gloss_recompose", "gloss_positions")
        },
    }
    argv = ["--input", *inputs, "--output", *trained(tmp_path), "--params", params_json(sections)]
    assert train_gloss.main([*argv, "--scratch", str(tmp_path / "scratch")]) == 0
    weights = torch.load(tmp_path / "best", weights_only=True)["model"]
    assert any(columns + 4 in tensor.shape for tensor in weights.values())
    assert (NOTE.format("gloss_pose_augment") in capfd.readouterr().err) == (columns == 3)


@pytest.mark.parametrize("columns", [1024, 2048])
def test_rows_as_wide_as_those_of_video_networks_train_the_family_of_sentences(
    tmp_path: Path, columns: int
) -> None:
    train_sentences(prepare(tmp_path / "out", write_rows(tmp_path / "rows", columns)), tmp_path)
    assert torch.load(tmp_path / "best", weights_only=True)["model_config"]["feature_dim"] == columns


def test_rows_train_the_family_of_sentences_and_its_bundle_answers_files_of_rows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = prepare(tmp_path / "out", write_rows(tmp_path / "rows", 3))
    train_sentences(found, tmp_path)
    assert torch.load(tmp_path / "best", weights_only=True)["model_config"]["feature_dim"] == 3
    assert NOTE.format("augment") in capfd.readouterr().err

    found["checkpoint"] = [tmp_path / "best"]
    found |= {name: [path] for name, path in run_embed(found, tmp_path).items()}
    found["prototypes"] = [run_prototypes({name: found[name][0] for name in ("embeddings", "map")}, tmp_path)]
    found["thresholds"], found["metrics"] = [tmp_path / "t.json"], write_metrics(tmp_path / "scores")
    found["thresholds"][0].write_text(json.dumps(THRESHOLDS))
    unread = ("metadata", "texts", "gloss_lines")
    left_out = ("gloss_model", "gloss_decoder")
    given = {name: paths for name, paths in found.items() if name not in unread}
    bundle = export_small(given, tmp_path / "export", left_out).bundle
    rows = np.load(tmp_path / "rows/0.npy")
    rows[3:5] = 0
    np.save(tmp_path / "zeros.npy", rows)
    rows[3:5] = np.nan
    np.save(tmp_path / "missing.npy", rows)
    clips = [str(tmp_path / name) for name in ("rows/0.npy", "zeros.npy", "missing.npy")]
    assert command.main(bundle, [*clips, "--json"]) == 0
    whole, zeros, missing = (json.loads(line)["matches"] for line in capfd.readouterr().out.splitlines()[-3:])
    assert zeros == missing != whole, "zeros are missing, as in training"
    engine = SignEngine.load(bundle)
    with pytest.raises(SignloomError, match="the bundle reads given rows of 3 columns and no videos"):
        bundle_tracker(engine)


def test_a_row_of_zeros_is_missing_and_a_clip_of_zeros_is_never_trained_on(tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "rows", 5, clips=12)
    rows = np.load(tmp_path / "rows/0.npy")
    rows[4:6] = 0
    np.save(tmp_path / "rows/0.npy", rows)
    np.save(tmp_path / "rows/8.npy", np.zeros((20, 5)))
    found = prepare(tmp_path / "out", dataset)
    shards = FeatureShards(found["features"], found["index"], found["mask"])
    assert np.isnan(shards.clip("0")[4:6]).all() and not np.isnan(shards.clip("0")[6:]).any()
    assert shards.mask("0")[3:7].tolist() == [[1] * 4, [0] * 4, [0] * 4, [1] * 4]
    rejects = pd.read_csv(tmp_path / "out/all_rejects.csv").set_index("clip_id")
    assert rejects["reason"].to_dict() == {8: "no_person"}
    with np.load(tmp_path / "out/stats.npz") as stats:
        kept = [shards.clip(str(number)) for number in (0, 1, 2, 3, 9, 10, 11)]
        np.testing.assert_allclose(stats["feature_mean"], np.nanmean(np.concatenate(kept), 0), rtol=1e-4)


def rejected(tmp_path: Path, name: str) -> str:
    """Return why stage manifest rejects the clip `name`, beside a good one."""
    np.save(tmp_path / "good.npy", np.ones((5, 4), np.float32))
    (tmp_path / "clips.csv").write_text(f"video,gloss\ngood.npy,A\n{name},B\n")
    dataset = dataset_of(tmp_path / "clips.csv", tmp_path, features=True)
    return str(manifest_of(dataset, tmp_path / "h.json").rejects["detail"].tolist())


def test_files_that_hold_no_rows_are_rejected_with_what_is_wrong(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npy"
    np.save(whole, np.ones((50, 4), np.float32))
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "words.csv").write_text("x,y\n1,2\n")
    (tmp_path / "ragged.txt").write_text("1 2\n1 2 3\n")
    np.save(tmp_path / "none.npy", np.ones((0, 4)))
    np.save(tmp_path / "flat.npy", np.ones(4))
    np.save(tmp_path / "texts.npy", np.array([["a", "b"]]))
    np.savez(tmp_path / "two.npz", a=np.ones((2, 4)), b=np.ones((2, 4)))
    (tmp_path / "broken.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:100])
    said = {
        "cut.npy": "not a readable file of rows",
        "empty.npy": "not a readable file of rows",
        "empty.txt": "expected an array of shape (rows, columns), found (0, 0)",
        "words.csv": "could not convert string 'x' to float32 at row 0",
        "ragged.txt": "number of columns changed from 2 to 3",
        "none.npy": "found (0, 4)",
        "flat.npy": "found (4,)",
        "texts.npy": "expected numbers",
        "two.npz": "2 arrays (a, b); expected one, or one called features",
        "broken.npz": "not a readable file of rows",
        "clip.mat": ".mat is not one of .npy, .npz, .txt",
    }
    (tmp_path / "clip.mat").write_bytes(b"MATLAB")
    for name, message in said.items():
        assert message in rejected(tmp_path, name), name


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "sprung",)

    np.save(tmp_path / "object.npy", np.array([[Trap()]], object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", np.array([[Trap()]], object))
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Trap()))
    for name in ("object.npy", "object.npz", "bare.npy"):
        for read in (RowFiles().shape, RowFiles().read):
            with pytest.raises(SignloomError, match="not a readable file of rows"):
                read(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_infinite_values_and_single_nan_reject_a_clip_before_training(tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "rows", 4, clips=16)
    for number, value in ((8, np.inf), (9, np.nan)):
        rows = np.load(tmp_path / f"rows/{number}.npy")
        rows[2, 1] = value
        np.save(tmp_path / f"rows/{number}.npy", rows)
    prepare(tmp_path / "out", dataset)
    rejects = pd.read_csv(tmp_path / "out/all_rejects.csv").set_index("clip_id")["detail"].to_dict()
    assert rejects == {
        8: "the value in row 3, column 2 is infinite",
        9: "row 3 has 1 NaN among 4 values",
    }


def test_two_widths_stop_the_manifest_and_both_files_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.ones((5, 7)))
    with pytest.raises(
        SignloomError, match=r"good.npy has rows of 4 columns, and .*b.npy of 7; expected one"
    ):
        rejected(tmp_path, "b.npy")


def test_without_the_parameter_rows_are_no_videos_and_the_message_names_it(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((5, 4)))
    (tmp_path / "clips.csv").write_text("video,gloss\na.npy,A\n")
    with pytest.raises(SignloomError, match=r"set dataset.features to true"):
        manifest_of(dataset_of(tmp_path / "clips.csv", tmp_path), tmp_path / "h.json", 0.5)


def test_variants_that_read_videos_are_refused_for_rows(root: Path) -> None:
    tree = PARAMS.model_dump(mode="json")
    with pytest.raises(SignloomError, match=r"hybrid_clip.* need videos.*\[tcn_ctc, hybrid_pose\]"):
        check_params(overlay(tree, {"dataset": {"features": True}}), [root / "params.yaml"])
    good = {"dataset": {"features": True}, "gloss": {"variants": ["tcn_ctc", "hybrid_pose"]}}
    check_params(overlay(tree, good), [root / "params.yaml"])


def test_noise_on_rows_is_a_share_of_each_columns_deviation() -> None:
    off = dict.fromkeys(AugmentParams.model_fields, 0.0) | {"shift": 0, "noise": 0.5, "noise_p": 1.0}
    unit, rows = np.array([1e-3, 100.0], np.float32), np.zeros((4000, 2), np.float32)
    params = AugmentParams.model_validate(off)
    noisy, _ = augment_rows(rows, np.ones((4000, 4)), params, np.random.default_rng(0), Geometry(unit))
    np.testing.assert_allclose(noisy.std(0) / unit, 0.5, rtol=0.05)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5;1;3\n2;;4\n", [[0.5, 1, 3], [2, np.nan, 4]]),
        ("0.5;1;\n2;3;\n", [[0.5, 1], [2, 3]]),
        ("1, 2, 3\n4,,6\n", [[1, 2, 3], [4, np.nan, 6]]),
        ("1\t2\n3\t\n\t4\n", [[1, 2], [3, np.nan], [np.nan, 4]]),
        (" 1  2\r\n3 4 \r\n\r\n", [[1, 2], [3, 4]]),
    ],
)
def test_cells_of_a_text_are_columns_and_an_empty_one_is_missing(
    tmp_path: Path, text: str, expected: list[list[float]]
) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(RowFiles().read(tmp_path / "a.csv"), np.array(expected, np.float32))


def test_rows_of_different_widths_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0.5;1\n2;3;4\n")
    with pytest.raises(SignloomError, match="number of columns changed"):
        RowFiles().read(tmp_path / "a.csv")


def test_decimal_commas_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,5;0,7\n1,5;2\n")
    with pytest.raises(SignloomError, match="numbers with a decimal comma; write them with a point"):
        RowFiles().read(tmp_path / "a.csv")
    (tmp_path / "b.txt").write_text("0,5 0,7 1,25\n0,1 0,2 0,3\n")
    with pytest.raises(SignloomError, match="white space within its cells; write numbers with a point"):
        RowFiles().read(tmp_path / "b.txt")
    (tmp_path / "c.csv").write_text("0.5, 7\n1, 2\n")
    assert RowFiles().read(tmp_path / "c.csv").tolist() == [[0.5, 7], [1, 2]]
