"""Recompose training sentences from clips whose gloss times are known."""

from dataclasses import replace

import numpy as np

from signloom.augment.sentence_parts import Signed, cut_places, places_of, recompose, swap_glosses
from signloom.errors import SignloomError
from signloom.features.gloss_rows import GlossRows, Rows
from signloom.params.gloss import GlossRecomposeParams
from signloom.training.ctc import rows_needed
from signloom.training.glosses.corpus import GlossClip


class NewSentences:
    """The training clips with gloss times, cut into their glosses; all their rows stay in memory.

    Rows are standardised per signer before glosses of different signers are joined.
    """

    def __init__(self, clips: list[GlossClip], rows: GlossRows, params: GlossRecomposeParams) -> None:
        """Cut the clips; raises SignloomError if recomposition is on and no clip has gloss times."""
        self.rows, self.params = rows, params
        self._signed = {
            clip.clip_id: self._cut(clip) for clip in clips if params.used and clip.times and clip.feasible
        }
        if params.used and not self._signed:
            raise SignloomError(
                "gloss_recompose: no training clip has gloss times; fill the gloss_times column of the table "
                "or set crop_p, join_p and swap_p to 0"
            )
        self._pool = list(self._signed.values())
        self._places = places_of(self._pool)

    def _cut(self, clip: GlossClip) -> Signed:
        rows = self.rows.standardise(self.rows.read(clip.clip_id), clip.clip_id)
        starts, ends = zip(*clip.times, strict=True)
        return Signed(*rows, clip.ids, cut_places(starts, ends, self.rows.times(clip.clip_id)))

    def draw(
        self, clip: GlossClip, source: str, rows: Rows, rng: np.random.Generator
    ) -> tuple[GlossClip, Rows]:
        """Return the clip with its new labels, and the new sentence made from `rows` of `source`.

        Three cases stay unchanged: a clip without times, an augmented copy, and a new sentence with more
        glosses than the network's rows can hold.
        """
        if source not in self._signed:
            return clip, rows
        signed = Signed(*self.rows.standardise(rows, source), clip.ids, self._signed[source].cuts)
        if self.params.swap_p:
            signed = swap_glosses(signed, self._places, self.params.swap_p, rng)
        other = self._pool[int(rng.integers(len(self._pool)))]
        signed = recompose(signed, other, self.params.crop_p, self.params.join_p, rng)
        if rows_needed(signed.ids) > self.rows.max_frames:
            return clip, rows
        mean, std = self.rows.stats_of(source)
        return replace(clip, ids=signed.ids), Rows(signed.values * std + mean, signed.mask)
