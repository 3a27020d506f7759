"""A small build for the report to read: clips, scores, history and benchmark files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from demo_params import section

from signloom.dataset.splits import count_splits
from signloom.evaluation.sign2text import figures_without_decoder, score_translations
from signloom.features.pose.metadata import count_features
from signloom.metrics.alignment import alignment
from signloom.metrics.bootstrap import mean_figure
from signloom.metrics.retrieval import rank_sentences, retrieval_figures
from signloom.metrics.signs import sign_figures
from signloom.params.evaluation import EvaluationParams
from signloom.params.features import QualityParams
from tests.report_gloss_inputs import write_glosses
from tests.report_inference_inputs import write_inference
from workflow_scripts import report

PARAMS = section(EvaluationParams, bootstrap=100)
QUALITY = section(QualityParams, motion_keep=0.3, motion_floor=0.25)
SENTENCES = {
    1: "The cat sees a tree.",
    2: "My mother works at home today.",
    3: "Where is NA?",
    4: "We drink <b>water</b> & tea.",
    5: "The old man is late.",
}
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Parses a page strictly: every element is closed in turn; keeps what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.tables: list[set[str]] = []
        self.pictures: list[str] = []
        self.images: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    @property
    def loose_links(self) -> set[str]:
        """The links that lead neither to an element of the page nor to a file of the build."""
        inside = {f"#{name}" for name in self.ids}
        return {link for link in self.links if link not in inside and not link.startswith("../")}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag not in VOID:
            self.open.append(tag)
        self.ids.update([given["id"]] if "id" in given else [])
        self.links += [given[key] for key in ("href", "src", "xlink:href") if key in given]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        if tag == "table":
            self.tables.append(set())
        if tag == "caption" or (tag == "th" and given.get("scope")):
            self.tables[-1].add(given.get("scope", tag))
        if tag == "th":
            assert given.get("scope") in ("row", "col")
        if tag == "svg":
            assert given["role"] == "img"
            self.pictures.append(given["aria-label"])
        if tag == "img":
            self.images.append(given["alt"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def make_clips(splits: tuple[str, ...], signers: bool, videos: str) -> pd.DataFrame:
    """Processed metadata with `split`: sentence 5 is never trained on, one clip is unsigned."""
    rows = []
    for split in splits:
        for number, sentence in SENTENCES.items():
            if not (split == "train" and number == 5):
                rows.append((split, number, sentence))
    rows.append((splits[-1], -1, ""))
    clips = pd.DataFrame(rows, columns=["split", "sentence_id", "sentence"])
    names = [f"s{n % 3}" if signers else "" for n in range(len(clips))]
    return clips.assign(
        clip_id=[f"clip{n:02d}" for n in range(len(clips))],
        video_file=[f"{videos}/clip{n:02d}.mp4" for n in range(len(clips))],
        num_frames=[60 + 7 * n for n in range(len(clips))],
        motion_mean=[1.0 + n / 20 for n in range(len(clips))],
        mean_visibility=0.9,
        signer_id=names,
    )


def score(clips: pd.DataFrame, folder: Path, signs: bool = False) -> None:
    """Write metrics and predictions as the evaluation does, of a decoder that errs in known ways.

    With `signs`, there is no decoder, and retrieval takes sentence 2 for sentence 1.
    """
    rng = np.random.default_rng(0)
    centre = {number: rng.normal(size=16) for number in SENTENCES}
    unit = np.array([centre.get(n, np.ones(16)) + rng.normal(size=16) for n in clips["sentence_id"]])
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)
    train = np.flatnonzero(clips["split"] == "train")
    np.save(folder / "embeddings.npy", unit)
    clips[["clip_id", "video_file", "sentence_id", "sentence", "split"]].to_csv(
        folder / "map.csv", index=False
    )
    ids = clips["sentence_id"].to_numpy(np.int64)
    wrong = ["{}", "", "The cat sees tree.", "{} today today", "My sister works"]
    translations, found, metrics, ranks = [], [], {}, {}
    for name, split, seen in (
        ("test", "test", True),
        ("val", "val", True),
        ("test_unseen_sentences", "test", False),
        ("val_unseen_sentences", "val", False),
    ):
        mine = (clips["split"] == split) & (clips["sentence_id"] >= 0) & ((clips["sentence_id"] != 5) == seen)
        rows = np.flatnonzero(mine)
        answers = clips.iloc[rows][["clip_id", "signer_id", "sentence_id"]].reset_index(drop=True)
        answers.insert(1, "data", name)
        answers["reference"] = clips["sentence"].to_numpy()[rows]
        answers["hypothesis"] = [
            wrong[n % len(wrong)].format(text) for n, text in enumerate(answers["reference"])
        ]
        answers["nearest"] = SENTENCES[1]
        texts = np.array([centre[n] / np.linalg.norm(centre[n]) for n in ids[rows]], np.float32)
        aligned = alignment(unit[rows], answers["reference"].tolist(), texts.reshape(len(rows), 16))
        texts_of = {number: [text] for number, text in SENTENCES.items()}
        metrics[name] = score_translations(answers, texts_of, aligned, PARAMS)
        translations.append(answers)
        if signs:
            metrics[name] = figures_without_decoder(metrics[name])
        asked = np.array([centre[1 if n == 2 and signs else n] for n in ids[rows]]).reshape(len(rows), 16)
        asked = asked / np.linalg.norm(asked, axis=1, keepdims=True) if signs else unit[rows]
        ranked = rank_sentences(asked, ids[rows], unit[train], ids[train])
        ranks[name] = {
            **retrieval_figures(ranked, PARAMS, "the training gallery"),
            "leave_one_out": retrieval_figures(ranked, PARAMS, "the gallery and the rest"),
            "rivals": {rival: figures_of_a_rival(ranked.rank) for rival in ("nearest", "hands_dtw")},
        }
        if signs:
            figures = sign_figures(ranked, ids[rows], answers["signer_id"].tolist(), PARAMS)
            ranks[name] |= {**figures, "adapted": {"n": len(rows), **figures}}
        top = clips.iloc[train[ranked.top]] if len(rows) else clips.head(0)
        found.append(
            answers[["clip_id", "data", "sentence_id"]].assign(
                rank=pd.array(ranked.rank, dtype="Int64"),
                top_sentence_id=top["sentence_id"].to_numpy(),
                top_sentence=top["sentence"].to_numpy(),
                similarity=ranked.similarity,
            )
        )
    pd.concat(translations).to_csv(folder / "sign2text.csv", index=False)
    pd.concat(found).to_csv(folder / "retrieval.csv", index=False)
    (folder / "sign2text.json").write_text(json.dumps(metrics), "utf-8")
    (folder / "retrieval.json").write_text(json.dumps(ranks), "utf-8")


def figures_of_a_rival(ranks: np.ndarray) -> dict[str, Any]:
    """Figures of a rival that finds nothing first."""
    right = ranks[~np.isnan(ranks)] == 1
    draw = (PARAMS.bootstrap, PARAMS.seed, "no clip of these sentences in the training gallery")
    none = np.zeros(len(right))
    found = {**mean_figure("ret_top1", none, *draw), **mean_figure("difference", right - none, *draw)}
    return found | {"p": 0.001}


def build(
    folder: Path,
    splits: tuple[str, ...] = ("train", "train", "val", "test"),
    signers: bool = True,
    videos: str = "my/videos",
    rejects: bool = True,
    benchmarks: bool = True,
    families: tuple[str, ...] = ("sign2text",),
    pictures: bool = False,
    inference: bool = False,
    runs: dict[str, Any] | None = None,
    two_views: bool = True,
    epochs: int = 12,
    signs: bool = False,
    recipes: Sequence[Path] = (),
    consents: dict[str, str] | None = None,
    params: dict[str, Any] | None = None,
    **glosses: Any,
) -> str:
    """Write every input of the stage, run it and return the page.

    `runs` is the content of runs.json; `params` is laid over the parameters; `glosses` goes to
    `write_glosses`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = make_clips(splits, signers, videos)
    frozen = [("frozen", "low_motion", 0.115), ("broken", "unreadable", None)] if rejects else []
    index = pd.DataFrame(
        [(row.clip_id, "ok", "", row.motion_mean) for row in clips.itertuples()]
        + [(clip, "rejected", reason, motion) for clip, reason, motion in frozen],
        columns=["clip_id", "status", "reason", "motion_mean"],
    )
    index.iloc[::2].to_parquet(folder / "0000.parquet")
    index.iloc[1::2].to_parquet(folder / "0001.parquet")
    counted = index.assign(
        consent="", quality_flag="ok", total_frames=90, length=80, detection_ratio=1.0, mean_visibility=0.9
    )
    (folder / "features.json").write_text(json.dumps({"all": count_features(counted, QUALITY)}), "utf-8")
    clips.drop(columns="split").to_parquet(folder / "processed_metadata.parquet")
    division = clips[["clip_id", "split", "sentence_id"]].assign(
        seen=(clips["sentence_id"].between(1, 4)).astype(int)
    )
    division.to_csv(folder / "splits.csv", index=False)
    (folder / "splits.json").write_text(json.dumps(count_splits(division, clips)), "utf-8")
    manifest = {"all": {"clips": len(index), "bytes": 12_300_000, "rejected": {"duplicate": 1}}}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    pd.DataFrame(
        [
            (clip, f"{clip}.mp4", "pose_features", reason, "why <it> is so", motion)
            for clip, reason, motion in frozen
        ],
        columns=["clip_id", "video_path", "stage", "reason", "detail", "motion_mean"],
    ).to_csv(folder / "rejects.csv", index=False)
    if benchmarks:
        write_benchmarks(folder / "benchmarks")
    given = [f"metrics={folder}/{name}.json" for name in METRICS]
    given += [f"metadata={folder}/processed_metadata.parquet", f"rejects={folder}/rejects.csv"]
    given += [f"splits={folder}/splits.csv", f"index={folder}/0000.parquet", f"index={folder}/0001.parquet"]
    if "sign2text" in families:
        score(clips, folder, signs)
        write_history(folder, "val" in splits, two_views, decoder=not signs, epochs=epochs)
        given += [f"metrics={folder}/sign2text.json", f"metrics={folder}/retrieval.json"]
        given += [f"history={folder}/history.csv", f"epochs={folder}/metrics.jsonl"]
        given += [f"predictions={folder}/sign2text.csv", f"predictions={folder}/retrieval.csv"]
        given += [f"embeddings={folder}/embeddings.npy", f"map={folder}/map.csv"]
    if "gloss" in families:
        given += write_glosses(folder, clips, **glosses)
    if runs:
        (folder / "runs.json").write_text(json.dumps(runs), "utf-8")
        given += [f"metrics={folder}/runs.json"]
    if pictures:
        given += write_videos(folder, index, consents)
    given += [f"recipes={path}" for path in recipes]
    if inference:
        given += write_inference(folder)
    task = {"task": "signs" if signs else "sentences"}
    sections = {"sign2text": {"width": 128, "encoder": "<gru>"} | task, **(params or {})}
    said = ["--params", json.dumps(sections)]
    assert report.main(["--input", *given, *said, "--output", f"html={folder}/report/index.html"]) == 0
    return (folder / "report/index.html").read_text("utf-8")


