"""What a training of the sign2text family reads: batches, texts, validation clips, the full preset."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import section

import signloom.training.sentences.train as training
from signloom.features.shards import FeatureShards
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.load import load_params
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer
from signloom.training.sentences.corpus import Corpus
from signloom.training.sentences.data import ClipSet, Texts, TrainingClips, TrainingLoader, draw_text
from signloom.training.sentences.validation import Validation
from tests.synthetic_signs import Size, write_corpus

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
