"""Divide clips into train, val and test, and mark the sentences that training has seen."""

import hashlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.dataset.clip_names import named_signers
from signloom.errors import SignloomError
from signloom.params.splits import FoldParams, SplitsParams

Names = npt.NDArray[np.object_]

_SPLITS = ("train", "val", "test")
_OTHER_NAMES = {"training": "train", "dev": "val", "valid": "val", "validation": "val", "testing": "test"}


def make_splits(clips: pd.DataFrame, params: SplitsParams, fold: FoldParams | None = None) -> pd.DataFrame:
    """Return `clip_id, split, sentence_id, seen` of the clips, sorted by clip.

    `clips` needs `clip_id, sentence_id, signer_id, split`. Unsigned clips (sentence_id -1) never train.
    A fold by signer tests that signer, validates on the next one of the list unless `val_share` is 0, and
    trains on the others. A fold by part does so with a part of all signed clips, whatever the mode. A fold by
    clip turns a part of the predefined training clips into val. A share leaves the other training clips out
    of the table. A drawn split that stays empty gives a warning on stderr. Raises SignloomError if no clip is
    left for training, a predefined split is missing or unknown, a signer is missing in mode signer, or the
    folds are impossible.
    """
    made = _divided(clips, params, fold)
    if params.mode != "predefined" and not (fold and fold.by in ("signer", "part")):
        signed = clips["sentence_id"] >= 0
        groups = clips[f"{params.mode}_id"][signed].nunique()
        for name in _empty(made, params):
            print(
                f"warning: splits.mode {params.mode}: {name} has no signed clip; {groups} groups and "
                f"{signed.sum()} clips are too few for splits.{name}_share {_shares(params)[name]:g}",
                file=sys.stderr,
            )
        for words in lopsided(made, params) if fold is None else []:
            print(f"warning: {words}", file=sys.stderr)
    return made


def lopsided(made: pd.DataFrame, params: SplitsParams) -> list[str]:
    """Return in words which drawn parts in `made` have over twice or under half their share of clips."""
    parts = made["split"][made["sentence_id"] >= 0].value_counts()
    found = []
    for name, share in _shares(params).items():
        wanted, count = max(round(share * parts.sum()), 1), parts.get(name, 0)
        if params.mode != "predefined" and share and count and not wanted / 2 <= count <= 2 * wanted:
            found.append(
                f"splits.mode {params.mode}: {name} has {count} of {parts.sum()} signed clips, "
                f"{'over twice' if count > wanted else 'under half of'} splits.{name}_share {share:g}, as "
                f"each {params.mode} goes whole into one part; set splits.mode to clip, or fill the table's "
                "column `split` and set it to predefined"
            )
    return found


def check_table(clips: pd.DataFrame, params: SplitsParams) -> None:
    """Raise SignloomError if `clips` could not be split, learned from and tested, even if none is rejected.

    `clips` is as for `make_splits`. With splits.test_share 0, no test clips are needed.
    """
    made = _divided(clips, params, None)
    learned = made[(made["split"] == "train") & (made["sentence_id"] >= 0)]
    if learned["sentence_id"].nunique() < 2:
        raise SignloomError(
            f"splits.mode {params.mode}: all {len(learned)} training clips have one sentence or gloss "
            f"(sentence_id {learned['sentence_id'].iloc[0]}), and a model needs two to tell apart; check the "
            "table's columns `sentence_id`, `sentence`, `gloss` and `split`"
        )
    if "test" in _empty(made, params):
        raise SignloomError(
            f"splits.mode {params.mode}: none of {(made['sentence_id'] >= 0).sum()} signed clips would be in "
            "test; mark some in the table's column `split`, choose another splits.mode or a larger "
            "splits.test_share, or set splits.test_share to 0 to build without a test"
        )


def check_share(made: pd.DataFrame, name: str) -> None:
    """Raise SignloomError if the share `name` of the training clips, as in `made`, has one sentence."""
    trained = made[made["split"] == "train"]
    if trained["sentence_id"].nunique() < 2:
        raise SignloomError(
            f"runs.folds: {name} % of the training clips are {len(trained)} of one sentence; name larger ones"
        )


def _empty(made: pd.DataFrame, params: SplitsParams) -> list[str]:
    """Return which of test and val have no signed clip in `made`, although the parameters want some."""
    filled = set(made["split"][made["sentence_id"] >= 0])
    return [name for name, share in _shares(params).items() if share > 0 and name not in filled]


def _shares(params: SplitsParams) -> dict[str, float]:
    return {"test": params.test_share, "val": params.val_share}


