"""What a gloss training is fed: rows of either family, batches, losses, and clips that CTC cannot align."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.augment import landmark_rows
from signloom.augment.landmark_rows import augment
from signloom.errors import SignloomError
from signloom.features.gloss_rows import GlossRows, Kind, Rows, window_means
from signloom.params.gloss import (
    GlossAugmentParams,
    GlossPositionsParams,
    GlossRecomposeParams,
    GlossRunParams,
    TrainGlossParams,
)
from signloom.params.sign2text import AugmentParams
from signloom.text.vocabulary import EOS, PAD, SOS, UNK
from signloom.training.ctc import rows_needed
from signloom.training.glosses.corpus import (
    GlossCorpus,
    GlossFiles,
    check_feasibility,
    signer_stats,
)
from signloom.training.glosses.data import TrainingGlosses, collate, plain_batches
from signloom.training.glosses.validation import word_error_rate
from tests.synthetic_gloss import Inputs, Size, arguments, clip, sample, write_corpus
from workflow_scripts.job import parse


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def files(inputs: Inputs, folder: Path) -> GlossFiles:
    job = parse("train_gloss", arguments(inputs, folder, "hybrid_pose", folder), None)
    return job.input_files(GlossFiles)


def corpus(inputs: Inputs, folder: Path, variant: str = "hybrid_pose", **p: object) -> GlossCorpus:
    run = GlossRunParams(variant=variant, seed=1)
    kind = run.row.kind("pose")
    return GlossCorpus.load(files(inputs, folder), run, kind, section(TrainGlossParams, **p))


# --- rows


@settings(max_examples=60)
@given(st.integers(0, 12), st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 999))
def test_window_means_are_what_a_plain_loop_makes(rows: int, starts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, mask = (
        rng.normal(size=(rows, 3)).astype(np.float32),
        rng.integers(0, 2, (rows, 4)).astype(np.uint8),
    )
    values[rng.random((rows, 3)) < 0.3] = np.nan
    frames = sorted(int(frame) for frame in rng.integers(0, 15, rows))
    first, last = sorted(starts), [start + 4 for start in sorted(starts)]
    got = window_means(Rows(values, mask), frames, first, last)
    for window, (low, high) in enumerate(zip(first, last, strict=True)):
        inside = [row for row in range(rows) if low <= frames[row] <= high]
        for column in range(3):
            there = [values[row, column] for row in inside if not math.isnan(values[row, column])]
            expected = np.mean(there) if there else np.nan
            np.testing.assert_allclose(got[0][window, column], expected, atol=1e-5)
        share = mask[inside].mean(0) if inside else np.zeros(4)
        np.testing.assert_allclose(got.mask[window], share, atol=1e-6)


@pytest.mark.parametrize(("kind", "dim"), [("pose", 16), ("clip", 10), ("both", 26)])
def test_a_network_reads_standardised_rows_with_0_where_something_is_missing(
    kind: Kind, dim: int, inputs: Inputs, tmp_path: Path
) -> None:
    rows = GlossRows.open(files(inputs, tmp_path), kind, 150)
    assert rows.dim == dim
    splits = pd.read_csv(inputs["splits"][0])
    every = [rows.network_input(clip_id) for clip_id in splits["clip_id"][splits["split"] == "train"]]
    together = np.concatenate(every)
    assert together.dtype == np.float32 and np.isfinite(together).all() and together.shape[1] == dim
    features = together[:, : dim - rows.mask_dim]
    np.testing.assert_allclose(features[:, 2:].mean(0), 0, atol=0.05)
    np.testing.assert_allclose(features[:, 2:].std(0), 1, atol=0.05)
    if kind == "pose":
        missing = together[:, -3] == 0
        assert missing.any() and not together[missing, :2].any() and together[~missing, :2].all()


@pytest.mark.parametrize(("kind", "absent"), [("pose", "pose"), ("clip", "clip_stats"), ("both", "clip")])
def test_a_family_that_the_network_reads_and_that_is_not_given_is_named(
    kind: Kind, absent: str, inputs: Inputs, tmp_path: Path
) -> None:
    given = {name: paths for name, paths in inputs.items() if name != absent}
    with pytest.raises(SignloomError, match=rf"reads {absent[:4]} features: give --input {absent[:4]} and"):
        GlossRows.open(files(given, tmp_path), kind, 150)


@pytest.mark.parametrize(
    ("file", "bad"), [("clip", np.nan), ("clip", np.inf), ("pose", np.nan), ("pose", -np.inf)]
)
def test_a_number_that_is_none_stops_training(file: str, bad: float, inputs: Inputs, tmp_path: Path) -> None:
    values = np.load(inputs[file][0])
    values[5, 4] = bad  # in the first clip, where nothing is missing
    np.save(tmp_path / "bad.npy", values)
    if file == "pose":
        np.save(tmp_path / "mask.npy", np.ones((len(values), 4), np.uint8))
        inputs = inputs | {"mask": [tmp_path / "mask.npy"]}
    bent = inputs | {file: [tmp_path / "bad.npy"]}
    rows = GlossRows.open(files(bent, tmp_path), "pose" if file == "pose" else "clip", 150)
    with pytest.raises(SignloomError, match=r"clip train/000: a (pose|clip) feature is"):
        rows.network_input("train/000")


def test_clip_features_of_two_networks_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    index = pd.read_parquet(inputs["clip_index"][0])
    index.loc[3, "weights"] = "pretrained"
    index.to_parquet(tmp_path / "index.parquet")
    rows = GlossRows.open(files(inputs | {"clip_index": [tmp_path / "index.parquet"]}, tmp_path), "both", 150)
    with pytest.raises(SignloomError, match="come from 2 networks"):
        rows.backbone()


# --- batches


def test_a_batch_is_sorted_padded_and_has_the_labels_of_the_contract() -> None:
    batch = collate([sample(2, clip("a", 5, 6)), sample(4, clip("b", 7, 7, 8)), sample(2, clip("c", 9))])
    assert batch.lengths.tolist() == [4, 2, 2] and batch.features.shape == (3, 4, 2)
    assert batch.features[1].tolist() == [[2, 2], [2, 2], [0, 0], [0, 0]]
    assert batch.ctc_targets.tolist() == [[7, 7, 8], [5, 6, PAD], [9, PAD, PAD]]
    assert batch.decoder_input.tolist() == [[SOS, 7, 7, 8], [SOS, 5, 6, PAD], [SOS, 9, PAD, PAD]]
    assert batch.decoder_target.tolist() == [[7, 7, 8, EOS], [5, 6, EOS, PAD], [9, EOS, PAD, PAD]]
    assert batch.target_lengths.tolist() == [3, 2, 1]
    assert batch.rows.tolist() == [0, 1, 2] and batch.weights.tolist() == [1, 1, 1]


def test_a_mixed_input_keeps_both_label_sequences_with_weights_that_sum_to_1() -> None:
    mixed = sample(3, clip("a", 5), clip("d", 8, 9, feasible=False), 0.75)
    batch = collate([mixed, sample(6, clip("b", 6))])
    assert batch.rows.tolist() == [0, 1, 1] and batch.weights.tolist() == [1, 0.75, 0.25]
    assert batch.ctc_targets.tolist() == [[6, PAD], [5, PAD], [8, 9]]
    assert batch.aligned.tolist() == [True, True, False]


OFF = GlossRecomposeParams.off(), GlossPositionsParams.off()


def training(found: GlossCorpus, seed: int = 3, **features: float) -> TrainingGlosses:
    rows = section(GlossAugmentParams, **features)
    return TrainingGlosses(found.train, found.rows, seed, 5, rows, section(AugmentParams), *OFF)


@pytest.mark.parametrize("variant", ["hybrid_pose", "hybrid_clip", "hybrid_clip_aug", "hybrid_both"])
def test_a_sample_depends_on_seed_epoch_and_clip_alone(variant: str, inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path, variant)
    data = training(found)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    forward = [data.sample(2, i).x for i in range(len(found.train))]
    backward = [training(found).sample(2, i).x for i in reversed(range(len(found.train)))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert np.random.get_state()[1].tolist() == state, "no global state"  # noqa: NPY002
    for other in (training(found, seed=4).sample(2, 0).x, data.sample(3, 0).x):
        assert other.shape != forward[0].shape or not np.array_equal(other, forward[0])


@pytest.mark.parametrize("variant", ["hybrid_clip", "hybrid_clip_aug"])
def test_copies_take_turns_with_their_clip_and_leave_the_number_of_steps_alone(
    variant: str, inputs: Inputs, tmp_path: Path
) -> None:
    found = corpus(inputs, tmp_path, variant)
    off = {"feature_dropout_p": 0.0, "noise_p": 0.0, "time_mask_p": 0.0, "mixup_p": 0.0, "cutmix_p": 0.0}
    data = training(found, **off)
    assert len(data) == len(list(data.epoch(0))) == 5
    seen = set()
    for epoch in range(12):
        (own,) = [
            s
            for s in found.train[4].sources
            if np.array_equal(data.sample(epoch, 4).x, found.rows.network_input(s))
        ]
        seen.add(own)
    assert seen == {"train/004", "train/004#1"} if variant == "hybrid_clip_aug" else {"train/004"}


def test_every_clip_comes_once_an_epoch_in_an_order_of_its_own(inputs: Inputs, tmp_path: Path) -> None:
    data = training(corpus(inputs, tmp_path), mixup_p=0.0, cutmix_p=0.0)
    orders = []
    for epoch in (0, 1):
        labels = [tuple(row.tolist()) for batch in data.epoch(epoch) for row in batch.decoder_target]
        lines = [tuple(i for i in row if i not in (PAD, EOS)) for row in labels]
        assert sorted(lines) == sorted(c.ids for c in data.clips)
        orders.append(lines)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("variant", ["hybrid_pose", "hybrid_clip", "hybrid_both"])
def test_no_augmentation_takes_the_rows_that_ctc_needs(variant: str, tmp_path: Path) -> None:
    inputs = write_corpus(tmp_path, Size(train=10, val=1, frames=(1, 2)))
    found = corpus(inputs, tmp_path, variant, max_frames=8, max_infeasible=1.0)
    assert any(c.feasible and rows_needed(c.ids) >= found.rows.length(c.clip_id) - 2 for c in found.train)
    wild = section(AugmentParams, time_warp=0.9, time_warp_p=1, frame_dropout=0.9, frame_dropout_p=1)
    features = section(GlossAugmentParams, mixup_p=0.3, cutmix_p=0.6, mix_alpha=1)
    data = TrainingGlosses(found.train, found.rows, 0, 4, features, wild, *OFF)
    mixed = 0
    for epoch in range(15):
        pairs = [data.sample(epoch, index) for index in range(3)]
        assert all(it.other is None or it.other.clip_id != it.clip.clip_id for it in pairs)
        for batch in data.epoch(epoch):
            assert torch.isfinite(batch.features).all() and batch.lengths.max() <= 8
            for row, ids, length, aligned in zip(
                *map(
                    torch.Tensor.tolist, (batch.rows, batch.ctc_targets, batch.target_lengths, batch.aligned)
                ),
                strict=True,
            ):
                assert not aligned or batch.lengths[row] >= rows_needed(tuple(ids[:length]))
            sums = torch.zeros(len(batch.lengths)).index_add_(0, batch.rows, batch.weights)
            torch.testing.assert_close(sums, torch.ones(len(batch.lengths)))
            mixed += len(batch.rows) - len(batch.lengths)
    assert mixed > 20


def test_landmarks_are_augmented_as_landmarks(tmp_path: Path) -> None:
    found = corpus(write_corpus(tmp_path, Size(train=3, val=1, pose_dim=540)), tmp_path)
    off = {"feature_dropout_p": 0.0, "noise_p": 0.0, "time_mask_p": 0.0, "mixup_p": 0.0, "cutmix_p": 0.0}
    pose = AugmentParams.off().model_copy(update={"rotation": 15.0, "rotation_p": 1.0})
    data = TrainingGlosses(found.train, found.rows, 5, 2, section(GlossAugmentParams, **off), pose, *OFF)
    from signloom.augment.landmark_rows import clip_generator

    rng = clip_generator(5, 0, "train/001")
    rng.integers(1)  # which source is drawn
    augmented = Rows(*augment(*found.rows.read("train/001"), pose, rng))
    expected = found.rows.standardise(augmented, "train/001")
    np.testing.assert_array_equal(data.sample(0, 1).x, found.rows.finish(expected))
    assert not np.allclose(data.sample(0, 1).x, found.rows.network_input("train/001"))


def test_columns_without_variance_carry_nothing_in_training_and_outside(tmp_path: Path) -> None:
    inputs = write_corpus(tmp_path, Size(train=3, val=1, pose_dim=540))
    values = np.load(inputs["pose"][0])
    values[:, landmark_rows.Z] = 0
    np.save(inputs["pose"][0], values)
    with np.load(inputs["pose_stats"][0]) as file:
        stats = dict(file)
    stats["feature_mean"][landmark_rows.Z], stats["feature_std"][landmark_rows.Z] = 0, 1e-4
    np.savez(inputs["pose_stats"][0], **stats)
    found = corpus(inputs, tmp_path)
    found.rows.signers = signer_stats(found.train, found.rows, {clip.clip_id: "A" for clip in found.train})
    noisy, pose = (
        section(GlossAugmentParams, noise=0.5, noise_p=1.0),
        section(AugmentParams, noise_p=1.0, body_p=1.0),
    )
    data = TrainingGlosses(found.train, found.rows, 5, 2, noisy, pose, *OFF)
    for x in (
        data.sample(0, 1).x,
        found.rows.network_input("train/001"),
        found.rows.network_input("val/003"),
    ):
        assert not x[:, landmark_rows.Z].any()
        assert x[:, landmark_rows.X].any() and np.abs(x).max() < 20


def test_a_signer_whose_column_stands_still_is_measured_by_all_signers(tmp_path: Path) -> None:
    found = corpus(write_corpus(tmp_path, Size(train=3, val=1)), tmp_path)
    rows, first = found.rows, found.train[0].clip_id
    still = rows.read(first)[0].copy()
    still[:, 3] = 7.0
    rows.read = lambda name: Rows(still, np.ones((len(still), 4), np.uint8))  # type: ignore[method-assign]
    stats = signer_stats(found.train[:1], rows, {first: "A"}).stats["A"]
    assert (stats.mean[3], stats.std[3]) == (7.0, rows.std[3])
    assert stats.std[4] != rows.std[4]


def test_validation_rows_are_never_augmented(inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path)
    (batch,) = plain_batches(found.val, found.rows, 8)
    as_stored = sorted((found.rows.network_input(c.clip_id) for c in found.val), key=len, reverse=True)
    assert batch.lengths.tolist() == [len(x) for x in as_stored]
    for row, x in enumerate(as_stored):
        np.testing.assert_array_equal(batch.features[row, : len(x)], x)
    assert len(batch.rows) == 8 and batch.weights.eq(1).all()


# --- feasibility


def test_clips_that_ctc_cannot_align_are_named_and_too_many_stop_the_run(
    inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = corpus(inputs, tmp_path)
    made = [clip(c.clip_id, *c.ids, feasible=False) for c in found.train[:12]]
    check_feasibility(made + found.train[12:], found.rows, 0.5)
    said = capsys.readouterr().err
    length = found.rows.length("train/000")
    assert "cannot align 12 of 24 clips" in said and f"train/000 ({length} rows, needs" in said
    assert said.count("rows, needs") == 12 and "left out of the CTC loss" in said
    advice = r"and 2 more; .*max_infeasible 0.49: lower clip_features.step_size"
    with pytest.raises(SignloomError, match=advice) as error:
        check_feasibility(made + found.train[12:], found.rows, 0.49)
    assert str(error.value).count("rows, needs") == 10


def test_short_inputs_are_infeasible_and_the_baseline_leaves_them_out(inputs: Inputs, tmp_path: Path) -> None:
    hybrid = corpus(inputs, tmp_path, max_frames=2, max_infeasible=1.0)
    assert [c.feasible for c in hybrid.train] == [rows_needed(c.ids) <= 2 for c in hybrid.train]
    assert len(hybrid.train) == 24 and not all(c.feasible for c in hybrid.train)
    alone = corpus(inputs, tmp_path, "tcn_ctc", max_frames=2, max_infeasible=1.0)
    assert alone.train == [c for c in hybrid.train if c.feasible]
    with pytest.raises(SignloomError, match="cannot align"):
        corpus(inputs, tmp_path, max_frames=2)


def test_glosses_that_training_never_saw_are_unknown_labels_and_themselves_in_references(
    inputs: Inputs, tmp_path: Path
) -> None:
    lines = pd.read_csv(inputs["gloss_lines"][0])
    lines.loc[lines["clip_id"] == "val/024", "gloss"] = "BOOK COMPUTER"
    lines.to_csv(tmp_path / "lines.csv", index=False)
    found = corpus(inputs | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert (found.val[0].line, found.val[0].ids) == ("BOOK COMPUTER", (5, UNK))
    assert word_error_rate(["BOOK COMPUTER"], ["BOOK <unk>"]) == 0.5


def test_clips_without_glosses_are_left_out_and_counted(
    inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = pd.read_csv(inputs["gloss_lines"][0])
    lines.loc[lines["clip_id"].isin(["train/001", "train/002"]), "gloss"] = ""
    lines.to_csv(tmp_path / "lines.csv", index=False)
    found = corpus(inputs | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path)
    assert len(found.train) == 22 and "2 of 24 train clips have no gloss" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glosses": ["<pad>", "BOOK"]}, "starts with"),
        ({"glosses": ["<pad>", "<unk>", "<blank>", "<sos>", "<eos>"]}, "no gloss in the training split"),
        ({"drop": "train/003"}, "clip train/003 of splits.csv has no pose feature rows"),
        ({"forget": "val/030"}, "clip val/030 of splits.csv has no gloss line"),
        ({"empty": "train"}, "the training split has no clip with a gloss"),
        ({"variant": "hybrid_clip_aug"}, "raise frames.copies"),
    ],
)
def test_inputs_that_do_not_fit_are_said_in_one_line(
    change: dict, message: str, inputs: Inputs, tmp_path: Path
) -> None:
    bent, lines = dict(inputs), pd.read_csv(inputs["gloss_lines"][0])
    if "glosses" in change:
        (tmp_path / "glosses.json").write_text(json.dumps(change["glosses"]))
        bent["glosses"] = [tmp_path / "glosses.json"]
    if "drop" in change:
        index = pd.read_parquet(inputs["pose_index"][0])
        index.loc[index["clip_id"] == change["drop"], "length"] = 0
        index.to_parquet(tmp_path / "index.parquet")
        bent["pose_index"] = [tmp_path / "index.parquet"]
    lines = lines[lines["clip_id"] != change.get("forget")]
    lines.loc[lines["clip_id"].str.startswith(change.get("empty", "none/")), "gloss"] = ""
    lines.to_csv(tmp_path / "lines.csv", index=False)
    if "variant" in change:
        none = pd.read_parquet(inputs["copies_index"][0]).iloc[:0]
        none.to_parquet(tmp_path / "none.parquet")
        np.save(tmp_path / "none.npy", np.zeros((0, 10), np.float32))
        bent |= {"copies": [tmp_path / "none.npy"], "copies_index": [tmp_path / "none.parquet"]}
    with pytest.raises(SignloomError, match=message):
        corpus(
            bent | {"gloss_lines": [tmp_path / "lines.csv"]}, tmp_path, change.get("variant", "hybrid_pose")
        )
