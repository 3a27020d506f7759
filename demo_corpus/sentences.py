"""The sentences: a small grammar, English in gloss order, variations, and who signs which sentence.

Gloss order is TIME? PERSON ACTION QUALITY? THING PLACE-OR-QUESTION?; every gloss stands for one fixed
English phrase, in the same order, in lower case and without punctuation. A variation differs from the
canonical sentence in one place: another word for one sign, or the time at the end. ``sentences.yaml`` has
the signs of each slot and the numbers of sentences.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from demo_corpus.lexicon import BY_GLOSS
from signloom.params.load import read_yaml

SEED = 20
TABLES = read_yaml(Path(__file__).with_suffix(".yaml"))
SLOTS: dict[str, list[str]] = TABLES["slots"]
VAL_SEEN, TEST_SEEN = 14, 33
OVER_BUDGET = ("s6/031_1", "s6/042_1")  # two of the longest, left out to stay under 12,000 frames
UNSIGNED_PER_SIGNER = 6


@dataclass(frozen=True)
class Sentence:
    """A sentence of the corpus; ``texts`` starts with the canonical one; ``home`` is train, val or test."""

    sentence_id: int
    glosses: tuple[str, ...]
    texts: tuple[str, ...]
    home: str
    topic: str


@dataclass(frozen=True)
class Clip:
    """A video to make. ``kind`` is signed, unsigned or bad; ``note`` is the gesture or the reject reason."""

    clip_id: str
    signer_id: str
    split: str
    sentence: Sentence | None
    kind: str = "signed"
    note: str = ""


def english(glosses: tuple[str, ...], synonym_at: int | None = None) -> str:
    """Return the English of a gloss line, optionally with another word for one of its signs."""
    return " ".join(
        BY_GLOSS[g].synonym if i == synonym_at else BY_GLOSS[g].english for i, g in enumerate(glosses)
    )


def variations(glosses: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """Return the canonical sentence and two or three others that differ from it in one place each."""
    texts = [english(glosses)]
    if glosses[0] in SLOTS["T"] and glosses[-1] != "TRUE":
        texts.append(english((*glosses[1:], glosses[0])))
    places = [i for i, g in enumerate(glosses) if BY_GLOSS[g].synonym != BY_GLOSS[g].english]
    wanted = 3 if len(glosses) < 4 else 4
    for i in rng.permutation(places):
        if len(texts) < wanted:
            texts.append(english(glosses, int(i)))
    return tuple(texts)


def _draw(
    pattern: str,
    used: Counter[str],
    pairs: Counter[tuple[str, str]],
    taken: set[tuple[str, ...]],
    familiar: bool,
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Return a new sentence that prefers rare signs and rare (if ``familiar``, known) neighbours."""
    best: tuple[float, tuple[str, ...]] | None = None
    for _ in range(400):
        line = tuple(str(rng.choice(SLOTS[slot])) for slot in pattern)
        if line in taken:
            continue
        cost = sum(used[gloss] * len(SLOTS[slot]) for gloss, slot in zip(line, pattern, strict=True)) / 6
        for pair in pairwise(line):
            cost += 3.0 * (pairs[pair] == 0) if familiar else 3.0 * pairs[pair]
        cost += 0.0 if familiar else 2.0 * sum(pairs[pair] for pair in zip(line, line[2:], strict=False))
        if best is None or cost < best[0]:
            best = (cost, line)
    assert best is not None
    taken.add(best[1])
    used.update(best[1])
    if not familiar:
        pairs.update(pairwise(best[1]))
        pairs.update(zip(best[1], best[1][2:], strict=False))
    return best[1]


@lru_cache(maxsize=1)
def sentences() -> tuple[Sentence, ...]:
    """Return all sentences, numbered from 1: training, then validation only, then test only."""
    rng = np.random.default_rng(SEED)
    used: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    taken: set[tuple[str, ...]] = set()
    result: list[Sentence] = []
    for column, home in enumerate(("train", "val", "test")):
        order = [pattern for pattern, counts in TABLES["patterns"].items() for _ in range(counts[column])]
        for k in rng.permutation(len(order)):
            line = _draw(order[int(k)], used, pairs, taken, home != "train", rng)
            topic = next((topic for gloss in line if (topic := BY_GLOSS[gloss].topic)), "learning")
            result.append(Sentence(len(result) + 1, line, variations(line, rng), home, topic))
    return tuple(result)


@lru_cache(maxsize=1)
def clips() -> tuple[Clip, ...]:
    """Return every clip of the corpus, sorted by clip id."""
    rng = np.random.default_rng(SEED + 1)
    seen = [s for s in sentences() if s.home == "train"]
    result = []
    pairs = [pair for *pair, count in TABLES["pairs"] for _ in range(count)]
    for sentence, k in zip(seen, rng.permutation(len(pairs)), strict=True):
        result += [_signed(signer, sentence, "train") for signer in pairs[int(k)]]
    for signer, split, count in (("s5", "val", VAL_SEEN), ("s6", "test", TEST_SEEN)):
        chosen = sorted(rng.choice(len(seen), count, replace=False))
        own = [s for s in sentences() if s.home == split]
        result += [_signed(signer, s, split) for s in [seen[int(i)] for i in chosen] + own]
        result += [
            Clip(f"{signer}/unsigned_{k:02d}", signer, split, None, "unsigned", str(k))
            for k in range(1, UNSIGNED_PER_SIGNER + 1)
        ]
    for k, (reason, signer) in enumerate(TABLES["bad"].items(), start=4):
        result.append(Clip(f"bad/{reason}", signer, "train", seen[k], "bad", reason))
    result = [clip for clip in result if clip.clip_id not in OVER_BUDGET]
    return tuple(sorted(result, key=lambda clip: clip.clip_id))


def _signed(signer: str, sentence: Sentence, split: str) -> Clip:
    return Clip(f"{signer}/{sentence.sentence_id:03d}_1", signer, split, sentence)
