"""Stage text: sentences, tokenizer, gloss vocabulary and frozen embeddings."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import params_json, section
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PretrainedConfig, PreTrainedTokenizerFast, RobertaConfig, T5Config

from signloom.errors import SignloomError
from signloom.params.text import TextParams
from signloom.text.encoders import SentenceEncoder, load_encoder
from signloom.text.glosses import gather_gloss_lines, gloss_times, read_gloss_lines
from signloom.text.sentences import gather_texts, warn_of_lost
from signloom.text.tokenizer import TextTokenizer, train_tokenizer
from signloom.text.vocabulary import build_vocabulary
from workflow_scripts import text as stage

SENTENCES = {
    0: ("The boy likes an apple.", "BOY APPLE LIKE", ["An apple pleases the boy."]),
    1: ('Doesn\'t Anna   drink "tea"?', "ANNA TEA NOT", []),
    2: ("I'll meet Zoë tomorrow!", "TOMORROW MEET ZOE", ["Tomorrow I meet Zoë."]),
}
# of the clips of `metadata`, in its order
TIMES = [*["[[0.0, 0.5], [0.4, 1.25], [1.3, 2.0]]"] * 2, *[""] * 5]


def metadata() -> pd.DataFrame:
    rows = [
        (f"c{signer}{sentence_id}", sentence_id, text, gloss, json.dumps(variations))
        for signer in range(2)
        for sentence_id, (text, gloss, variations) in SENTENCES.items()
    ]
    rows.append(("unsigned", -1, "", "", "[]"))
    table = pd.DataFrame(rows, columns=["clip_id", "sentence_id", "sentence", "gloss", "text_variations"])
    return table.assign(signer_id="s" + table["clip_id"].str[1], gloss_times=TIMES)


def splits() -> pd.DataFrame:
    """Sentences 0 and 1 train, 2 is only tested; the clip that nobody signs carries no text."""
    table = metadata()[["clip_id", "sentence_id"]]
    table["split"] = np.where(table["sentence_id"].isin([0, 1]), "train", "test")
    return table.assign(seen=table["sentence_id"].isin([0, 1]).astype(int))


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    return load_encoder(section(TextParams))


GLOSSES = {"glosses": "gloss_vocabulary.json", "gloss_lines": "gloss_lines.csv"}
ALL = GLOSSES | {
    "tokenizer": "tokenizer.json",
    "texts": "texts.parquet",
    "embeddings": "text_embeddings.npy",
}


def run(folder: Path, names: dict[str, str] = ALL, **params: object) -> int:
    folder.mkdir(exist_ok=True)
    metadata().to_parquet(folder / "metadata.parquet")
    splits().to_csv(folder / "splits.csv", index=False)
    return stage.main(
        [
            "--input",
            f"metadata={folder / 'metadata.parquet'}",
            f"splits={folder / 'splits.csv'}",
            "--output",
            *(f"{name}={folder / file}" for name, file in names.items()),
            "--params",
            params_json({"text": {"weights": "random", **params}}),
        ]
    )


def test_the_stage_writes_its_files_and_the_same_bytes_again(tmp_path: Path) -> None:
    torch.manual_seed(1)
    assert run(tmp_path / "a") == 0
    torch.manual_seed(2)
    assert run(tmp_path / "b") == 0
    files = (
        "tokenizer.json",
        "gloss_vocabulary.json",
        "gloss_lines.csv",
        "texts.parquet",
        "text_embeddings.npy",
    )
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    texts = pd.read_parquet(tmp_path / "a" / "texts.parquet")
    assert texts.values.tolist() == [  # noqa: PD011
        [0, 0, "The boy likes an apple."],
        [0, 1, "An apple pleases the boy."],
        [1, 0, 'Doesn\'t Anna   drink "tea"?'],
        [2, 0, "I'll meet Zoë tomorrow!"],
        [2, 1, "Tomorrow I meet Zoë."],
    ]
    embeddings = np.load(tmp_path / "a" / "text_embeddings.npy")
    assert embeddings.shape == (5, 384)
    assert embeddings.dtype == np.float32
    glosses = json.loads((tmp_path / "a" / "gloss_vocabulary.json").read_text())
    assert glosses == [
        "<pad>",
        "<unk>",
        "<blank>",
        "<sos>",
        "<eos>",
        "ANNA",
        "APPLE",
        "BOY",
        "LIKE",
        "NOT",
        "TEA",
    ]


def test_glosses_alone_need_no_encoder_and_are_the_same(tmp_path: Path) -> None:
    assert run(tmp_path / "alone", GLOSSES, encoder="nowhere") == 0
    assert run(tmp_path / "both") == 0
    for name in GLOSSES.values():
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "both" / name).read_bytes(), name


def test_every_signed_clip_has_its_gloss_line_whatever_its_split(tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    assert (tmp_path / "gloss_lines.csv").read_text() == (
        "clip_id,gloss,signer_id,gloss_times\n"
        'c00,BOY APPLE LIKE,s0,"[[0.0, 0.5], [0.4, 1.25], [1.3, 2.0]]"\n'
        'c01,ANNA TEA NOT,s0,"[[0.0, 0.5], [0.4, 1.25], [1.3, 2.0]]"\n'
        "c02,TOMORROW MEET ZOE,s0,\n"
        "c10,BOY APPLE LIKE,s1,\nc11,ANNA TEA NOT,s1,\nc12,TOMORROW MEET ZOE,s1,\n"
    )
    lines = read_gloss_lines(tmp_path / "gloss_lines.csv")
    assert [gloss_times(cell) for cell in lines["gloss_times"].iloc[1:3]] == [
        [(0.0, 0.5), (0.4, 1.25), (1.3, 2.0)],
        [],
    ]
    assert lines["gloss"]["c12"] == "TOMORROW MEET ZOE"


def test_gloss_lines_have_one_space_between_glosses_and_may_be_empty(tmp_path: Path) -> None:
    rows = [
        ("b", 3, "  IX-1P  BOOK\tNA ", "01", "[[0, 1], [1, 2], [2, 3]]"),
        ("a", 0, None, None, None),
        ("c", -1, "NOBODY", "NA", ""),
    ]
    columns = ["clip_id", "sentence_id", "gloss", "signer_id", "gloss_times"]
    lines = gather_gloss_lines(pd.DataFrame(rows, columns=columns))
    lines.to_csv(tmp_path / "lines.csv", index=False)
    assert read_gloss_lines(tmp_path / "lines.csv").reset_index().to_numpy().tolist() == [
        ["a", "", "", ""],
        ["b", "IX-1P BOOK NA", "01", "[[0, 1], [1, 2], [2, 3]]"],
    ]


def test_a_table_of_gloss_lines_without_signers_and_times_is_named(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("clip_id,gloss\na,BOOK\n")
    with pytest.raises(SignloomError, match=r"lines\.csv has no column signer_id, gloss_times; build stage"):
        read_gloss_lines(tmp_path / "lines.csv")


def test_the_tokenizer_sees_training_sentences_and_their_variations_only(tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    trained = set(TextTokenizer.load(tmp_path / "tokenizer.json").raw.get_vocab())
    assert {"Ġboy", "Ġpleases", "Ġdrink"} <= trained
    assert not any("tomorrow" in token or "meet" in token for token in trained)


def test_a_sentence_comes_back_exactly() -> None:
    tokenizer = train_tokenizer([text for text, _, _ in SENTENCES.values()], 400)
    assert [tokenizer.raw.token_to_id(name) for name in ("<pad>", "<unk>", "<sos>", "<eos>")] == [0, 1, 2, 3]
    assert (tokenizer.pad, tokenizer.start, tokenizer.end) == (0, 2, 3)
    for text, _, _ in SENTENCES.values():
        (ids,) = tokenizer.encode([text], 64)
        assert ids[0] == 2
        assert ids[-1] == 3
        assert 1 not in ids
        assert tokenizer.decode(ids[1:]) == text


@settings(max_examples=50)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5
    )
)
def test_any_training_text_comes_back_exactly(texts: list[str]) -> None:
    tokenizer = train_tokenizer(texts, 2000)
    for text, ids in zip(texts, tokenizer.encode(texts, 10_000), strict=True):
        if not any(name in text for name in ("<pad>", "<unk>", "<sos>", "<eos>")):
            assert tokenizer.decode(ids[1:]) == text


def test_the_order_of_the_texts_and_of_hashes_changes_nothing(root: Path) -> None:
    code = (
        "import sys; from signloom.text.tokenizer import train_tokenizer as t\n"
        "texts = ['The boy likes an apple.', 'An apple is red.', 'Red boy!'] * 2\n"
        "sys.stdout.write(t(texts if sys.argv[1] == '1' else texts[::-1], 60).to_json())"
    )
    out = [
        subprocess.run(
            [sys.executable, "-c", code, seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert out[0] == out[1] != b""


def test_a_text_that_is_too_long_keeps_its_end_token() -> None:
    tokenizer = train_tokenizer(["one two three four five six"], 400)
    (ids,) = tokenizer.encode(["one two three four five six"], 4)
    assert len(ids) == 4
    assert ids[-1] == tokenizer.end
    assert tokenizer.decode(ids[1:]) == "one two"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("मैं घर जा रहा हूँ।", 6),
        ("كِتَابٌ جَدِيدٌ", 2),
        ("ที่นี่ดี", 1),
        ("نمی\u200cدانم", 1),  # a joiner stands in the word
        ("I don't, 3 apples", 7),  # as for GPT-2: I, don, 't, a comma, 3, apples
    ],
)
def test_words_with_vowel_signs_and_joiners_are_single_tokens(text: str, words: int) -> None:
    tokenizer = train_tokenizer([text], 400)
    (ids,) = TextTokenizer.parse(tokenizer.to_json(), "t").encode([text], 64)
    assert len(ids) - 2 <= words
    assert tokenizer.decode(ids[1:]) == text


def test_characters_that_training_never_saw_are_unknown() -> None:
    tokenizer = train_tokenizer(["abc"], 400)
    assert tokenizer.encode(["abz"], 64)[0].count(tokenizer.raw.token_to_id("<unk>")) == 1


def test_a_vocabulary_too_small_for_single_bytes_is_refused() -> None:
    with pytest.raises(SignloomError, match=r"text\.vocab_size 8 is smaller than the 14"):
        train_tokenizer(["abcdefghij"], 8)


def test_the_encoders_own_tokenizer_starts_with_cls_and_ends_with_sep(minilm: SentenceEncoder) -> None:
    own = minilm.own_tokenizer()
    (ids,) = own.encode(["Don't stop, Anna!"], 64)
    assert (ids[0], ids[-1], own.pad) == (101, 102, 0)
    assert len(ids) < 64, "padding stored in the file leaked into the ids"
    assert own.decode(ids[1:]) == "don't stop, anna!"
    assert TextTokenizer(type(own.raw).from_str(own.to_json())).encode(["a b"], 64) == own.encode(["a b"], 64)


@pytest.mark.parametrize("text", ["Die Übung fällt aus.", "मैं घर जा रहा हूँ।", "كِتَابٌ", "ฉันไป", "Hallo 👍"])
def test_texts_that_the_encoders_tokens_do_not_give_back_are_named(
    minilm: SentenceEncoder, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own, texts = minilm.own_tokenizer(), ["Don't  STOP, Anna!", text]
    ids = own.encode(texts, 64)
    assert own.lost(texts, ids) == [(text, own.decode(ids[1][1:]))]
    warn_of_lost(own.lost(texts, ids), 2)
    assert f"cannot write 1 of 2 training texts: {text!r} becomes" in capsys.readouterr().err


def test_the_stage_warns_of_letters_that_the_encoders_tokens_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "english", tokenizer="encoder") == 0
    assert "training texts" not in capsys.readouterr().err
    monkeypatch.setitem(SENTENCES, 0, ("Schöne Übung.", "BOY APPLE LIKE", []))
    assert run(tmp_path / "german", tokenizer="encoder") == 0
    assert "1 of 2 training texts: 'Schöne Übung.' becomes 'schone ubung.'" in capsys.readouterr().err


def test_korean_syllables_come_back_composed(minilm: SentenceEncoder) -> None:
    own, texts = minilm.own_tokenizer(), ["학교에 갑니다"]
    ids = own.encode(texts, 64)
    assert own.decode(ids[0][1:]) == texts[0]
    assert not own.lost(texts, ids)


def test_glosses_are_sorted_after_the_special_tokens() -> None:
    vocabulary = build_vocabulary(["B A", "", "A C-1"])
    assert vocabulary == ["<pad>", "<unk>", "<blank>", "<sos>", "<eos>", "A", "B", "C-1"]
    with pytest.raises(SignloomError, match="special token"):
        build_vocabulary(["A <blank>"])


def test_contradicting_sentences_are_named() -> None:
    table = metadata()
    table.loc[table["clip_id"] == "c11", "sentence"] = "Something else."
    with pytest.raises(SignloomError, match=r"sentence_id 1 .*c01.*c11"):
        gather_texts(table)
    table = metadata()
    table.loc[table["clip_id"] == "c00", "text_variations"] = '"not a list"'
    with pytest.raises(SignloomError, match=r"c00.*JSON list"):
        gather_texts(table)


def test_a_variation_that_repeats_the_sentence_is_dropped() -> None:
    table = metadata().iloc[:1].assign(text_variations='["The boy likes an apple.", "B", "B"]')
    assert gather_texts(table)["text"].tolist() == ["The boy likes an apple.", "B"]


def test_minilm_is_the_mean_of_valid_tokens(minilm: SentenceEncoder) -> None:
    texts = [text for text, _, _ in SENTENCES.values()]
    got = minilm.embed(texts)
    for row, text in enumerate(texts):
        ids = torch.tensor([minilm.tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            states = minilm.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        expected = states[0].double().mean(0).numpy()
        np.testing.assert_allclose(got[row], expected, atol=1e-5)


def test_minilm_is_loaded_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        asked.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: refuse(None, given))  # type: ignore[arg-type]
    assert load_encoder(section(TextParams)).dim == 384
    assert asked == []


def test_minilm_knows_what_is_alike(minilm: SentenceEncoder) -> None:
    vectors = minilm.embed(["That is a happy person", "That is a very happy person", "Today is a sunny day"])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > 0.9
    assert unit[0] @ unit[2] < 0.4


def test_sentences_that_the_encoder_takes_for_one_get_vectors_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, text in ((0, "ቤት"), (1, "ውሃ"), (2, "A house.")):
        monkeypatch.setitem(SENTENCES, key, (text, "HOUSE", []))
    for name in ("a", "b"):
        assert run(tmp_path / name, vocab_size=300) == 0
        assert (
            "takes 2 of 3 texts for those of other sentences, such as 'ቤት' and 'ውሃ'"
            in capsys.readouterr().err
        )
    first, again = (np.load(tmp_path / name / "text_embeddings.npy") for name in "ab")
    assert np.array_equal(first, again)
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    assert np.abs(np.triu(unit @ unit.T, 1)).max() < 0.5


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_and_company_do_not_change_an_embedding(minilm: SentenceEncoder, pooling: str) -> None:
    encoder = SentenceEncoder(minilm.model, minilm.tokenizer, pooling)
    short, long = "Tea?", "The old man who lives near the river wants to buy a big red house tomorrow. " * 6
    alone = encoder.embed([short])[0]
    company = encoder.embed([long, short, long])
    np.testing.assert_allclose(company[1], alone, atol=1e-5)
    assert abs(company[0] - alone).max() > 0.01
    assert encoder.embed([]).shape == (0, 384)


def test_many_texts_show_progress_and_long_ones_no_warning_of_errors(
    minilm: SentenceEncoder, capfd: pytest.CaptureFixture[str]
) -> None:
    minilm.tokenizer.deprecation_warnings.clear()  # it warns once
    minilm.embed(["we " * 600, "we"])
    shown = capfd.readouterr().err
    assert "text: 100%" in shown and "1/1" in shown
    assert "indexing errors" not in shown


def test_random_weights_are_seeded_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    first = load_encoder(section(TextParams, weights="random")).embed(["A boy."])
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(
        first, load_encoder(section(TextParams, weights="random")).embed(["A boy."])
    )


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path, encoder=str(tmp_path / "empty")) == 2
    assert "text.encoder" in capsys.readouterr().err


def _saved(folder: Path, config: PretrainedConfig, padding: str | None) -> TextParams:
    """Save a tiny untrained network with a tokenizer of words, and return the parameters that name it."""
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "we": 4}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    given = {"unk_token": "<unk>"} | ({"pad_token": padding} if padding else {})
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **given).save_pretrained(folder)
    config.save_pretrained(folder)
    return section(TextParams, encoder=str(folder), weights="random")


def test_an_encoder_may_lie_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sizes = {"vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    saved = _saved(tmp_path / "encoder", RobertaConfig(**sizes, intermediate_size=8), "<pad>")
    assert load_encoder(saved.model_copy(update={"encoder": "~/encoder"})).dim == 8


def test_a_long_text_is_cut_where_a_network_of_robertas_kind_ends(tmp_path: Path) -> None:
    sizes = {"vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = RobertaConfig(**sizes, intermediate_size=8, max_position_embeddings=18, pad_token_id=1)
    encoder = load_encoder(_saved(tmp_path, config, "<pad>"))
    assert encoder.max_tokens == 16
    assert np.isfinite(encoder.embed(["we " * 40, "we"])).all()


@pytest.mark.parametrize("padding", [None, "<pad>"])
def test_a_network_that_encodes_no_sentences_is_refused_in_one_line(
    tmp_path: Path, padding: str | None
) -> None:
    sizes = {"vocab_size": 5, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 1}
    roberta = {"vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = T5Config(**sizes) if padding else RobertaConfig(**roberta, intermediate_size=8)
    with pytest.raises(SignloomError, match="is no sentence encoder"):
        load_encoder(_saved(tmp_path, config, padding))
