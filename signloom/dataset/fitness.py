"""Whether a corpus is fit to be built: what its table and the headers of its videos show beforehand."""

import contextlib
import io
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from signloom.console import number_of
from signloom.dataset.consent import allows
from signloom.dataset.hashes import HashCache
from signloom.dataset.headers import Header, landmarks_header, read_header, rows_header
from signloom.dataset.landmark_sources import kind_of
from signloom.dataset.manifest import LENGTH_SLACK_S, build_manifest
from signloom.dataset.reject_words import TWIN, place_of
from signloom.dataset.reviewed import left_out
from signloom.dataset.row_files import RowFiles
from signloom.dataset.sources import Table
from signloom.dataset.split_choice import SPLITS, are_isolated, quiet_splits, unfit_task
from signloom.dataset.splits import check_share, check_table, make_splits
from signloom.errors import SignloomError
from signloom.params.dataset import ManifestParams
from signloom.params.schema import Params
from signloom.params.splits import FoldParams
from signloom.params.variants import VARIANTS
from signloom.progress import track

_FEW_CLIPS = 3
# of the tokenizer, which stands in a room above this one
MARKS = ("<pad>", "<unk>", "<sos>", "<eos>")
_SHOWN = 5


class Finding(NamedTuple):
    """A line about what looks wrong and what to do; `stops` if it must be mended before a build."""

    stops: bool
    text: str


class Facts(NamedTuple):
    """The accepted clips with `seconds, fps, size, columns, split, seen`, the number of rows, the rejects."""

    clips: pd.DataFrame
    rows: int
    rejects: pd.DataFrame


def read_facts(params: Params, hashes: HashCache, folder_fps: float) -> tuple[Facts, list[Finding]]:
    """Check every row as stage manifest does, read the headers and divide the clips.

    Raises SignloomError if the table cannot be read or has no clip that can be used.
    """
    table, findings = Table.read(params.dataset, hashes), list[Finding]()
    try:
        table.refuse_ended()
    except SignloomError as error:
        findings.append(Finding(True, str(error)))
    rows = table.with_content()
    with contextlib.redirect_stderr(io.StringIO()):  # the findings say it
        manifest = build_manifest(rows, params.dataset, ManifestParams(max_reject_ratio=1), hashes)
    clips, rejects = manifest.clips, manifest.rejects
    paths = {Path(path) for path in clips["video_path"]}
    header = _header_reader(params, folder_fps)
    read = {path.as_posix(): header(path) for path in track(sorted(paths), "headers", unit="file")}
    headers = pd.DataFrame([read[path] for path in clips["video_path"]], index=clips.index)
    length = headers["seconds"]
    cut = clips["end_s"].fillna(np.inf).clip(upper=length.fillna(np.inf)) - clips["start_s"].fillna(0.0)
    clips = clips.assign(
        **headers.assign(seconds=cut.where(np.isfinite(cut)), whole_s=length), split="", seen=0
    )
    findings += [
        *_about_rejects(len(rows), rejects, params),
        *_about_review(pd.concat([clips, manifest.aside]), params),
        *_about_times(clips, params),
        *_about_landmarks(clips, params),
    ]
    try:
        check_table(manifest.clips, params.splits)
        _check_folds(manifest.clips, params)
        made = quiet_splits(manifest.clips, params.splits).set_index("clip_id")
        clips = clips.assign(**{name: clips["clip_id"].map(made[name]) for name in ("split", "seen")})
    except SignloomError as error:
        findings.append(Finding(True, str(error)))
    return Facts(clips, len(rows), rejects), [*findings, *_about_people_and_texts(clips, params)]


def _check_folds(clips: pd.DataFrame, params: Params) -> None:
    """Raise SignloomError if a fold of the runs is impossible, such as that of a signer without a clip."""
    runs, counts = params.runs, dict[int, str]()
    if runs.fold_by == "share":
        whole = quiet_splits(clips, params.splits)
        counts[int((whole["split"] == "train").sum())] = "100"
    for name in runs.folds:
        fold = FoldParams(by=runs.fold_by, name=name, all=[] if runs.fold_by == "share" else runs.folds)
        with contextlib.redirect_stderr(io.StringIO()):
            made = make_splits(clips, params.splits, fold)
        if runs.fold_by == "share":
            check_share(made, name)
        count = int((made["split"] == "train").sum())
        if runs.fold_by == "share" and counts.setdefault(count, name) != name:
            raise SignloomError(
                f"runs.folds: {counts[count]} and {name} % are the same {count} training clips; name others"
            )


def _header_reader(params: Params, folder_fps: float) -> Callable[[Path], Header]:
    """Return what reads the header of a clip of rows, of landmarks or of pictures."""
    dataset, rows = params.dataset, RowFiles()
    if dataset.holds_features:
        return partial(rows_header, rows, fps=dataset.frame_rate or params.pose.fps)
    pictures = partial(read_header, folder_fps=dataset.frame_rate or folder_fps)
    return lambda path: landmarks_header(path, dataset) or pictures(path)


