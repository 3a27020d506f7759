"""Which copies in DVC's cache a withdrawal deletes: none of a file that is still there, or of data in git."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from signloom.errors import SignloomError
from signloom.withdrawal.caches import DvcCache

# MD5 by what the copy is of
COPIES = {
    name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    for name in ("gone", "there", "preset", "data", "file", "orphan")
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DvcCache:
    """A project with a lock file, one of a preset, data that a `.dvc` file names, and copies of all of it."""
    project = tmp_path / "my project"
    (project / "config/presets/mine").mkdir(parents=True)
    monkeypatch.chdir(project)
    subprocess.run(["git", "init", "-q"], check=True)
    outs = [f"    - path: build/{name}\n      md5: {COPIES[name]}\n" for name in ("gone", "there")]
    Path("dvc.lock").write_text("stages:\n  a:\n    outs:\n" + "".join(outs))
    preset = "stages:\n  a:\n    outs:\n    - path: build/mine/kept\n      md5: {preset}\n"
    Path("config/presets/mine/dvc.lock").write_text(preset.format(**COPIES))
    Path("far/away").mkdir(parents=True)
    Path("far/away/videos.dvc").write_text(f"outs:\n- md5: {COPIES['data']}.dir\n  path: videos\n")
    Path("build/mine").mkdir(parents=True)
    for name in ("there", "mine/kept"):
        Path("build", name).write_text(Path(name).name.replace("kept", "preset"))
    return fill(Path(".dvc/cache"))


def fill(folder: Path) -> DvcCache:
    for name, digest in COPIES.items():
        listed = json.dumps([{"md5": COPIES["file"], "relpath": "a.mp4"}]) if name == "data" else name
        place = folder / "files/md5" / digest[:2] / (digest[2:] + (".dir" if name == "data" else ""))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(listed)
    return DvcCache(folder, None, {})


def doomed(cache: DvcCache) -> set[str]:
    names = {digest: name for name, digest in COPIES.items()}
    return {names[path.parent.name + path.name] for path in cache.doomed()}


def test_copies_of_what_is_there_stay_those_of_other_presets_and_of_data_too(cache: DvcCache) -> None:
    assert doomed(cache) == {"gone", "orphan"}


def test_a_copy_of_what_has_another_content_now_goes(cache: DvcCache) -> None:
    Path("build/there").write_text("what Snakemake made of other clips")
    assert doomed(cache) == {"gone", "there", "orphan"}


def test_data_that_dvc_knows_stays_where_there_is_no_git(cache: DvcCache) -> None:
    shutil.rmtree(".git")
    assert doomed(cache) == {"gone", "orphan"}


def test_data_that_dvc_knows_must_be_readable(cache: DvcCache) -> None:
    Path("far/away/videos.dvc").write_text("<<<<<<< ours\nouts: [\n")
    with pytest.raises(SignloomError, match=r"far/away/videos\.dvc says which data of DVC stay: mend it"):
        cache.doomed()


def test_a_history_without_the_lock_file_and_a_project_in_a_folder_of_git_are_read(
    cache: DvcCache, tmp_path: Path
) -> None:
    shutil.rmtree(".git")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", ".."], check=True)
    lock = Path("dvc.lock").read_text()
    for text in (lock, None, "stages: {}\n"):
        Path("dvc.lock").write_text(text) if text else Path("dvc.lock").unlink()
        subprocess.run(["git", "add", "-A", "dvc.lock"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "a"], check=True)
    assert doomed(fill(tmp_path / "shared")) == {"gone", "there"}


def test_of_a_shared_cache_only_copies_go_that_this_project_names(cache: DvcCache, tmp_path: Path) -> None:
    assert doomed(fill(tmp_path / "shared")) == {"gone"}


def test_a_run_that_dvc_remembers_is_forgotten_with_what_it_made(cache: DvcCache, tmp_path: Path) -> None:
    shared = fill(tmp_path / "shared")
    run = shared.folder / "runs/ab/abc/def"
    run.parent.mkdir(parents=True)
    run.write_text(f"outs:\n- path: build/old\n  md5: {COPIES['orphan']}\n")
    assert run in shared.doomed()
    run_made = {path.name for path in shared.doomed()}
    assert COPIES["orphan"][2:] in run_made


def test_a_remote_with_an_address_wider_than_a_terminal_is_found_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    far = tmp_path / ("a long name/" * 12) / "store"
    for name, url in (("store", str(far)), ("far.away", str(tmp_path / "far"))):
        add = [sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "-f", name, url]
        subprocess.run(add, check=True)
    found = DvcCache.find()
    assert found and found.remotes == {"store": str(far), "far.away": str(tmp_path / "far")}