def _divided(clips: pd.DataFrame, params: SplitsParams, fold: FoldParams | None) -> pd.DataFrame:
    """Return what `make_splits` returns, without a warning."""
    clips = clips.sort_values("clip_id").reset_index(drop=True)
    signed = clips["sentence_id"].to_numpy() >= 0
    if fold and fold.by == "signer":
        split = _left_out(clips, fold, validated=params.val_share > 0)
    elif fold and fold.by == "part":
        split = _tested_part(signed, params, fold)
    else:
        split = _predefined(clips) if params.mode == "predefined" else _drawn(clips, signed, params)
    if fold and fold.by == "clip":
        _hold_out_fold(split, signed, params, fold)
    split[~signed & (split == "train")] = "val"
    if not (split == "train").any():
        raise SignloomError(
            f"splits.mode {params.mode}: no clip is left for training out of {len(clips)}; "
            "check the shares, the table's column `split` and the rejects"
        )
    if fold and fold.by == "share":
        kept = _share(clips, split == "train", int(fold.name), params.seed)
        clips, split, signed = clips[kept].reset_index(drop=True), split[kept], signed[kept]
    trained = clips["sentence_id"][split == "train"].unique()
    seen = (clips["sentence_id"].isin(trained) & signed).astype(int)
    return clips.assign(split=split, seen=seen)[["clip_id", "split", "sentence_id", "seen"]]


def count_splits(splits: pd.DataFrame, clips: pd.DataFrame) -> dict[str, Any]:
    """Return the counts of every split: clips, sentences, signers, unseen clips and unsigned clips."""
    table = splits.merge(clips[["clip_id", "signer_id"]], on="clip_id")
    counts: dict[str, Any] = {}
    for name, part in table.groupby("split", sort=True):
        signed = part[part["sentence_id"] >= 0]
        counts[str(name)] = {
            "clips": len(signed),
            "sentences": int(signed["sentence_id"].nunique()),
            "signers": named_signers(part["signer_id"]),
            "clips_of_unseen_sentences": int((signed["seen"] == 0).sum()),
            "unsigned_clips": len(part) - len(signed),
        }
    return counts


def known_splits(clips: pd.DataFrame) -> pd.Series:
    """Return the column `split` with the names that other corpora give to splits replaced by Signloom's."""
    return clips["split"].fillna("").str.strip().str.lower().replace(_OTHER_NAMES)


def _predefined(clips: pd.DataFrame) -> Names:
    split = known_splits(clips)
    unknown = clips[~split.isin(_SPLITS)]
    if len(unknown):
        first = unknown.iloc[0]
        raise SignloomError(
            f"splits.mode predefined: {len(unknown)} of {len(clips)} clips have no usable split "
            f"(first: {first['clip_id']}, split {first['split']!r}); expected train, val or test, "
            "or set splits.mode to sentence, signer or clip"
        )
    return np.array(split, dtype=object)


def _left_out(clips: pd.DataFrame, fold: FoldParams, validated: bool) -> Names:
    """Return test for the clips of signer `fold.name`, val for the next signer if `validated`, else train."""
    signers = clips["signer_id"].fillna("").str.strip()
    nameless = clips[(signers == "") & (clips["sentence_id"] >= 0)]
    if len(nameless):
        raise SignloomError(
            f"runs.folds: {len(nameless)} signed clips have no signer_id (first: "
            f"{nameless['clip_id'].iloc[0]}); name their signers in the table"
        )
    named = {*signers} - {""}
    for listed, found, where in (
        ({*fold.all}, named, "no clip of it is left; rejects.csv has those that were rejected"),
        (named, {*fold.all}, "runs.folds does not name it"),
    ):
        if missing := sorted(listed - found):
            raise SignloomError(
                f"runs.folds: signer {missing[0]!r}: {where}; expected {sorted(named)}, the signers of "
                "column `signer_id`"
            )
    following = fold.all[(fold.all.index(fold.name) + 1) % len(fold.all)]
    others = np.where((signers == following) & validated, "val", "train")
    return np.where(signers == fold.name, "test", others).astype(object)


def _hold_out_fold(
    split: Names, signed: npt.NDArray[np.bool_], params: SplitsParams, fold: FoldParams
) -> None:
    """Turn the signed training clips of a fold into val; folds differ by at most one clip."""
    training = np.flatnonzero(signed & (split == "train"))
    if params.mode != "predefined":
        raise SignloomError(
            f"runs.fold_by clip divides the table's own training clips; "
            f"expected splits.mode predefined, found {params.mode}"
        )
    if (split == "val").any():
        raise SignloomError(
            f"runs.fold_by clip: the table has {(split == 'val').sum()} val clips of its own; "
            "set runs.folds to [], or take them out of the table"
        )
    split[training[_parts(len(training), "training", params, fold) == fold.all.index(fold.name)]] = "val"


def _tested_part(signed: npt.NDArray[np.bool_], params: SplitsParams, fold: FoldParams) -> Names:
    """Return test for a part of the signed clips, val for the next part unless val_share is 0, else train."""
    split = np.full(len(signed), "train", dtype=object)
    parts, place = _parts(int(signed.sum()), "signed", params, fold), fold.all.index(fold.name)
    rows = np.flatnonzero(signed)
    if params.val_share > 0:
        split[rows[parts == (place + 1) % len(fold.all)]] = "val"
    split[rows[parts == place]] = "test"
    _spread_unsigned(split, signed)
    return split


