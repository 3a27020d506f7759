"""Write the whole corpus: videos in parallel, then tables and ground truth. It can be killed and resumed."""

import difflib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from demo_corpus.body import Array
from demo_corpus.clothes import Body
from demo_corpus.figure import Figure
from demo_corpus.gestures import gesture
from demo_corpus.lexicon import SIGNS
from demo_corpus.motion import Motion, signing
from demo_corpus.render import Frame, Stage, write_video
from demo_corpus.sentences import SEED, Clip, clips, sentences
from demo_corpus.signers import BY_ID
from signloom.files import atomic, read_csv, write_csv, write_json
from signloom.progress import track

TRUTH_STEP = 2  # every second frame is in the joint file
TOO_FEW, FROZEN = 30, 60  # lengths in frames of two clips that must be rejected
TOO_SHORT_S = 0.4  # the table ends the clip of too few frames here
LEAVING = 68  # length in frames of the clip in which the person leaves
BROKEN_BYTES = 4096


@lru_cache(maxsize=1)
def _stage(signer_id: str, figure: bool = True) -> tuple[Figure, Stage]:
    body = Body(BY_ID[signer_id])
    return Figure(body, BY_ID[signer_id]), Stage(body, BY_ID[signer_id], figure)


def _rng(clip: Clip) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32(clip.clip_id.encode())])


def motion_of(clip: Clip, figure: Figure) -> Motion:
    """Return the motion of a clip, which depends on the clip and the figure alone."""
    signer = BY_ID[clip.signer_id]
    if clip.kind == "unsigned":
        number = int(clip.note) - 1 + (6 if signer.split == "test" else 0)
        return gesture(number, signer, figure.face_from_chest, _rng(clip))
    assert clip.sentence is not None
    return signing(list(clip.sentence.glosses), signer, figure.face_from_chest, _rng(clip))


def frames_of(clip: Clip, figure: Figure, stage: Stage) -> Iterator[Frame]:
    """Yield the pictures of a clip."""
    motion = motion_of(clip, figure)
    posed = figure.pose(motion)
    for k in _frame_order(clip, motion):
        heads = posed.heads[k].copy()
        if clip.note == "low_detection":
            heads[:, 0] += _leaving(k)
        yield stage.draw(posed.deltas[k], heads, motion.face[k])


def _frame_order(clip: Clip, motion: Motion) -> list[int]:
    if clip.note == "too_few_frames":
        return list(range(TOO_FEW))
    if clip.note == "low_motion":
        return [0] * FROZEN
    if clip.note == "low_detection":
        return [min(k, motion.frames - 1) for k in range(LEAVING)]
    return list(range(motion.frames))


def _leaving(frame: int) -> float:
    """Return the sideways shift in metres of a person who walks out of the picture."""
    return 0.11 * max(frame - 12, 0)


def _empty_room(signer_id: str) -> Iterator[Frame]:
    """Yield 58 frames of an empty room: a wall, a table edge, a picture and a slowly moving shadow."""
    signer = BY_ID[signer_id]
    width, height = signer.size
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wall = np.array(signer.wall[1]) * (1 - y[..., None]) + np.array(signer.wall[0]) * y[..., None]
    wall[(y > 0.78)] = (0.42, 0.33, 0.26)
    wall[(x > 0.62) & (x < 0.86) & (y > 0.16) & (y < 0.46)] = (0.30, 0.42, 0.50)
    wall[(x > 0.64) & (x < 0.84) & (y > 0.19) & (y < 0.43)] = (0.82, 0.78, 0.62)
    for k in range(58):
        shade = 1 - 0.22 * np.exp(-(((x - 0.1 - 0.012 * k) / 0.16) ** 2))
        yield np.ascontiguousarray((wall * shade[..., None] * 255).round().astype(np.uint8))


def make_clip(clip: Clip, videos: Path) -> None:
    """Write one video under ``videos``."""
    path = videos / f"{clip.clip_id}.mp4"
    signer = BY_ID[clip.signer_id]
    if clip.note == "unreadable":
        with atomic(path) as part:
            noise = np.random.default_rng(SEED).integers(0, 256, BROKEN_BYTES, dtype=np.uint8).tobytes()
            part.write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + noise)
        return
    if clip.note == "no_person":
        pictures = _empty_room(clip.signer_id)
    else:
        pictures = frames_of(clip, *_stage(clip.signer_id))
    write_video(path, pictures, signer.fps, signer.size)


def unknown_ids(ids: list[str]) -> str:
    """Return which of `ids` is no clip of the corpus and which one may be meant, or ""."""
    known = [clip.clip_id for clip in clips()]
    for one in ids:
        if one not in known:
            close = difflib.get_close_matches(one, known, n=1)
            return f"--only: no clip {one!r}" + (f" (did you mean {close[0]!r}?)" if close else "")
    return ""


