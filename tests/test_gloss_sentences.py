"""Training sentences made anew, rows standardised by signer, rows side by side, and hidden glosses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import section

from signloom.augment import feature_rows
from signloom.errors import SignloomError
from signloom.features.gloss_rows import GlossRows, Rows
from signloom.features.pose.position_features import position_features
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
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
from signloom.training.glosses.corpus import GlossCorpus, GlossFiles, signer_stats
from signloom.training.glosses.data import TrainingGlosses, collate, hide_tokens, lengthened
from tests.synthetic_gloss import Inputs, Size, arguments, clip, sample, write_corpus
from workflow_scripts.job import parse

NEVER = section(GlossAugmentParams, feature_dropout_p=0, noise_p=0, time_mask_p=0, mixup_p=0, cutmix_p=0)
STILL, FIXED = AugmentParams.off(), GlossPositionsParams.off()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def corpus(inputs: Inputs, folder: Path, variant: str = "hybrid_pose", **p: object) -> GlossCorpus:
    job = parse("train_gloss", arguments(inputs, folder, variant, folder), None)
    run = GlossRunParams(variant=variant, seed=1)
    files = job.input_files(GlossFiles)
    return GlossCorpus.load(files, run, run.row.kind("pose"), section(TrainGlossParams, **p), timed=True)


def training(
    found: GlossCorpus,
    recompose: dict,
    pose: AugmentParams = STILL,
    positions: GlossPositionsParams = FIXED,
    token_dropout: float = 0.0,
) -> TrainingGlosses:
    new = section(GlossRecomposeParams, **recompose)
    return TrainingGlosses(found.train, found.rows, 3, 5, NEVER, pose, new, positions, token_dropout)


# --- new sentences


def cuts_of(found: GlossCorpus, index: int) -> list[int]:
    """Return where the glosses of a clip of the made-up corpus are cut: in the middle of the pause of two."""
    made = found.train[index]
    starts = [round(start / 0.08) for start, _ in made.times]
    return [0, *(start - 1 for start in starts[1:]), found.rows.length(made.clip_id)]


@pytest.mark.parametrize("variant", ["hybrid_pose", "hybrid_clip", "hybrid_both"])
def test_a_part_has_the_rows_and_the_labels_of_its_glosses(
    variant: str, inputs: Inputs, tmp_path: Path
) -> None:
    found = corpus(inputs, tmp_path, variant)
    data = training(found, {"crop_p": 1})
    long = [i for i, made in enumerate(found.train) if len(made.ids) > 1]
    assert len(long) > 8
    for index in long:
        got = data.sample(0, index)
        whole, cuts = found.rows.network_input(found.train[index].clip_id), cuts_of(found, index)
        ids = found.train[index].ids
        matches = [
            first
            for first in range(len(ids))
            for last in range(first + 1, len(ids) + 1)
            if ids[first:last] == got.clip.ids
            and cuts[last] - cuts[first] == len(got.x)
            and np.allclose(got.x, whole[cuts[first] : cuts[last]], atol=1e-4)
        ]
        assert len(matches) == 1 and len(got.clip.ids) < len(ids)


def test_joined_sentences_hold_both_label_sequences_and_fit_the_decoder(
    inputs: Inputs, tmp_path: Path
) -> None:
    found = corpus(inputs, tmp_path)
    data = training(found, {"join_p": 1})
    for index, made in enumerate(found.train):
        got = data.sample(1, index)
        assert len(got.clip.ids) > len(made.ids) and len(got.x) > found.rows.length(made.clip_id)
        assert made.ids in (got.clip.ids[: len(made.ids)], got.clip.ids[-len(made.ids) :])
    assert corpus(inputs, tmp_path, max_frames=5, max_infeasible=1.0).rows.max_frames == 5


def test_sentences_that_a_network_cannot_hold_are_not_made(inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path, max_frames=4)
    data = training(found, {"join_p": 1})
    said = [data.sample(epoch, index) for epoch in range(3) for index in range(len(found.train))]
    assert all(rows_needed(got.clip.ids) <= 4 == max(len(got.x), 4) for got in said)


def test_swapped_glosses_come_in_deviations_of_their_own_signer(inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path, normalise_by="signer")
    data = training(found, {"swap_p": 1})
    every = np.concatenate([found.rows.network_input(made.clip_id) for made in found.train])
    foreign = 0
    for index, made in enumerate(found.train):
        got = data.sample(0, index)
        assert got.clip.ids == made.ids
        gaps = np.abs(got.x[:, None] - every[None]).max(-1).min(1)
        assert gaps.max() < 1e-3, "every row is one that was signed"
        own = found.rows.network_input(made.clip_id)
        foreign += not all((np.abs(own - row).max(1) < 1e-3).any() for row in got.x)
    assert foreign > 5


def test_clips_without_times_stay_as_they_are_and_none_at_all_is_an_error(
    inputs: Inputs, tmp_path: Path
) -> None:
    lines = pd.read_csv(inputs["gloss_lines"][0])
    every = {"crop_p": 1.0, "join_p": 1.0, "swap_p": 1.0}
    lines.loc[lines["clip_id"] != "train/003", "gloss_times"] = ""
    lines.to_csv(tmp_path / "some.csv", index=False)
    found = corpus(inputs | {"gloss_lines": [tmp_path / "some.csv"]}, tmp_path)
    data = training(found, every)
    for index, made in enumerate(found.train):
        got = data.sample(0, index)
        same = np.array_equal(got.x, found.rows.network_input(made.clip_id))
        assert same == (made.clip_id != "train/003")
    lines.assign(gloss_times="").to_csv(tmp_path / "none.csv", index=False)
    none = corpus(inputs | {"gloss_lines": [tmp_path / "none.csv"]}, tmp_path)
    with pytest.raises(SignloomError, match="no training clip has gloss times"):
        training(none, every)
    lines.assign(gloss_times=json.dumps([[0, 1]] * 9)).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(SignloomError, match=r"clip train/000: 9 gloss times for \d glosses"):
        corpus(inputs | {"gloss_lines": [tmp_path / "bad.csv"]}, tmp_path)


def test_augmented_copies_are_never_cut(inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path, "hybrid_clip_aug")
    data = training(found, {"join_p": 1})
    copied = 0
    for epoch in range(6):
        got = data.sample(epoch, 4)
        if got.clip.ids == found.train[4].ids:
            copied += np.array_equal(got.x, found.rows.network_input("train/004#1"))
    assert copied


def test_a_copy_with_fewer_rows_than_ctc_needs_is_left_out(inputs: Inputs, tmp_path: Path) -> None:
    pd.read_parquet(inputs["copies_index"][0]).assign(length=1).to_parquet(tmp_path / "copies.parquet")
    found = corpus(inputs | {"copies_index": [tmp_path / "copies.parquet"]}, tmp_path, "hybrid_clip_aug")
    assert {len(made.ids) for made in found.train} == {1, 2, 3}
    for made in found.train:
        copies = (f"{made.clip_id}#1",) if len(made.ids) == 1 else ()
        assert made.sources == (made.clip_id, *copies)


# --- mixed inputs


@pytest.mark.parametrize(("wanted", "unwanted"), [("mix_up", "cut_mix"), ("cut_mix", "mix_up")])
def test_inputs_are_mixed_in_the_way_that_has_a_probability(
    wanted: str, unwanted: str, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = corpus(inputs, tmp_path)
    always = NEVER.model_copy(update={f"{wanted.replace('_', '')}_p": 1.0})
    data = TrainingGlosses(found.train, found.rows, 3, 5, always, STILL, GlossRecomposeParams.off(), FIXED)
    monkeypatch.delattr(feature_rows, unwanted)
    assert sum(len(batch.rows) - len(batch.lengths) for batch in data.epoch(0)) > 10


# --- rows side by side


def test_rows_side_by_side_are_those_that_a_plain_loop_takes(inputs: Inputs, tmp_path: Path) -> None:
    plain, stacked = corpus(inputs, tmp_path).rows, corpus(inputs, tmp_path, stack=7, every=3).rows
    assert stacked.dim == 7 * plain.dim == 7 * 16
    for name in ("train/000", "val/024"):
        alone, got = plain.network_input(name), stacked.network_input(name)
        assert len(got) == stacked.length(name) == -(-len(alone) // 3)
        for number, row in enumerate(got):
            near = [min(max(3 * number + by, 0), len(alone) - 1) for by in range(-3, 4)]
            values = np.concatenate([alone[place, :12] for place in near])
            mask = np.concatenate([alone[place, 12:] for place in near])
            np.testing.assert_array_equal(row, np.concatenate([values, mask]))


def test_training_starts_at_any_phase_and_evaluation_at_the_first_row(inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path, every=3)
    data, whole = training(found, {}), corpus(inputs, tmp_path).rows.network_input("train/002")
    phases = {tuple(data.sample(epoch, 2).x[0]) for epoch in range(30)}
    assert phases == {tuple(whole[start]) for start in range(3)}
    np.testing.assert_array_equal(found.rows.network_input("train/002"), whole[::3])


def test_what_ctc_can_align_is_never_lost_to_fewer_rows(tmp_path: Path) -> None:
    inputs = write_corpus(tmp_path, Size(train=12, val=1, frames=(1, 2)))
    found = corpus(inputs, tmp_path, every=3, stack=2, max_infeasible=1.0)
    assert {made.feasible for made in found.train} == {True, False}
    assert all(m.feasible == (found.rows.length(m.clip_id) >= rows_needed(m.ids)) for m in found.train)
    wild = section(AugmentParams, time_warp=0.9, time_warp_p=1, frame_dropout=0.9, frame_dropout_p=1)
    data = training(found, {"crop_p": 0.3, "join_p": 0.5, "swap_p": 0.5}, wild)
    for epoch in range(10):
        for index, made in enumerate(found.train):
            got = data.sample(epoch, index)
            assert not made.feasible or len(got.x) >= rows_needed(got.clip.ids)
            assert made.feasible or got.clip == made


@pytest.mark.parametrize(("length", "least"), [(1, 4), (2, 5), (3, 3), (5, 2)])
def test_repeated_rows_keep_their_order_and_lose_none(length: int, least: int) -> None:
    rows = Rows(np.arange(length, dtype=np.float32)[:, None], np.ones((length, 4), np.uint8))
    values, mask = lengthened(rows, least)
    assert len(values) == len(mask) == max(length, least)
    assert np.diff(values[:, 0]).min(initial=0) >= 0 and len(np.unique(values)) == length
    assert np.ptp(np.unique(values, return_counts=True)[1]) <= 1


# --- whose mean and deviation


def test_rows_are_standardised_by_the_training_clips_of_their_signer(inputs: Inputs, tmp_path: Path) -> None:
    found = corpus(inputs, tmp_path, normalise_by="signer")
    lines = pd.read_csv(inputs["gloss_lines"][0]).set_index("clip_id")["signer_id"]
    for signer in ("signer-0", "signer-1", "signer-2"):
        own = [made.clip_id for made in found.train if lines[made.clip_id] == signer]
        raw = np.concatenate([found.rows.read(name)[0] for name in own])
        held = next(made.clip_id for made in found.val if lines[made.clip_id] == signer)
        expected = (found.rows.read(held)[0] - np.nanmean(raw, 0)) / np.nanstd(raw, 0)
        got = found.rows.network_input(held)[:, :12]
        np.testing.assert_allclose(got, np.nan_to_num(expected), atol=1e-4)
    clips = corpus(inputs, tmp_path, "hybrid_clip_aug", normalise_by="signer").rows
    assert clips.stats_of("train/004#1") is clips.stats_of("train/004")


def test_an_unknown_signer_and_a_part_never_seen_have_the_numbers_of_all(
    inputs: Inputs, tmp_path: Path
) -> None:
    found = corpus(inputs, tmp_path)
    rows, first = found.rows, found.train[0].clip_id
    gone = rows.read(first)[0].copy()
    gone[:, :2] = np.nan
    rows.read = lambda name: Rows(gone, np.ones((len(gone), 4), np.uint8))  # type: ignore[method-assign]
    rows.signers = signer_stats(found.train[:1], rows, {first: "A", "val/024": "B", "val/025": ""})
    assert list(rows.signers.stats) == ["A"]
    mean, std = rows.stats_of(first)
    np.testing.assert_array_equal(mean[:2], rows.mean[:2])
    np.testing.assert_array_equal(std[:2], rows.std[:2])
    assert not np.isclose(mean[2:], rows.mean[2:]).any()
    for name in ("val/024", "val/025", "elsewhere"):
        np.testing.assert_array_equal(rows.stats_of(name).mean, rows.mean)


def test_position_rows_hold_what_standardised_positions_hold(tmp_path: Path) -> None:
    """Against a plain build: positions by signer, hand to hand, change over 2 frames each way."""
    rng = np.random.default_rng(0)
    points = {name: np.cumsum(rng.normal(0, 4, (90, 3, 2)), 0) + 200 for name in "abcd"}
    groups = ["hands", "nose", "between", "velocity"]
    features = {name: position_features(made, groups, 2).astype(np.float32) for name, made in points.items()}
    np.save(tmp_path / "p.npy", np.concatenate(list(features.values())))
    np.save(tmp_path / "m.npy", np.ones((360, 4), np.uint8))
    index = pd.DataFrame({"clip_id": list("abcd"), "offset": range(0, 360, 90), "length": 90})
    index.to_parquet(tmp_path / "p.parquet")
    shards = FeatureShards([tmp_path / "p.npy"], [tmp_path / "p.parquet"], [tmp_path / "m.npy"])
    every = np.concatenate(list(features.values()))
    rows = GlossRows("pose", shards, None, {"pose": Stats(every.mean(0), every.std(0))}, 400)
    signer = {"a": "A", "b": "A", "c": "B", "d": "B"}
    rows.signers = signer_stats([clip(name, 5) for name in "abcd"], rows, signer)
    for own in ("ab", "cd"):
        held = [
            points[n].reshape(-1, 6) - np.hstack([points[n][:, 2]] * 2 + [0 * points[n][:, 2]]) for n in own
        ]
        mean, std = np.concatenate(held).mean(0), np.concatenate(held).std(0)
        expected = []
        for clip_ in held:
            z = (clip_ - mean) / std
            change = np.stack([z[t + 2] - z[t - 2] for t in range(2, 88)])
            expected.append(np.hstack([z, z[:, :2] - z[:, 2:4]])[2:88])
            expected[-1] = np.hstack([expected[-1], change])
        want = np.concatenate(expected)
        got = np.concatenate([rows.network_input(name)[2:88, :14] for name in own])
        np.testing.assert_allclose(got[:, :6], want[:, :6], atol=1e-3)
        for one, other in ((got, want), (want, got)):
            one = np.hstack([one, np.ones((len(one), 1))])
            made = one @ np.linalg.lstsq(one, other, rcond=None)[0]
            np.testing.assert_allclose(made, other, atol=2e-3)
        # a change differs by a factor alone, column by column
        for column in range(8, 14):
            assert np.corrcoef(got[:, column], want[:, column])[0, 1] > 0.99999


# --- positions, tokens


def test_position_augmentation_needs_pairs(tmp_path: Path) -> None:
    moved = {"positions": section(GlossPositionsParams, shift=0.1, noise=0.1, offset_columns=4)}
    found = corpus(write_corpus(tmp_path / "even", Size(train=3, val=1)), tmp_path)
    change = training(found, {}, **moved).sample(0, 1).x - found.rows.network_input("train/001")
    assert np.abs(change[:, 4:12]).mean() > 0.03 and not change[:, 12:].any()
    for dim in (540, 11, 2):
        wrong = corpus(write_corpus(tmp_path / str(dim), Size(train=3, val=1, pose_dim=dim)), tmp_path)
        with pytest.raises(SignloomError, match=f"pairs of x and y.*not pose features of {dim} columns"):
            training(wrong, {}, **moved)
    assert training(corpus(write_corpus(tmp_path / "c"), tmp_path, "hybrid_clip"), {}, **moved)


def test_hidden_glosses_are_unknown_to_the_decoder_and_nothing_else_changes(
    inputs: Inputs, tmp_path: Path
) -> None:
    batch = collate([sample(4, clip(str(number), 5, 6, 7)) for number in range(400)])
    hidden = hide_tokens(batch, 0.25, np.random.default_rng(0))
    gone = hidden.decoder_input != batch.decoder_input
    assert (hidden.decoder_input[gone] == UNK).all() and not gone[:, 0].any()
    assert gone[:, 1:].float().mean().item() == pytest.approx(0.25, abs=0.05)
    for name in ("decoder_target", "ctc_targets", "features"):
        assert torch.equal(getattr(hidden, name), getattr(batch, name))
    specials = collate([sample(4, clip("a", UNK)), sample(4, clip("b", 5, 6))])
    every = hide_tokens(specials, 0.999999, np.random.default_rng(0))
    assert every.decoder_input.tolist() == [[SOS, UNK, PAD], [SOS, UNK, UNK]]
    found = corpus(inputs, tmp_path)
    for share, some in ((0.0, False), (0.5, True)):
        data = training(found, {}, token_dropout=share)
        first, again = (list(data.epoch(1)) for _ in range(2))
        assert all(torch.equal(a.decoder_input, b.decoder_input) for a, b in zip(first, again, strict=True))
        assert any((made.decoder_input == UNK).any() for made in first) == some
        assert all((made.decoder_target == EOS).any() for made in first)
