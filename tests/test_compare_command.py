"""`signloom compare`: folders, presets, git revisions and DVC experiments, as text, JSON and a page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from signloom.__main__ import main
from signloom.evaluation.builds import read_build
from signloom.metrics.bootstrap import NOT_DECODED
from tests.report_inputs import Page


def test_builds_are_compared_without_pytorch() -> None:
    code = "import sys; sys.modules['torch'] = None; import signloom.cli.compare"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


RIGHT = "we drink water today"
WRONG = "we drink tea today"
EVIL = "we <b onclick='x()'>drink</b> & </script>"
# a stage whose two seeds answer most of eight clips with the parameter `word`
STAGE = """\
import json, pathlib
from ruamel.yaml import YAML
word = YAML().load(pathlib.Path("params.yaml"))["word"]

def write(path, text):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text + "\\n")

for place, times in (("build", 7), ("build/seeds/43", 8)):
    said = [f"we drink {word} today"] * times + ["we drink water today"] * (8 - times)
    rows = [f"s1/{n},test,s1,1,we drink water today,{text}" for n, text in enumerate(said)]
    head = "clip_id,data,signer_id,sentence_id,reference,hypothesis"
    write(f"{place}/predictions/sign2text.csv", "\\n".join([head, *rows]))
write("build/predictions/runs.csv", "model,seed\\nsign2text,\\nsign2text,43")
write("metrics/sign2text.json", json.dumps({"test": {"chrf": len(word)}}))
write("metrics/seeds/43/sign2text.json", json.dumps({"test": {"chrf": len(word)}}))
"""
PIPELINE = f"""\
stages:
  say:
    cmd: {json.dumps(shlex.quote(sys.executable) + " say.py")}
    deps: [say.py]
    params: [word]
    outs:
    - build/predictions/runs.csv
    - build/predictions/sign2text.csv
    - build/seeds/43/predictions/sign2text.csv
    metrics:
    - metrics/sign2text.json: {{cache: false}}
    - metrics/seeds/43/sign2text.json: {{cache: false}}
