"""Products that change after their stage wrote them: found, named with the way back, and not exported."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from engines import adopt, verify
from signloom.errors import SignloomError
from signloom.products import Build, State, check_unchanged
from signloom.records import read_records, write_record
from tests.checkouts import copy_of, run
from workflow_scripts import export

EMBEDDINGS, SHARD, TABLE, EMPTY = PRODUCTS = (
    *("build/embeddings/embeddings.npy", "build/shards/00.csv", "build/manifest.parquet"),
    "build/empty.csv",
)
STAGE = """
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    given = job.input("given").read_bytes()
    contents = {"empty": b"", "json": b'{"sum": %d}' % sum(given)}
    for name in job.outputs:
        job.output(name).write_bytes(contents.get(name, given + name.encode()))


main = entry_point(work)
"""
OUTPUTS = f"npy={EMBEDDINGS} csv={SHARD} parquet={TABLE} empty={EMPTY} json=metrics/embed.json"
PYTHON = shlex.quote(sys.executable)
COMMAND = f"{PYTHON} embed.py --input given=given.bin --output {OUTPUTS} --scratch build/scratch"
SNAKEFILE = f"""
rule all:
    input: "build/copy.npy"

rule copy:
    input: "{EMBEDDINGS}"
    output: "build/copy.npy"
    shell: "{PYTHON} copy_it.py --input given={{input}} --output npy={{output}}"

rule embed:
    input: "given.bin"
    output: {", ".join(repr(item.split("=")[1]) for item in OUTPUTS.split())}
    shell: "{COMMAND}"
"""
DVC_YAML = f"""
stages:
  embed:
    cmd: {json.dumps(COMMAND)}
    deps: [given.bin]
    outs: [{", ".join(PRODUCTS)}]
    metrics: [metrics/embed.json: {{cache: false}}]
  folder:
    cmd: mkdir -p build/folder && cp given.bin build/folder/a.bin && cp given.bin build/folder/b.bin
    deps: [given.bin]
    outs: [build/folder]
