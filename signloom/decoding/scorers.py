"""What a beam search adds up: a scorer rates every next token of every beam, for all clips at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from signloom.decoding.beam import Candidate, Hypothesis
from signloom.text.vocabulary import Symbols


class Scorer:
    """Rates what follows the beams of A clips, W for each clip; the base of all scorers."""

    def scores(self, prefixes: Tensor) -> Tensor:
        """Return (A, W, V): what each next token adds to the score of `prefixes` (A, W, n).

        A prefix begins with the start token. Its last token is new to the scorer; the others were there at
        the last call.
        """
        raise NotImplementedError

    def reorder(self, clips: Tensor, parents: Tensor) -> None:
        """Keep the clips `clips` (A',); their next prefixes continue their beams `parents` (A', W')."""


class WeightedScorers:
    """Ranks continuations by the sum of weighted scorers; follows `signloom.decoding.beam.Ranker`."""

    def __init__(
        self,
        scorers: Sequence[tuple[float, Scorer]],
        symbols: Symbols,
        device: torch.device,
        dtype: torch.dtype,
        never: Sequence[int] = (),
        must_end: int = 0,
    ) -> None:
        """Leave out padding, start and `never`; let only the end follow `must_end` tokens, start included."""
        self.scorers, self.symbols, self.must_end = scorers, symbols, must_end
        self.device, self.dtype = device, dtype
        self.never = torch.tensor([symbols.pad, symbols.start, *never], device=device)

    def rank(self, beams: list[list[Hypothesis]], count: int) -> list[list[Candidate]]:
        """Return the `count` best continuations of each clip."""
        start, end = self.symbols.start, self.symbols.end
        tokens = [[[start, *hypothesis.tokens] for hypothesis in row] for row in beams]
        # NumPy reads nested lists ten times as fast as PyTorch
        prefixes = torch.from_numpy(np.array(tokens)).to(self.device)
        so_far = [[[hypothesis.score] for hypothesis in row] for row in beams]
        total = torch.tensor(so_far, device=self.device, dtype=self.dtype)
        for weight, scorer in self.scorers:
            total = torch.add(total, scorer.scores(prefixes), alpha=weight)
        total.index_fill_(2, self.never, -torch.inf)
        if prefixes.shape[2] == self.must_end:
            total[:, :, :end] = total[:, :, end + 1 :] = -torch.inf
        _, width, vocabulary = total.shape
        values, places = top_candidates(total.flatten(1), min(count, width * vocabulary))
        columns = values, places // vocabulary, places % vocabulary
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [list(zip(*row, strict=True)) for row in rows]

    def reorder(self, clips: list[int], parents: list[list[int]]) -> None:
        """Tell every scorer which clips and beams go on."""
        rows, chosen = (torch.tensor(index, device=self.device) for index in (clips, parents))
        for _, scorer in self.scorers:
            scorer.reorder(rows, chosen)


def top_candidates(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` highest scores of each row of `scores` (rows, N) and their columns.

    Both results are (rows, count), highest first, with equal scores ordered by column. `torch.topk` does not
    define the order of equal scores.
    """
    # ask for one more: if it equals the last, topk chose among equal scores, and that row is chosen again
    values, columns = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    crowded = (values[:, count:] == values[:, count - 1 : count]).any(1)
    lowest, columns = values[:, count - 1], columns[:, :count].contiguous()
    for row in crowded.nonzero().flatten().tolist():
        reach = (scores[row] >= lowest[row]).nonzero().flatten()
        columns[row] = reach[scores[row][reach].argsort(descending=True, stable=True)[:count]]
    columns = columns.sort(1).values
    values = scores.gather(1, columns)
    order = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, order), columns.gather(1, order)
