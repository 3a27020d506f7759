"""`signloom init`: look at a folder of videos and write the preset that builds it."""

import math
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from signloom.cells import shown
from signloom.console import number_of
from signloom.dataset.folder_contents import (
    Contents,
    Corpus,
    Understood,
    best_reading,
    understand,
    understand_folders,
)
from signloom.dataset.foreign_tables import read_foreign
from signloom.dataset.forms.likely import likely_forms
from signloom.dataset.landmark_openers import LANDMARK_WIDTHS, LandmarksUnreadable, table_shape
from signloom.dataset.landmark_sources import kind_of
from signloom.dataset.split_choice import are_isolated, choose_mode, clips_of_rows, odd_signs, quiet_splits
from signloom.dataset.withdrawn import are_withdrawn, read_withdrawn, same_parts, withdrawn_from
from signloom.errors import SignloomError
from signloom.files import file_sha256, write_csv, write_text
from signloom.gate import FOLDER_FPS
from signloom.inference.bundle import ZIP
from signloom.params.dataset import FEATURE_IMPORTERS, FORMS, ElanTiers
from signloom.params.load import Tree, overlay
from signloom.params.presets import PRODUCT_FOLDERS, isolated_signs, load_presets
from signloom.params.schema import Params
from signloom.params.variants import WITHOUT_VIDEOS
from signloom.preset_names import preset_file
from signloom.progress import track

_PLAIN_FOLDERS = {"video", "videos", "clips", "data", "corpus"}
_CLIPS_A_SHARD = 100
_SHOWN = 6
_WRITTEN = "# Written by"
_ALWAYS = ("table", "videos")
_WHAT = {
    "csv": "a table",
    "elan": "ELAN files",
    "subtitles": "subtitles beside videos",
    "folders": "folders named after signs",
}
_TASK = {"sentences": "", "signs": ", without a sentence decoder: a clip is answered with one sign"}
# what the tutorial has that most MP_Data come from: the frames of a webcam
_MP_DATA: Tree = {"frame_rate": 30.0, "point_order": "mp_data", "picture_size": [640, 480]}
# every frame, and the pixels that the weights of the video network were trained with
_EVERY_FRAME: Tree = {
    "landmarks": {"max_fps": None},
    "pose": {"fps": 25.0, "max_gap": 5, "smoothing": 0.2},
    "sign2text": {"seq_len": 256},
}
_PIXELS: Tree = {"clip_features": {"resize": 256, "crop": 224}}


def init(folder: Path, name: str | None) -> int:
    """Write the preset `name` for the videos in `folder` and print what was understood; return 0.

    Raises SignloomError if the folder cannot be understood or the preset exists.
    """
    base = load_presets([])
    folder = _short(folder)
    name = name or name_of(folder)
    file = _free(name)
    contents = Contents.of(folder)
    found = understand(contents)
    own = None if found.corpus or not contents.clips else _rewritten(contents, name, found)
    corpus = found.corpus or (own.corpus if own else _by_folders(contents, found))
    if corpus is None:
        raise SignloomError(_why_not(contents, found))
    tree, why = _preset(corpus, base)
    params = load_presets([], tree)
    by = f"signloom init {shown(str(folder))}"
    head = f"{_WRITTEN} `{by}`; laid over params.yaml. Products: build/{name}.\n\n"
    lines = _summary(found, corpus, contents, params, why)
    if own:
        lines.append(
            f"  columns   {own.columns}; copied to {own.corpus.table}: from now on, correct that copy"
        )
        write_csv(own.corpus.table, own.table)
    write_text(file, head + _yaml(tree))
    print("\n".join([f"{folder}:", *lines, "", f"{file} is written. Next:", *_next(name, params)]))
    return 0


def _next(name: str, params: Params) -> list[str]:
    """Return the commands from the preset `name` to an answer, one a line."""
    commands = [f"signloom check {name}", f"snakemake --cores all --config preset={name}"]
    if "sign2text" in params.pipeline.families:  # the gloss family alone has no bundle
        commands.append(f"signloom predict VIDEO --bundle build/{name}/export/{ZIP}")
    return [f"  {command}" for command in commands]


class Rewritten(NamedTuple):
    """A table with our columns, the corpus that it makes, and which column was taken for what."""

    table: pd.DataFrame
    corpus: Corpus
    columns: str


