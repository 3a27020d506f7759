"""`signloom init` writes a preset for a folder as it is; `signloom check` says what its build would do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pandas as pd
import pytest
import yaml
from pympi.Elan import Eaf

from engines.given import Given
from signloom.__main__ import main
from signloom.cli import check as check_command
from signloom.params.load import load_params
from signloom.params.schema import Params
from signloom.video.decode import read_frames
from tests.test_importers_forms import how2sign, write, write_videos
from tests.videos import write_video
from workflow_scripts import manifest, sources, splits

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with its parameters and no presets; no tracker is measured."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "config/presets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check_command, "measured_rate", lambda video, params: 10.0)
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command and returns its exit code, standard output and standard error."""

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(list(argv))
        out, err = capsys.readouterr()
        return code, out, err

    return run


Said = Callable[..., tuple[int, str, str]]


def preset(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(Path(f"config/presets/{name}.yaml").read_text("utf-8")))


def cut(video: Path, to: Path, frames: int) -> None:
    """Write the first `frames` frames of a video of the demo."""
    to.parent.mkdir(parents=True, exist_ok=True)
    pictures = list(islice(read_frames(video), frames))
    with av.open(str(to), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width = pictures[0].image.shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        container.mux(stream.encode())


def stages(params: Params, out: Path) -> pd.Series:
    """Run the stages sources, manifest and splits with the parameters that rules give; return the splits."""
    given, shards = Given(params), [f"shards={out}/{n}.csv" for n in range(params.shards.count)]
    common = ["--scratch", str(out / "scratch"), "--params"]
    argv = ["--input", f"table={params.dataset.table}", "--output", f"rows={out}/rows.parquet"]
    assert sources.main([*common, given("dataset"), *argv]) == 0
    argv = ["--input", f"rows={out}/rows.parquet", "--output", f"manifest={out}/manifest.parquet"]
    argv += [f"rejects={out}/rejects.csv", f"metrics={out}/manifest.json", *shards]
    assert manifest.main([*common, given("dataset", "manifest", "shards", "splits"), *argv]) == 0
    assert pd.read_csv(out / "rejects.csv").empty
    argv = ["--input", f"metadata={out}/manifest.parquet", "--output", f"splits={out}/splits.csv"]
    assert splits.main([*common, given("splits"), *argv, f"metrics={out}/splits.json"]) == 0
    return pd.read_csv(out / "splits.csv")["split"]


def test_twenty_short_clips_in_five_folders_need_no_edited_file(project: Path, said: Said) -> None:
    sources_of = sorted((ROOT / "data/demo/videos/s1").glob("*.mp4"))
    for number in range(20):
        to = project / f"data/five/sign {number % 5}/{number}.mp4"
        cut(sources_of[number], to, frames=25 + number * 22 // 19)
    code, out, _ = said("init", "data/five")
    assert code == 0
    assert "folders named after signs" in out
    assert "signs     5: sign 0, sign 1, sign 2, sign 3, sign 4" in out
    assert "signloom check five" in out
    given = preset("five")
    assert given["dataset"] == {
        "importer": "folders",
        "table": "data/five",
        "videos": "data/five",
        "variations": None,
    }
    assert given["splits"] == {"mode": "clip"}
    # isolated signs are answered by the nearest clips: no glosses to decode
    assert given["pipeline"] == {"families": ["sign2text"]}
    made = stages(load_params(Path("params.yaml"), Path("config/presets/five.yaml")), project / "out")
    assert made.value_counts().to_dict() == {"train": 14, "val": 3, "test": 3}
    code, out, _ = said("check", "five")
    assert code == 0, out
    assert "clips     20 of 20 rows" in out
    assert "signs     5, 0 of them with only one clip" in out
    assert "lengths   1.00/" in out and "/1.88 s" in out
    assert "rates     25 fps: 20" in out
    assert "val       3 clips" in out and "test      3 clips" in out
    assert "must be mended" not in out and out.endswith("\nfit to run\n")


def table_of(folder: Path, clips: int, signers: int) -> Path:
    """Write `clips` videos of two alternating sentences, and a table without splits, into `folder`."""
    write_videos(folder / "videos", *(f"{n}.mp4" for n in range(clips)))
    lines = [f"{n}.mp4,we go {n % 2},WE GO,s{n % signers}" for n in range(clips)]
    return write(folder, clips__csv="\n".join(["video,sentence,gloss,signer_id", *lines]) + "\n")


def test_a_table_with_five_signers_is_divided_by_signer(project: Path, said: Said) -> None:
    table_of(project / "data/mine", clips=10, signers=5)
    code, out, _ = said("init", "data/mine")
    assert code == 0
    given = preset("mine")
    assert given["dataset"]["table"] == "data/mine/clips.csv"
    assert given["dataset"]["videos"] == "data/mine/videos"
    assert given["splits"] == {"mode": "signer"}
    assert "importer" not in given["dataset"] and "pipeline" not in given  # as params.yaml says
    assert "signers   5: s0, s1, s2, s3, s4" in out


def test_sentences_that_are_too_few_to_hold_out_are_divided_by_clip(project: Path, said: Said) -> None:
    table_of(project / "data/mine", clips=10, signers=4)
    assert said("init", "data/mine/videos/..")[0] == 0
    # two sentences fill no three parts
    assert preset("mine")["splits"] == {"mode": "clip"}


def test_splits_of_the_corpus_are_kept(project: Path, said: Said) -> None:
    folder = project / "data/asl"
    write_videos(folder / "videos", *(f"{n}.mp4" for n in range(6)))
    head = "Participant ID,Video file,Gloss,ASL-LEX Code\n"
    files = {
        name: head + "".join(f"P{n},{n}.mp4,{gloss},x\n" for n, gloss in clips)
        for name, clips in {
            "train__csv": [(0, "APPLE"), (1, '"BARK, TREE"'), (2, "APPLE")],
            "val__csv": [(3, "APPLE")],
            "test__csv": [(4, "APPLE"), (7, "APPLE")],
        }.items()
    }
    write(folder / "splits", **files)
    code, out, _ = said("init", str(folder))
    assert code == 0
    given = preset("asl")
    assert given["dataset"]["importer"] == "asl_citizen"
    assert (given["dataset"]["table"], given["dataset"]["videos"]) == ("data/asl/splits", "data/asl/videos")
    assert "splits" not in given
    assert "predefined: the corpus has its own; train 3, val 1, test 1" in out
    assert "not used  1 rows without a video; first: 7.mp4" in out
    assert "not used  1 videos without a text; first: data/asl/videos/5.mp4" in out


def eaf(path: Path, tiers: dict[str, list[str]]) -> None:
    made = Eaf()
    for tier, texts in tiers.items():
        made.add_tier(tier)
        for number, text in enumerate(texts):
            made.add_annotation(tier, 200 * number, 200 * number + 150, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.to_file(str(path))


SENTENCES = [f"the house number {n} is old" for n in range(10)]


def test_elan_tiers_are_chosen_by_known_names(project: Path, said: Said) -> None:
    tiers = {"English translation": SENTENCES, "main gloss": ["HOUSE"] * 10, "comment": ["x" * 99] * 10}
    eaf(project / "data/talks/a.eaf", tiers)
    write_videos(project / "data/talks", "a.mp4", seconds=3)
    code, out, _ = said("init", "data/talks")
    assert code == 0
    assert preset("talks")["dataset"]["elan"] == [
        {"sentence": "English translation", "gloss": ["main gloss"]}
    ]
    assert "tiers     sentences English translation; glosses main gloss" in out
    assert "comment" in out


def test_elan_tiers_without_known_names_are_chosen_by_their_text(project: Path, said: Said) -> None:
    eaf(project / "data/talks/a.eaf", {"hand": ["A"] * 10, "Satz": SENTENCES})
    write_videos(project / "data/talks", "a.mp4", seconds=3)
    assert said("init", "data/talks", "--preset", "first")[0] == 0
    given = preset("first")
    assert given["dataset"]["elan"] == [{"sentence": "Satz"}]
    assert given["splits"] == {"mode": "sentence"}
    assert given["pipeline"] == {"families": ["sign2text"]}


def test_both_people_of_an_elan_file_are_taken_with_their_cameras(project: Path, said: Said) -> None:
    tiers = {f"Deutsche_Übersetzung_{person}": SENTENCES for person in "AB"}
    glosses = {f"Lexem_Gebärde_{hand}_A": ["HAUS"] * 10 for hand in "rl"}
    eaf(project / "data/dgs/eaf/12.eaf", tiers | glosses)
    write_videos(project / "data/dgs/v", "12_1a1.mp4", "12_1b1.mp4", seconds=3)
    code, out, _ = said("init", "data/dgs")
    assert code == 0
    assert preset("dgs")["dataset"]["elan"] == [
        {
            "sentence": "Deutsche_Übersetzung_A",
            "gloss": ["Lexem_Gebärde_r_A", "Lexem_Gebärde_l_A"],
            "media": "_1a1.mp4",
        },
        {"sentence": "Deutsche_Übersetzung_B", "media": "_1b1.mp4"},
    ]
    # one gloss in each sentence makes no isolated signs
    assert "clips     20" in out and "sentences 10" in out


def test_forms_whose_files_have_equal_names_are_told_apart_by_the_videos(project: Path, said: Said) -> None:
    clips = ("-aB1_0", "-aB1_2", "cC2_1", "dD3_1")
    write_videos(how2sign(project / "data/h2s") / "clips", *(f"{name}-1-rgb_front.mp4" for name in clips))
    code, out, _ = said("init", "data/h2s")
    assert code == 0
    assert preset("h2s")["dataset"]["importer"] == "how2sign_clips"
    assert preset("h2s")["dataset"]["videos"] == "data/h2s/clips"
    assert "not used" not in out


def test_subtitles_beside_videos_are_sentences(project: Path, said: Said) -> None:
    cues = [f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\n{text}\n" for n, text in enumerate(SENTENCES[:9])]
    write(project / "data/news", a__srt="\n".join(cues))
    write_videos(project / "data/news", "a.mp4", seconds=9)
    code, out, _ = said("init", "data/news")
    assert code == 0
    assert preset("news")["dataset"]["importer"] == "subtitles"
    assert "sentences 9" in out


def test_a_preset_is_never_overwritten(project: Path, said: Said) -> None:
    table_of(project / "data/mine", clips=10, signers=5)
    write(project / "config/presets", mine__yaml="shards: {count: 9}\n")
    code, _, err = said("init", "data/mine")
    assert code == 2
    assert err == (
        "error: init: config/presets/mine.yaml exists; "
        "name another one with --preset NAME, or delete it first\n"
    )
    assert preset("mine") == {"shards": {"count": 9}}


def test_a_table_with_other_columns_is_written_again_below_data(project: Path, said: Said) -> None:
    folder = project / "recordings"
    write_videos(folder / "v", *(f"{n}.mp4" for n in range(10)))
    lines = [f"{n};take {n};{'ice cream' if n % 2 else 'tea'};s{n % 5};x" for n in range(10)]
    write(folder, liste__csv="\n".join(["Nr;File;Label;Signer;Ort", *lines]).replace("take ", "old/") + "\n")
    code, out, err = said("init", "recordings")
    assert code == 0, err
    given = preset("recordings")
    assert given["dataset"]["table"] == "data/recordings/clips.csv"
    assert given["dataset"]["videos"] == "recordings"
    assert Path("data/recordings/clips.csv").read_text().splitlines()[:3] == [
        "video,gloss,signer_id",
        "v/0.mp4,tea,s0",
        "v/1.mp4,ice_cream,s1",
    ]
    assert "gloss = Label, signer_id = Signer; copied to data/recordings/clips.csv" in out
    Path("config/presets/recordings.yaml").unlink()
    code, _, err = said("init", "recordings")
    assert code == 2 and "data/recordings/clips.csv exists" in err


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda folder: folder.mkdir(parents=True), "holds no video and no folder of pictures"),
        (lambda folder: write(folder, notes__csv="a,b\n"), "holds no video and no folder of pictures"),
        (lambda folder: write_videos(folder, "1.mp4", "2.mp4"), "2 videos and nothing that says what is"),
        (lambda folder: None, "data/x does not exist; expected a folder of videos"),
        (
            lambda folder: write_videos(folder, "A/1.mp4", "B/2.mp4"),
            "2 clips of 2 signs or sentences are too few",
        ),
        (lambda folder: write(write_videos(folder, "1.mp4"), a__eaf="<x"), "not a readable ELAN file"),
        (
            lambda folder: write(write_videos(folder, "1.mp4"), c__csv="video,gloss\ngone.mp4,A\n"),
            "looks like the form csv, but none of its videos is below data/x",
        ),
    ],
)
def test_a_folder_that_is_not_understood_gets_one_line(
    make: Callable[[Path], object], line: str, project: Path, said: Said
) -> None:
    make(project / "data/x")
    code, out, err = said("init", "data/x")
    assert (code, out) == (2, "")
    assert line in err and err.count("\n") == 1
    assert not list(Path("config/presets").iterdir())


@pytest.mark.parametrize("name", ["models", "a,b", "../x"])
def test_a_name_that_a_build_cannot_have_is_refused(name: str, project: Path, said: Said) -> None:
    write_videos(project / "data/x", "A/1.mp4")
    code, _, err = said("init", "data/x", "--preset", name)
    assert code == 2 and f"init: --preset {name}" in err


def checked(project: Path, rows: list[str], **sections: dict[str, Any]) -> None:
    """Write a table of `rows` (video, sentence_id, sentence, signer_id, split, end_s) and a preset for it."""
    head = "video,sentence_id,sentence,signer_id,split,end_s"
    write(project / "data/mine", clips__csv="\n".join([head, *rows]) + "\n")
    dataset = {"table": "data/mine/clips.csv", "videos": "data/mine/videos", "variations": None}
    tree = {"pipeline": {"families": ["sign2text"]}, "dataset": dataset, **sections}
    Path("config/presets/mine.yaml").write_text(yaml.safe_dump(tree))


ROWS = [f"{n}.mp4,{n % 2},sentence {n % 2},s{n % 3},{'train' if n < 8 else 'val'}," for n in range(9)]


def test_check_names_what_a_build_would_reject(project: Path, said: Said) -> None:
    videos = project / "data/mine/videos"
    write_videos(videos, *(f"{n}.mp4" for n in range(9)))
    write_video(videos / "t.mp4", frames=2, fps=1, seed=77, size=32)
    shutil.copy(videos / "3.mp4", videos / "again.mp4")
    write_video(videos / "short.mp4", frames=4, fps=25, seed=99, size=16)
    checked(
        project,
        [
            *ROWS,
            "t.mp4,1,sentence 1,s2,test,7",
            "again.mp4,1,sentence 1,s2,train,",
            "short.mp4,1,sentence 1,s2,train,",
            "gone.mp4,1,sentence 1,s2,train,",
        ],
        manifest={"max_reject_ratio": 0.5},
    )
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "rejected  duplicate 1, missing 1" in out
    assert "look at: again and 3 are the same video; keep one of them" in out
    assert "1 rows are rejected as missing, first row 14: data/mine/videos/gone.mp4 does not exist" in out
    assert "1 clips end after their video, first t@-7 at 7 s of 2.00 s" in out
    assert "1 of 11 clips are shorter than quality.min_seconds 0.5" in out and "first short" in out
    assert "rates     1 fps: 10, 25 fps: 1" in out
    assert "pictures  16x16: 10, 32x32: 1" in out
    assert "test      1 clips, 1 sentences, 1 named signers" in out
    # landmarks 1662 and features 540 numbers of 4 bytes and a mask of 4: 20.16 s at 12.5 a second, 24 tracked
    assert "disk      0.7 MB" in out


@pytest.mark.parametrize(
    ("rows", "sections", "line"),
    [
        (
            [*ROWS, *(f"gone{n}.mp4,0,sentence 0,s0,test," for n in range(2))],
            {},
            "manifest.max_reject_ratio 0.1",
        ),
        (ROWS, {}, "none of 9 signed clips would be in test"),
        (ROWS, {"quality": {"min_seconds": 3.0}, "splits": {"mode": "clip"}}, "quality.max_reject_ratio 0.2"),
        (ROWS, {"pipeline": {"families": ["gloss"]}, "splits": {"mode": "clip"}}, "no clip has a gloss"),
        (["gone.mp4,0,sentence 0,s0,train,"], {}, "1 of 1 rows rejected"),
        (
            [f"{n}.mp4,{n},{'We go.' if n % 2 else 'we go'} {n // 2 % 2},s{n % 3},," for n in range(9)],
            {"splits": {"mode": "sentence", "test_share": 0.5}},
            "sentences of the test are in training under another sentence_id, first",
        ),
    ],
)
def test_check_fails_where_a_build_would_stop_or_mislead(
    rows: list[str], sections: dict[str, Any], line: str, project: Path, said: Said
) -> None:
    write_videos(project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(project, rows, **sections)
    code, out, _ = said("check", "mine")
    assert code == 1
    assert [found for found in out.splitlines() if found.startswith("must be mended") and line in found], out


def test_check_says_who_signs_and_which_signs_have_few_clips(project: Path, said: Said) -> None:
    write_videos(project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    lines = [f"{n}.mp4,{'AB'[n % 2]},anna" for n in range(8)] + ["8.mp4,RARE,anna"]
    checked(project, [], splits={"mode": "clip"})
    write(project / "data/mine", clips__csv="video,gloss,signer_id\n" + "\n".join(lines))
    code, out, _ = said("check", "mine")
    assert code == 0
    assert "signs     3, 1 of them with only one clip" in out
    assert "look at: all signed clips are of anna" in out
    assert "look at: 1 of 3 signs have fewer than 3 clips, first 'RARE'" in out


def test_a_part_without_clips_is_named_unless_none_was_wanted(project: Path, said: Said) -> None:
    write_videos(project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    rows = [row.replace(",val,", ",test,") for row in ROWS]
    checked(project, rows)
    code, out, _ = said("check", "mine")
    assert code == 0 and "look at: val has no signed clip" in out
    checked(project, rows, splits={"val_share": 0.0})
    assert "no signed clip" not in said("check", "mine")[1]


def test_check_lays_presets_over_each_other_and_names_an_unknown_one(project: Path, said: Said) -> None:
    write_videos(project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(project, ROWS)
    write(project / "config/presets", clips__yaml="splits: {mode: clip}\n")
    assert said("check", "mine")[0] == 1
    assert said("check", "mine,clips")[0] == 0
    code, _, err = said("check", "other")
    assert code == 2
    assert err.startswith("error: config/presets/other.yaml does not exist; expected one of clips, mine")


def test_the_rate_of_this_machine_is_measured_within_seconds() -> None:
    params = load_params(ROOT / "params.yaml").landmarks
    assert 0.1 < check_command.measured_rate(ROOT / "data/demo/videos/s1/001_1.mp4", params) < 10_000
