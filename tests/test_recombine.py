"""New pairs of glosses and words: which words say a gloss, and which glosses may replace each other."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from signloom.text.recombine import Pair, Recombination, interchangeable, word_chances

WORDS = {
    "MOTHER": "mother",
    "CHILD": "the child",
    "SEE": "saw",
    "BUY": "bought",
    "DOG": "dogs",
    "BOOK": "books",
}
LINES = ["MOTHER SEE DOG", "MOTHER BUY BOOK", "CHILD SEE BOOK", "CHILD BUY BOOK", "MOTHER SEE BOOK"]


def pair(line: str) -> Pair:
    glosses = tuple(line.split())
    return Pair(glosses, tuple(" ".join(WORDS[gloss] for gloss in glosses).split()))


PAIRS = [pair(line) for line in LINES]


def test_chances_of_words_are_those_of_plain_expectation_maximisation() -> None:
    words = sorted({word for _, said in PAIRS for word in said})
    glosses = sorted({gloss for line, _ in PAIRS for gloss in line})
    p = np.ones((len(words), len(glosses)))
    for _ in range(20):
        counts = np.zeros_like(p)
        for line, said in PAIRS:
            for word in said:
                places = [glosses.index(gloss) for gloss in line]
                shares = p[words.index(word), places]
                np.add.at(counts[words.index(word)], places, shares / shares.sum())
        p = counts / counts.sum(0)
    found = word_chances(PAIRS)
    for (word, gloss), chance in found.items():
        assert chance == pytest.approx(p[words.index(word), glosses.index(gloss)], rel=1e-9)
    assert sum(chance for (_, gloss), chance in found.items() if gloss == "CHILD") == pytest.approx(1)


def test_long_texts_with_long_lines_of_glosses_have_a_chance_for_each_word_and_gloss() -> None:
    lines = [
        Pair(tuple(f"G{line}-{n}" for n in range(60)), tuple(f"w{n}" for n in range(500)))
        for line in range(10)
    ]
    found = word_chances([*lines, Pair(("A", "A"), ("a", "b")), Pair(("B",), ())])
    assert len(found) == 10 * 60 * 500 + 2 and found["a", "A"] == 0.5


def test_the_words_of_each_gloss_are_found_though_no_lexicon_is_given() -> None:
    found = Recombination(PAIRS).words
    assert {gloss: " ".join(words) for gloss, words in found.items()} == WORDS


def test_of_several_wordings_of_a_gloss_the_most_frequent_one_is_used() -> None:
    rare = [pair(line)._replace(words=("mum", *pair(line).words[1:])) for line in LINES[:2]]
    found = Recombination([*rare, *PAIRS])
    assert found.spans[0][0] == range(1)  # both are words of the gloss
    assert found.words["MOTHER"] == ("mother",)


def test_glosses_replace_each_other_where_they_stand_between_the_same_two() -> None:
    lines = [("A", "B", "C"), ("A", "D", "C"), ("X", "B"), ("E",), ("B",)]
    neighbours: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in lines:
        for place, gloss in enumerate(line):
            before, after = ["", *line][place], [*line, ""][place + 1]
            neighbours[gloss].add((before, after))
    slow = {
        gloss: sorted(
            other for other in neighbours if other != gloss and neighbours[gloss] & neighbours[other]
        )
        for gloss in neighbours
    }
    assert interchangeable(lines) == slow
    assert slow["B"] == ["D", "E"] and slow["A"] == ["X"] and slow["C"] == []


def test_a_new_pair_says_its_new_glosses_word_for_word() -> None:
    made, rng = Recombination(PAIRS), np.random.default_rng(0)
    drawn = {made.draw(number, 0.5, rng) for number in range(len(PAIRS)) for _ in range(40)}
    assert all(new == pair(" ".join(new.glosses)) for new in drawn)
    assert len(drawn - set(PAIRS)) > 0, "some are new"
    assert set(made.draw(0, 0.0, rng) for _ in range(20)) == {PAIRS[0]}


def test_glosses_whose_words_are_apart_or_that_come_twice_stay() -> None:
    apart = [Pair(("NOT", "GO"), ("do", "go", "not")), Pair(("NOT", "EAT"), ("do", "eat", "not"))]
    twice = [Pair(("GO", "GO"), ("go", "go")), Pair(("GO", "EAT"), ("go", "eat"))]
    rng = np.random.default_rng(0)
    made = Recombination(apart)
    assert {made.draw(0, 1.0, rng).words for _ in range(10)} <= {("do", "eat", "not"), ("do", "go", "not")}
    assert {made.draw(0, 1.0, rng).glosses[0] for _ in range(10)} == {"NOT"}
    assert {Recombination(twice).draw(0, 1.0, rng) for _ in range(10)} == {twice[0]}


@pytest.mark.parametrize("line", [("A",), ("A", "B", "C")])
def test_a_corpus_of_one_pair_makes_no_other(line: tuple[str, ...]) -> None:
    only = Pair(line, tuple(gloss.lower() for gloss in line))
    assert Recombination([only]).draw(0, 1.0, np.random.default_rng(0)) == only


def test_text_without_spaces_is_never_recombined_because_one_word_says_all_glosses() -> None:
    pairs = [
        Pair(("I", "BOOK", "BUY"), ("我买书",)),
        Pair(("I", "CAR", "BUY"), ("我买车",)),
        Pair(("YOU", "BOOK", "BUY"), ("你买书",)),
    ]
    made = Recombination(pairs)
    rng = np.random.default_rng(0)
    for number, pair in enumerate(pairs):
        assert all(made.draw(number, 1.0, rng) == pair for _ in range(20))
