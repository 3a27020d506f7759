"""Validate a sign2text model after an epoch."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from signloom.decoding.attention import attention_beam
from signloom.metrics.alignment import alignment
from signloom.metrics.bleu_and_chrf import bleu_score, bleu_stats
from signloom.metrics.wer import wer_stats
from signloom.models.sign2text import Sign2Text
from signloom.params.sign2text import Sign2TextParams
from signloom.precision import autocast
from signloom.text.vocabulary import Symbols
from signloom.training.epochs import shown_batches
from signloom.training.progress import Row
from signloom.training.sentences.corpus import Corpus
from signloom.training.sentences.data import PlainClips, plain_loader
from signloom.training.sentences.glosses import gloss_loss
from signloom.training.sentences.losses import (
    class_loss,
    contrastive_loss,
    supervised_contrastive_loss,
    token_loss,
)


def translation(references: list[str], hypotheses: list[str]) -> Row:
    """Return corpus `wer` (jiwer) and `bleu4` (sacreBLEU); WER is None if no reference has a word."""
    edits, words = wer_stats(references, hypotheses).sum(0)
    bleu = bleu_score(bleu_stats(references, hypotheses).sum(0, keepdims=True))[0]
    return {"wer": float(edits / words) if words else None, "bleu4": float(bleu)}


class Validation:
    """The validation clips: never augmented and always in the same batches."""

    def __init__(self, corpus: Corpus, frozen: Tensor, params: Sign2TextParams) -> None:
        self.corpus, self.frozen, self.params = corpus, frozen, params
        clips = PlainClips(corpus.val, corpus.shards, corpus.texts, params.seq_len)
        self.batches = plain_loader(clips, params.batch_size, params.workers)

    @torch.inference_mode()
    def __call__(self, model: Sign2Text, decode: bool) -> Row:
        """Return the figures of an epoch, none without validation clips; scores of text need `decode`.

        Without a decoder there are none of tokens and of text.
        """
        if not len(self.corpus.val):
            return {}
        model.eval()
        figures = self.agreement(model)
        if decode and self.params.task == "sentences":
            figures |= {f"val_{name}": value for name, value in translation(*self.texts(model)).items()}
        return figures

    def agreement(self, model: Sign2Text) -> Row:
        """Return the losses and how well clips and sentences agree."""
        p, c = self.params, self.corpus
        sentences = sorted(set(c.val.sentences))
        place = {sentence: row for row, sentence in enumerate(sentences)}
        own = torch.tensor([place[sentence] for sentence in c.val.sentences], device=c.mean.device)
        rows = torch.tensor([c.texts.rows_of[sentence][0] for sentence in sentences], device=c.mean.device)
        embeddings, ce, tokens, gloss, labelled = [], 0.0, 0, 0.0, 0
        with autocast(c.mean.device, p.precision):
            texts = model.project_text(self.frozen[rows])
            for batch in shown_batches(self.batches, "validate", len(self.batches)):
                batch = batch.to(c.mean.device)
                encoded = model.encode(*batch.views[0].inputs(c.mean, c.std))
                embeddings.append(encoded.embedding)
                if encoded.glosses is not None:
                    summed, counted = gloss_loss(encoded.glosses, batch.views[0].lengths, batch.glosses)
                    gloss, labelled = gloss + float(summed), labelled + int(counted)
                if p.task == "signs":
                    continue
                logits, targets = model.next_tokens(batch.tokens, encoded)
                ce += float(token_loss(logits, targets, p.label_smoothing)) * len(targets)
                tokens += len(targets)
        clips = torch.cat(embeddings)
        ce, gloss = ce / max(tokens, 1), gloss / max(labelled, 1)
        loss = ce + p.lambda_gloss * gloss
        losses: Row = {
            "val_loss": loss,
            "val_ce_loss": ce if tokens else None,
            "val_gloss_loss": gloss if labelled else None,
        }
        if not (p.lambda_clip or p.lambda_class):
            # nothing trains the projection of texts, so ranks by it are chance and must choose no epoch
            if p.task == "sentences":
                return losses
            alike = self._in_blocks(supervised_contrastive_loss, clips, own)
            # 0 where no two clips are of one sign: then the training loss chooses
            return losses | {"val_loss": p.lambda_supcon * alike if alike else None}
        clip = self._in_blocks(contrastive_loss, clips, texts[own], own)
        losses["val_loss"] = loss + p.lambda_clip * clip + p.lambda_class * self._classes(model, clips)
        losses["val_clip_loss"] = clip
        found = alignment(_on_cpu(clips), c.val.sentences, _on_cpu(texts[own]))
        means = {f"val_{name}": float(values.mean()) for name, values in found.items()}
        return losses | {name: None if math.isnan(mean) else mean for name, mean in means.items()}

    def _in_blocks(self, loss: Callable[..., Tensor], *rows: Tensor) -> float:
        """Return the mean of `loss` over blocks of `rows`, so that memory does not grow quadratically."""
        total, size = 0.0, self.params.batch_size
        for start in range(0, len(rows[0]), size):
            block = [part[start : start + size] for part in rows]
            total += float(loss(*block)) * len(block[0])
        return total / len(rows[0])

    def _classes(self, model: Sign2Text, clips: Tensor) -> float:
        """Return the mean class loss of the clips whose sentence is in training, 0 without its weight."""
        c, p = self.corpus, self.params
        sentences = torch.tensor(c.val.sentences, device=clips.device)
        known = torch.isin(sentences, c.classes)
        if not p.lambda_class or not known.any():
            return 0.0
        with autocast(clips.device, p.precision):
            texts = model.project_text(self.frozen[c.class_rows])
        return float(class_loss(clips[known], texts, c.class_of(sentences[known]), p.label_smoothing))

    def texts(self, model: Sign2Text) -> tuple[list[str], list[str]]:
        """Return the sentences of all clips and the model's greedy answers."""
        c = self.corpus
        symbols = Symbols(c.tokenizer.pad, c.tokenizer.start, c.tokenizer.end)
        decoded: list[str] = []
        with autocast(c.mean.device, self.params.precision):
            for batch in shown_batches(self.batches, "decode", len(self.batches)):
                encoded = model.encode(*batch.to(c.mean.device).views[0].inputs(c.mean, c.std))
                best = attention_beam(
                    model, encoded.frames, encoded.valid, symbols, beam=1, max_tokens=model.config.max_tokens
                )
                decoded += [c.tokenizer.decode(hypothesis.tokens) for hypothesis in best]
        return [c.texts.texts[c.texts.rows_of[sentence][0]] for sentence in c.val.sentences], decoded


def _on_cpu(rows: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(rows.float().cpu().numpy())
