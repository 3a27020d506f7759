"""Check the rows of an annotation table one by one: the manifest, its rejects and the shard lists."""

import hashlib
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeGuard

import pandas as pd
from pydantic import Field, TypeAdapter, ValidationError

from signloom.cells import CONTROL, shown
from signloom.console import number_of
from signloom.dataset.clip_ids import clip_ids
from signloom.dataset.clip_names import named_signers, refuse_copy_names
from signloom.dataset.consent import allows, read_consent, read_until
from signloom.dataset.forms.general import ANNOTATIONS
from signloom.dataset.forms.texts import no_underscore, one_form, seconds_hint
from signloom.dataset.hashes import HashCache
from signloom.dataset.probe import skipped_pictures
from signloom.dataset.probes import Probes
from signloom.dataset.reject_words import BAD_ROW, REVIEWED, SAME_ID, TWIN, place_of
from signloom.dataset.reviewed import relabelled, set_aside
from signloom.dataset.row_gate import PROBLEM
from signloom.dataset.shard_names import shard_names, shard_of
from signloom.dataset.sources import Sources, Table
from signloom.errors import SignloomError
from signloom.gate import LONGEST_GAP_S
from signloom.params.dataset import DatasetParams, ManifestParams
from signloom.progress import track

MANIFEST_COLUMNS = ["clip_id", "video_path", *ANNOTATIONS, "video_hash", "n_bytes", "largest_gap_s"]
REJECT_COLUMNS = ["clip_id", "video_path", "row", "reason", "detail"]
SHARD_COLUMNS = ["clip_id", "video_path", "start_s", "end_s", "video_hash"]

LENGTH_SLACK_S = 0.1  # tables and headers of files round times
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_GLOSS_TIMES = TypeAdapter(list[tuple[_Seconds, _Seconds]])
# what no two clips may share: content hash, start and end in seconds (-1 if not given)
_Content = tuple[str, float, float]


