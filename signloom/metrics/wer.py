"""Word error rate, computed from counts of each clip. The words of the gloss family are glosses."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import jiwer
import numpy as np

from signloom import letters
from signloom.metrics.bootstrap import Floats

Lines = Sequence[Sequence[str]]  # the words of each clip

_JOINERS = "\u200c\u200d"
_SELECTORS = range(0xFE00, 0xFE10)  # whether a symbol is drawn in colour

WER_SIGNATURE = (
    "words|scripts without spaces:characters|case:folded|punctuation:dropped|apostrophes in words:kept"
    "|lib:jiwer"
)


def normalise(text: str) -> str:
    """Return the words of `text` for WER and exact match, separated by one space.

    Text is NFKC-normalised and case-folded. Punctuation and symbols are dropped, except apostrophes inside a
    word. Capitals and punctuation are not signed, and BLEU and chrF score them anyway.
    """
    folded = letters.small(unicodedata.normalize("NFKC", seen(text)).replace("’", "'"))
    kept = [
        mark if unicodedata.category(mark)[0] not in "PS" or _inside_word(folded, place) else " "
        for place, mark in enumerate(folded)
    ]
    # a joiner of a picture that was dropped joins nothing
    return " ".join(letters.seen("".join(kept)).split())


def seen(text: str) -> str:
    """Return `text` without marks that nobody sees; a break between words without a space is a space."""
    if text.isascii():
        return text
    return "".join(mark for mark in letters.seen(text.replace("\u200b", " ")) if not _is_formal(mark))


def _is_formal(mark: str) -> bool:
    """Return whether a mark other than a joiner only says how others are drawn."""
    return ord(mark) in _SELECTORS or (unicodedata.category(mark) == "Cf" and mark not in _JOINERS)


# Thai, Lao, Tibetan, Burmese, Khmer, Chinese and Japanese do not put spaces between words
_UNSPACED = (
    *((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F), (0x31A0, 0x4DBF)),
    *((0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF), (0xFE30, 0xFE4F)),
    *((0xFF00, 0xFFEF), (0x20000, 0x3FFFF)),
)
_PARTED = (*_UNSPACED, (0x2010, 0x2A6D))  # with symbols such as “ … —, as sacreBLEU's `zh` does


def spaced(text: str) -> str:
    """Return `text` with spaces around each character of a script that has none between words.

    The characters then count as words, as is usual for Chinese, and so do the symbols of such a text; marks
    stay with the letter before them.
    """
    if text.isascii() or not any(_within(mark, _UNSPACED) for mark in text):
        return text
    found = ""
    for mark in text:
        if not _within(mark, _PARTED):
            found += mark
        elif unicodedata.category(mark)[0] == "M":
            found = f"{found.removesuffix(' ')}{mark} "
        else:
            found += f" {mark} "
    return found


def _within(mark: str, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(low <= ord(mark) <= high for low, high in ranges)


def _inside_word(text: str, place: int) -> bool:
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return text[place] == "'" and len(around) == 2 and around.isalnum()


def error_stats(references: Lines, hypotheses: Lines) -> Floats:
    """Return (clips, 4): substitutions, deletions, insertions and reference words of each clip (jiwer).

    An empty hypothesis counts only deletions, and an empty reference only insertions.
    """
    if not len(references):
        return np.zeros((0, 4))
    out = jiwer.process_words(
        [" ".join(line) for line in references], [" ".join(line) for line in hypotheses]
    )
    rows = []
    for chunks, words in zip(out.alignments, out.references, strict=True):
        count: Counter[str] = Counter()
        for chunk in chunks:
            count[chunk.type] += max(
                chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
            )
        rows.append([count["substitute"], count["delete"], count["insert"], len(words)])
    return np.array(rows, np.float64)


def edit_stats(references: Lines, hypotheses: Lines) -> Floats:
    """Return (clips, 2): edits and reference words of each clip; their sums give the corpus error rate."""
    stats = error_stats(references, hypotheses)
    return np.stack([stats[:, :3].sum(1), stats[:, 3]], 1)


def words_of(text: str) -> list[str]:
    """Return the words of `text` that are scored."""
    return spaced(normalise(text)).split()


def wer_stats(references: Sequence[str], hypotheses: Sequence[str]) -> Floats:
    """Return `edit_stats` of the words of texts."""
    return edit_stats(list(map(words_of, references)), list(map(words_of, hypotheses)))


def wer_multi_stats(references: Sequence[Sequence[str]], hypotheses: Sequence[str]) -> Floats:
    """Return (clips, 2) as `wer_stats` does, against the reference of each clip with the lowest error rate.

    Of equal rates, the first counts. A reference without words is skipped if another one has words.
    """
    flat = wer_stats(
        [text for texts in references for text in texts],
        [hypothesis for texts, hypothesis in zip(references, hypotheses, strict=True) for _ in texts],
    )
    rates = np.divide(flat[:, 0], flat[:, 1], out=np.full(len(flat), np.inf), where=flat[:, 1] > 0)
    starts = np.cumsum([0, *map(len, references)])
    best = [start + rates[start:stop].argmin() for start, stop in pairwise(starts)]
    return flat[best] if best else np.zeros((0, 2))