"""
FLAG = ("--cores", "1", "--max-checksum-file-size", "1TB", "--quiet", "all")


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small project, built by Snakemake, and one built by DVC; not to be changed."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("snakemake", "dvc")}
    for folder in folders.values():
        for name in ("workflow_scripts", "signloom", "engines"):
            (folder / name).symlink_to(root / name)
        (folder / "given.bin").write_bytes(bytes(range(256)) * 40)
        (folder / "embed.py").write_text(STAGE, "utf-8")
        (folder / "copy_it.py").write_text(STAGE, "utf-8")
        (folder / "Snakefile").write_text(SNAKEFILE, "utf-8")
    run(folders["snakemake"], "snakemake", *FLAG)
    run(folders["dvc"], "dvc", "init", "-q", "--no-scm")
    (folders["dvc"] / "dvc.yaml").write_text(DVC_YAML, "utf-8")
    run(folders["dvc"], "dvc", "repro", "-q")
    return folders


@pytest.fixture(params=["snakemake", "dvc", "dvc without records of jobs"])
def project(
    built: dict[str, Path], request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of such a project, and the working folder; the last is as after `dvc pull`."""
    folder = copy_of(built[request.param.split()[0]], tmp_path / "project")
    if "without" in request.param:
        shutil.rmtree(folder / "build/records")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def by_snakemake(built: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = copy_of(built["snakemake"], tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def by_dvc(built: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = copy_of(built["dvc"], tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def flip(name: str) -> None:
    """Flip a bit of a file as a disk does, which changes neither its size nor its times."""
    path = Path(name)
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def said(capsys: pytest.CaptureFixture[str], code: int) -> list[str]:
    """Return the lines that the command prints, which ends with `code`."""
    capsys.readouterr()
    assert verify.main([]) == code
    return capsys.readouterr().out.splitlines()


def changed_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = said(capsys, 1)
    return lines[: next(place for place, line in enumerate(lines) if line.startswith("products:"))]


def test_what_was_built_is_as_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (summary,) = said(capsys, 0)
    assert re.match(r"products: [67] as written, 0 changed, 0 missing, 0 without a record", summary)


@pytest.mark.parametrize("name", [EMBEDDINGS, SHARD, TABLE])
def test_a_flipped_bit_is_found_with_its_stage(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    flip(name)
    (line,) = changed_lines(capsys)
    assert line.startswith(f"{name} is not what stage embed wrote; make it again: snakemake --cores all")


def test_a_file_of_no_bytes_is_a_product_like_others(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Build().state(EMPTY) is State.AS_WRITTEN
    Path(EMPTY).write_text("a")
    Path(SHARD).write_text("")
    assert [line.split()[0] for line in changed_lines(capsys)] == sorted([EMPTY, SHARD])


def test_the_way_back_that_a_line_names_leads_back_under_snakemake(
    by_snakemake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(EMBEDDINGS).write_bytes(b"other")  # at a later time, so that Snakemake builds on it
    run(by_snakemake, "snakemake", *FLAG)
    assert Path("build/copy.npy").read_bytes() == b"othernpy"
    (line,) = changed_lines(capsys)
    again = line.split("make it again: ")[1]
    run(by_snakemake, *again.split())
    said(capsys, 0)
    # what was made from the changed product is made again
    run(by_snakemake, "snakemake", *FLAG)
    assert Path("build/copy.npy").read_bytes() != b"othernpy"
    said(capsys, 0)


@pytest.mark.parametrize("records", [True, False])
def test_the_way_back_that_a_line_names_leads_back_under_dvc(
    by_dvc: Path, capsys: pytest.CaptureFixture[str], records: bool
) -> None:
    if not records:
        shutil.rmtree("build/records")
    flip(EMBEDDINGS)
    (line,) = changed_lines(capsys)
    run(by_dvc, "sh", "-c", line.split("or restore it: ")[1])
    said(capsys, 0)


def test_a_metric_and_what_dvc_has_no_copy_of_are_made_again_under_dvc(
    by_dvc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip("metrics/embed.json")
    (line,) = changed_lines(capsys)
    run(by_dvc, *line.split(", or: ")[1].split())
    said(capsys, 0)
    shutil.rmtree(".dvc/cache")
    flip(TABLE)
    (line,) = changed_lines(capsys)
    assert line.endswith("or: dvc repro --force --single-item embed")


def test_a_copy_of_an_older_build_is_not_what_a_line_offers(
    by_dvc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("given.bin").write_bytes(b"new")
    run(by_dvc, "snakemake", *FLAG, "--forceall")
    said(capsys, 0)  # dvc.lock is older than this build
    flip(EMBEDDINGS)
    (line,) = changed_lines(capsys)
    assert "dvc checkout" not in line


def test_what_dvc_puts_back_without_a_job_is_as_written(
    by_dvc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, given = Path("dvc.lock").read_bytes(), Path("given.bin").read_bytes()
    Path("given.bin").write_bytes(b"new")
    run(by_dvc, "dvc", "repro", "-q")
    said(capsys, 0)
    # an older commit
    Path("dvc.lock").write_bytes(lock)
    run(by_dvc, "dvc", "checkout", "-q", "--force")
    said(capsys, 0)
    # the newer parameters again: from the run cache
    Path("given.bin").write_bytes(b"new")
    assert "is cached" in run(by_dvc, "dvc", "repro")
    said(capsys, 0)
    assert given not in Path(EMBEDDINGS).read_bytes()


def test_a_product_that_is_built_again_or_touched_is_as_written(
    by_snakemake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(by_snakemake, "snakemake", *FLAG, "--touch", "--forceall")
    said(capsys, 0)
    Path("given.bin").write_bytes(b"new")
    run(by_snakemake, "snakemake", *FLAG)
    assert Path(EMBEDDINGS).read_bytes() == b"newnpy"
    said(capsys, 0)


def test_a_file_of_a_folder_that_dvc_recorded_is_found(
    by_dvc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip("build/folder/b.bin")
    (line,) = changed_lines(capsys)
    assert line.startswith("build/folder/b.bin is not what stage folder wrote")
    run(by_dvc, "sh", "-c", line.split("or restore it: ")[1])
    said(capsys, 0)


def test_missing_products_and_files_without_a_record_are_counted_and_no_error(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(SHARD).unlink()
    Path("build/own.npy").write_bytes(b"1")
    Path("build/shards/.gitignore").write_text("/00.csv")
    summary, missing = said(capsys, 0)
    assert "1 missing, 1 without a record" in summary
    assert missing.endswith(f"or by name: snakemake --cores all -- {SHARD}")


def test_a_lock_of_another_machine_says_nothing_of_products_that_were_copied_here(
    by_dvc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("build/records")
    shutil.rmtree(".dvc/cache")
    flip(EMBEDDINGS)
    assert "0 changed, 0 missing, 3 without a record" in said(capsys, 0)[0]  # the folder's list is gone too
    check_unchanged([Path(EMBEDDINGS)], Path("build/scratch"))


def test_products_of_presets_are_compared_and_their_lines_name_the_preset(
    by_dvc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, presets in (("my-own", "my-own"), ("one-two", "one,two")):
        folder = Path("config/presets", name)
        folder.mkdir(parents=True)
        shutil.copytree("build/records", f"build/{name}/records")
        for record in Path("build", name, "records").iterdir():
            record.write_text(record.read_text("utf-8").replace('"build/', f'"build/{name}/'), "utf-8")
        text = Path("dvc.lock").read_text("utf-8")
        (folder / "dvc.lock").write_text(text.replace(" build/", f" build/{name}/"), "utf-8")
        Path("config/presets/my-own.yaml").touch()
        Path("build", name, "shards").mkdir()
        shutil.copy(SHARD, f"build/{name}/shards")
        said(capsys, 0)
        flip(f"build/{name}/shards/00.csv")
        (line,) = changed_lines(capsys)
        assert (
            f"snakemake --config preset={presets} --cores all --force -- build/{name}/shards/00.csv" in line
        )
        Path(f"build/{name}/shards/00.csv").unlink()


def test_an_export_stops_at_a_changed_input_and_says_how_many_there_are(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    argv = ["--input", f"embeddings={EMBEDDINGS}", f"map={SHARD}", "--output", "card=build/export/card.md"]
    assert export.main(argv) == 2
    assert "is not what stage" not in capfd.readouterr().err, "it looks for other inputs, and finds none"
    flip(EMBEDDINGS)
    flip(SHARD)
    assert export.main(argv) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {EMBEDDINGS} is not what stage embed wrote; make it again: ")
    assert line.endswith("; 1 more: python -m engines.verify")
    assert not Path("build/export/card.md").exists()


def test_a_job_records_what_it_wrote_and_replaces_the_record_of_its_last_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (outside := tmp_path / "outside.npy").write_bytes(b"0")
    a, b, records = Path("a.npy"), Path("b.npy"), Path("build/records")
    write_record(records, "embed", [outside])
    assert not records.exists()
    a.write_bytes(b"")
    b.write_bytes(b"1")
    write_record(records, "embed", [a, b, outside])
    write_record(records, "splits", [b])
    write_record(records, "embed", [a])
    # what `sha256sum` prints of an empty file and of "1"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    found = [(record.stage, record.sha256) for record in read_records(records)]
    assert found == [("embed", {"a.npy": empty}), ("splits", {"b.npy": one})]


def test_a_job_that_fails_records_nothing(by_snakemake: Path) -> None:
    before = {path: path.read_bytes() for path in Path("build/records").iterdir()}
    Path("embed.py").write_text(STAGE.replace("    given =", "    1 / 0\n    given ="), "utf-8")
    run(by_snakemake, "snakemake", *FLAG, "--force", "--", EMBEDDINGS, ok=False)
    assert {path: path.read_bytes() for path in Path("build/records").iterdir()} == before


def test_dvc_takes_over_no_changed_product(
    by_dvc: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adopt, "snakemake_jobs_left", lambda preset: "")
    lock = Path("dvc.lock").read_bytes()
    Path(EMBEDDINGS).write_bytes(b"other")
    assert adopt.main([]) == 1
    first, line = capsys.readouterr().err.splitlines()[-2:]
    assert first == "error: products have changed since, so DVC records nothing"
    assert line.startswith(f"{EMBEDDINGS} is not what stage embed wrote; ")
    assert Path("dvc.lock").read_bytes() == lock
    run(by_dvc, "sh", "-c", line.split("or restore it: ")[1])
    assert adopt.main([]) == 0


def test_an_export_reads_what_has_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.npy").write_bytes(b"1")
    check_unchanged([Path("a.npy"), Path("none.npy"), tmp_path / "a.npy"], Path("build/scratch"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stage": "embed"}', b"\xff\x00", b'{"stage": 1}'])
def test_a_damaged_record_is_named_in_one_line(
    by_snakemake: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    record = next(Path("build/records").glob("embed-*.json"))
    record.write_bytes(content)
    capsys.readouterr()
    assert verify.main([]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {record} is damaged: ")
    record.unlink()
    assert "5 without a record" not in said(capsys, 0)[0]


@pytest.mark.parametrize("content", [b"a: [", b"<<<<<<< HEAD\na: 1\n", b"\xff\x00", b"stages: 3\n", b"- 1\n"])
def test_a_damaged_lock_is_named_in_one_line(
    by_dvc: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    Path("dvc.lock").write_bytes(content)
    capsys.readouterr()
    assert verify.main([]) == 2
    assert "error: dvc.lock is damaged: " in capsys.readouterr().err.splitlines()[-1]


def test_a_product_that_cannot_be_read_is_named_with_the_way_back(
    by_snakemake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("signloom.products.file_sha256", unreadable)
    with pytest.raises(SignloomError, match=r"embeddings.npy cannot be read \(Input/output error\); make it"):
        Build().state(EMBEDDINGS)
