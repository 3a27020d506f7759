"""Whether a corpus is fit to be built: what its table and the headers of its videos show beforehand."""

import contextlib
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from signloom.console import number_of
from signloom.dataset.findings import Finding, about_people_and_texts, about_shared_frames
from signloom.dataset.hashes import HashCache
from signloom.dataset.headers import Header, landmarks_header, read_header, rows_header
from signloom.dataset.landmark_sources import kind_of
from signloom.dataset.manifest import LENGTH_SLACK_S, build_manifest
from signloom.dataset.reject_words import TWIN, place_of
from signloom.dataset.reviewed import left_out
from signloom.dataset.row_files import RowFiles
from signloom.dataset.sources import Table
from signloom.dataset.split_choice import quiet_splits
from signloom.dataset.splits import check_share, check_table, make_splits
from signloom.errors import SignloomError
from signloom.params.dataset import ManifestParams
from signloom.params.schema import Params
from signloom.params.splits import FoldParams
from signloom.params.variants import VARIANTS
from signloom.progress import track

_SHOWN = 5
# of pose.fps: a rate that is nearly as good, and one that is as good as any; what makes a limit worth setting
_NEARLY, _ENOUGH, _WORTH = 0.9, 1.2, 0.8
_TOUCH_S = 0.2  # cuts beside each other may overlap so much


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
    findings += [Finding(False, line) for line in table.warnings]
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
    late = clips["end_s"] > headers["seconds"]  # a header may say less than its frames
    claimed = zip(clips["video_path"][late], clips["end_s"][late], strict=True)
    length = headers["seconds"].copy()
    length[late] = [table.sources.length_s(Path(path), end) for path, end in claimed]
    cut = clips["end_s"].fillna(np.inf).clip(upper=length.fillna(np.inf)) - clips["start_s"].fillna(0.0)
    clips = clips.assign(
        **headers.assign(seconds=cut.where(np.isfinite(cut)), whole_s=length), split="", seen=0
    )
    findings += [
        *_about_rejects(len(rows), rejects, params),
        *_about_consents(rows, rejects, clips),
        *_about_review(pd.concat([clips, manifest.aside]), params),
        *_about_times(clips, params),
        *_about_rates(clips, params),
        *_about_landmarks(clips, params),
        *_about_columns(clips, params),
    ]
    try:
        check_table(manifest.clips, params.splits)
        folds = _folds(manifest.clips, params)
        made = quiet_splits(manifest.clips, params.splits).set_index("clip_id")
        clips = clips.assign(**{name: clips["clip_id"].map(made[name]) for name in ("split", "seen")})
        for name, fold in folds.items():
            divided = clips.assign(split=clips["clip_id"].map(fold.set_index("clip_id")["split"]))
            used = divided["split"].notna() & (divided["sentence_id"] >= 0)  # a share leaves clips out
            findings += about_shared_frames(divided[used], f"in fold {name}, ")
    except SignloomError as error:
        findings.append(Finding(True, str(error)))
    return Facts(clips, len(rows), rejects), [*findings, *about_people_and_texts(clips, params)]


def _folds(clips: pd.DataFrame, params: Params) -> dict[str, pd.DataFrame]:
    """Return the splits of every fold of the runs, by its name.

    Raises SignloomError if a fold is impossible, such as that of a signer without a clip.
    """
    found: dict[str, pd.DataFrame] = {}
    runs, counts = params.runs, dict[int, str]()
    if runs.fold_by == "share":
        whole = quiet_splits(clips, params.splits)
        counts[int((whole["split"] == "train").sum())] = "100"
    for name in runs.folds:
        fold = FoldParams(by=runs.fold_by, name=name, all=[] if runs.fold_by == "share" else runs.folds)
        with contextlib.redirect_stderr(io.StringIO()):
            made = make_splits(clips, params.splits, fold)
        found[name] = made
        if runs.fold_by == "share":
            check_share(made, name)
        count = int((made["split"] == "train").sum())
        if runs.fold_by == "share" and counts.setdefault(count, name) != name:
            raise SignloomError(
                f"runs.folds: {counts[count]} and {name} % are the same {count} training clips; name others"
            )
    return found


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


def _about_consents(rows: pd.DataFrame, rejects: pd.DataFrame, clips: pd.DataFrame) -> Iterator[Finding]:
    """Yield clips that show frames of a row that does not allow training; `rows` have `content`.

    Cuts that only touch do not count.
    """
    refused = rows[rows["row"].isin(rejects["row"][rejects["reason"] == "no_consent"])]
    shown = clips[clips["video_hash"].isin({*refused["content"]} - {""})].groupby("video_hash")
    found: list[tuple[object, str]] = []
    for row in refused[refused["content"].isin(shown.groups)].itertuples():
        same = shown.get_group(row.content)
        start, end, begins = float(row.start_s or 0), float(row.end_s or "inf"), same["start_s"].fillna(0.0)
        length = same["seconds"].fillna(np.inf)  # of some films nobody knows it
        shared = np.minimum(begins + length, end) - np.maximum(begins, start)
        least = np.minimum(0.5 * length.clip(upper=end - start), _TOUCH_S)
        found += [(row.row, clip) for clip in same["clip_id"][shared > least]]
    if found:
        many = number_of(len({clip for _, clip in found}), "clip shows", "clips show")
        yield Finding(
            True,
            f"{many} frames that another row does not allow for training (consent), first {found[0][1]} "
            f"those of {place_of(found[0][0])}; ask the signer, and correct one of the two",
        )


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


def _about_rates(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    """Yield what is wrong with frames a second: rows that are made up, or frames tracked for nothing."""
    pose, limit = params.pose, params.landmarks.max_fps or np.inf
    rates = clips["fps"].clip(upper=limit)
    usual = float(rates.median())
    if params.dataset.holds_features:
        return
    if usual < _NEARLY * pose.fps:
        every = pose.fps / usual
        smoothing = 1 - (1 - pose.smoothing) ** every  # the same in seconds
        yield Finding(
            False,
            f"most clips have {usual:.4g} frames a second and pose.fps is {pose.fps:g}: rows in between are "
            f"made up, which costs accuracy; set pose.fps {usual:.4g}, pose.max_gap "
            f"{round(pose.max_gap / every)} and pose.smoothing {smoothing:.2f}",
        )
    enough = _ENOUGH * pose.fps
    frames, needed = (float((clips["seconds"] * rate).sum()) for rate in (rates, rates.clip(upper=enough)))
    if needed < _WORTH * frames:
        yield Finding(
            False,
            f"clips have up to {rates.max():.4g} frames a second, and pose.fps {pose.fps:g} makes little of "
            f"them: landmarks.max_fps {enough:.4g} tracks {needed / frames:.0%} of the frames",
        )


def _about_columns(clips: pd.DataFrame, params: Params) -> Iterator[Finding]:
    """Yield the column of `positions` that feature rows do not have."""
    p, width = params.positions, int(clips["columns"].min())
    last = max([*(column for point in p.points for column in point.columns), *p.others], default=0)
    if params.dataset.holds_features and 0 < width <= last:
        yield Finding(True, f"positions: column {last} is missing; the rows have {width}, from 0")


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