def _rewritten(contents: Contents, name: str, found: Understood) -> Rewritten | None:
    """Return the first table whose columns can be guessed, to be written below data/, or None.

    Raises SignloomError if there is a table at its place already.
    """
    for table in contents.tables:
        read = read_foreign(table, contents.root)
        if isinstance(read, str):
            found.notes += [read] if read else []
        else:
            target = Path("data", name, "clips.csv")
            if target.exists() and target.samefile(table) and "csv" in likely_forms(table):
                continue  # it has our columns; the notes say why it could not be used
            if target.exists():
                raise SignloomError(
                    f"init: {target} exists, and a table made from {table} would be written there; "
                    "call its columns as docs/your-videos.md says, or choose another name with --preset NAME"
                )
            with tempfile.TemporaryDirectory() as scratch:
                copy = Path(scratch, "clips.csv")
                write_csv(copy, read[0])
                corpus = best_reading("csv", copy, [contents.root], [], {})
            if corpus:
                found.notes.clear()  # they say that no importer could read the table
                here = ~are_withdrawn(corpus.rows, withdrawn_from(target))
                here &= ~_withdrawn_elsewhere(corpus)
                if not here.any():
                    raise SignloomError(f"init: all {len(here)} clips of {table} were withdrawn")
                if not here.all():
                    found.notes.append(f"{number_of(int((~here).sum()), 'row', 'rows')} of withdrawn clips")
                corpus = corpus._replace(
                    table=target, rows=corpus.rows[here], present=corpus.present[here[corpus.present.index]]
                )
                return Rewritten(read[0][here], corpus, read[1])
    return None


def _withdrawn_elsewhere(corpus: Corpus) -> NDArray[np.bool_]:
    """Return which rows are of videos that a list beside another table below data/ names."""
    # that of a folder lies beside it
    places = sorted({*Path("data").glob("*withdrawn.csv"), *Path("data").glob("*/*withdrawn.csv")})
    listed = pd.concat([read_withdrawn(path) for path in places]) if places else pd.DataFrame()
    if listed.empty:
        return np.zeros(len(corpus.rows), bool)
    paths = [corpus.videos / video for video in corpus.rows["video"]]
    files = {path for path in paths if path.is_file()}
    hashes = {path: file_sha256(path) for path in track(sorted(files), "withdrawn clips", unit="file")}
    return same_parts(corpus.rows, [hashes.get(path, "") for path in paths], listed)


def name_of(folder: Path) -> str:
    """Return a name for the preset of `folder`: its own, or that of the folder around `videos`."""
    parts = [part for part in folder.resolve().parts[1:] if part.lower() not in _PLAIN_FOLDERS]
    name = re.sub(r"[^a-z0-9]+", "_", parts[-1].lower()).strip("_") if parts else ""
    if name[:1].isdigit():
        name = f"clips_{name}"  # Snakemake would read some of these names as numbers
    return name if name and name not in PRODUCT_FOLDERS else "mine"


def _free(name: str) -> Path:
    """Return the path of the preset `name`; raises SignloomError if it cannot have this name."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise SignloomError(
            f"init: --preset {name}: expected a letter, then letters, digits and _, such as my_videos"
        )
    if name in PRODUCT_FOLDERS:
        raise SignloomError(
            f"init: --preset {name}: a folder of this name holds products; choose another one"
        )
    file = preset_file(name)
    if file.exists():
        own = ", or delete it first" if file.read_text("utf-8").startswith(_WRITTEN) else ""
        raise SignloomError(f"init: {file} exists; name another one with --preset NAME{own}")
    return file


def _short(folder: Path) -> Path:
    """Return `folder` relative to the working folder if it is inside; raises SignloomError if it is none."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise SignloomError(f"init: {folder} {found}; expected a folder of videos")
    if set(str(folder)) & {*"{}"}:
        raise SignloomError(f"init: {folder} has a brace, which Snakemake takes for its own; rename it")
    here, there = Path.cwd(), folder.absolute()
    return there.relative_to(here) if there.is_relative_to(here) else folder


def _by_folders(contents: Contents, found: Understood) -> Corpus | None:
    """Return the reading by names of folders, which are signs only where no annotation says otherwise.

    Raises SignloomError for annotations that cannot be used: their folders may be those of people.
    """
    unusable = found.notes[:1]
    corpus = understand_folders(contents, found.notes)
    if corpus and unusable:
        names = _some(sorted(set(corpus.present["sentence"])))
        raise SignloomError(
            f"init: {unusable[0]}. If the names of the folders are the signs instead ({names}), "
            f"move the file out of {contents.root}"
        )
    return corpus


