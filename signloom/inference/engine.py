"""Answer clips from an exported bundle, with NumPy and ONNX Runtime alone.

>>> from pathlib import Path
>>> from signloom.inference.engine import SignEngine
>>> engine = SignEngine.load(Path("build/export/sign_encoder_bundle.zip"))
>>> answer = engine.answer(features, mask, motion_mean=1.9)
>>> answer.reason, answer.matches[0].sentence
('ok', 'Anna drinks tea.')
"""

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from signloom.errors import SignloomError
from signloom.inference import gates
from signloom.inference.answer import Answer, Match, Refusal
from signloom.inference.beam import NextLogProbs, beam_search
from signloom.inference.bundle import Bundle
from signloom.inference.dtw import dtw_score
from signloom.inference.gloss_places import Place, Spans, delay_rows, gloss_spans, in_clip, place_glosses
from signloom.inference.networks import Array, Clip, Encoded, Networks, checked
from signloom.inference.ranking import Ranking, rank_sentences
from signloom.inference.spotting import compared_rows, windows
from signloom.text.vocabulary import SPECIALS, Symbols


class SignEngine:
    """Answers clips of features with the sentences, or the isolated signs, of a bundle's gallery.

    `config` is the content of model_config.json; `clips` are the rows of embeddings_map.csv.
    """

    def __init__(self, bundle: Bundle, networks: Networks, thresholds: gates.Thresholds) -> None:
        self.config: dict[str, Any] = bundle.config()
        self.thresholds = thresholds
        self.clips = bundle.table("embeddings_map.csv")
        prototypes, embeddings = bundle.arrays("prototypes.npz"), bundle.array("embeddings.npy")
        if len(embeddings) != len(self.clips):
            raise ValueError(f"embeddings.npy has {len(embeddings)} rows, the map {len(self.clips)}")
        self.gallery = gates.Gallery(
            embeddings,
            np.array([int(clip["sentence_id"]) for clip in self.clips]),
            prototypes["sentence_ids"],
            prototypes["embeddings"],
        )
        self.listed: int | None = None  # sentences in an answer; None: as many as are compared
        self.bundle, self._networks = bundle, networks

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of a copy what is loaded on first use: it can be pickled only in part."""
        lazy = {name for name, value in vars(SignEngine).items() if isinstance(value, cached_property)}
        return {name: value for name, value in self.__dict__.items() if name not in lazy}

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        threads: int = 1,
        int8: bool = False,
        thresholds: gates.Thresholds | None = None,
    ) -> Self:
        """Open a bundle, a zip file or a folder; `thresholds` replace its own.

        Raises SignloomError if a file of the bundle has changed since the export.
        """
        bundle = Bundle(path)
        if thresholds is None:
            given = bundle.json("thresholds.json")
            with bundle.fits("thresholds.json"):
                names = gates.Thresholds.__annotations__
                thresholds = gates.Thresholds(**{name: float(given[name]) for name in names})
        with bundle.fits("its gallery"):
            return cls(bundle, Networks(bundle, threads, int8), thresholds)

    def answer(
        self,
        features: npt.NDArray[np.floating],
        mask: npt.NDArray[np.integer],
        motion_mean: float | None = None,
        *,
        rerank: bool = False,
        decode: bool = True,
    ) -> Answer:
        """Answer a clip of `features` (T, 540), NaN where missing, with `mask` (T, 4), 1 where present.

        A part of the body with a NaN is missing, whatever the mask says. A clip that is shorter than those of
        training is refused. `motion_mean` is in shoulder widths a second, None or NaN if it is not known.
        `rerank` compares the best sentences' clips with this one by time warping; `decode` also decodes the
        sentence and the gloss line.
        """
        return self.answer_batch([(features, mask)], [motion_mean], rerank=rerank, decode=decode)[0]

    def answer_batch(
        self,
        clips: Sequence[Clip],
        motion_means: Sequence[float | None],
        *,
        rerank: bool = False,
        decode: bool = True,
        left_out: Sequence[int | None] = (),
    ) -> list[Answer]:
        """Answer several clips as `answer` does, in their order; encoding them together is faster.

        `left_out` gives for each clip a sentence to leave out of the gallery, to test what is refused.
        """
        if len(motion_means) != len(clips) or len(left_out) not in (0, len(clips)):
            raise ValueError(f"{len(clips)} clips need as many motion_means and left_out, or no left_out")
        clips = [self._checked(clip) for clip in clips]
        motion_means = [None if it is None or not np.isfinite(it) else float(it) for it in motion_means]
        # without a visible part in any frame there is no person
        rows = [len(mask) if (mask > 0).any() else 0 for _, mask in clips]
        reasons = [gates.why_unfit(self.config, count) for count in rows]
        unfit = partial(Answer, False, text=None, glosses=None, unit=self.unit)
        given = zip(reasons, motion_means, rows, strict=True)
        answers = [unfit(reason, (), motion, count) for reason, motion, count in given]
        seen = [place for place, reason in enumerate(reasons) if not reason]
        if not seen:
            return answers
        encoded = self._encode([clips[place] for place in seen])
        motion = [motion_means[place] for place in seen]
        lengths = np.array([len(clips[place][0]) for place in seen])
        barred = [left_out[place] for place in seen] if left_out else []
        for place, answer in zip(seen, self._answers(encoded, motion, lengths, rerank, barred), strict=True):
            answers[place] = answer
        if not decode:
            return answers
        for place, frames in zip(seen, encoded.frames, strict=True):
            text, (glosses, spans) = self._sentence(frames), self._gloss_line(clips[place])
            answers[place] = replace(answers[place], text=text, glosses=glosses, gloss_spans=spans)
        return answers

    def embed(self, clips: Sequence[Clip]) -> Array:
        """Return the embeddings (N, E), unit rows, of clips that have at least one frame."""
        clips = [self._checked(clip) for clip in clips]
        if not all(len(features) for features, _ in clips):
            raise SignloomError("a clip without frames has no embedding")
        return self._encode(clips).embeddings.reshape(len(clips), self.gallery.embeddings.shape[1])

    def align(self, clip: Clip, glosses: Sequence[str]) -> list[Place] | None:
        """Return the place of each of `glosses` in rows of a clip, None if it has too few rows for them.

        The rows are late by `delay_rows`. Raises SignloomError as `gloss_ids` does.
        """
        clip = self._checked(clip)
        ids = self.gloss_ids(glosses)
        found = self._networks.glosses(clip) if len(clip[0]) else None
        places = place_glosses(found.log_probs, ids, self._blank) if found else None
        if not found or places is None:
            return None
        return in_clip(places, len(found.log_probs), len(clip[0]))

    def gloss_ids(self, glosses: Sequence[str]) -> list[int]:
        """Return the numbers of `glosses` in the bundle's vocabulary, also if their letters are decomposed.

        Raises SignloomError if it lacks one, or if the bundle has no gloss network.
        """
        self._need_glosses()
        words = self._vocabulary[len(SPECIALS) :]
        number_of = {gloss: number for number, gloss in enumerate(words, len(SPECIALS))}
        glosses = [unicodedata.normalize("NFC", gloss) for gloss in glosses]
        for gloss in glosses:
            if gloss not in number_of:
                folded = {word.casefold(): word for word in words}
                near = ", ".join(folded[it] for it in get_close_matches(gloss.casefold(), folded, 3))
                hint = f"; similar ones are {near}" if near else "; gloss_vocabulary.json in it lists them"
                raise SignloomError(f"the bundle does not know the gloss {gloss!r}{hint}")
        return [number_of[gloss] for gloss in glosses]

    def sign_rows(self, clip: Clip) -> npt.NDArray[np.float64]:
        """Return a unit row (T, D) for each row of a clip of any length; `spotting.spot` finds signs by them.

        The rows are late by `delay_rows`. Raises SignloomError if the bundle has no gloss network.
        """
        features, mask = self._checked(clip)
        self._need_glosses()
        width = min(self.config["seq_len"], self.config["gloss"]["max_frames"])
        parts = []
        for window, kept in windows(len(features), width):
            found = self._networks.glosses((features[window], mask[window]))
            assert found is not None
            parts.append(compared_rows(found.frames, found.log_probs)[kept])
        return np.concatenate(parts) if parts else np.empty((0, 0))

    def _need_glosses(self) -> None:
        if self.config["gloss"] is None:
            raise SignloomError(
                "the bundle has no gloss network, which finds the times of signs; name gloss in "
                "pipeline.families and tcn_ctc or hybrid_pose in gloss.variants, and build it again"
            )

    @property
    def delay_rows(self) -> float:
        """By how many rows features of landmarks are late, because they are smoothed; 0 for given rows."""
        of_landmarks = self.config["features"]["dim"] == gates.LANDMARK_DIM
        return delay_rows(self.config["pose"]["smoothing"]) if of_landmarks else 0.0

    @property
    def _blank(self) -> int:
        return int(self.config["gloss"]["tokens"]["blank"])

    def _checked(self, clip: Clip) -> Clip:
        return checked(clip, self.config["features"]["parts"])

    def _encode(self, clips: Sequence[Clip]) -> Encoded:
        encoded = self._networks.encode(clips)
        if not np.isfinite(encoded.embeddings).all():
            raise SignloomError("the features of a clip are too large; expected coordinates in torso lengths")
        return encoded

    def _answers(
        self,
        encoded: Encoded,
        motion: Sequence[float | None],
        lengths: npt.NDArray[np.integer],
        rerank: bool,
        left_out: Sequence[int | None] = (),
    ) -> list[Answer]:
        """Return the answers, without decoded text, to encoded clips of `lengths` (N,) frames."""
        cosines, rows = self._search(encoded.embeddings)
        for query, sentence in enumerate(left_out):
            cosines[query, self.gallery.sentences == sentence] = -np.inf
        to_prototypes = self.gallery.to_prototypes(encoded.embeddings)
        best = min(self.config["inference"]["top_k"], cosines.shape[1])
        shown = min(self.listed or best, cosines.shape[1])
        ranking = rank_sentences(cosines, rows, best, shown, rerank, partial(self._warp, encoded.frames))
        speed = np.array([np.nan if mean is None else mean for mean in motion])
        first, warped = ranking.places[:, 0], ranking.warped[:, 0]
        evidence = gates.weigh(cosines, to_prototypes, speed, lengths, first, warped)
        reasons, refused = gates.judge(evidence, self.thresholds), self._refusals(evidence)
        shares = gates.confidence(ranking.scores, self.config["inference"]["temperature"])
        answer, answers = partial(Answer, text=None, glosses=None, unit=self.unit), []
        for query, reason in enumerate(reasons):
            matches = self._matches(query, ranking, shown, to_prototypes, shares)
            accepted, frames = reason == gates.OK, int(lengths[query])
            sign = matches[0].sentence if accepted and self.unit == "sign" else None
            about = accepted, reason, matches, motion[query], frames
            answers.append(answer(*about, sign=sign, refusal=refused[query]))
        return answers

    def _matches(
        self, query: int, ranking: Ranking, shown: int, to_prototypes: gates.Floats, shares: gates.Floats
    ) -> tuple[Match, ...]:
        """Return the first `shown` sentences of a query, the first one even where nothing was found."""
        found = []
        listed = zip(ranking.places[query, :shown], ranking.warped[query, :shown], strict=True)
        for number, (place, warped) in enumerate(listed, 1):
            cosine = float(ranking.cosines[query, place])
            if number > 1 and not np.isfinite(cosine):
                continue
            clip = self.clips[int(ranking.rows[query, place])]
            ranked = number <= ranking.compared
            found.append(
                Match(
                    sentence_id=int(clip["sentence_id"]),
                    rank=number,
                    similarity=float(ranking.scores[query, place]) if ranked else cosine,
                    raw_similarity=cosine,
                    confidence=float(shares[query, place]),
                    proto_similarity=_known(to_prototypes[query, place]),
                    dtw_score=_known(warped),
                    **{name: clip[name] for name in ("clip_id", "video_file", "sentence", "category")},
                )
            )
        return tuple(found)

    def _refusals(self, evidence: gates.GateInputs) -> list[Refusal | None]:
        """Return the threshold that refuses each query, with the query's value."""
        return [
            gate
            and Refusal(
                gate.minimum,
                float(getattr(self.thresholds, gate.minimum)),
                _known(getattr(evidence, gate.value)[query]),
            )
            for query, gate in enumerate(gates.refusals(evidence, self.thresholds))
        ]

    @property
    def unit(self) -> str:
        """What the gallery holds: without a sentence decoder, isolated signs."""
        return "sentence" if self.config["sign2text"]["decoder_layers"] else "sign"

    def _search(self, queries: Array) -> tuple[Array, npt.NDArray[np.intp]]:
        """Return the cosine (Q, S) to each sentence's best clip, and the clip's row of the map.

        A large gallery is searched approximately: sentences far from a query, which are not found, have -inf.
        If fewer are found than an answer lists, the query is compared with every clip.
        """
        gallery, limit = self.gallery, self.config["retrieval"]["exact_limit"]
        total = len(gallery.embeddings)
        if total <= limit:
            return gallery.by_sentence(queries)
        most = max(self.config["inference"]["top_k"], self.listed or 0)
        wanted = min(most + 1, len(gallery.sentences))
        count = min(16 * wanted, total)
        while True:
            cosines, found = self._index.search(queries, count)
            places = np.where(found >= 0, gallery.place[found], -1)
            if count == total or all(len(set(row) - {-1}) >= wanted for row in places.tolist()):
                break
            count = min(4 * count, total)
        best = np.full((len(queries), len(gallery.sentences)), -np.inf, np.float32)
        rows = np.zeros(best.shape, np.intp)
        for query in range(len(queries)):
            there = np.flatnonzero(found[query] >= 0)[::-1]  # best last, so that it overwrites the others
            if len(set(places[query, there].tolist())) < wanted:  # equal clips fill the graph's links
                cosine, clip = gallery.by_sentence(queries[[query]])
                best[query], rows[query] = cosine[0], clip[0]
                continue
            best[query, places[query, there]] = cosines[query, there]
            rows[query, places[query, there]] = gallery.rows[found[query, there]]
        return best, rows

    @cached_property
    def _index(self) -> Any:
        from signloom.inference.index import ApproximateIndex

        return ApproximateIndex(self.gallery.embeddings)

    def _warp(self, frames: Sequence[Array], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Return the dtw_score (Q, K) of each clip's frames and those of the gallery clips `rows` (Q, K)."""
        states, index = self._frames
        # probabilities of glosses, which may follow the encoder's frames, are not compared
        width = states.shape[1]
        scores = np.empty(rows.shape)
        for query, own in enumerate(frames):
            for rank, row in enumerate(rows[query].tolist()):
                other = states[index[self.clips[row]["clip_id"]]]
                scores[query, rank] = dtw_score(own[:, :width], other.astype(np.float32))
        return scores

    @cached_property
    def _frames(self) -> tuple[npt.NDArray[Any], dict[str, slice]]:
        frames, rows = self.bundle.array("frames.npy"), self.bundle.table("frames_index.csv")
        with self.bundle.fits("frames_index.csv"):
            places = ((row["clip_id"], int(row["offset"]), int(row["length"])) for row in rows)
            index = {clip: slice(offset, offset + length) for clip, offset, length in places}
            if {row["clip_id"] for row in self.clips} - set(index):
                raise ValueError("it lacks clips of the gallery")
            if any(part.stop > len(frames) for part in index.values()):
                raise ValueError("it names frames beyond the end of frames.npy")
        return frames, index

    def _sentence(self, frames: Array) -> str | None:
        if self.unit == "sign" or self._tokenizer is None:
            return None
        tokens = self._search_beams(self._networks.sentence_decoder(frames), self.config["tokens"])
        return str(self._tokenizer.decode(tokens))

    def _gloss_line(self, clip: Clip) -> tuple[str | None, Spans | None]:
        """Return the glosses of the attention decoder, or of CTC's best path, and where CTC finds them."""
        found = self._networks.glosses(clip)
        if found is None:
            return None, None
        decoder = self._networks.gloss_decoder(found.frames)
        ids = self._search_beams(decoder, self.config["gloss"]["tokens"]) if decoder else found.greedy
        with self.bundle.fits("a gloss network"):
            spans = gloss_spans(found.log_probs, ids, self._blank, len(clip[0]), self.delay_rows)
            return " ".join(self._vocabulary[i] for i in ids), spans

    def _search_beams(self, decoder: NextLogProbs, tokens: dict[str, int]) -> list[int]:
        beam, alpha = (self.config["decoding"][name] for name in ("beam", "length_penalty"))
        with self.bundle.fits("a decoder"):
            symbols = Symbols(tokens["pad"], tokens["start"], tokens["end"])
            found = beam_search(decoder, symbols, beam=beam, alpha=alpha, max_tokens=tokens["longest"])
        return found.tokens

    @cached_property
    def _vocabulary(self) -> list[str]:
        return list(self.bundle.json("gloss_vocabulary.json"))

    @cached_property
    def _tokenizer(self) -> Any:
        """Return the tokenizer; without its package, print a note once and return None."""
        try:
            import tokenizers  # noqa: F401
        except ImportError:
            print("no decoded sentences: install the package tokenizers to get them", file=sys.stderr)
            return None
        from signloom.text.tokenizer import TextTokenizer

        with self.bundle.fits("tokenizer.json"):
            content = self.bundle.read("tokenizer.json").decode()
            return TextTokenizer.parse(content, f"{self.bundle.path}: tokenizer.json")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
