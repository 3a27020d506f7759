"""Make new pairs of glosses and words from known ones, without a grammar or a lexicon.

Which words say a gloss is learned from the pairs by IBM model 1 (Brown et al. 1993, section 4.1). A gloss may
take the place of another if both stand somewhere between the same two neighbours (Andreas 2020, Good-Enough
Compositional Data Augmentation, section 3).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

_ROUNDS = 20  # of expectation maximisation; likelihoods of small corpora settle within ten
_EDGE = ""  # the neighbour of a first or last gloss

Glosses = tuple[str, ...]
Words = tuple[str, ...]


class Pair(NamedTuple):
    """A line of glosses and the words of its sentence."""

    glosses: Glosses
    words: Words


class Recombination:
    """The pairs of a corpus, the words of each gloss, and the glosses that may replace each other."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Learn from `pairs`; each has a gloss and a word."""
        self.pairs = list(pairs)
        chances = word_chances(self.pairs)
        self.spans = [word_spans(pair, chances) for pair in self.pairs]
        said: dict[str, Counter[Words]] = defaultdict(Counter)
        for pair, spans in zip(self.pairs, self.spans, strict=True):
            for gloss, span in zip(pair.glosses, spans, strict=True):
                if span:
                    said[gloss][pair.words[span.start : span.stop]] += 1
        # ties go to the first in order, so that the words do not depend on the order of the pairs
        self.words = {gloss: min(found, key=lambda w: (-found[w], w)) for gloss, found in said.items()}
        self.others = {
            gloss: [other for other in others if other in self.words]
            for gloss, others in interchangeable([pair.glosses for pair in self.pairs]).items()
        }

    def draw(self, number: int, swap_p: float, rng: np.random.Generator) -> Pair:
        """Return pair `number`, in which each gloss is replaced with probability `swap_p`, words included.

        A gloss stays if no other may replace it, or if its words do not stand together.
        """
        pair, spans = self.pairs[number], self.spans[number]
        glosses, words = list(pair.glosses), [(word,) for word in pair.words]
        new: list[Words] = list(words)
        for place, span in enumerate(spans):
            others = self.others.get(glosses[place], [])
            if rng.random() >= swap_p or not span or not others:
                continue
            glosses[place] = others[int(rng.integers(len(others)))]
            new[span.start : span.stop] = [self.words[glosses[place]], *[()] * (len(span) - 1)]
        return Pair(tuple(glosses), tuple(word for part in new for word in part))


def word_chances(pairs: Sequence[Pair]) -> dict[tuple[str, str], float]:
    """Return P(word | gloss) by (word, gloss): IBM model 1 without an empty gloss."""
    numbers: dict[tuple[str, str], int] = {}
    places = [
        [numbers.setdefault((word, gloss), len(numbers)) for gloss in glosses]
        for glosses, words in pairs
        for word in words
    ]
    if not numbers:
        return {}
    # the words one after the other, each with all glosses of its line
    which = np.fromiter(chain.from_iterable(places), np.intp)
    word = np.repeat(np.arange(len(places)), [len(its) for its in places])
    glosses = {gloss: number for number, gloss in enumerate({gloss: None for _, gloss in numbers})}
    gloss = np.array([glosses[gloss] for _, gloss in numbers])
    chances = np.ones(len(numbers))
    for _ in range(_ROUNDS):
        shares = chances[which]
        shares /= np.bincount(word, shares)[word]
        counts = np.bincount(which, shares)
        chances = counts / np.bincount(gloss[which], shares)[gloss]
    return dict(zip(numbers, chances.tolist(), strict=True))


def word_spans(pair: Pair, chances: dict[tuple[str, str], float]) -> list[range | None]:
    """Return the places of the words that each gloss most likely gave, None unless they stand together.

    A gloss that comes twice has no range, since its words cannot be told apart. With fewer words than glosses
    none has one: text without spaces is a single word, which says all of its glosses.
    """
    if len(pair.words) < len(pair.glosses):
        return [None] * len(pair.glosses)
    giver = [max(pair.glosses, key=lambda gloss: chances[word, gloss]) for word in pair.words]
    spans: list[range | None] = []
    for gloss in pair.glosses:
        places = [place for place, given in enumerate(giver) if given == gloss]
        whole = range(places[0], places[-1] + 1) if places else range(0)
        alone = pair.glosses.count(gloss) == 1 and len(whole) == len(places)
        spans.append(whole if places and alone else None)
    return spans


def interchangeable(lines: Sequence[Glosses]) -> dict[str, list[str]]:
    """Return, for each gloss, the others that stand somewhere between the same two neighbours, sorted."""
    between: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in lines:
        padded = (_EDGE, *line, _EDGE)
        for before, gloss, after in zip(padded, padded[1:], padded[2:], strict=False):
            between[before, after].add(gloss)
    others: dict[str, set[str]] = defaultdict(set)
    for glosses in between.values():
        for gloss in glosses:
            others[gloss] |= glosses - {gloss}
    return {gloss: sorted(found) for gloss, found in others.items()}
