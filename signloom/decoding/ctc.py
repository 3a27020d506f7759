"""Gloss sequences from CTC probabilities alone: the best path, or the best labelling by prefix search."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from signloom.decoding.beam import Hypothesis
from signloom.decoding.scorers import top_candidates
from signloom.text.vocabulary import BLANK, EOS, PAD, SOS


@torch.inference_mode()
def greedy(log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
    """Return each clip's labels on the likeliest path, with repeats merged and then blanks dropped.

    `log_probs` is (B, T, V) and `lengths` (B,) counts the frames of each clip. Padding, start and end are
    never emitted. Of equal scores, the first wins.
    """
    batch, frames, _ = log_probs.shape
    if not frames:
        return [[] for _ in range(batch)]
    path = emittable(log_probs).argmax(2)
    before = torch.cat([torch.full_like(path[:, :1], BLANK), path[:, :-1]], 1)
    inside = torch.arange(frames, device=path.device) < lengths.to(path.device)[:, None]
    kept = inside & (path != BLANK) & (path != before)
    return [row[keep].tolist() for row, keep in zip(path, kept, strict=True)]


@torch.inference_mode()
def prefix_beam(log_probs: Tensor, lengths: Tensor, beam: int) -> list[Hypothesis]:
    """Return each clip's likeliest labelling by prefix search; its score is log P(labels | clip).

    `log_probs` is (B, T, V) and `lengths` (B,). The search follows Graves, "Supervised Sequence Labelling
    with Recurrent Neural Networks" (2008), section 7.5. It goes frame by frame and keeps `beam` prefixes, as
    in Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs" (2014), without a language model. All clips, prefixes and labels are processed together.
    Two ways to reach the same prefix are always merged. The score is exact if no prefix was dropped, and a
    lower bound otherwise.
    """
    lengths = lengths.to(log_probs.device)
    order = lengths.argsort(descending=True, stable=True)
    remaining = lengths[order].tolist()
    log_p = emittable(log_probs[order].double())
    prefixes = Prefixes.empty(len(order), log_p)
    answers: list[Hypothesis | None] = [None] * len(order)
    clips = len(order)
    for frame in range(log_p.shape[1] + 1):
        going = sum(length > frame for length in remaining[:clips])
        for row in range(going, clips):  # clips are sorted longest first, so the last ones finish first
            answers[int(order[row])] = prefixes.best(row)
        if not going:
            break
        if going < clips:
            prefixes = Prefixes(*(part[:going] for part in prefixes))
            clips = going
        prefixes = prefixes.read(log_p[:clips, frame], beam)
    return [answer for answer in answers if answer is not None]


def emittable(log_probs: Tensor) -> Tensor:
    """Return `log_probs` (..., V) with padding, start and end set to minus infinity."""
    banned = torch.tensor([PAD, SOS, EOS], device=log_probs.device)
    return log_probs.index_fill(-1, banned, -torch.inf)


class Prefixes(NamedTuple):
    """The kept prefixes of every clip, likeliest first; no prefix occurs twice in a clip.

    An entry with log-probability -inf only fills the array.
    """

    labels: Tensor  # (B, W, L), -1 after a prefix's end
    length: Tensor  # (B, W)
    blank: Tensor  # (B, W): log-probability of the paths to the prefix that end in a blank
    label: Tensor  # (B, W): log-probability of the paths to the prefix that end in its last label

    @classmethod
    def empty(cls, clips: int, log_p: Tensor) -> Self:
        """Return the state before the first frame: only the empty prefix, for each of `clips`."""
        certain = log_p.new_zeros(clips, 1)
        count = torch.zeros(clips, 1, dtype=torch.long, device=log_p.device)
        return cls(count[:, :, None].expand(-1, -1, 0), count, certain, torch.full_like(certain, -torch.inf))

    def read(self, log_p: Tensor, beam: int) -> "Prefixes":
        """Return the `beam` likeliest prefixes after one more frame with log-probabilities `log_p` (B, V)."""
        width, vocabulary = self.length.shape[1], log_p.shape[1]
        either = torch.logaddexp(self.blank, self.label)
        last = self._last()
        held = last.clamp(min=0)  # the empty prefix gets padding, which has probability 0
        # the prefix stays the same after a blank or a repeat of its last label
        blank = either + log_p[:, BLANK, None]
        label = self.label + log_p.gather(1, held)
        # the prefix gets one more label; equal labels in a row need a blank between them
        longer = either[:, :, None] + log_p[:, None, :]
        again = self.blank + log_p.gather(1, held)
        longer.scatter_(2, held[:, :, None], again[:, :, None])
        longer[:, :, BLANK] = -torch.inf
        label = self._merge(longer, label, last, either)
        scores = torch.cat([torch.logaddexp(blank, label), longer.flatten(1)], 1)
        top, column = top_candidates(scores, min(beam, scores.shape[1]))
        stays = column < width
        parent = torch.where(stays, column, (column - width) // vocabulary)
        token = torch.where(stays, -1, (column - width) % vocabulary)
        labels, length = self._extend(parent, token)
        nothing = torch.full_like(top, -torch.inf)
        return Prefixes(
            labels,
            length,
            torch.where(stays, blank.gather(1, parent), nothing),
            torch.where(stays, label.gather(1, parent), top),
        )

    def _last(self) -> Tensor:
        """Return the last label of each prefix (B, W), -1 for the empty prefix."""
        if not self.labels.shape[2]:
            return torch.full_like(self.length, -1)
        last = self.labels.gather(2, (self.length - 1).clamp(min=0)[:, :, None]).squeeze(2)
        return torch.where(self.length > 0, last, -1)

    def _merge(self, longer: Tensor, label: Tensor, last: Tensor, either: Tensor) -> Tensor:
        """Move probability from `longer` (B, W, V) to `label` where the longer prefix is already kept."""
        room = torch.arange(self.labels.shape[2], device=last.device)
        shorter = self.labels.masked_fill(room == (self.length - 1)[:, :, None], -1)
        # parent[b, i, j]: prefix j is prefix i plus one label
        parent = (self.labels[:, :, None] == shorter[:, None]).all(3)
        parent &= self.length[:, :, None] + 1 == self.length[:, None]
        # entries that only fill the array may repeat a prefix, so they are excluded
        alive = either > -torch.inf
        parent &= alive[:, :, None] & alive[:, None]
        clip, shorter_one, longer_one = parent.nonzero(as_tuple=True)
        token = last[clip, longer_one]
        moved = longer[clip, shorter_one, token]
        label = label.index_put(
            (clip, longer_one), torch.logaddexp(label[clip, longer_one], moved), accumulate=False
        )
        longer[clip, shorter_one, token] = -torch.inf
        return label

    def _extend(self, parent: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels and lengths of prefixes `parent` (B, W) with `token` appended; -1 appends nothing."""
        labels = self.labels.gather(1, parent[:, :, None].expand(-1, -1, self.labels.shape[2]))
        old = self.length.gather(1, parent)
        length = old + (token >= 0)
        longest = int(length.max())
        if longest > labels.shape[2]:
            labels = torch.cat([labels, labels.new_full((*old.shape, 1), -1)], 2)
        room = torch.arange(labels.shape[2], device=labels.device)
        labels = torch.where((room == old[:, :, None]) & (token >= 0)[:, :, None], token[:, :, None], labels)
        return labels[:, :, :longest], length

    def best(self, row: int) -> Hypothesis:
        """Return the likeliest prefix of clip `row` as its labelling."""
        tokens = self.labels[row, 0, : int(self.length[row, 0])].tolist()
        return Hypothesis(tokens, float(torch.logaddexp(self.blank[row, 0], self.label[row, 0])))