METRICS = ("manifest", "features", "splits")


def write_videos(folder: Path, index: pd.DataFrame, consents: dict[str, str] | None = None) -> list[str]:
    """A folder of twelve frames for every clip but the broken one, each grey as its number.

    Every second one is tracked, and the left hand is found in the fourth of these alone.
    """
    rows, shard, start = [], [], 0
    raw = np.full((6, 1662), np.nan, np.float32)
    raw[:, :132] = 0.5
    raw[3, 132:195] = 0.25
    for clip_id in index["clip_id"]:
        length = 0 if clip_id == "broken" else len(raw)
        for number in range(2 * length):
            path = folder / f"videos/{clip_id}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((40, 60, 3), 20 * number, np.uint8))
        rows.append((clip_id, start, length, 25.0, list(range(0, 2 * length, 2)), 60, 40))
        shard.append((clip_id, f"{folder}/videos/{clip_id}", None, None, ""))
        start += length
    np.save(folder / "landmarks.npy", np.tile(raw, (start // len(raw), 1)))
    columns = ["clip_id", "offset", "length", "fps", "frame_index", "width", "height"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "landmarks.parquet")
    columns = ["clip_id", "video_path", "start_s", "end_s", "video_hash"]
    pd.DataFrame(shard, columns=columns).to_csv(folder / "shard.csv", index=False)
    names = ("landmarks.npy", "landmarks.parquet", "shard.csv")
    inputs = ("landmarks", "landmarks_index", "shards")
    listed = pd.DataFrame({"clip_id": index["clip_id"], "consent": ""})
    listed.assign(consent=listed["clip_id"].map(consents or {}).fillna("")).to_parquet(
        folder / "manifest.parquet"
    )
    made = dict(zip(inputs, names, strict=True)) | {"manifest": "manifest.parquet"}
    return [f"{name}={folder}/{file}" for name, file in made.items()]


def write_history(
    folder: Path, val: bool, two_views: bool = True, decoder: bool = True, epochs: int = 12
) -> None:
    """Some epochs; top-1 ties in epochs 8 to 12 and epoch 10 has the lowest loss of them."""
    rows = []
    for epoch in range(1, epochs + 1):
        decoded = val and decoder and epoch % 4 == 0
        rows.append(
            {
                "epoch": epoch,
                "train_loss": 5 / epoch,
                "ce_loss": 3 / epoch if decoder else None,
                "gloss_loss": 2 / epoch if decoder else None,
                "clip_loss": 1 / epoch,
                "class_loss": 0.5 / epoch if two_views else None,
                "supcon_loss": 1 / epoch if two_views else None,
                "val_inst_top1": min(epoch, 8) / 8 if val else None,
                "val_pos_sim": 1 - 1 / epoch if val else None,
                "val_neg_sim": 0.2 if val else None,
                "val_wer": 1 / epoch if decoded else None,
                "val_bleu4": 100 - 100 / epoch if decoded else None,
                "lr": 1e-3,
            }
        )
    pd.DataFrame(rows).to_csv(folder / "history.csv", index=False)
    losses = [{**row, **({"val_loss": 1 + abs(row["epoch"] - 10)} if val else {})} for row in rows]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in losses), "utf-8")


def write_benchmarks(folder: Path) -> None:
    header = "s\th:m:s\tmax_rss\tmax_vms\n"
    (folder / "landmarks").mkdir(parents=True)
    (folder / "landmarks/0000.tsv").write_text(f"{header}100.5\t0:01:40\t450.5\t1\n")
    (folder / "landmarks/0001.tsv").write_text(f"{header}60\t0:01:00\t470\t1\n")
    (folder / "landmarks/0077.tsv").write_text(f"{header}9999\t2:46:39\t9999\t1\n")
    (folder / "splits.tsv").write_text(f"{header}0.2\t0:00:00\t-\t-\n")
