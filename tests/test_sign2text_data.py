"""What a training of the sign2text family reads: batches, texts, validation clips, the full preset."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from demo_params import section

import signloom.training.sentences.data as sentence_data
import signloom.training.sentences.train as training
from signloom.features.shards import FeatureShards
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.load import load_params
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.params.text import TextParams
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer
from signloom.training.sentences.corpus import Corpus, SentenceFiles
from signloom.training.sentences.data import (
    ClipSet,
    PlainClips,
    Texts,
    TrainingClips,
    TrainingLoader,
    draw_text,
    plain_loader,
)
from signloom.training.sentences.losses import class_loss, token_loss
from signloom.training.sentences.validation import Validation
from tests.synthetic_signs import Size, arguments, write_corpus
from tests.test_train_sign2text import TINY
from workflow_scripts.job import parse

Inputs = dict[str, list[Path]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_corpus(tmp_path_factory.mktemp("corpus"), Size(signers=4))


def opened(corpus: Inputs) -> Corpus:
    """The corpus with features that are standardised already."""
    splits = read_splits(corpus["splits"][0])
    tokenizer = TextTokenizer.load(corpus["tokenizer"][0])
    return Corpus(
        FeatureShards(corpus["features"], corpus["index"], corpus["mask"]),
        ClipSet.of(splits, "train"),
        ClipSet.of(splits, "val"),
        Texts(pd.read_parquet(corpus["texts"][0]), tokenizer, 64),
        tokenizer,
        torch.zeros(540),
        torch.ones(540),
    )


def batches(corpus: Inputs, workers: int) -> list[list[bytes]]:
    p = section(Sign2TextParams, workers=workers, batch_size=4, seq_len=32)
    c = opened(corpus)
    loader = TrainingLoader(TrainingClips(c.train, c.shards, c.texts, p, section(AugmentParams), 42))
    seen = []
    for epoch in (0, 1):
        for batch in loader.epoch(epoch):
            tensors = [*batch[1:], *(tensor for view in batch.views for tensor in view)]
            seen.append([tensor.numpy().tobytes() for tensor in tensors])
    return seen


def test_batches_do_not_depend_on_the_number_of_loader_processes(corpus: Inputs) -> None:
    alone, together = batches(corpus, 0), batches(corpus, 2)
    assert alone == together
    assert alone[0] != alone[len(alone) // 2], "epochs draw anew"


def test_validation_clips_are_the_centre_of_what_is_stored_and_never_augmented(corpus: Inputs) -> None:
    longest = 20
    p = section(Sign2TextParams, seq_len=longest, batch_size=8, workers=0)
    c = opened(corpus)
    assert {c.shards.length(clip_id) > longest for clip_id in c.val.ids} == {True}
    loader = Validation(c, torch.zeros(1, 8), p).batches
    for _ in range(2):  # epochs
        rows = [row for batch in loader for row in batch.views[0].features.numpy()]
        for clip_id, row in zip(c.val.ids, rows, strict=True):
            start = (c.shards.length(clip_id) - longest) // 2
            np.testing.assert_array_equal(row, c.shards.clip(clip_id)[start : start + longest])


def test_variations_are_drawn_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_text([4, 7, 9], 0.3, rng) for _ in range(4000)]
    assert drawn.count(4) / 4000 == pytest.approx(0.7, abs=0.03)
    assert drawn.count(7) == pytest.approx(drawn.count(9), rel=0.15)
    assert {draw_text([5], 1.0, rng) for _ in range(9)} == {5}


def test_the_full_preset_builds_trains_two_steps_and_decodes(root: Path, corpus: Inputs) -> None:
    """At the sizes of `signtalk`; its DistilBERT has random weights here, because nothing is downloaded."""
    from transformers import DistilBertConfig, DistilBertModel

    params = load_params(root / "params.yaml", root / "config/presets/signtalk.yaml")
    p = params.sign2text.model_copy(update={"batch_size": 8, "workers": 0})
    c = opened(corpus)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert = DistilBertModel(DistilBertConfig()).eval()
        config = training.model_config(p, params.text, c, bert.config.dim)
        model = Sign2Text(Sign2TextConfig(**(asdict(config) | {"vocab_size": bert.config.vocab_size})))

    with torch.no_grad():
        frozen = bert(c.texts.tokens(range(len(c.texts.texts)))).last_hidden_state[:, 0]
    optimiser = torch.optim.AdamW(model.parameters(), lr=p.lr)
    losses = []
    clips = TrainingClips(c.train, c.shards, c.texts, p, params.augment, 42)
    for batch in itertools.islice(TrainingLoader(clips).epoch(0), 2):
        loss = training.batch_losses(model, batch, frozen, c, p).total
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    figures = Validation(c, frozen, p)(model, decode=True)
    assert np.isfinite(losses).all() and losses[1] != losses[0]
    assert figures["val_wer"] >= 0 and -1 <= figures["val_pos_sim"] <= 1


@pytest.mark.parametrize(("times", "kept"), [(2, False), (1, True)])
def test_glosses_are_learnt_unless_the_augmented_clip_is_cropped(
    times: int, kept: bool, corpus: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = opened(corpus)
    length = c.shards.length(c.train.ids[0])
    p = section(Sign2TextParams, seq_len=length, dual_view=False)
    monkeypatch.setattr(
        sentence_data, "augment_pose", lambda *view: [np.repeat(x, times, 0) for x in view[:2]]
    )
    clips = replace(c.train, glosses=[(5, 6)] * len(c.train))
    found = TrainingClips(clips, c.shards, c.texts, p, section(AugmentParams), 42)[0, 0, 0]
    assert len(found.views[0][0]) == length and found.glosses == ((5, 6) if kept else ())


def untrained(c: Corpus, corpus: Inputs, p: Sign2TextParams) -> tuple[Sign2Text, torch.Tensor]:
    """A small network, and the embeddings of all texts."""
    frozen = torch.from_numpy(np.load(corpus["embeddings"][0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = training.model_config(p, section(TextParams, max_tokens=64), c, frozen.shape[1])
        return Sign2Text(config).eval(), frozen


@torch.inference_mode()
@pytest.mark.parametrize("size", [2, 4])
def test_the_validation_loss_of_tokens_is_the_mean_over_all_of_them(size: int, corpus: Inputs) -> None:
    c, p = opened(corpus), section(Sign2TextParams, **TINY | {"batch_size": size})
    model, frozen = untrained(c, corpus, p)
    total, count = 0.0, 0
    for clip in plain_loader(PlainClips(c.val, c.shards, c.texts, p.seq_len), 1):
        encoded = model.encode(*clip.views[0].inputs(c.mean, c.std))
        logits, targets = model.next_tokens(clip.tokens, encoded)
        total += float(F.cross_entropy(logits, targets, reduction="sum", label_smoothing=p.label_smoothing))
        count += len(targets)
    assert Validation(c, frozen, p).agreement(model)["val_ce_loss"] == pytest.approx(total / count, rel=1e-4)


@torch.inference_mode()
def test_the_class_loss_of_validation_is_that_of_sentences_which_training_has(corpus: Inputs) -> None:
    splits = read_splits(corpus["splits"][0])
    lacking = ClipSet.of(splits[~splits["sentence_id"].isin([0, 3])], "train")
    c, p = replace(opened(corpus), train=lacking), section(Sign2TextParams, **TINY | {"lambda_class": 1.0})
    model, frozen = untrained(c, corpus, p)
    texts, losses = model.project_text(frozen[c.class_rows]), []
    for clip in plain_loader(PlainClips(c.val, c.shards, c.texts, p.seq_len), 1):
        if int(clip.sentences) not in (0, 3):
            embedding = model.encode(*clip.views[0].inputs(c.mean, c.std)).embedding
            own = torch.tensor([c.classes.tolist().index(int(clip.sentences))])
            losses.append(float(class_loss(embedding, texts, own, p.label_smoothing)))
    found = Validation(c, frozen, p).agreement(model)
    got = found["val_loss"] - found["val_ce_loss"] - p.lambda_clip * found["val_clip_loss"]
    assert len(losses) == 4 and got == pytest.approx(np.mean(losses), rel=1e-4)


@torch.inference_mode()
def test_new_sentences_weigh_as_much_as_those_of_the_clips(corpus: Inputs, tmp_path: Path) -> None:
    p = section(Sign2TextParams, **TINY)
    job = parse("train_sign2text", arguments(corpus, tmp_path, {"sign2text": TINY}, tmp_path), None)
    c = Corpus.load(job.input_files(SentenceFiles), 64, torch.device("cpu"), with_glosses=True)
    model, frozen = untrained(c, corpus, p)
    clips = TrainingClips(c.train, c.shards, c.texts, p, section(AugmentParams), 42)
    batch = next(iter(TrainingLoader(clips).epoch(0)))
    new = c.new_sentences(64, 32).draw(batch.sentences, batch.views[0].lengths, 0.5, np.random.default_rng(0))
    without, found = (training.batch_losses(model, batch, frozen, c, p, more).ce for more in (None, new))
    logits, targets = model.next_tokens(new.tokens, model.spelled(new.shares, new.valid))
    read = token_loss(logits, targets, p.label_smoothing)
    assert float(found) == pytest.approx(float(without + read) / 2, rel=1e-5)
    assert float(read) != pytest.approx(float(without), rel=1e-3)