"""


def write_answers(place: Path, hypothesis: str) -> None:
    """Write sign2text.csv, whose 8 sentences are read as `hypothesis`."""
    rows = {"clip_id": [f"s1/{n}" for n in range(8)], "data": "test", "signer_id": "s1", "sentence_id": 1}
    (place / "predictions").mkdir(parents=True)
    table = pd.DataFrame(rows).assign(reference=RIGHT, hypothesis=hypothesis)
    table.to_csv(place / "predictions/sign2text.csv", index=False)


def write_metrics(folder: Path, chrf: float) -> None:
    folder.mkdir(parents=True)
    tree = {"test": {"n": 8, "wer": 9.0, "chrf": chrf, "chrf_low": chrf, "exact": 1.0, "exact_reason": None}}
    (folder / "sign2text.json").write_text(json.dumps(tree))


def write_checkout(root: Path, hypothesis: str, chrf: float) -> Path:
    write_answers(root / "build", hypothesis)
    write_metrics(root / "metrics", chrf)
    return root


@pytest.fixture
def builds(tmp_path: Path) -> tuple[str, str]:
    """Two checkouts: one of four words of the second is wrong."""
    a, b = write_checkout(tmp_path / "a", RIGHT, 100), write_checkout(tmp_path / "b", WRONG, 50)
    return str(a), str(b)


def compared(capsys: pytest.CaptureFixture[str], a: str | Path, b: str | Path) -> dict[str, Any]:
    assert main(["compare", str(a), str(b), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_text_has_what_moved_and_the_clips_with_both_answers(
    builds: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *builds, "--clips", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sign2text test wer 8 0.0000 0.2500 +0.2500 +0.2500 to +0.2500 0.018 worse" in said
    assert "2 of 2 differ" in said and "another seed would move" in said and "are equal: 1." in said
    assert "without an interval: metric A B B - A sign2text test chrf 100 50 -50 Clips" in said
    assert said.count(" s1/") == 2
    assert f"s1/0: 0 errors in A, 1 in B truth {RIGHT} A {RIGHT} B {WRONG}" in said
    assert main(["compare", *reversed(builds), "--clips", "1"]) == 0
    assert "s1/0: 1 error in A, 0 in B\n" in capsys.readouterr().out


def test_a_build_compared_with_itself_says_that_nothing_differs(
    builds: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", builds[0], builds[0], "--html", str(page)]) == 0
    nothing = "Nothing differs: all 4 metrics are equal."
    assert capsys.readouterr().out == f"A = {builds[0]}\nB = {builds[0]}\n\n{nothing}\n"
    read = Page(page.read_text("utf-8"))
    assert nothing in read.text
    assert read.tables == [] and read.pictures == []


def test_the_page_has_a_picture_and_tables_and_no_markup_of_the_corpus(
    builds: tuple[str, str], tmp_path: Path
) -> None:
    shutil.rmtree(Path(builds[1]) / "build")
    write_answers(Path(builds[1]) / "build", EVIL)
    page = tmp_path / "new/page.html"
    assert main(["compare", *builds, "--html", str(page)]) == 0
    text = page.read_text("utf-8")
    read = Page(text)
    assert EVIL not in text and EVIL in read.text
    assert all(link.startswith("#") for link in read.links)
    assert "wer of sign2text, Test: +1.25, 1.25 to 1.25, differs" in read.pictures[0]
    assert len(read.tables) == 3
    assert "metric A B B − A sign2text test chrf 100 50 −50" in read.text
    assert list(page.parent.iterdir()) == [page]


def test_variants_are_compared_with_those_of_the_same_name(
    builds: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for build in map(Path, builds):
        write_answers(build / "build/variants/supcon", "we drink" if build.name == "b" else RIGHT)
        write_metrics(build / "metrics/variants/supcon", 70)
        runs = pd.DataFrame({"model": ["sign2text", "sign2text-supcon"], "seed": "", "fold": ""})
        runs.to_csv(build / "build/predictions/runs.csv", index=False)
    rows = compared(capsys, *builds)["rows"]
    assert {(row["model"], row["b"]) for row in rows if row["metric"] == "wer"} == {
        ("sign2text", 0.25),
        ("sign2text-supcon", 0.5),
    }
    # the folder of a variant is a build of its own
    variant = Path(builds[1]) / "build/variants/supcon"
    found = compared(capsys, builds[1], variant)
    assert [(row["model"], row["a"], row["b"]) for row in found["rows"]][:1] == [("sign2text", 0.25, 0.5)]
    assert found["figures"] == [{"figure": "sign2text test chrf", "a": 50.0, "b": 70.0}]


def test_only_the_seeds_of_the_last_build_are_read_and_figures_are_their_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (write_checkout(tmp_path / name, RIGHT, 100) for name in "ab")
    for seed, hypothesis in (("43", WRONG), ("44", "left from an older build")):
        write_answers(b / "build/seeds" / seed, hypothesis)
        write_metrics(b / "metrics/seeds" / seed, 40)
    runs = {"model": "sign2text", "seed": ["", "43"], "fold": "", "data": "test", "n": 8, "wer": 0}
    pd.DataFrame(runs).to_csv(b / "build/predictions/runs.csv", index=False)
    found = compared(capsys, a, b)
    assert found["rows"][0]["seeds"] == [1, 2]
    assert found["rows"][0]["b"] == 0.125
    assert found["figures"] == [{"figure": "sign2text test chrf", "a": 100.0, "b": 70.0}]
    # the seeds of b disagree
    assert not found["rows"][0]["differs"]


def test_models_that_the_last_build_does_not_have_are_left_out(tmp_path: Path) -> None:
    root = write_checkout(tmp_path, RIGHT, 100)
    answers = pd.read_csv(root / "build/predictions/sign2text.csv").drop(columns="hypothesis")
    (root / "build/predictions/gloss").mkdir()
    (root / "metrics/gloss").mkdir()
    for name in ("tcn_ctc", "hybrid_pose"):
        answers.assign(ctc_beam="A", joint="A").to_csv(root / f"build/predictions/gloss/{name}.csv")
    ranks = answers[["clip_id", "data"]].assign(rank="1", top_sentence=RIGHT)
    ranks.to_csv(root / "build/predictions/retrieval.csv", index=False)
    names = ["gloss/tcn_ctc", "gloss/hybrid_pose", "alignment", "retrieval", "calibration", "features"]
    for name in names:
        (root / f"metrics/{name}.json").write_text('{"x": 1}')

    def read(*models: str) -> tuple[set[str], set[str]]:
        runs = pd.DataFrame({"model": models, "seed": "", "fold": ""})
        runs.to_csv(root / "build/predictions/runs.csv", index=False)
        found = read_build(root / "build")
        return set(found.answers["model"]), {name.split()[0] for name in found.figures.index}

    assert read("tcn_ctc") == ({"tcn_ctc"}, {"tcn_ctc", "alignment", "features"})
    sentences = {"sign2text", "retrieval"}
    assert read("sign2text") == (sentences, sentences | {"calibration", "features"})
    both = read("sign2text", "tcn_ctc", "hybrid_pose")
    (root / "build/predictions/runs.csv").unlink()
    found = read_build(root / "build")
    assert both == (set(found.answers["model"]), {name.split()[0] for name in found.figures.index})
    assert len(both[0]) == 4 and len(both[1]) == 7


def test_retrieval_is_compared_by_its_first_sentence(
    builds: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for build, rank in zip(builds, ("1", "3"), strict=True):
        ranks = {"clip_id": [f"s1/{n}" for n in range(8)], "data": "test", "sentence_id": 1}
        table = pd.DataFrame(ranks).assign(rank=[rank] * 6 + ["1", ""], top_sentence=f"rank {rank}")
        table.to_csv(Path(build) / "build/predictions/retrieval.csv", index=False)
    found = compared(capsys, *builds)
    (row,) = (row for row in found["rows"] if row["model"] == "retrieval")
    # the last clip has no sentence in the gallery
    assert (row["metric"], row["clips"], row["a"], row["b"]) == ("ret_top1", 7, 1.0, 0.1429)
    assert main(["compare", *builds, "--clips", "9"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"retrieval, test, s1/0: 0 errors in A, 1 in B truth {RIGHT} A rank 1 B rank 3" in said


def test_clips_that_one_build_lacks_are_counted_and_their_figures_shown(
    builds: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    a = Path(builds[0])
    shorter = shutil.copytree(a, a.parent / "shorter")
    file = shorter / "build/predictions/sign2text.csv"
    pd.read_csv(file).iloc[1:].assign(reference=[EVIL, *[RIGHT] * 6]).to_csv(file, index=False)
    found = compared(capsys, a, shorter)
    assert (found["rows"], found["left_out"], found["figures"]) == ([], 2, [])
    equal = found["equal"]
    scores = shorter / "metrics/sign2text.json"
    scores.write_text(scores.read_text().replace("9.0", "0.0"))
    found = compared(capsys, a, shorter)
    assert found["figures"] == [{"figure": "sign2text test wer", "a": 9.0, "b": 0.0}]
    assert found["equal"] == equal - 1
    assert main(["compare", str(a), str(shorter)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "one build lacks them or has another reference: up to 2 of a data set" in said
    assert "Nothing differs" not in said


def test_a_data_set_without_a_common_clip_is_not_called_equal(
    builds: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    a = Path(builds[0])
    file = a / "build/predictions/sign2text.csv"
    table = pd.read_csv(file)
    pd.concat([table, table.assign(data="val")]).to_csv(file, index=False)
    other = shutil.copytree(a, a.parent / "other")
    others = pd.concat([table.assign(clip_id=[f"s2/{n}" for n in range(8)]), table.assign(data="val")])
    others.to_csv(other / "build/predictions/sign2text.csv", index=False)
    assert main(["compare", str(a), str(other)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing differs" not in said and "up to 16 of a data set" in said


def test_signs_are_compared_by_retrieval_alone(
    builds: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for build, rank in zip(builds, ("1", "3"), strict=True):
        ranks = {"clip_id": [f"s1/{n}" for n in range(8)], "data": "test", "sentence_id": 1, "rank": rank}
        file = Path(build) / "build/predictions/retrieval.csv"
        pd.DataFrame(ranks).assign(top_sentence="x").to_csv(file, index=False)
        tree = {"test": {"n": 8, "wer": None, "wer_reason": NOT_DECODED}}
        (Path(build) / "metrics/sign2text.json").write_text(json.dumps(tree))
    assert [row["metric"] for row in compared(capsys, *builds)["rows"]] == ["ret_top1"]


def test_presets_seeds_and_folds_are_compared_as_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkout(tmp_path, RIGHT, 100)
    for place in ("mine", "seeds/43", "folds/s1"):
        write_answers(tmp_path / "build" / place, WRONG)
        write_metrics(tmp_path / "metrics" / place, 50)
    (tmp_path / "config/presets").mkdir(parents=True)
    (tmp_path / "config/presets/mine.yaml").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "build/mine", "build/seeds/43", "build/folds/s1"):
        found = compared(capsys, ".", name)
        assert [row["metric"] for row in found["rows"]] == ["wer", "bleu4"]
        assert found["rows"][0]["difference"] == 0.25
        assert found["figures"] == [{"figure": "sign2text test chrf", "a": 100.0, "b": 50.0}]


def test_a_build_that_is_not_there_is_named(
    builds: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", builds[0], "no-such-revision"]) == 2
    assert re.fullmatch(
        r"error: compare: no-such-revision: .*expected a folder, a preset, or a git revision .*\n",
        capsys.readouterr().err,
    )
    assert main(["compare", builds[0], str(tmp_path)]) == 2
    assert "has no predictions" in capsys.readouterr().err


def test_builds_of_other_clips_are_refused(
    builds: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(builds[1]) / "build/predictions/sign2text.csv"
    path.write_text(path.read_text().replace("s1/", "s2/"))
    assert main(["compare", *builds]) == 2
    assert "no model that answered a clip with the same reference" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [("--clips", "-1"), ("--html", ".")])
def test_options_that_cannot_be_met_are_refused(
    builds: tuple[str, str], wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *builds, *wrong]) == 2
    assert f"compare: {' '.join(wrong)}: expected" in capsys.readouterr().err


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose second commit changed a parameter, with an experiment; all pushed to `../store`."""
    root = tmp_path_factory.mktemp("dvc") / "repository"
    root.mkdir()
    dvc, git = (sys.executable, "-m", "dvc"), ("git", "-c", "user.name=t", "-c", "user.email=t@t")
    run(root, "git", "init", "--quiet")
    run(root, *dvc, "init", "--quiet")
    run(root, *dvc, "remote", "add", "--default", "store", str(root.parent / "store"))
    (root / ".gitignore").write_text("/build\n")
    (root / "say.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(PIPELINE)
    for word in ("water", "tea"):
        (root / "params.yaml").write_text(f"word: {word}\n")
        run(root, *dvc, "repro", "--quiet")
        run(root, "git", "add", "--all")
        run(root, *git, "commit", "--quiet", "--message", word)
    run(root, *dvc, "push", "--quiet", "--all-commits")
    run(root, *dvc, "exp", "run", "--quiet", "--name", "juicy", "--set-param", "word=juice")
    return root


def test_revisions_are_fetched_from_the_remote_in_a_clone(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = repository.parent / "clone"
    run(repository, "git", "clone", "--quiet", ".", str(clone))
    monkeypatch.chdir(clone)
    found = compared(capsys, "HEAD~1", "HEAD")
    row = found["rows"][0]
    assert (row["metric"], row["a"], row["b"], row["differs"]) == ("wer", 0.0, 0.2344, True)
    assert row["seeds"] == [2, 2]
    assert row["low"] < row["difference"] < row["high"]
    assert found["figures"] == [{"figure": "sign2text test chrf", "a": 5.0, "b": 3.0}]
    assert [clip["answer_b"] for clip in found["clips"]] == [WRONG] * 5
    assert not (clone / "build").exists()


def test_an_experiment_is_compared_with_a_folder(
    repository: Path,
    builds: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(repository)
    found = compared(capsys, builds[0], "juicy")
    assert found["rows"][0]["b"] == 0.2344
    assert found["figures"] == [{"figure": "sign2text test chrf", "a": 100.0, "b": 5.0}]
    assert [clip["answer_b"] for clip in found["clips"]] == ["we drink juice today"] * 5


def test_a_preset_at_a_revision_is_fetched_with_its_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of_preset(text: str) -> str:
        for place in ("build", "metrics"):
            text = re.sub(rf"\b{place}(?=[/\"])", f"{place}/mine", text)
        return text

    root, dvc = tmp_path / "repository", (sys.executable, "-m", "dvc")
    (root / "config/presets/mine").mkdir(parents=True)
    run(root, "git", "init", "--quiet")
    run(root, *dvc, "init", "--quiet")
    (root / ".gitignore").write_text("/build\n")
    (root / "say.py").write_text(of_preset(STAGE))
    stages = of_preset(PIPELINE).replace("    deps", "    wdir: ../../..\n    deps")
    (root / "config/presets/mine/dvc.yaml").write_text(stages)
    for word in ("water", "tea"):
        (root / "params.yaml").write_text(f"word: {word}\n")
        run(root, *dvc, "repro", "--quiet", "config/presets/mine/dvc.yaml")
        run(root, "git", "add", "--all")
        run(root, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", word)
    (root / "config/presets/mine.yaml").write_text("{}\n")
    monkeypatch.chdir(root)
    found = compared(capsys, "HEAD~1:mine", "mine")
    row = found["rows"][0]
    assert (row["metric"], row["a"], row["b"], row["seeds"]) == ("wer", 0.0, 0.2344, [2, 2])
    assert found["figures"] == [{"figure": "sign2text test chrf", "a": 5.0, "b": 3.0}]


def test_products_that_no_cache_has_are_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = tmp_path / "clone"
    run(repository, "git", "clone", "--quiet", ".", str(clone))
    (clone / ".dvc/config.local").write_text("['remote \"store\"']\n    url = /nowhere\n")
    monkeypatch.chdir(clone)
    assert main(["compare", "HEAD", "."]) == 2
    said = capsys.readouterr().err
    assert re.search(r"compare: HEAD: build/predictions: .*No storage files.* \(dvc push\)\n", said)