def make_videos(output: Path, jobs: int, only: list[str] | None = None) -> None:
    """Render every clip that does not exist yet, ``jobs`` at a time."""
    videos = output / "videos"
    wanted = [
        c
        for c in clips()
        if (only is None or c.clip_id in only) and not (videos / f"{c.clip_id}.mp4").exists()
    ]
    wanted.sort(key=lambda c: (c.signer_id, c.clip_id))
    for leftover in videos.rglob(".*partial*"):
        leftover.unlink()
    # processes are spawned, because VTK must not be forked
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        done = as_completed([pool.submit(make_clip, clip, videos) for clip in wanted])
        for finished in track(done, "render", total=len(wanted)):
            finished.result()


def clip_table(times: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``clips.csv``; ``times`` are those of ``truth/gloss_times.csv``."""
    spans = {
        clip_id: json.dumps(part[["start_s", "end_s"]].to_numpy().tolist())
        for clip_id, part in times.groupby("clip_id")
    }
    rows = []
    for clip in clips():
        s = clip.sentence
        rows.append(
            {
                "video": f"{clip.clip_id}.mp4",
                "sentence_id": s.sentence_id if s else -1,
                "sentence": s.texts[0] if s else "",
                "gloss": " ".join(s.glosses) if s else "",
                "gloss_times": spans.get(clip.clip_id, ""),
                "category": s.topic if s and clip.kind == "signed" else clip.kind,
                "signer_id": clip.signer_id,
                "split": clip.split,
                "end_s": str(TOO_SHORT_S) if clip.note == "too_few_frames" else "",
            }
        )
    return pd.DataFrame(rows).sort_values("video")


def lexicon_table() -> pd.DataFrame:
    """Return the rows of ``lexicon.csv``."""
    words = {"one": "one", "two": "two, alike", "base": "two, the other holds still"}
    table = pd.DataFrame(list(SIGNS)).rename(columns={"face": "actions", "face_note": "face"})
    shown = ["gloss", "english", "handshape", "place", "movement", "hands", "face"]
    return table[shown].assign(hands=table["hands"].map(words))


def write_tables(output: Path) -> None:
    """Write the clip table, the sentence variations and the lexicon; the table has the times of the truth."""
    write_csv(output / "clips.csv", clip_table(read_times(output)))
    write_csv(output / "lexicon.csv", lexicon_table())
    write_json(output / "sentence_variations.json", {str(s.sentence_id): list(s.texts) for s in sentences()})


def read_times(output: Path) -> pd.DataFrame:
    """Return the gloss times that ``write_truth`` wrote."""
    return read_csv(output / "truth" / "gloss_times.csv")


def write_truth(output: Path) -> None:
    """Write gloss times of signed clips, and joints of clips that show a person in every frame."""
    arrays: dict[str, Array] = {}
    rows: list[tuple[str, int, str, float, float]] = []
    names: list[str] = []
    chosen = [c for c in clips() if c.kind != "bad"]
    for clip in track(sorted(chosen, key=lambda c: (c.signer_id, c.clip_id)), "ground truth"):
        figure, stage = _stage(clip.signer_id, False)
        motion = motion_of(clip, figure)
        names, joints = figure.joints(figure.pose(motion))
        joints = joints[::TRUTH_STEP]
        pixels = (stage.camera.project(joints) * 2).round() / 2
        arrays[clip.clip_id.replace("/", "__")] = np.concatenate([pixels, joints], axis=-1).astype(np.float16)
        rows += [
            (clip.clip_id, i, t.gloss, round(t.start, 3), round(t.end, 3)) for i, t in enumerate(motion.signs)
        ]
    times = pd.DataFrame(rows, columns=["clip_id", "index", "gloss", "start_s", "end_s"])
    write_csv(output / "truth" / "gloss_times.csv", times.sort_values(["clip_id", "index"]))
    write_json(
        output / "truth" / "joint_names.json",
        {
            "joints": names,
            "values": ["x_px", "y_px", "X_m", "Y_m", "Z_m"],
            "frame_step": TRUTH_STEP,
            "axes": "metres from the hips' middle: X to the signer's left, Y backwards, Z up",
        },
    )
    write_npz(output / "truth" / "joints.npz", arrays)


def write_npz(path: Path, arrays: dict[str, Array]) -> None:
    """Write as ``np.savez_compressed`` with fixed dates, so that equal arrays give equal bytes."""
    with atomic(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def summary(output: Path) -> str:
    """Return counts and sizes of the files in ``output`` as JSON."""
    files = [p for p in output.rglob("*") if p.is_file()]
    table = clip_table(read_times(output))
    return json.dumps(
        {
            "clips": len(table),
            "by_split": table["split"].value_counts().to_dict(),
            "videos": sum(p.suffix == ".mp4" for p in files),
            "bytes": sum(p.stat().st_size for p in files),
        }
    )
