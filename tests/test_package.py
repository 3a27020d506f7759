"""The wheel answers from a bundle with what it asks for alone, and says what videos need."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import yaml
from exported import Exported, clip_of
from packaging.specifiers import SpecifierSet

import signloom
from signloom.inference.engine import SignEngine

UV = str(Path(sys.executable).with_name("uv"))
# runs a command, then prints which packages it loaded
LOADED = """
import sys
from signloom.__main__ import main
code = main(sys.argv[1:])
tops = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}
print(*sorted(tops - {*sys.stdlib_module_names, "__main__", "__mp_main__"}), file=sys.stderr)
sys.exit(code)
"""


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)


def built(root: Path, folder: Path) -> Path:
    """Return the wheel of the checkout, built without a look at the network."""
    done = run(
        UV, "build", "--quiet", "--offline", "--wheel", "--no-build-isolation", "--out-dir", folder, root
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(root, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bare(root: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds the wheel, what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    assert run(UV, "venv", "--quiet", "--offline", "--python", sys.executable, folder).returncode == 0
    install = (UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python")
    wanted = (wheel, "--constraints", root / "requirements.lock")
    # from what `make setup` left in uv's cache, where that is enough
    done = run(*install, "--offline", *wanted, cwd=folder)
    if done.returncode:
        done = run(*install, *wanted, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def clip(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    features, mask = clip_of(exported, "b/train1")
    path = tmp_path_factory.mktemp("clip") / "clip.npz"
    np.savez(path, features=features, mask=mask, motion_mean=1.5)
    return path


def test_the_wheel_holds_the_library_with_its_data_files_and_no_more(root: Path, wheel: Path) -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "signloom", cwd=root).stdout
    ours = {name for name in listed.split() if (root / name).is_file()}
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    assert held == ours
    assert "signloom/report/templates/page.html.j2" in held


def test_the_bare_package_answers_features_as_the_engine_does(
    bare: Path, exported: Exported, clip: Path, tmp_path: Path
) -> None:
    done = run(bare / "signloom", "predict", clip, "--bundle", exported.bundle, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    own = SignEngine.load(exported.bundle).answer(*clip_of(exported, "b/train1"), 1.5)
    assert own.accepted and own.text is not None
    assert json.loads(done.stdout) == {"clip": str(clip), **json.loads(json.dumps(own.to_dict()))}


def test_an_answer_to_features_loads_three_packages_alone(
    bare: Path, exported: Exported, clip: Path, tmp_path: Path
) -> None:
    done = run(bare / "python", "-c", LOADED, "predict", clip, "--bundle", exported.bundle, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == ["numpy", "onnxruntime", "signloom", "tokenizers"]
    assert "Anna drinks tea." in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "clip.mp4"],
        ["predict", "--camera"],
        ["predict", "--stream", "clip.mp4"],
        ["calibrate", "clips.csv", "--output", "new.zip"],
    ],
)
def test_the_bare_package_says_which_extra_videos_need(
    bare: Path, tmp_path: Path, command: list[str]
) -> None:
    done = run(bare / "signloom", *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and 'pip install ".[video]" in a clone of Signloom' in line


def test_the_version_stands_once(bare: Path, root: Path, tmp_path: Path) -> None:
    said = run(bare / "signloom", "--version", cwd=tmp_path).stdout
    assert said == f"signloom {signloom.__version__}\n"
    code = "from importlib.metadata import version; print(version('signloom'))"
    assert run(bare / "python", "-c", code, cwd=tmp_path).stdout.strip() == signloom.__version__
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" in project["dynamic"] and "version" not in project


def test_help_comes_before_anything_heavy_is_loaded(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "python", "-X", "importtime", "-m", "signloom", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "calibrate" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "signloom" in loaded
    assert loaded.isdisjoint({"numpy", "onnxruntime", "tokenizers"})
    seconds = []
    for _ in range(5):
        begun = perf_counter()
        run(bare / "signloom", "--help", cwd=tmp_path)
        seconds.append(perf_counter() - begun)
    assert min(seconds) < 0.5


def test_hosted_ci_runs_make_test_on_every_python_that_is_allowed(root: Path) -> None:
    text = (root / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    tree = yaml.safe_load(text)
    job = tree["jobs"]["test"]
    allowed = SpecifierSet(
        tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    )
    assert job["strategy"]["matrix"]["python"] == [f"3.{n}" for n in range(20) if f"3.{n}" in allowed]
    assert [step["run"].split()[:2] for step in job["steps"] if "run" in step] == [["make", "test"]]
    assert tree["permissions"] == {"contents": "read"} and "secrets" not in text