class Reject(Exception):
    """Raised for a row that cannot become a clip."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Manifest:
    """Accepted clips, sorted by id, rejected rows in the order of the table, and clips set aside by a review.

    The last are among the rejects too. Their shards keep them, so that a decision costs no landmarks.
    """

    clips: pd.DataFrame
    rejects: pd.DataFrame
    aside: pd.DataFrame

    def shard(self, name: str, count: int) -> pd.DataFrame:
        """Return the list of shard `name` out of `count`: its clips and their content hashes."""
        clips = (
            pd.concat([self.clips, self.aside]).sort_values("clip_id", ignore_index=True)
            if len(self.aside)
            else self.clips
        )
        mine = [shard_of(clip_id, count) == name for clip_id in clips["clip_id"]]
        return clips.loc[mine, SHARD_COLUMNS]

    def counts(self) -> dict[str, Any]:
        """Return the counts for metrics/manifest.json."""
        signed = self.clips[self.clips["sentence_id"] >= 0]
        return {
            "clips": len(self.clips),
            "sentences": int(signed["sentence_id"].nunique()),
            "signers": named_signers(self.clips["signer_id"]),
            "unsigned_clips": len(self.clips) - len(signed),
            "bytes": int(self.clips["n_bytes"].sum()),
            "rejected": self.rejects["reason"].value_counts().sort_index().to_dict(),
        }


def build_manifest(
    rows: pd.DataFrame,
    dataset: DatasetParams,
    params: ManifestParams,
    hashes: HashCache,
    probes: Probes | None = None,
) -> Manifest:
    """Check every row of the table of `dataset` and return accepted clips and rejected rows.

    Videos that `probes` knows are not opened again.
    Raises SignloomError if there is no row, or if too many rows are rejected.
    """
    root = Path(dataset.videos)
    if not root.is_dir():
        raise SignloomError(f"dataset.videos: {root} is not a folder")
    paths, ids = [root / video for video in rows["video"]], clip_ids(rows)
    if rows.empty:
        raise SignloomError(f"{dataset.table}: the table has no clip; add at least one row")
    rows = relabelled(rows, ids, dataset)
    variations = _load_variations(dataset.variations)
    checks = _Checks(Sources(dataset, paths, hashes, probes), variations)
    clips: list[dict[str, Any]] = []
    rejects: list[tuple[Any, ...]] = []
    named = zip(rows.to_dict("records"), paths, ids, strict=True)
    for row, path, clip_id in track(list(named), "manifest", unit="row"):
        try:
            clips.append(checks.clip(row, path, clip_id))
        except Reject as why:
            video_path = path.as_posix() if clip_id else ""
            rejects.append((clip_id, video_path, row["row"], why.reason, why.detail))
    if checks.too_long:
        which = number_of(len(checks.too_long), "clip ends after its", "clips end after their")
        print(f"warning: {which} video; first: {checks.too_long[0]}", file=sys.stderr)
    if checks.lost:
        which = number_of(len(checks.lost), "folder of pictures lacks", "folders of pictures lack")
        print(f"warning: {which} numbers, so times are wrong; first: {checks.lost[0]}", file=sys.stderr)
    if len(rejects) > params.max_reject_ratio * len(rows) or not clips:
        *_, number, reason, detail = rejects[0]
        limit = f"more than manifest.max_reject_ratio {params.max_reject_ratio:g}"
        raise SignloomError(
            f"{dataset.table}: {len(rejects)} of {len(rows)} rows rejected, "
            f"{limit if clips else 'and no clip is left'}; first: {place_of(number)}: {reason}: {detail}"
        )
    kept = pd.DataFrame(clips, columns=MANIFEST_COLUMNS).sort_values("clip_id", ignore_index=True)
    refuse_copy_names(kept["clip_id"])
    lines = {clip: checks.ids[one_form(clip)] for clip in kept["clip_id"]}
    return _without_set_aside(kept, rejects, lines, dataset.review)


def _without_set_aside(
    clips: pd.DataFrame, rejects: list[tuple[Any, ...]], lines: dict[str, Any], review: str | None
) -> Manifest:
    """Return the manifest of `clips` without those that the review sets aside; `lines` are rows by clip."""
    notes = set_aside(clips, review)
    out = clips["clip_id"].isin(list(notes))
    paths = dict(zip(clips["clip_id"], clips["video_path"], strict=True))
    reviewed = [(clip, paths[clip], lines[clip], REVIEWED, note) for clip, note in notes.items()]
    if out.all():
        raise SignloomError(f"{review}: every clip is set aside; keep at least one")
    rejected = pd.DataFrame([*rejects, *reviewed], columns=REJECT_COLUMNS)
    return Manifest(clips[~out].reset_index(drop=True), rejected, clips[out])


def shard_digests(table: Table, count: int) -> dict[str, str]:
    """Return a digest for each of `count` shards, before the manifest is built.

    A shard's list stays the same as long as its digest does. The digest covers the shard's rows, whether the
    table alone makes each row acceptable, and the content hashes, which decide whether a clip can be read.
    """
    paths, ids = table.paths, clip_ids(table.rows)
    checks = _Checks(table.sources, {})
    rows = relabelled(table.with_content(), ids, table.dataset)
    entries: dict[str, list[str]] = {name: [] for name in shard_names(count)}
    for row, path, clip_id in zip(rows.to_dict("records"), paths, ids, strict=True):
        if clip_id:
            content = checks.sources.hashes.get(path)
            entry = [clip_id, path.as_posix(), content, checks.would_accept(row, path, clip_id)]
            entries[shard_of(clip_id, count)].append(json.dumps(entry))
    return {
        name: hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() for name, lines in entries.items()
    }


@dataclass
class _Checks:
    """The checks of one row, which include comparisons with the rows above it."""

    sources: Sources
    variations: dict[int, list[str]]
    seen: dict[_Content, tuple[str, Any]] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)  # rows by the id of their clip as people read it
    sentences: dict[int, tuple[str, str]] = field(default_factory=dict)
    too_long: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    first_rows: tuple[int, Path] | None = None  # columns of the first feature rows, and their file

    def clip(self, row: dict[str, Any], path: Path, clip_id: str) -> dict[str, Any]:
        """Return the manifest row of one clip, or raise Reject with the first problem."""
        found, content = self._said(row, path, clip_id)
        if problem := self.sources.why_unreadable(path):
            raise Reject("unreadable", problem)
        self._check_width(path)
        start, end = (0.0 if math.isnan(time) else time for time in (found["start_s"], found["end_s"]))
        self._check_cut(path, found["clip_id"], start, end)
        gap = self._check_gap(path, start, end or math.inf)
        self._accept(clip_id, row["row"], content)
        size = self.sources.size(path)
        return {**found, "video_hash": self.sources.hashes[path], "n_bytes": size, "largest_gap_s": gap}

    def _check_width(self, path: Path) -> None:
        """Raise SignloomError if feature rows have other columns than those of the first clip."""
        if not self.sources.dataset.holds_features:
            return
        columns = self.sources.shape(path)[1]
        first, where = self.first_rows = self.first_rows or (columns, path)
        if columns != first:
            raise SignloomError(
                f"{where} has rows of {first} columns, and {path} of {columns}; expected one width"
            )

    def _check_gap(self, path: Path, start: float, end: float) -> float:
        """Return the longest pause between frames in seconds; reject a damaged time; note lost pictures."""
        gap = self.sources.largest_gap_s(path, start, end)
        if gap > LONGEST_GAP_S:
            raise Reject("bad_times", f"{gap:g} s between two frames; a pause is {LONGEST_GAP_S:g} s at most")
        if lost := skipped_pictures(path):
            self.lost.append(lost)
        return gap

    def _check_cut(self, path: Path, clip_id: str, start: float, end: float) -> None:
        """Reject a clip that begins after the end of its video; note one that ends after it."""
        length = self.sources.length_s(path, max(start, end)) if start or end else None
        if length is None or max(start, end) <= length + LENGTH_SLACK_S:
            return
        cut = f"cut {start:g} s to {f'{end:g} s' if end else 'the end'}, video {length:.2f} s"
        if start >= length:
            raise Reject("past_end", f"begins after the end of the video: {cut}")
        self.too_long.append(f"clip {clip_id}: {cut}")

    def _last_s(self, path: Path, end: float) -> float:
        """Return the end of a cut in seconds; infinity for one that goes to the end of its video."""
        length = None if math.isnan(end) else self.sources.length_s(path, end)
        return math.inf if math.isnan(end) or (length is not None and end >= length) else end

    def would_accept(self, row: dict[str, Any], path: Path, clip_id: str) -> bool:
        """Return whether a row passes all checks that do not read its content."""
        try:
            _, content = self._said(row, path, clip_id)
        except Reject:
            return False
        self._accept(clip_id, row["row"], content)
        return True

    def _said(self, row: dict[str, Any], path: Path, clip_id: str) -> tuple[dict[str, Any], _Content]:
        """Return what the table says about one clip, checked against the rows above it, and its content."""
        if row[PROBLEM]:
            raise Reject(BAD_ROW, row[PROBLEM])
        if path == self.sources.root:
            raise Reject("missing", "the row names no video")
        if not self.sources.is_inside(path):
            raise Reject("outside_root", f"{row['video']} is outside {self.sources.root}")
        if problem := self.sources.why_shut(path):
            raise Reject("unreadable", problem)
        if missing := self.sources.why_missing(path):
            raise Reject("missing", missing)
        start, end = _time(row, "start_s"), _time(row, "end_s")
        if not math.isnan(end) and end <= (0.0 if math.isnan(start) else start):
            raise Reject(BAD_ROW, f"end_s {end:g} is not after start_s {start:g}")
        if not self.sources.can_be_cut(path) and (start == start or end == end):
            raise Reject(BAD_ROW, "a clip of a table cannot be cut; leave start_s and end_s empty")
        sentence = row["sentence"]
        sentence_id = _sentence_id(row, signed=bool(sentence))
        found = {
            "clip_id": clip_id,
            "video_path": path.as_posix(),
            **{name: row[name] for name in ANNOTATIONS},
            "start_s": start,
            "end_s": end,
            "sentence_id": sentence_id,
            "gloss_times": _gloss_times(row),
            **_consent(row),
            "text_variations": _variations_of(row, sentence, self.variations.get(sentence_id, [])),
        }
        first, first_clip = self.sentences.get(sentence_id, (sentence, clip_id))
        if first != sentence:
            detail = f"sentence_id {sentence_id} means {sentence!r} here and {first!r} in clip {first_clip}"
            raise Reject("conflicting_sentence", detail)
        # recorded for unreadable clips too: contradictions depend on the table alone
        if sentence:
            self.sentences[sentence_id] = (first, first_clip)
        begun = 0.0 if math.isnan(start) else start
        content = self.sources.hashes[path], begun, self._last_s(path, end)
        if content in self.seen:
            other, line = self.seen[content]
            same = f"is the same part of the same video as row {line}"
            raise Reject("duplicate", same if other == clip_id else f"{TWIN}{other}")
        if (line := self.ids.get(one_form(clip_id))) is not None:
            raise Reject(SAME_ID, f"row {line} has the clip id {clip_id} too; rename one of the two files")
        return found, content

    def _accept(self, clip_id: str, line: Any, content: _Content) -> None:
        self.seen[content] = clip_id, line
        self.ids[one_form(clip_id)] = line


def _time(row: dict[str, Any], column: str) -> float:
    """Return the time in seconds, or NaN for an empty cell."""
    if row[column] == "":
        return math.nan
    try:
        value = float(no_underscore(row[column]))
    except ValueError:
        value = math.nan
    if not value >= 0 or math.isinf(value):
        raise Reject(BAD_ROW, f"{column} {row[column]!r} is not a time in seconds{seconds_hint(row[column])}")
    return value


def _consent(row: dict[str, Any]) -> dict[str, str]:
    """Return `consent` and `until` of the row in one form; reject a clip that may not be trained on."""
    try:
        consent, until = read_consent(row["consent"]), read_until(row["until"])
    except ValueError as error:
        raise Reject(BAD_ROW, str(error)) from None
    if not allows(consent, "train"):
        raise Reject("no_consent", f"the consent {consent!r} does not include train")
    return {"consent": consent, "until": until.isoformat() if until else ""}


def _sentence_id(row: dict[str, Any], signed: bool) -> int:
    """Return the sentence id; -1 means that nothing is signed in the clip."""
    try:
        number = int(no_underscore(row["sentence_id"]) or "-1")
    except ValueError:
        raise Reject(BAD_ROW, f"sentence_id {row['sentence_id']!r} is not a whole number") from None
    if signed and not 0 <= number < 2**31:
        raise Reject(BAD_ROW, f"sentence_id {row['sentence_id']!r} is not a number from 0 to 2147483647")
    if not signed and number >= 0:
        raise Reject(BAD_ROW, f"sentence_id is {number}, but the row has no sentence and no glosses")
    return number if signed else -1


def _gloss_times(row: dict[str, Any]) -> str:
    """Return [start_s, end_s] of every gloss of the row as a JSON list, or "" if the times are unknown."""
    given, count = row["gloss_times"].strip(), len(row["gloss"].split())
    if not given:
        return ""
    try:
        times = _GLOSS_TIMES.validate_json(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part}]" for part in first["loc"])
        raise Reject(
            "bad_gloss_times", f"gloss_times{where}: {first['msg']}; expected [[start_s, end_s], ...] as JSON"
        ) from None
    if len(times) != count:
        raise Reject("bad_gloss_times", f"{len(times)} pairs of gloss_times for {count} glosses")
    before = 0.0
    for number, (start, end) in enumerate(times, start=1):
        if end < start:
            raise Reject("bad_gloss_times", f"gloss {number} ends at {end:g} s, before its start {start:g} s")
        if start < before:
            detail = f"gloss {number} starts at {start:g} s, before gloss {number - 1} ({before:g} s)"
            raise Reject("bad_gloss_times", detail)
        before = start
    return json.dumps(times) if times else ""


def _load_variations(path: str | None) -> dict[int, list[str]]:
    if path is None:
        return {}
    try:
        given = json.loads(Path(path).read_text("utf-8-sig"))
        numbers = {int(number): texts for number, texts in given.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise SignloomError(
            f"dataset.variations: {path}: expected a JSON object that maps each sentence_id to a list of "
            f"texts: {error}"
        ) from error
    for number, texts in numbers.items():
        if not _are_texts(texts) or not all(text.strip() for text in texts):
            wrong = "expected a list of non-empty texts"
        elif any(CONTROL.search(one_form(text)) for text in texts):
            wrong = "expected texts without control characters"
        else:
            continue
        raise SignloomError(f"dataset.variations: {path}: sentence_id {number}: {wrong}, found {texts!r}")
    return {number: [one_form(text) for text in texts] for number, texts in numbers.items()}


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _variations_of(row: dict[str, Any], sentence: str, given: list[str]) -> str:
    """Return the variations of `sentence` as a JSON list, first those of the file, then those of the row."""
    own = row["text_variations"]
    try:
        texts = json.loads(own) if own.strip() else []
    except ValueError:
        texts = None
    if not _are_texts(texts):
        raise Reject(BAD_ROW, f"text_variations {own!r} is not a JSON list of texts")
    if bad := next((text for text in texts if CONTROL.search(one_form(text))), None):
        raise Reject(BAD_ROW, f"text_variations holds what cannot be shown: {shown(bad)}")
    unique = dict.fromkeys([*given, *(one_form(text) for text in texts)])
    return json.dumps([text for text in unique if text and text != sentence], ensure_ascii=False)