def _why_not(contents: Contents, found: Understood) -> str:
    """Return why a folder cannot be understood, in one line."""
    if table := next((table for table in contents.tables if "fairseq" in likely_forms(table)), None):
        return (
            f"init: {table} is a table of fairseq, which does not say how many rows make a second; write a "
            "preset with dataset.importer fairseq and dataset.frame_rate (docs/annotation-forms.md, fairseq)"
        )
    if not contents.clips and not contents.rows:
        return (
            f"init: {contents.root} holds no video and no folder of pictures; give the folder of the videos"
        )
    if found.notes:
        return f"init: {found.notes[0]}"
    if not contents.clips:
        return (
            f"init: {contents.root} holds {len(contents.rows)} files of rows and nothing that says what is "
            "signed; write a table, and for feature rows a preset with dataset.features true and "
            "dataset.frame_rate (docs/annotation-forms.md, Feature rows)"
        )
    videos = number_of(len(contents.clips), "video", "videos")
    return (
        f"init: {contents.root} holds {videos} and nothing that says what is signed; "
        "put each into a folder named after its sign, or write a table (docs/your-videos.md)"
    )


def _preset(corpus: Corpus, base: Params) -> tuple[Tree, str]:
    """Return the keys in which the preset differs from `base`, and why clips are divided as they are."""
    rows = corpus.present
    isolated = are_isolated(rows)
    mode, why = choose_mode(clips_of_rows(rows), base.splits, isolated)
    families = _families(corpus, isolated)
    tree = {
        "pipeline": {"families": families},
        "dataset": {
            "importer": corpus.importer,
            "table": corpus.table.as_posix(),
            "elan": [_tiers(person) for person in corpus.elan],
            "videos": corpus.videos.as_posix(),
            **_assumed(corpus),
            "variations": None,
        },
        "shards": {"count": max(base.shards.count, math.ceil(len(rows) / _CLIPS_A_SHARD))},
        **_from(corpus, "gloss" in families),
        "splits": {"mode": mode},
    }
    if isolated:
        # features that are there have the rate that they have
        signs = {name: keys for name, keys in isolated_signs().items() if name not in ("landmarks", "pose")}
        tree = overlay(tree, signs)
    return _differing(tree, base.model_dump(mode="json")), why


def _from(corpus: Corpus, glosses: bool) -> Tree:
    """Return how features are made from what a clip of `corpus` is: rows, landmarks or a video."""
    if corpus.importer in FEATURE_IMPORTERS or "features" in _assumed(corpus):
        return {"gloss": {"variants": list(WITHOUT_VIDEOS)}} if glosses else {}
    if glosses and any(kind_of(corpus.videos / video) for video in corpus.present["video"]):
        return _EVERY_FRAME | {"gloss": {"variants": list(WITHOUT_VIDEOS)}}
    return _EVERY_FRAME | (_PIXELS if glosses else {})


def _assumed(corpus: Corpus) -> Tree:
    """Return what files of landmarks do not say, as the programs that write most of them have it."""
    kind = kind_of(corpus.videos / corpus.present["video"].iloc[0])
    if kind in ("openpose", "wholebody"):
        return {"frame_rate": FOLDER_FPS}
    if kind == "rows" and corpus.importer not in FEATURE_IMPORTERS:
        landmarks = {name: _MP_DATA[name] for name in ("frame_rate", "picture_size")}
        return (
            landmarks if _width(corpus) in LANDMARK_WIDTHS else {"features": True, "frame_rate": FOLDER_FPS}
        )
    return dict(_MP_DATA) if kind == "frames" else {}


def _width(corpus: Corpus) -> int:
    """Return the columns of the first file of rows; 0 if they cannot be those of landmarks."""
    path = corpus.videos / corpus.present["video"].iloc[0]
    try:
        return table_shape(path)[1]
    except LandmarksUnreadable:
        return 0


def _families(corpus: Corpus, isolated: bool) -> list[str]:
    """Return the families that can learn from the texts; isolated signs are answered by retrieval."""
    signed = corpus.present[corpus.present["sentence"] != ""]
    if isolated or (signed["gloss"] == "").all():
        return ["sign2text"]
    only_glosses = (signed["gloss"] == signed["sentence"]).all()
    return ["gloss"] if only_glosses else ["sign2text", "gloss"]


