"""`signloom init` writes a preset for a folder of videos as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from engines.given import Given
from signloom.params.load import load_params
from signloom.params.schema import Params
from tests.form_files import how2sign, sentences_eaf, write, write_videos
from tools.cut_signs import cut
from workflow_scripts import manifest, sources, splits

ROOT = Path(__file__).parent.parent
Said = Callable[..., tuple[int, str, str]]


def preset(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(Path(f"config/presets/{name}.yaml").read_text("utf-8")))


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


def test_twenty_short_clips_in_five_folders_need_no_edited_file(new_project: Path, said: Said) -> None:
    sources_of = sorted((ROOT / "data/demo/videos/s1").glob("*.mp4"))
    for number in range(20):
        to = new_project / f"data/five/sign {number % 5}/{number}.mp4"
        cut(sources_of[number], to, start_s=0.0, end_s=1.0 + number * 22 // 19 / 25)
    code, out, _ = said("init", "data/five")
    assert code == 0
    assert "folders named after signs" in out
    assert "signs     5: sign 0, sign 1, sign 2, sign 3, sign 4" in out
    assert out.endswith(
        "  signloom check five\n"
        "  snakemake --cores all --config preset=five\n"
        "  signloom predict VIDEO --bundle build/five/export/sign_encoder_bundle.zip\n"
    )
    given = preset("five")
    assert given["dataset"] == {
        "importer": "folders",
        "table": "data/five",
        "videos": "data/five",
        "variations": None,
    }
    assert given["splits"] == {"mode": "clip"}
    # isolated signs are answered by the nearest clips: no glosses and no sentences to decode
    assert given["pipeline"] == {"families": ["sign2text"]}
    assert given["sign2text"] == {"task": "signs", "batch_size": 32, "seq_len": 100}
    assert given["quality"] == {"min_seconds": 0.3}
    assert "models    sign2text, without a sentence decoder: a clip is answered with one sign" in out
    made = stages(load_params(Path("params.yaml"), Path("config/presets/five.yaml")), new_project / "out")
    assert made.value_counts().to_dict() == {"train": 14, "val": 3, "test": 3}
    code, out, _ = said("check", "five")
    assert code == 0, out
    assert "clips     20 of 20 rows" in out
    assert "signs     5, 0 of them with only one clip" in out
    assert "lengths   1.00/" in out and "/1.88 s" in out
    assert "rates     25 fps: 20" in out
    assert "val       3 clips" in out and "test      3 clips" in out
    assert "must be mended" not in out and out.endswith("\nfit to run\n")
    assert "sign2text.task" not in out


def table_of(folder: Path, clips: int, signers: int) -> Path:
    """Write `clips` videos of two alternating sentences, and a table without splits, into `folder`."""
    write_videos(folder / "videos", *(f"{n}.mp4" for n in range(clips)))
    lines = [f"{n}.mp4,we go {n % 2},WE GO,s{n % signers}" for n in range(clips)]
    return write(folder, clips__csv="\n".join(["video,sentence,gloss,signer_id", *lines]) + "\n")


def test_a_table_with_five_signers_is_divided_by_signer(new_project: Path, said: Said) -> None:
    table_of(new_project / "data/mine", clips=10, signers=5)
    code, out, _ = said("init", "data/mine")
    assert code == 0
    given = preset("mine")
    assert given["dataset"]["table"] == "data/mine/clips.csv"
    assert given["dataset"]["videos"] == "data/mine/videos"
    assert given["splits"] == {"mode": "signer"}
    # as params.yaml says
    assert "importer" not in given["dataset"] and "pipeline" not in given
    assert given["pose"]["fps"] == 25.0 and given["sign2text"] == {"seq_len": 256}
    assert "signers   5: s0, s1, s2, s3, s4" in out


def test_sentences_that_are_too_few_to_hold_out_are_divided_by_clip(new_project: Path, said: Said) -> None:
    table_of(new_project / "data/mine", clips=10, signers=4)
    assert said("init", "data/mine/videos/..")[0] == 0
    # two sentences fill no three parts
    assert preset("mine")["splits"] == {"mode": "clip"}


def test_splits_of_the_corpus_are_kept(new_project: Path, said: Said) -> None:
    folder = new_project / "data/asl"
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
    assert "not used  1 row without a video; first: 7.mp4" in out
    assert "not used  1 video without a text; first: data/asl/videos/5.mp4" in out


def test_a_table_of_given_features_is_no_table_of_their_videos(new_project: Path, said: Said) -> None:
    folder = write_videos(new_project / "data/given", *(f"Videos/{n}.mp4" for n in range(9)))
    (folder / "features").mkdir()
    for n in range(9):
        np.save(folder / f"features/{n}.npy", np.full((40, 60), n + 1, np.float32))
    lines = [f"{n}.mp4,features/{n}.npy,{n % 3},one {n % 3},x" for n in range(9)]
    head = "video_file,feature_path,sentence_id,sentence,category"
    write(folder, processed_metadata__csv="\n".join([head, *lines]) + "\n")
    assert said("init", "data/given")[0] == 0
    assert preset("given")["dataset"]["importer"] == "processed"
    assert preset("given")["dataset"]["videos"] == "data/given"


SENTENCES = [f"the house number {n} is old" for n in range(10)]


def test_forms_whose_files_have_equal_names_are_told_apart_by_the_videos(
    new_project: Path, said: Said
) -> None:
    clips = ("-aB1_0", "-aB1_2", "cC2_1", "dD3_1")
    write_videos(how2sign(new_project / "data/h2s") / "clips", *(f"{name}-1-rgb_front.mp4" for name in clips))
    code, out, _ = said("init", "data/h2s")
    assert code == 0
    assert preset("h2s")["dataset"]["importer"] == "how2sign_clips"
    assert preset("h2s")["dataset"]["videos"] == "data/h2s/clips"
    assert "not used" not in out


def test_subtitles_beside_videos_are_sentences(new_project: Path, said: Said) -> None:
    cues = [f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\n{text}\n" for n, text in enumerate(SENTENCES[:9])]
    write(new_project / "data/news", a__srt="\n".join(cues))
    write_videos(new_project / "data/news", "a.mp4", seconds=9)
    code, out, _ = said("init", "data/news")
    assert code == 0
    assert preset("news")["dataset"]["importer"] == "subtitles"
    assert "sentences 9" in out


def test_a_preset_is_never_overwritten(new_project: Path, said: Said) -> None:
    table_of(new_project / "data/mine", clips=10, signers=5)
    write(new_project / "config/presets", mine__yaml="shards: {count: 9}\n")
    code, _, err = said("init", "data/mine")
    assert code == 2
    own = "error: init: config/presets/mine.yaml exists; name another one with --preset NAME"
    assert err == f"{own}\n"
    assert preset("mine") == {"shards": {"count": 9}}
    # one that init wrote is the user's
    write(new_project / "config/presets", mine__yaml="# Written by `signloom init data/mine`\n")
    assert said("init", "data/mine")[2] == f"{own}, or delete it first\n"


@pytest.mark.parametrize("folder", ["2024-03-05", "007"])
def test_a_folder_with_a_number_for_a_name_gets_a_name_that_stays_one(
    new_project: Path, said: Said, folder: str
) -> None:
    table_of(new_project / "data" / folder, clips=10, signers=5)
    code, out, err = said("init", f"data/{folder}")
    assert code == 0, err
    name = f"clips_{folder.replace('-', '_')}"
    assert f"signloom check {name}" in out and preset(name)
    assert said("init", f"data/{folder}", "--preset", "7")[0] == 2


@pytest.mark.parametrize("where", ["old/", "C:\\old\\"])
def test_a_table_with_other_columns_is_written_again_below_data(
    new_project: Path, said: Said, where: str
) -> None:
    folder = new_project / "recordings"
    write_videos(folder / "v", *(f"{n}.mp4" for n in range(10)))
    lines = [f"{n};take {n};{'ice cream' if n % 2 else 'tea'};s{n % 5};x" for n in range(10)]
    write(folder, liste__csv="\n".join(["Nr;File;Label;Signer;Ort", *lines]).replace("take ", where) + "\n")
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
    assert (
        "gloss = Label, signer_id = Signer; not taken: File, Ort; copied to data/recordings/clips.csv" in out
    )
    Path("config/presets/recordings.yaml").unlink()
    code, _, err = said("init", "recordings")
    assert code == 2 and "data/recordings/clips.csv exists" in err


def test_columns_with_our_names_are_kept_and_those_that_nearly_have_them_are_refused(
    new_project: Path, said: Said
) -> None:
    folder = new_project / "recordings"
    write_videos(folder / "v", *(f"{n}.mp4" for n in range(10)))
    lines = [f"{n},{'b' if n % 2 else 'a'},{n / 10},1.5,{'all' if n else ''},2099-01-31" for n in range(10)]
    head = "File,Label,start_s,end_s,consent,until"
    write(folder, list__csv="\n".join([head, *lines]) + "\n")
    code, out, err = said("init", "recordings")
    assert code == 0, err
    copied = Path("data/recordings/clips.csv").read_text().splitlines()
    assert copied[:3] == [
        "video,gloss,start_s,end_s,consent,until",
        "v/0.mp4,a,0.0,1.5,none,2099-01-31",
        "v/1.mp4,b,0.1,1.5,all,2099-01-31",
    ]
    assert "consent = consent" in out
    write(folder, list__csv="\n".join([head.replace("end_s", "end"), *lines]) + "\n")
    code, _, err = said("init", "recordings", "--preset", "other")
    assert code == 2 and "column `end` is not read; did you mean `end_s`? rename it" in err


@pytest.mark.parametrize("names", [("train", "test"), ("train", "valid", "test")])
def test_a_split_of_its_own_is_kept_with_other_names_and_without_validation(
    new_project: Path, said: Said, names: tuple[str, ...]
) -> None:
    folder = new_project / "data/mine"
    write_videos(folder / "videos", *(f"{n}.mp4" for n in range(18)))
    parts = [names[n % len(names)] for n in range(18)]
    texts = [n // len(names) % 2 for n in range(18)]
    lines = [f"{n}.mp4,{texts[n]},sentence {texts[n]},s{n % 6},{parts[n]}" for n in range(18)]
    write(folder, clips__csv="\n".join(["video,sentence_id,sentence,signer_id,split", *lines]) + "\n")
    code, out, err = said("init", "data/mine")
    assert code == 0, err
    assert "predefined: the corpus has its own" in out


def test_why_a_split_of_its_own_is_not_used_is_said(new_project: Path, said: Said) -> None:
    folder = new_project / "data/mine"
    write_videos(folder / "videos", *(f"{n}.mp4" for n in range(18)))
    lines = [f"{n}.mp4,{n % 2},sentence {n % 2},s{n % 6},{'train' if n else 'fold3'}" for n in range(18)]
    write(folder, clips__csv="\n".join(["video,sentence_id,sentence,signer_id,split", *lines]) + "\n")
    code, out, err = said("init", "data/mine")
    assert code == 0, err
    assert (
        "the corpus's own cannot be used: splits.mode predefined: 1 of 18 clips have no usable split" in out
    )


MUSIC = "1\n00:00:00,0 --> 00:00:01,0\n♪♪\n"
FAIRSEQ = "id\tsigns_file\tsigns_offset\tsigns_length\ttranslation\na\ta.npy\t0\t40\tOne.\n"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda folder: folder.mkdir(parents=True), "holds no video and no folder of pictures"),
        (lambda folder: write(folder, notes__csv="a,b\n"), "holds no video and no folder of pictures"),
        (lambda folder: write_videos(folder, "1.mp4", "2.mp4"), "2 videos and nothing that says what is"),
        (lambda folder: write_videos(folder, "1.mp4"), "holds 1 video and nothing that says what is"),
        (lambda folder: None, "data/x does not exist; expected a folder of videos"),
        (
            lambda folder: write_videos(folder, "A/1.mp4", "B/2.mp4"),
            "2 clips of 2 signs or sentences are too few",
        ),
        (lambda folder: write(write_videos(folder, "1.mp4"), a__eaf="<x"), "not a readable ELAN file"),
        (
            lambda folder: write(write_videos(folder, "1.mp4"), c__csv="video,gloss\ngone.mp4,A\n"),
            "looks like the form csv, but none of its videos is below data/x, first gone.mp4",
        ),
        (
            lambda folder: write(
                write_videos(folder, "v/1.mp4", "v/2.mp4"),
                clips__csv="video,gloss\nold/1.mp4,A\nold/2.mp4,B\n",
            ),
            "looks like the form csv, but none of its videos is below data/x, first old/1.mp4",
        ),
        (
            lambda folder: write(folder, **{"x__train__tsv": FAIRSEQ, "a__npy": b""}),
            "preset with dataset.importer fairseq and dataset.frame_rate (docs/annotation-forms.md, fairseq)",
        ),
        (
            lambda folder: write(folder, a__npy=b"", b__npz=b""),
            "for feature rows a preset with dataset.features true and dataset.frame_rate (docs/annotation-",
        ),
        (
            lambda folder: sentences_eaf(write_videos(folder, "1.mp4") / "talk.eaf", {"Satz": SENTENCES}),
            "looks like the form elan, but none of its videos is below data/x, first talk",
        ),
        (
            lambda folder: write(write_videos(folder, "1.mp4"), **{"1__srt": MUSIC}),
            "data/x looks like the form subtitles, but has no clip with a text",
        ),
    ],
)
def test_a_folder_that_is_not_understood_gets_one_line(
    make: Callable[[Path], object], line: str, new_project: Path, said: Said
) -> None:
    make(new_project / "data/x")
    code, out, err = said("init", "data/x")
    assert (code, out) == (2, "")
    assert line in err and err.startswith("error: init: ") and err.count("\n") == 1
    assert not list(Path("config/presets").iterdir())


@pytest.mark.parametrize("name", ["models", "a,b", "../x"])
def test_a_name_that_a_build_cannot_have_is_refused(name: str, new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/x", "A/1.mp4")
    code, _, err = said("init", "data/x", "--preset", name)
    assert code == 2 and f"init: --preset {name}" in err


def test_a_folder_with_a_brace_is_refused_before_a_build_stumbles_over_it(
    new_project: Path, said: Said
) -> None:
    write_videos(new_project / "data/my {old} clips", "A/1.mp4")
    code, _, err = said("init", "data/my {old} clips")
    assert code == 2 and err.startswith("error: init: data/my {old} clips has a brace")
    assert not list(Path("config/presets").iterdir())