def _parts(clips: int, kind: str, params: SplitsParams, fold: FoldParams) -> npt.NDArray[np.intp]:
    """Return the part of each clip, drawn so that the sizes of parts differ by at most one."""
    if len(fold.all) > clips:
        raise SignloomError(
            f"runs.folds: {len(fold.all)} folds of {clips} {kind} clips; name at most {clips}"
        )
    return np.random.default_rng(params.seed).permutation(clips) % len(fold.all)


def _spread_unsigned(split: Names, placed: npt.NDArray[np.bool_]) -> None:
    """Put half of the clips without a place, which are unsigned, into each evaluated split, to be refused."""
    unsigned = np.flatnonzero(~placed)
    split[unsigned[0::2]] = "val"
    split[unsigned[1::2]] = "test"


def _share(
    clips: pd.DataFrame, training: npt.NDArray[np.bool_], percent: int, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which rows to keep: `percent` of the training clips, at least one, and all other clips.

    A larger share holds a smaller one. The next clip is of the sentence of which the smallest part was taken,
    then of the signer of whom the smallest part was taken, then drawn. This is Adams' method of
    apportionment: every sentence has a clip before any has a second.
    """
    rows = np.flatnonzero(training)
    order = np.random.default_rng(seed).permutation(len(rows))
    codes = [pd.factorize(clips[name].fillna("").iloc[rows])[0] for name in ("sentence_id", "signer_id")]
    sizes = [np.bincount(code) for code in codes]
    taken = [np.zeros(len(size)) for size in sizes]
    kept = ~training
    for _ in range(max(1, round(percent / 100 * len(rows)))):
        left = np.flatnonzero(~kept[rows])
        for code, size, number in zip(codes, sizes, taken, strict=True):
            part = (number / size)[code[left]]
            left = left[part == part.min()]
        clip = left[order[left].argmin()]
        kept[rows[clip]] = True
        for code, number in zip(codes, taken, strict=True):
            number[code[clip]] += 1
    return kept


def _drawn(clips: pd.DataFrame, signed: npt.NDArray[np.bool_], params: SplitsParams) -> Names:
    """Assign sentences, signers or clips to test, then to val, until each has its share of clips.

    Their order is that of a hash of their names and the seed, so that a new one moves few of the others. A
    group with most of the clips that are left stays for training, which keeps at least one group. In mode
    clip, the last clip of each sentence comes after all others, so that training has the sentence.
    """
    key = f"{params.mode}_id"
    if params.mode == "signer":
        nameless = clips[signed & (clips[key].fillna("").str.strip() == "")]
        if len(nameless):
            raise SignloomError(
                f"splits.mode signer: {len(nameless)} of {signed.sum()} signed clips have no signer_id "
                f"(first: {nameless['clip_id'].iloc[0]}); name their signers in the table, "
                "or set splits.mode to sentence or clip"
            )
    split = np.full(len(clips), "train", dtype=object)
    groups = clips[key][signed].unique()
    sizes = clips[key][signed].value_counts().to_dict()
    queue = sorted(groups, key=lambda group: hashlib.sha256(f"{params.seed}/{group}".encode()).digest())
    if params.mode == "clip":
        sentence = dict(zip(clips[key], clips["sentence_id"], strict=True))
        last = {sentence[clip]: clip for clip in queue}
        queue.sort(key=lambda clip: last[sentence[clip]] == clip)  # stable
    wanted = {name: round(share * signed.sum()) for name, share in _shares(params).items()}
    for number, (name, count) in enumerate(wanted.items(), 1):
        later = sum(count > 0 for count in list(wanted.values())[number:])
        taken = _filling(queue, sizes, count, 1 + later)
        queue = [group for group in queue if group not in taken]
        # who is held out is held out with all clips, those to refuse too
        mine = clips[key].isin(taken).to_numpy()
        split[mine if params.mode == "signer" else mine & signed] = name
    _spread_unsigned(split, signed | (split != "train"))
    return split


def _filling(queue: list[Any], sizes: Mapping[Any, int], wanted: int, others: int) -> set[Any]:
    """Return the first groups of `queue` that together have the `wanted` number of clips.

    A group is left out that would give the part more than wanted and more than what stays for the others. If
    the rest have not half of what is wanted, the smallest group that has is taken instead. `others` is the
    number of parts that need a group too. One group always stays in the queue.
    """
    total = sum(sizes[group] for group in queue)
    taken: set[Any] = set()
    filled = 0
    for group in queue[:-1]:
        if filled >= wanted or (taken and len(queue) - len(taken) <= others):
            break
        if filled + sizes[group] <= max(wanted, total / 2):
            taken.add(group)
            filled += sizes[group]
    ordered = sorted(queue, key=lambda group: sizes[group])  # stable: of equal ones, the first drawn
    if 2 * filled < wanted and len(queue) > others:
        enough = [group for group in ordered[:-1] if wanted <= 2 * sizes[group] <= total]
        taken = {*enough[:1]} or taken
    return taken or ({ordered[0]} if wanted and len(queue) > 1 else set())