def _tiers(person: ElanTiers) -> Tree:
    return {key: value for key, value in person.model_dump().items() if value}


def _differing(tree: Tree, base: Tree) -> Tree:
    """Return the part of `tree` that differs from `base`, and where the corpus lies."""
    found: Tree = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            if inner := _differing(value, base[key]):
                found[key] = inner
        elif value != base[key] or key in _ALWAYS:
            found[key] = value
    return found


def _yaml(tree: Tree) -> str:
    """Return `tree` as YAML; a text that begins with a digit is quoted: 1.1 and 1.2 read `08` differently."""

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, '"' if value[:1].isdigit() else None)

    kind: Any = type("Quoting", (yaml.SafeDumper,), {})  # the library itself is left as it is
    kind.add_representer(str, text)
    return str(yaml.dump(tree, Dumper=kind, sort_keys=False, allow_unicode=True))


def _summary(found: Understood, corpus: Corpus, contents: Contents, params: Params, why: str) -> list[str]:
    """Return what was understood, one line for each thing."""
    rows = corpus.present
    signed = rows[rows["sentence"] != ""]
    lacking = len(rows) - len(signed)
    kind = "signs" if are_isolated(rows) else "sentences"
    names = Counter(signed["sentence"])
    signers = sorted(set(rows["signer_id"]) - {""})
    made = quiet_splits(clips_of_rows(rows), params.splits)
    sizes = Counter(made["split"][made["sentence_id"] >= 0])
    what = _WHAT.get(corpus.importer) or ("a table" if corpus.importer in FORMS else "the corpus's files")
    lines = [
        f"form      {what}: importer {corpus.importer}, table {corpus.table}, videos {corpus.videos}",
        f"clips     {len(rows)}" + (f", {lacking} of them without a text" if lacking else ""),
        f"{kind:<9} {len(names)}: {_some(list(names))}",
        f"signers   {f'{len(signers)}: {_some(signers)}' if signers else 'not named'}",
        f"splits    {params.splits.mode}: {why}; "
        + ", ".join(f"{split} {sizes[split]}" for split in ("train", "val", "test")),
        f"models    {', '.join(params.pipeline.families)}{_TASK[params.sign2text.task]}",
        *([f"look at   {odd}"] if (odd := odd_signs(rows)) else []),
        *_about_tiers(found, corpus),
        *_about_landmarks(corpus),
        *(f"not used  {line}" for line in _left_out(found, corpus, contents)),
    ]
    return [f"  {line}" for line in lines]


def _about_tiers(found: Understood, corpus: Corpus) -> list[str]:
    lines = [
        f"tiers     sentences {person.sentence}; glosses {', '.join(person.gloss) or 'none'}"
        for person in corpus.elan
    ]
    return [*lines, f"          all tiers: {_some(list(found.tiers), 30)}"] if lines else []


def _about_landmarks(corpus: Corpus) -> list[str]:
    if not (assumed := _assumed(corpus)):
        return []
    said = ", ".join(f"{key} {value}" for key, value in assumed.items())
    return [f"assumed   {said}: the files do not say it; correct it in the preset if it is different"]


def _left_out(found: Understood, corpus: Corpus, contents: Contents) -> list[str]:
    """Return lines about rows without a video, videos without a row, and files that could not be read."""
    rows = corpus.rows
    lost = rows[~rows.index.isin(corpus.present.index)]
    lines = []
    if len(lost):
        count = number_of(len(lost), "row", "rows")
        lines.append(f"{count} without a video; first: {_first(list(lost['video']))}")
    named = {(corpus.videos / video) for video in corpus.present["video"]}
    # a folder of pictures may be named with the folder above it
    spare = [clip for clip in contents.clips if not named & {clip, clip.parent}]
    if spare and not any(".csv#" in video for video in corpus.present["video"]):
        lines.append(f"{number_of(len(spare), 'video', 'videos')} without a text; first: {spare[0]}")
    # forms whose files have the names of the chosen one's
    return lines + [note for note in found.notes if not note.startswith(f"{corpus.table} looks like")]


def _first(values: list[str]) -> str:
    return values[0] or "a row that names none"


def _some(values: list[str], most: int = _SHOWN) -> str:
    """Return the first values, and how many there are besides."""
    return ", ".join(values[:most]) + (f" and {len(values) - most} more" if len(values) > most else "")
