"""BLEU and chrF, computed from counts of each clip."""

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

from signloom.metrics.bootstrap import Floats
from signloom.metrics.wer import seen, spaced

_ORDER = 4  # word n-grams of BLEU
_CHRF_ORDER = 6  # character n-grams of chrF
_CHRF_BETA2 = 4.0  # beta 2, squared


def bleu_stats(references: Sequence[str], hypotheses: Sequence[str]) -> Floats:
    """Return (clips, 10): hypothesis and reference length, n-gram matches 1-4, n-grams 1-4 (sacreBLEU)."""
    metric = BLEU(effective_order=True)  # the option only silences a warning about single sentences
    rows = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        score = metric.sentence_score(spaced(seen(hypothesis)), [spaced(seen(reference))])
        rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
    return np.array(rows, np.float64).reshape(len(rows), 2 + 2 * _ORDER)


def bleu_score(sums: Floats) -> Floats:
    """Return corpus BLEU-4 (R,), 0-100, from sums (R, 10) of `bleu_stats` (Papineni et al. 2002).

    Smoothing is `exp`, sacreBLEU's default: the k-th order without a match counts as 1 / 2^k matches. BLEU is
    0 if all hypotheses are too short for an order or if nothing matches. It is NaN without references.
    """
    sys_len, ref_len = sums[:, 0], sums[:, 1]
    correct, total = sums[:, 2 : 2 + _ORDER], sums[:, 2 + _ORDER :]
    unmatched = (correct == 0) & (total > 0)
    smoothed = np.where(unmatched, 0.5 ** unmatched.cumsum(1), correct)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_precision = np.log(100 * smoothed / total)
        brevity = np.exp(np.minimum(0.0, 1 - ref_len / sys_len))
        score = brevity * np.exp(log_precision.mean(1))
    defined = (correct > 0).any(1) & (total > 0).all(1)
    return np.where(ref_len > 0, np.where(defined, score, 0.0), np.nan)


def chrf_stats(references: Sequence[str], hypotheses: Sequence[str]) -> Floats:
    """Return (clips, 18): character n-grams 1-6 of the hypothesis, the reference and both (sacreBLEU)."""
    if not references:
        return np.zeros((0, 3 * _CHRF_ORDER))
    # sacreBLEU has no public access to per-clip counts; a test compares the sums with its corpus score
    texts = list(map(seen, hypotheses)), [list(map(seen, references))]
    stats = CHRF()._extract_corpus_statistics(*texts)
    return np.array(stats, np.float64)


def chrf_score(sums: Floats) -> Floats:
    """Return corpus chrF2 (R,), 0-100, from sums (R, 18) of `chrf_stats` (Popović 2015).

    Precision and recall are means over the orders for which both sides have n-grams. NaN without references.
    """
    counts = sums.reshape(len(sums), _CHRF_ORDER, 3)
    hypothesis, reference, match = counts[:, :, 0], counts[:, :, 1], counts[:, :, 2]
    present = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(present.sum(1), 1)
    precision = np.where(present, match / np.maximum(hypothesis, 1), 0.0).sum(1) / orders
    recall = np.where(present, match / np.maximum(reference, 1), 0.0).sum(1) / orders
    bottom = _CHRF_BETA2 * precision + recall
    score = 100 * (1 + _CHRF_BETA2) * precision * recall / np.where(bottom > 0, bottom, 1.0)
    return np.where(reference.sum(1) > 0, score, np.nan)


def signatures() -> dict[str, str]:
    """Return the signatures of sacreBLEU, to be stored with the scores."""
    bleu, chrf = BLEU(), CHRF()
    for metric in (bleu, chrf):
        metric.corpus_score(["a"], [["a"]])
    words = f"{bleu.get_signature()}|scripts without spaces:characters"
    return {"bleu4_signature": words, "chrf_signature": str(chrf.get_signature())}
