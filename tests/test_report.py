"""The report: one page that opens from disk, says what is missing and why, and equals itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.dataset.splits import count_splits
from signloom.evaluation.retrieval import rank_sentences, retrieval_figures
from signloom.evaluation.sign2text import alignment, score_translations
from signloom.features.metadata import count_features
from signloom.params.evaluation import EvaluationParams
from signloom.params.features import QualityParams
from signloom.report import page, plots, provenance, tables
from workflow_scripts import report

PARAMS = EvaluationParams(bootstrap=100)
QUALITY = QualityParams(motion_keep=0.3, motion_floor=0.25)
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
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

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


def score(clips: pd.DataFrame, folder: Path) -> None:
    """Write metrics and predictions as the evaluation does, of a decoder that errs in known ways."""
    rng = np.random.default_rng(0)
    centre = {number: rng.normal(size=16) for number in SENTENCES}
    unit = np.array([centre.get(n, np.ones(16)) + rng.normal(size=16) for n in clips["sentence_id"]])
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)
    train = np.flatnonzero(clips["split"] == "train")
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
        ranked = rank_sentences(unit[rows], ids[rows], unit[train], ids[train])
        ranks[name] = {
            **retrieval_figures(ranked, PARAMS, "the training gallery"),
            "leave_one_out": retrieval_figures(ranked, PARAMS, "the gallery and the rest"),
        }
        top = clips.iloc[train[ranked.top]] if len(rows) else clips.head(0)
        found.append(
            answers[["clip_id", "data", "sentence_id"]].assign(
                rank=pd.array(ranked.rank, dtype="Int64"),
                top_sentence=top["sentence"].to_numpy(),
                similarity=ranked.similarity,
            )
        )
    pd.concat(translations).to_csv(folder / "sign2text.csv", index=False)
    pd.concat(found).to_csv(folder / "retrieval.csv", index=False)
    (folder / "sign2text.json").write_text(json.dumps(metrics), "utf-8")
    (folder / "retrieval.json").write_text(json.dumps(ranks), "utf-8")


def build(
    folder: Path,
    splits: tuple[str, ...] = ("train", "train", "val", "test"),
    signers: bool = True,
    videos: str = "my/videos",
    rejects: bool = True,
    benchmarks: bool = True,
) -> str:
    """Write every input of the stage, run it and return the page."""
    folder.mkdir(parents=True)
    clips = make_clips(splits, signers, videos)
    score(clips, folder)
    frozen = [("frozen", "low_motion", 0.115), ("broken", "unreadable", None)] if rejects else []
    index = pd.DataFrame(
        [(row.clip_id, "ok", "", row.motion_mean) for row in clips.itertuples()]
        + [(clip, "rejected", reason, motion) for clip, reason, motion in frozen],
        columns=["clip_id", "status", "reason", "motion_mean"],
    )
    index.iloc[::2].to_parquet(folder / "0000.parquet")
    index.iloc[1::2].to_parquet(folder / "0001.parquet")
    counted = index.assign(
        quality_flag="ok", total_frames=90, length=80, detection_ratio=1.0, mean_visibility=0.9
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
    write_history(folder, "val" in splits)
    if benchmarks:
        write_benchmarks(folder / "benchmarks")
    command = ["--input", *(f"metrics={folder}/{name}.json" for name in METRICS)]
    command += [f"history={folder}/history.csv", f"epochs={folder}/metrics.jsonl"]
    command += [f"predictions={folder}/sign2text.csv", f"predictions={folder}/retrieval.csv"]
    command += [f"metadata={folder}/processed_metadata.parquet", f"rejects={folder}/rejects.csv"]
    command += [f"splits={folder}/splits.csv", f"index={folder}/0000.parquet", f"index={folder}/0001.parquet"]
    assert report.main([*command, "--output", f"html={folder}/report/index.html"]) == 0
    return (folder / "report/index.html").read_text("utf-8")


METRICS = ("manifest", "features", "splits", "sign2text", "retrieval")


def write_history(folder: Path, val: bool) -> None:
    """Twelve epochs; top-1 ties in epochs 8 to 12 and epoch 10 has the lowest loss of them."""
    rows = []
    for epoch in range(1, 13):
        decoded = val and epoch % 4 == 0
        rows.append(
            {
                "epoch": epoch,
                "train_loss": 5 / epoch,
                "ce_loss": 3 / epoch,
                "clip_loss": 1 / epoch,
                "supcon_loss": 1 / epoch,
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


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("report") / "build")


def test_the_page_parses_and_has_every_section_in_order(html: str) -> None:
    parsed = Page(html)
    assert [text for level, text in parsed.headings if level == 2] == [
        "Scores",
        "Corpus",
        "Rejects",
        "Motion",
        "Training",
        "Where the errors are",
        "Examples",
        "Retrieval",
        "Stages",
        "Provenance",
    ]
    levels = [level for level, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


def test_the_page_needs_no_network(html: str) -> None:
    assert "http:" not in html
    assert "https:" not in html
    assert "//" not in re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)
    assert not re.search(r"<(script|link|iframe|object)\b|@import|@font-face", html)
    assert "default-src 'none'" in html
    parsed = Page(html)
    assert all(link.startswith("#") for link in parsed.links)


def test_every_link_leads_to_one_element_of_the_page(html: str) -> None:
    parsed = Page(html)
    assert max(parsed.ids.values()) == 1
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(parsed.ids)
    assert set(re.findall(r'aria-labelledby="([^"]*)"', html)) <= set(parsed.ids)


def test_tables_have_captions_and_scopes_and_pictures_say_what_they_show(html: str) -> None:
    parsed = Page(html)
    assert len(parsed.tables) >= 8
    assert all(found >= {"caption", "row", "col"} for found in parsed.tables)
    assert len(parsed.pictures) == 9
    assert all(re.search(r"\d", alt) and len(alt) > 40 for alt in parsed.pictures)


def test_pictures_take_their_colours_from_the_page(html: str) -> None:
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
        assert "var(--ink)" in svg


def test_a_figure_stands_on_the_page_as_in_its_metric_file(html: str, tmp_path: Path) -> None:
    build(tmp_path / "again")
    scores = json.loads((tmp_path / "again/sign2text.json").read_text("utf-8"))["test"]
    text = Page(html).text
    assert f"{scores['wer']:.3f} {scores['wer_low']:.3f} to {scores['wer_high']:.3f}" in text
    assert f"{scores['bleu4']:.1f} {scores['bleu4_low']:.1f} to {scores['bleu4_high']:.1f}" in text
    assert "Test (n = 4)" in text
    assert scores["bleu4_signature"] in text


def test_equal_inputs_give_equal_bytes(html: str, tmp_path: Path) -> None:
    assert build(tmp_path / "again").encode() == html.encode()


def test_texts_of_the_corpus_cannot_become_markup(html: str) -> None:
    assert "<b>water</b>" not in html
    assert "&lt;b&gt;water" in html
    assert "why <it>" not in html


def test_a_corpus_without_validation_or_signers_still_gets_its_page(tmp_path: Path) -> None:
    text = Page(
        build(tmp_path / "build", ("train", "train", "test"), signers=False, rejects=False, benchmarks=False)
    ).text
    assert "Validation (n = 0)" in text
    assert "a no clip in this data set." in text
    assert tables.DASH in text
    assert "the annotation table names none" in text
    assert "No clip was rejected" in text
    assert "No benchmark files" in text
    assert "nan" not in text.lower().split()


def test_a_corpus_without_held_out_clips_still_gets_its_page(tmp_path: Path) -> None:
    text = Page(build(tmp_path / "build", ("train", "train"))).text
    assert "Test (n = 0)" in text
    assert "No clip was scored" in text
    assert "No clip was decoded" in text


def test_motion_that_was_never_measured_is_left_out() -> None:
    unknown, known = pd.Series([np.nan, np.nan]), pd.Series([1.0, np.nan, 2.0])
    svg = plots.motion({"signed": known, "imported": unknown}, 0.25).svg
    assert "signed (2)" in svg
    assert "imported" not in svg
    assert "Floor at 0.25" in plots.motion({"imported": unknown}, 0.25).svg


def test_only_the_demo_corpus_is_called_invented(html: str, tmp_path: Path) -> None:
    assert "describe this corpus only" in html
    assert "invented lexicon" not in html
    assert "invented lexicon" in build(tmp_path / "demo", videos="data/demo/videos")


def test_stage_times_add_up_the_shards_of_this_build(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    rows = [[cell.text for cell in row] for row in tables.stage_times(tmp_path, {"0000", "0001"}).rows]
    assert rows == [
        ["landmarks", "2", "2 min 40 s", "1 min 40 s", "470 MiB"],
        ["splits", "1", "0.2 s", "0.2 s", tables.DASH],
    ]


def test_a_missing_metric_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "build")
    base = f"{tmp_path}/build"
    names = [
        f"{name}={base}/{file}"
        for name, file in (
            ("metrics", "features.json"),
            ("history", "history.csv"),
            ("epochs", "metrics.jsonl"),
            ("predictions", "sign2text.csv"),
            ("predictions", "retrieval.csv"),
            ("metadata", "processed_metadata.parquet"),
            ("rejects", "rejects.csv"),
            ("splits", "splits.csv"),
            ("index", "0000.parquet"),
        )
    ]
    assert report.main(["--input", *names, "--output", f"html={tmp_path}/x/index.html"]) == 2
    assert "lacks manifest.json" in capsys.readouterr().err
    assert not (tmp_path / "x/index.html").exists()


def test_the_best_epoch_is_the_trainers(tmp_path: Path) -> None:
    from signloom.training.progress import merit

    write_history(tmp_path, val=True)
    history = page.read_history(tmp_path / "history.csv", tmp_path / "metrics.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert page.best_epoch(history) == max(rows, key=merit)["epoch"] == 10
    write_history(tmp_path, val=False)
    history = page.read_history(tmp_path / "history.csv", tmp_path / "metrics.jsonl")
    assert page.best_epoch(history) == 12


words = st.lists(st.sampled_from(["cat", "tree", "sees", "a", "NA"]), max_size=7).map(" ".join)


@given(reference=words.filter(bool), hypothesis=words)
def test_an_alignment_keeps_every_word_and_costs_what_jiwer_counts(reference: str, hypothesis: str) -> None:
    steps = page.align(reference, hypothesis)
    assert [s.reference for s in steps if s.reference] == reference.lower().split()
    assert [s.hypothesis for s in steps if s.hypothesis] == hypothesis.lower().split()
    edits = sum(step.kind != "equal" for step in steps)
    assert edits / len(reference.split()) == pytest.approx(jiwer.wer(reference.lower(), hypothesis.lower()))
    assert all((s.reference == s.hypothesis) == (s.kind == "equal") for s in steps)


def test_edits_are_said_in_words() -> None:
    steps = page.align("The cat sees a tree", "The dog sees tree")
    assert page.spoken_edits(steps) == "“dog” in place of “cat”; “a” left out"
    assert page.spoken_edits(page.align("yes", "yes now")) == "“now” added"
    assert page.spoken_edits(page.align("Yes.", "yes")) == "no difference"


def test_error_rates_of_groups_add_up_to_those_of_jiwer() -> None:
    answers = pd.DataFrame(
        {
            "data": ["test", "test", "test", "val"],
            "group": ["a", "a", "b", "a"],
            "reference": ["one two", "one two three four", "one", "one"],
            "hypothesis": ["one", "one two three four", "two", "one"],
        }
    )
    found = tables.wer_by(answers, "group").set_index(["data", "group"])
    assert found.loc[("test", "a"), "wer"] == pytest.approx(
        jiwer.wer(["one two", "one two three four"], ["one", "one two three four"])
    )
    assert found.loc[("test", "b"), "wer"] == 1.0
    assert found.loc[("val", "a"), "n"] == 1
    assert (found["low"] <= found["wer"]).all()
    assert (found["wer"] <= found["high"]).all()


@given(st.lists(st.integers(0, 300), max_size=30))
def test_lengths_fall_into_at_most_twelve_groups_of_one_width(counts: list[int]) -> None:
    groups = tables.reference_lengths([" ".join(["word"] * count) for count in counts])
    assert groups.nunique() <= 12
    assert all(group <= count for group, count in zip(groups, counts, strict=True))
    if counts and max(counts) - min(counts) < 12:
        assert groups.tolist() == counts


def test_examples_run_from_the_most_wrong_to_the_most_right() -> None:
    hypotheses = ["a b c d"] * 20 + ["a b c x", "", "a b", "a b c d e"]
    answers = pd.DataFrame({"clip_id": [f"c{n:02d}" for n in range(24)], "hypothesis": hypotheses})
    chosen = page.choose_examples(answers.assign(reference="a b c d", signer_id="s", nearest=""))
    rates = [float(example.wer) for example in chosen]
    assert len(rates) == 6
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1.0
    assert rates[-1] == 0.0
    assert page.choose_examples(answers.head(0).assign(reference="", signer_id="", nearest="")) == []


def test_signers_with_odd_names_are_drawn_as_they_are_written() -> None:
    groups = pd.DataFrame(
        [("test", "$1_<&>$", 3, 0.5, 0.2, 0.7)], columns=["data", "group", "n", "wer", "low", "high"]
    )
    assert "$1_&lt;&amp;&gt;$" in plots.wer_by_signer(groups).svg


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (245, "4 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path: Path, root: Path) -> None:
    assert provenance.git_commit(tmp_path) == "unknown: not a git checkout with a commit"
    assert re.match(r"[0-9a-f]{40}|unknown: ", provenance.git_commit(root))


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.csv").write_text("abc", "utf-8")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    files = [tmp_path / "a/same.csv", tmp_path / "b/same.csv"]
    assert provenance.checksums(files) == [("a/same.csv", digest), ("b/same.csv", digest)]
