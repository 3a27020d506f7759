"""Convert text to token ids and back, in the Hugging Face tokenizers format."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Self

from tokenizers import Regex, Tokenizer, __version__, decoders, models, pre_tokenizers, processors, trainers

from signloom.errors import SignloomError
from signloom.letters import small

SPECIALS = ["<pad>", "<unk>", "<sos>", "<eos>"]
# padding, start and end tokens: ours, those of BERT, and those of RoBERTa
_ROLES = [("<pad>", "<sos>", "<eos>"), ("[PAD]", "[CLS]", "[SEP]"), ("<pad>", "<s>", "</s>")]
# words that merges may reach, as in GPT-2; there, each vowel sign and joiner (Hindi, Arabic, Thai) ends one
_IN_WORDS = r"\p{L}\p{M}\x{200C}\x{200D}"
_WORDS = rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{_IN_WORDS}]+| ?\p{{N}}+| ?[^\s{_IN_WORDS}\p{{N}}]+|\s+(?!\S)|\s+"


class TextTokenizer:
    """A tokenizer with the ids that decoding needs: `pad`, `start`, `end` and `size`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.raw = tokenizer
        # a stored length limit or padding would silently change ids
        tokenizer.no_padding()
        tokenizer.no_truncation()
        for names in _ROLES:
            ids = [number for name in names if (number := tokenizer.token_to_id(name)) is not None]
            if len(ids) == len(names):
                self.pad, self.start, self.end = ids
                break
        else:
            expected = "; ".join(" ".join(names) for names in _ROLES)
            raise SignloomError(
                f"the tokenizer has no padding, start and end tokens; expected one of: {expected}"
            )
        self.size: int = tokenizer.get_vocab_size(with_added_tokens=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read tokenizer.json."""
        return cls.parse(path.read_text("utf-8"), str(path))

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Return the tokenizer of the `text` of file `name`; raises SignloomError if it cannot be read."""
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the package has no class of its own for its errors
            raise SignloomError(
                f"{name} cannot be read by tokenizers {__version__} ({error}); install a newer version of it"
            ) from error
        return cls(tokenizer)

    def to_json(self) -> str:
        """Return the text of tokenizer.json; equal training sets give equal text."""
        return str(self.raw.to_str(pretty=True)) + "\n"

    def encode(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Return ids with start and end tokens; a text over `max_tokens` is cut but keeps its end token."""
        encoded = [self._framed(encoding.ids) for encoding in self.raw.encode_batch(list(texts))]
        return [ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], self.end] for ids in encoded]

    def _framed(self, ids: list[int]) -> list[int]:
        if ids[:1] != [self.start]:
            ids = [self.start, *ids]
        return ids if len(ids) > 1 and ids[-1] == self.end else [*ids, self.end]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids` up to the first end token; special tokens are left out."""
        kept = [int(token) for token in takewhile(lambda token: token != self.end, ids)]
        text = str(self.raw.decode(kept, skip_special_tokens=True))
        if not isinstance(self.raw.decoder, decoders.WordPiece):
            return text
        # WordPiece puts spaces around an apostrophe, and the ids do not say whether the text had them;
        # tokenizers of BERT's kind take Korean syllables apart
        return unicodedata.normalize("NFC", text.replace(" ' ", "'"))

    def lost(self, texts: Sequence[str], ids: Sequence[list[int]]) -> list[tuple[str, str]]:
        """Return those of `texts` that their whole `ids` do not give back, each with what they give.

        Capitals and spaces do not count.
        """
        back = [self.decode(line[1:]) for line in ids]
        return [pair for pair in zip(texts, back, strict=True) if len({*map(_letters, pair)}) > 1]


def _letters(text: str) -> str:
    return "".join(small(text).split())


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> TextTokenizer:
    """Train byte-level BPE with `<pad>` 0, `<unk>` 1, `<sos>` 2, `<eos>` 3 on the distinct `texts`.

    In a small corpus the merges reach whole words, but new words can still be spelled from known bytes, and
    capitals, punctuation and spaces survive exactly. Ids depend only on byte order and merge counts, so equal
    sets of texts give equal files. Raises SignloomError if there is no text, or if `vocab_size` is smaller
    than the number of single bytes and special tokens.
    """
    corpus = sorted(set(texts))
    if not corpus:
        raise SignloomError("no training sentence to train the tokenizer on; check build/splits.csv")
    for text in corpus:
        if taken := [mark for mark in SPECIALS if mark in text]:
            raise SignloomError(
                f"the sentence {text!r} has {taken[0]}, a mark of the tokenizer; write it otherwise"
            )
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=vocab_size, min_frequency=1, special_tokens=SPECIALS, show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<sos> $A <eos>", special_tokens=[("<sos>", 2), ("<eos>", 3)]
    )
    trained = TextTokenizer(tokenizer)
    if trained.size > vocab_size:
        raise SignloomError(
            f"text.vocab_size {vocab_size} is smaller than the {trained.size} single bytes and special "
            f"tokens of the training sentences; set it to {trained.size} or more"
        )
    return trained
