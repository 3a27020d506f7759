"""Choose the clips of each batch of an epoch."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

_STREAM = 1  # separates the sampler's random draws from those of the clips

Draw = tuple[int, int, int]  # epoch, clip, how often the clip was drawn before in this epoch


def class_balanced_batches(
    labels: Sequence[int], batch_size: int, per_class: int, rng: np.random.Generator
) -> list[list[int]]:
    """Return an epoch of batches of indices into `labels`, which holds one sentence id per clip.

    A batch has `batch_size // per_class` sentences with `per_class` clips each. Clips repeat if a sentence
    has fewer. If there are too few sentences, the batch is filled with clips that it does not hold yet.
    Sentences, and the clips of a sentence, take turns in random order, so that none is left out for long. An
    epoch has as many batches as the clips would fill, and at least one.

    Raises ValueError if there is no clip.
    """
    if not labels:
        raise ValueError("no clip to draw from")
    clips_of: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        clips_of.setdefault(label, []).append(index)
    sentences = _turns(sorted(clips_of), rng)
    clips = {label: _turns(members, rng) for label, members in sorted(clips_of.items())}
    wanted = min(max(1, batch_size // per_class), len(clips_of))
    batches = []
    for _ in range(math.ceil(len(labels) / batch_size)):
        chosen: dict[int, None] = {}
        while len(chosen) < wanted:  # a new round may repeat a sentence that is already in this batch
            chosen[next(sentences)] = None
        batch = [next(clips[label]) for label in chosen for _ in range(per_class)][:batch_size]
        rest = np.setdiff1d(np.arange(len(labels)), batch)
        room = min(batch_size - len(batch), len(rest))
        batches.append(batch + rng.choice(rest, room, replace=False).tolist())
    return batches


def _turns(items: list[int], rng: np.random.Generator) -> Iterator[int]:
    """Yield `items` forever, in a new random order each round."""
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))


class EpochBatches:
    """A batch sampler whose batches depend only on the seed and on `epoch`."""

    def __init__(self, labels: Sequence[int], batch_size: int, per_class: int, seed: int) -> None:
        self.labels, self.batch_size, self.per_class, self.seed = labels, batch_size, per_class, seed
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        rng = np.random.default_rng([self.seed, self.epoch, _STREAM])
        seen: Counter[int] = Counter()
        for batch in class_balanced_batches(self.labels, self.batch_size, self.per_class, rng):
            draws = []
            for clip in batch:
                draws.append((self.epoch, clip, seen[clip]))
                seen[clip] += 1
            yield draws
