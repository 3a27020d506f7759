"""What looks wrong about the people, the texts and the division of the clips of a corpus."""

import json
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from signloom.console import number_of
from signloom.dataset.consent import allows
from signloom.dataset.split_choice import SPLITS, are_isolated, odd_signs, unfit_task
from signloom.dataset.splits import check_table, lopsided
from signloom.errors import SignloomError
from signloom.letters import seen, small
from signloom.params.schema import Params

_FEW_CLIPS = 3
_MUCH_UNSIGNED = 0.2
_SEPARATORS = ",;、，；"
# of the tokenizer, whose room stands beside this one
MARKS = ("<pad>", "<unk>", "<sos>", "<eos>")


class Finding(NamedTuple):
    """A line about what looks wrong and what to do; `stops` if it must be mended before a build."""

    stops: bool
    text: str


def about_people_and_texts(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    """Yield what is wrong with signers, texts, parts and classes; `clips` are those of `fitness.Facts`."""
    signed = clips[clips["sentence_id"] >= 0]
    signers = set(signed["signer_id"].str.strip()) - {""}
    if len(signers) < 2:
        who = f"all signed clips are of {signers.pop()}" if signers else "no signer is named"
        yield Finding(False, f"{who}: scores will not say how others are understood; add or name signers")
    yield from _about_names(signed)
    yield from _about_unsigned(clips)
    if "gloss" in params.pipeline.families and (signed["gloss"] == "").all():
        yield Finding(
            True,
            "pipeline.families names gloss, and no clip has a gloss; set it to [sign2text], or add glosses",
        )
    if "sign2text" in params.pipeline.families and (unfit := unfit_task(signed, params.sign2text.task)):
        yield Finding(False, unfit)
    if odd := odd_signs(signed):
        yield Finding(False, odd)
    if "sign2text" in params.pipeline.families:
        yield from _about_answers(signed)
    isolated = are_isolated(signed)
    if isolated or "gloss" in params.pipeline.families:
        yield from _about_capitals(set(signed["sentence"]) if isolated else _glosses_of(signed))
    if clips["split"].eq("").all():
        return
    wanted = {"train": 1.0, "val": params.splits.val_share, "test": params.splits.test_share}
    for name in SPLITS:
        if wanted[name] and name not in set(signed["split"]):
            yield Finding(
                False,
                f"{name} has no signed clip; mark some in the table's column `split`, or choose another "
                f"splits.mode or a larger splits.{name}_share",
            )
    checked = signed[signed["split"] == "val"]
    if "sign2text" in params.pipeline.families and len(checked) and (checked["seen"] == 0).all():
        yield Finding(
            False,
            "no validation clip has a sentence or sign of training, so no thresholds can be chosen for "
            "answers: what is refused is a guess; use splits.mode clip or signer, or record sentences again",
        )
    yield from (Finding(False, words) for words in lopsided(clips, params.splits))
    yield from about_shared_frames(signed)
    yield from _about_equal_texts(signed, params)
    yield from _about_classes(signed, params)
    if "gloss" in params.pipeline.families and params.gloss_recompose.used:
        yield from _about_times(signed)
    # other rules of scoring may make two glosses one
    plain = params.decode_gloss.normalisation == "none"
    if "gloss" in params.pipeline.families and plain and not isolated:
        yield from _about_commas(signed)
        yield from _about_glosses(signed)


def _about_answers(signed: pd.DataFrame) -> Iterator[Finding]:
    """Yield what keeps a bundle from answering: consents, and texts that the tokenizer cannot keep."""
    trained = signed[signed["split"] == "train"]
    if len(trained) and not any(allows(consent, "features") for consent in trained["consent"]):
        yield Finding(
            True,
            "no training clip allows the use `features` (column consent), so a bundle would have nothing to "
            "answer with; ask for it, or set pipeline.families to [gloss]",
        )
    taken = [(text, word) for text in signed["sentence"] for word in MARKS if word in text]
    if taken:
        text, word = taken[0]
        yield Finding(True, f"the sentence {text!r} has {word}, a mark of the tokenizer; write it otherwise")


def _about_names(signed: pd.DataFrame) -> Iterator[Finding]:
    """Yield signers whose names differ only in capitals, spaces and unseen marks, who count as two people."""
    names: dict[str, str] = {}
    for name in sorted(set(signed["signer_id"]) - {""}):
        other = names.setdefault(_said(name), name)
        if other != name:
            yield Finding(
                False,
                f"signers {other!r} and {name!r} count as two people; "
                "spell the name the same way in all rows",
            )


def _about_unsigned(clips: pd.DataFrame) -> Iterator[Finding]:
    """Yield that many clips have no text; of merged cells of a spreadsheet only the first row has it."""
    unsigned = clips[clips["sentence_id"] < 0]
    if len(unsigned) > _MUCH_UNSIGNED * len(clips):
        yield Finding(
            False,
            f"{len(unsigned)} of {len(clips)} clips have neither a sentence nor a gloss, first "
            f"{unsigned['clip_id'].iloc[0]}, and count as clips in which nobody signs; fill in what is "
            "signed (of merged cells of a spreadsheet, only the first row has the text)",
        )


def about_shared_frames(signed: pd.DataFrame, where: str = "") -> Iterator[Finding]:
    """Yield the clips outside training half of which a training clip shows too; `where` begins the words.

    Copies of a video under other names are the same video.
    """
    trained = signed["split"] == "train"
    both = signed["video_hash"][trained].unique()
    held = signed[~trained & signed["video_hash"].isin(both)]
    if held.empty:
        return
    spans = signed.assign(start=signed["start_s"].fillna(0.0), end=signed["end_s"].fillna(np.inf))
    spans = spans[spans["video_hash"].isin(held["video_hash"])]
    shared: list[tuple[str, str]] = []
    for _, clips in spans.groupby("video_hash"):
        mine, theirs = clips[clips["split"] == "train"], clips[clips["split"] != "train"]
        names = mine["clip_id"].to_numpy()
        start, end, length = (mine[name].to_numpy(np.float64) for name in ("start", "end", "seconds"))
        columns = (theirs[name] for name in ("clip_id", "start", "end", "seconds"))
        for clip_id, begins, ends, lasts in zip(*columns, strict=True):
            near = np.minimum(end, ends) - np.maximum(start, begins) > 0.5 * np.fmin(length, lasts)
            if near.any():
                shared.append((clip_id, names[near.argmax()]))
    if shared:
        clip_id, other = shared[0]
        many = number_of(len(shared), "clip outside training shares", "clips outside training share")
        yield Finding(
            False,
            f"{where}{many} most frames with a training clip, first {clip_id} with {other}: "
            "scores will be too good; give such clips one split in the table's column `split`",
        )


def _about_equal_texts(signed: pd.DataFrame, params: Params) -> Iterator[Finding]:
    """Yield texts of val and test that training has under another number, so that they count as unseen."""
    keys = [
        _key(text, text == gloss) for text, gloss in zip(signed["sentence"], signed["gloss"], strict=True)
    ]
    signed = signed.assign(key=keys)
    trained = signed[signed["split"] == "train"]
    told = dict(zip(trained["key"], trained["sentence"], strict=True))
    varied = {
        _key(text, sentence == gloss): sentence
        for sentence, gloss, cell in trained[["sentence", "gloss", "text_variations"]].to_numpy()
        for text in json.loads(cell or "[]")
    }
    for name, said in (("test", "the test"), ("val", "validation")):
        unseen = signed[(signed["split"] == name) & ~signed["sentence_id"].isin(trained["sentence_id"])]
        words = unseen["key"]
        other = unseen[words.isin(told) & (words != "")]
        if len(other):
            first, theirs = other["sentence"].iloc[0], told[other["key"].iloc[0]]
            mend = (
                "give equal sentences one sentence_id, or leave the column empty"
                if theirs == first
                else f"training has it as {theirs!r}; write such texts alike, under one sentence_id"
            )
            yield Finding(
                params.splits.mode == "sentence",
                f"{_number_of_sentences(other, said)} in training under another sentence_id, "
                f"first {first!r}; they count as never seen: {mend}",
            )
        variations = unseen[words.isin(varied) & ~words.isin(told) & (words != "")]
        if len(variations):
            first, of = variations["sentence"].iloc[0], varied[variations["key"].iloc[0]]
            yield Finding(
                False,
                f"{_number_of_sentences(variations, said)} in training as a variation of another, "
                f"first {first!r} of {of!r}; they count as never "
                "seen: give both the same sentence_id and sentence",
            )


def _number_of_sentences(clips: pd.DataFrame, part: str) -> str:
    return number_of(clips["sentence_id"].nunique(), f"sentence of {part} is", f"sentences of {part} are")


def _about_classes(signed: pd.DataFrame, params: Params) -> Iterator[Finding]:
    """Yield what is wrong with the clips of each sentence or sign, and with their division."""
    if params.splits.mode == "sentence":
        return
    tested = signed[signed["split"] == "test"]
    both = tested[tested["sentence_id"].isin(signed["sentence_id"][signed["split"] == "train"])]
    if len(both) and not are_isolated(signed):
        yield Finding(
            False,
            f"{both['sentence_id'].nunique()} of {tested['sentence_id'].nunique()} sentences of the test are "
            f"in training too, first {both['sentence'].iloc[0]!r}: scores will not say how new sentences are "
            f"understood; {_how_to_part(signed, params)}",
        )
    unseen = signed[(signed["split"] == "test") & (signed["seen"] == 0)]
    if len(unseen) and are_isolated(signed):
        number = unseen["sentence_id"].nunique()
        yield Finding(
            False,
            f"{number_of(number, 'sign of the test has', 'signs of the test have')} no clip in training, "
            f"first {unseen['sentence'].iloc[0]!r}; record more clips of them",
        )
    names = signed["sentence"].unique()
    trained = signed[signed["split"] == "train"]
    counts = trained["sentence"].value_counts().reindex(names, fill_value=0)
    few = counts[counts < _FEW_CLIPS]
    if len(few) and are_isolated(signed):
        name = few.idxmin()
        yield Finding(
            False,
            f"{len(few)} of {len(counts)} signs have fewer than {_FEW_CLIPS} clips in training, such as "
            f"{name!r} with {few[name]}; record more, or leave them out",
        )


def _about_capitals(signs: set[str]) -> Iterator[Finding]:
    """Yield names of signs that differ only in capitals, or in wide letters of Chinese keyboards."""
    names: dict[str, str] = {}
    forms = [(names.setdefault(small(unicodedata.normalize("NFKC", one)), one), one) for one in sorted(signs)]
    if twins := [(first, other) for first, other in forms if first != other]:
        yield Finding(
            False,
            f"{number_of(len(twins), 'sign differs from another', 'signs differ from others')} only in "
            f"capitals or wide letters, first {twins[0][1]!r} from {twins[0][0]!r}: they count as two signs; "
            "if they are one, write them alike",
        )


def _glosses_of(signed: pd.DataFrame) -> set[str]:
    return {gloss for line in signed["gloss"] for gloss in line.split()}


def _about_commas(signed: pd.DataFrame) -> Iterator[Finding]:
    """Yield glosses that end with a comma or semicolon, which makes `BOOK,` and `BOOK` two glosses."""
    glosses = [gloss for line in signed["gloss"] for gloss in line.split()]
    ends = [gloss for gloss in glosses if gloss[-1] in _SEPARATORS and gloss.rstrip(_SEPARATORS)]
    if ends:
        yield Finding(
            False,
            f"{len(ends)} of {len(glosses)} glosses end with a comma or semicolon, first {ends[0]!r}: with "
            "and without it they count as two signs; separate glosses by spaces alone",
        )


def _about_glosses(signed: pd.DataFrame) -> Iterator[Finding]:
    """Yield which glosses of val and test no network can read, because training has none of them."""
    lines = {
        name: [line.split() for line in signed["gloss"][signed["split"] == name]]
        for name in ("train", "val", "test")
    }
    known = {gloss for line in lines["train"] for gloss in line}
    for name, said in (("test", "the test"), ("val", "validation")):
        times = [gloss for line in lines[name] for gloss in line]
        unknown = [gloss for gloss in times if gloss not in known]
        if known and unknown:
            glosses = number_of(len(set(unknown)), f"gloss of {said} is", f"glosses of {said} are")
            yield Finding(
                False,
                f"{glosses} in no training clip, first {unknown[0]!r}: {len(unknown)} of {len(times)} "
                "glosses there cannot be right; record more clips with them, or move some to training",
            )


def _about_times(signed: pd.DataFrame) -> Iterator[Finding]:
    """Yield that new sentences cannot be made, because no training clip says when its glosses are signed."""
    if signed["gloss_times"][signed["split"] == "train"].isin(["", "[]"]).all():
        yield Finding(
            True,
            "gloss_recompose makes sentences of training clips with gloss times, and none has any; fill the "
            "table's column gloss_times, or set crop_p, join_p and swap_p to 0",
        )


def _how_to_part(signed: pd.DataFrame, params: Params) -> str:
    """Return how to keep sentences of the test out of training."""
    try:
        check_table(signed, params.splits.model_copy(update={"mode": "sentence"}))
    except SignloomError:  # there are too few
        return "add other sentences to the test"
    if params.splits.mode == "signer":
        return "to see that, build with splits.mode sentence too, under another preset"
    return "set splits.mode to sentence, or give each sentence one split"


def _said(text: str) -> str:
    """Return a text in small letters, with single spaces and without marks that nobody sees."""
    return " ".join(small(seen(text)).replace("\u200b", "").split())


def _key(text: str, is_glosses: bool) -> str:
    """Return what equal texts share. Every mark of a gloss counts: `GO` and `GO++` are two signs."""
    return text if is_glosses else _words(text)


def _words(text: str) -> str:
    """Return a text as `_said` does, without punctuation; marks such as vowel signs belong to words."""
    kept = [mark if unicodedata.category(mark)[0] not in "PS" else " " for mark in _said(text)]
    return " ".join("".join(kept).split())
