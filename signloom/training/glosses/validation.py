"""Validate a gloss network after an epoch."""

import jiwer
import torch

from signloom.decoding.attention import attention_beam
from signloom.decoding.ctc import greedy
from signloom.models.gloss import Hybrid, TcnCtc
from signloom.precision import autocast
from signloom.text.vocabulary import SYMBOLS
from signloom.training.epochs import shown_batches
from signloom.training.glosses.corpus import GlossCorpus
from signloom.training.glosses.data import plain_batches
from signloom.training.glosses.losses import Loss, LossSums
from signloom.training.progress import Row


def word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Return edits / reference glosses over all lines (jiwer); glosses are separated by spaces."""
    return float(jiwer.process_words(references, hypotheses).wer)


class GlossValidation:
    """The validation clips: never augmented, sorted by length, and always in the same batches."""

    def __init__(self, corpus: GlossCorpus, batch_size: int, loss: Loss) -> None:
        self.vocabulary, self.loss = corpus.vocabulary, loss
        self.clips = sorted(corpus.val, key=lambda clip: -corpus.rows.length(clip.clip_id))
        self.batches = list(plain_batches(self.clips, corpus.rows, batch_size))

    @torch.inference_mode()
    def __call__(self, model: Hybrid | TcnCtc) -> Row:
        """Return `val_loss`, `val_wer` and `val_blank_ratio`; None without validation clips.

        WER is that of greedy attention decoding, or of greedy CTC if there is no decoder.
        """
        if not self.clips:
            return {"val_loss": None, "val_wer": None, "val_blank_ratio": None}
        model.eval()
        totals = torch.zeros(len(LossSums._fields), dtype=torch.float64)
        decoded: list[list[int]] = []
        for held in shown_batches(self.batches, "validate", len(self.batches)):
            batch = held.to(self.loss.device)
            passed = self.loss(model, batch)
            if isinstance(model, Hybrid):
                with autocast(self.loss.device, self.loss.precision):
                    most = model.config.max_tokens
                    best = attention_beam(
                        model, passed.memory, passed.valid, SYMBOLS, beam=1, max_tokens=most
                    )
                    decoded += [hypothesis.tokens for hypothesis in best]
            else:
                decoded += greedy(passed.log_probs, batch.lengths)
            totals += torch.stack([part.double().cpu() for part in passed.sums])
        sums = LossSums(*totals)
        answers = [" ".join(self.vocabulary[i] for i in ids) for ids in decoded]
        return {
            "val_loss": float(self.loss.total(sums)),
            "val_wer": word_error_rate([clip.line for clip in self.clips], answers),
            "val_blank_ratio": float(sums.blanks / sums.frames),
        }