def _about_rejects(rows: int, rejects: pd.DataFrame, params: Params) -> Iterator[Finding]:
    limit = params.manifest.max_reject_ratio
    if len(rejects) > limit * rows:
        yield Finding(
            True,
            f"{len(rejects)} of {rows} rows are rejected, more than manifest.max_reject_ratio {limit:g}: "
            "correct or delete them",
        )
    twice = rejects["detail"].str.startswith(TWIN)
    twins = rejects[twice]
    for twin in twins.head(_SHOWN).itertuples():
        other = twin.detail.removeprefix(TWIN)
        yield Finding(False, f"{twin.clip_id} and {other} are the same video; keep one of them")
    if len(twins) > _SHOWN:
        yield Finding(False, f"{len(twins) - _SHOWN} more videos are there under two names; keep one of each")
    for reason, part in rejects[~twice].groupby("reason"):
        first = part.iloc[0]
        yield Finding(
            False,
            f"{number_of(len(part), 'row is', 'rows are')} rejected as {reason}, "
            f"first {place_of(first['row'])}: {first['detail']}; correct or delete them",
        )


def _words(text: str) -> str:
    """Return a text without punctuation, in small letters; marks such as vowel signs belong to words."""
    kept = [mark if unicodedata.category(mark)[0] not in "PS" else " " for mark in text.casefold()]
    return " ".join("".join(kept).split())


def _about_review(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    if words := left_out(clips, params.dataset.review):
        yield Finding(False, words)


def _about_times(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    late = clips[clips["end_s"] > clips["whole_s"] + LENGTH_SLACK_S]
    if len(late):
        first = late.iloc[0]
        yield Finding(
            False,
            f"{number_of(len(late), 'clip ends after its', 'clips end after their')} video, "
            f"first {first['clip_id']} at {first['end_s']:g} s of "
            f"{first['whole_s']:.2f} s; correct their times",
        )
    quality = params.quality
    short = clips[clips["seconds"] < quality.min_seconds]
    if len(short) and not quality.keep_low:
        stops = len(short) > quality.max_reject_ratio * len(clips)
        more = f", more than quality.max_reject_ratio {quality.max_reject_ratio:g}" if stops else ""
        yield Finding(
            stops,
            f"{len(short)} of {number_of(len(clips), 'clip is', 'clips are')} shorter than "
            f"quality.min_seconds {quality.min_seconds:g} and will be rejected{more}, "
            f"first {short['clip_id'].iloc[0]}; lower it, or leave them out",
        )


def _about_landmarks(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    names = [name for name in params.gloss.variants if VARIANTS[name].features(params.tcn.input) != {"pose"}]
    if params.dataset.holds_features or "gloss" not in params.pipeline.families or not names:
        return
    ready = [
        clip for clip, path in zip(clips["clip_id"], clips["video_path"], strict=True) if kind_of(Path(path))
    ]
    if ready:
        yield Finding(
            True,
            f"gloss.variants names {names[0]}, which reads videos, and "
            f"{number_of(len(ready), 'clip is', 'clips are')} landmarks, first {ready[0]}; "
            "name only those that read poses, such as tcn_ctc and hybrid_pose",
        )


def _about_people_and_texts(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    signed = clips[clips["sentence_id"] >= 0]
    signers = set(signed["signer_id"].str.strip()) - {""}
    if len(signers) < 2:
        who = f"all signed clips are of {signers.pop()}" if signers else "no signer is named"
        yield Finding(False, f"{who}: scores will not say how others are understood; add or name signers")
    if "gloss" in params.pipeline.families and (signed["gloss"] == "").all():
        yield Finding(
            True,
            "pipeline.families names gloss, and no clip has a gloss; set it to [sign2text], or add glosses",
        )
    if "sign2text" in params.pipeline.families and (unfit := unfit_task(signed, params.sign2text.task)):
        yield Finding(False, unfit)
    if "sign2text" in params.pipeline.families:
        yield from _about_answers(signed)
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
    yield from _about_classes(signed, params)


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


def _about_classes(signed: pd.DataFrame, params: Params) -> Iterator[Finding]:
    """Yield what is wrong with the clips of each sentence or sign, and with their division."""
    texts = signed["sentence"].map(_words)
    known = texts[signed["split"] == "train"]
    tested = signed[signed["split"] == "test"]
    both = tested[texts[tested.index].isin(known)]
    known_ids = set(signed["sentence_id"][signed["split"] == "train"])
    other = both[~both["sentence_id"].isin(known_ids)]
    if len(other):
        number = other["sentence_id"].nunique()
        yield Finding(
            params.splits.mode == "sentence",
            f"{number_of(number, 'sentence of the test is', 'sentences of the test are')} in training "
            f"under another sentence_id, first {other['sentence'].iloc[0]!r}; they count as never seen: "
            "give equal sentences one sentence_id, or leave the column empty",
        )
    if params.splits.mode == "sentence":
        return
    both = both[both["sentence_id"].isin(known_ids)]
    if len(both) and not are_isolated(signed):
        yield Finding(
            False,
            f"{both['sentence_id'].nunique()} of {tested['sentence_id'].nunique()} sentences of the test are "
            f"in training too, first {both['sentence'].iloc[0]!r}: scores will not say how new sentences are "
            "understood; set splits.mode to sentence, or give each sentence one split",
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
