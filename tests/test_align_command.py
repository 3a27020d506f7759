"""`python -m signloom align` times the glosses of a video or a table, or says in one line why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, clip_of
from pympi.Elan import Eaf

from signloom.__main__ import main
from signloom.cli.align import read_lines, split_line
from signloom.errors import SignloomError
from signloom.inference.engine import SignEngine
from signloom.inference.gloss_places import delay_rows
from signloom.text.vocabulary import SPECIALS

Capture = pytest.CaptureFixture[str]
CLIP = "s6/001_1.mp4"
LENGTH_S = 2.36


@pytest.fixture(scope="module")
def videos(root: Path) -> Path:
    return root / "data" / "demo" / "videos"


def test_a_video_gets_times_in_words_as_json_and_as_a_tier(
    exported: Exported, videos: Path, tmp_path: Path, capsys: Capture
) -> None:
    eaf = tmp_path / "clip.eaf"
    given = [str(videos / CLIP), "--glosses", "APPLE  BOY", "--bundle", str(exported.bundle)]
    assert main(["align", *given, "--json", "--eaf", str(eaf)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["video"] == str(videos / CLIP)
    assert [one["gloss"] for one in said["glosses"]] == ["APPLE", "BOY"]
    edges = [one[name] for one in said["glosses"] for name in ("start_s", "end_s")]
    assert edges == sorted(edges) and 0 <= edges[0] < edges[-1] <= LENGTH_S
    assert all(0 < one["score"] <= 1 for one in said["glosses"])
    tiers = Eaf(str(eaf))
    annotated = sorted(tiers.get_annotation_data_for_tier("gloss"))
    assert annotated == [
        (round(1000 * one["start_s"]), round(1000 * one["end_s"]), one["gloss"]) for one in said["glosses"]
    ]
    eaf.write_text(eaf.read_text("utf-8").replace(">BOY<", ">GIRL<"), "utf-8")  # corrected by hand
    assert main(["align", *given, "--eaf", str(eaf)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "clip.eaf exists" in err and ">GIRL<" in eaf.read_text("utf-8")
    assert main(["align", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[2:]] == ["APPLE", "BOY"]


def test_a_table_is_aligned_line_by_line_and_names_what_cannot_be_read(
    exported: Exported, videos: Path, tmp_path: Path, capsys: Capture
) -> None:
    table = tmp_path / "clips.csv"
    nine = f"{CLIP},{'TEA ' * 9},0.0,0.3"
    rows = [f"{CLIP},APPLE,0.3,1.0", f"{CLIP},BOY TEA,1.0,", "none.mp4,APPLE,,", nine]
    table.write_text("\n".join(["video,gloss,start_s,end_s", *rows]))
    given = [str(table), "--videos", str(videos), "--bundle", str(exported.bundle), "--json"]
    assert main(["align", *given, "--eaf", str(tmp_path / "tiers")]) == 2
    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    assert all(one["end_s"] <= 1.0 for one in first["glosses"])
    # times of a part are those of the video
    assert all(1.0 <= one["start_s"] < one["end_s"] <= LENGTH_S for one in second["glosses"])
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "none.mp4: file does not exist" in errors[0] and "too few frames" in errors[1]
    annotated = Eaf(str(tmp_path / "tiers" / "001_1.eaf")).get_annotation_data_for_tier("gloss")
    assert [one[2] for one in sorted(annotated)] == ["APPLE", "BOY", "TEA"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["clip.mp4"], "give the glosses"),
        (["clip.mp4", "--glosses", " "], "--glosses is empty"),
        (["clip.mp4", "--glosses", "APPEL"], "does not know the gloss 'APPEL'; similar ones are APPLE"),
        (["clip.mp4", "--glosses", "<blank>"], "does not know the gloss '<blank>'"),
        (["clip.mp4", "--glosses", "BOY", "--videos", "."], "--videos is for a table"),
        (["clip.mp4", "--glosses", "BOY", "--eaf", "."], ". is a folder; name a file"),
        (["none.mp4", "--glosses", "BOY"], "none.mp4: file does not exist"),
        (["clip.mp4", "--glosses", "BOY", "--bundle", "none.zip"], "none.zip does not exist"),
        (["good.csv", "--glosses", "BOY"], "leave --glosses out"),
        (["good.csv", "--eaf", "clip.mp4"], "expected a folder"),
        (["good.csv"], "good.csv: line 2: the bundle does not know the gloss 'CAT'"),
        (["column.csv"], "column 'gloss' is missing"),
        (["empty.csv"], "line 2: gloss is empty"),
        (["turned.csv"], "line 2: end_s 1 is not after start_s 2"),
        (["header.csv"], "header.csv: no line"),
        (["over.csv", "--eaf", "tiers"], "over.csv: line 4 overlaps with line 2 in clip.mp4, and a tier"),
        (["clip.mp4", "--glosses", "BOY", "--eaf", "clip.mp4/a.eaf"], "--eaf: "),
    ],
)
def test_what_cannot_be_followed_is_one_line(
    exported: Exported,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_text("no video")
    for name, text in {
        "good": "video,gloss\nclip.mp4,CAT\n",
        "column": "video,words\nclip.mp4,BOY\n",
        "empty": "video,gloss\nclip.mp4, \n",
        "turned": "video,gloss,start_s,end_s\nclip.mp4,BOY,2,1\n",
        "header": "video,gloss\n",
        "over": "video,gloss,start_s,end_s\nclip.mp4,BOY,0,1.5\nclip.mp4,BOY,2,\nclip.mp4,BOY,1,2\n",
    }.items():
        Path(f"{name}.csv").write_text(text)
    bundle = [] if "--bundle" in given else ["--bundle", str(exported.bundle)]
    assert main(["align", *given, *bundle]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("error: ") and said in line and out == ""


def test_the_engine_places_glosses_on_the_rows_of_the_clip(exported: Exported) -> None:
    engine = SignEngine.load(exported.bundle)
    clip = clip_of(exported, "b/train1")
    rows = len(clip[0])
    found = engine.align(clip, ["BOY", "BOY"])
    assert found is not None
    edges = np.array([place[:2] for place in found]).ravel()
    assert (np.diff(edges) > 0).all() and edges[0] >= 0 and edges[-1] <= rows
    assert engine.align((clip[0][:2], clip[1][:2]), ["BOY", "BOY"]) is None
    assert engine.align((clip[0][:0], clip[1][:0]), ["BOY"]) is None
    assert engine.delay_rows == delay_rows(engine.config["pose"]["smoothing"])
    with pytest.raises(SignloomError, match="shape"):
        engine.align((clip[0][:, :5], clip[1]), ["BOY"])
    engine.config["gloss"] = None
    with pytest.raises(SignloomError, match=r"no gloss network.*pipeline\.families.*hybrid_pose"):
        engine.align(clip, ["BOY"])


def test_the_engine_knows_a_gloss_whose_letters_are_decomposed(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SignEngine.load(exported.bundle)
    monkeypatch.setitem(engine.__dict__, "_vocabulary", [*SPECIALS, "CAF\u00c9"])
    assert engine.gloss_ids(["CAFE\u0301"]) == engine.gloss_ids(["CAF\u00c9"]) == [len(SPECIALS)]
    with pytest.raises(SignloomError, match="similar ones are CAF\u00c9"):
        engine.gloss_ids(["caf\u00e9"])


def test_glosses_have_the_form_that_the_vocabulary_has(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("video,gloss\na.mp4,CAFE\u0301  TEA\n", encoding="utf-8")
    assert read_lines(table, tmp_path)[0].glosses == split_line("CAFE\u0301 TEA") == ("CAF\u00c9", "TEA")
