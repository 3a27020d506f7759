"""Fixtures that several test files share."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from exported import Exported, Inputs, export_small, write_inputs
from hypothesis import settings
from torchvision_ops import import_torchvision

# a busy machine makes no example wrong
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give every test, and the fixtures that it sets up, one thread of PyTorch, whatever ran before."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/data with real recordings beside this checkout")
    return folder


@pytest.fixture(scope="session")
def export_inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Every input of stage export."""
    return write_inputs(tmp_path_factory.mktemp("export_inputs"))


@pytest.fixture(scope="session")
def exported(export_inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The small corpus, exported once; the files are not to be changed."""
    return export_small(export_inputs, tmp_path_factory.mktemp("exported"))


@pytest.fixture
def weights_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user's, and no proxy between a test and its own server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "signloom" / "weights"


@pytest.fixture(scope="module")
def small_networks() -> Iterator[None]:
    """VideoMAE with two small layers in place of twelve wide ones, which say as much about our use of it."""
    import_torchvision()
    transformers = importlib.import_module("transformers")
    base = transformers.VideoMAEConfig
    transformers.VideoMAEConfig = partial(base, num_hidden_layers=2, intermediate_size=256)
    yield
    transformers.VideoMAEConfig = base


@pytest.fixture
def new_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with its parameters and no presets; no tracker is measured or looks at people."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "config/presets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signloom.cli.check.measured_rate", lambda video, params: 10.0)
    monkeypatch.setattr("signloom.cli.check.about_people", lambda clips, params, landmarks: ("", []))
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command and returns its exit code, standard output and standard error."""

    from signloom.__main__ import main

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(list(argv))
        out, err = capsys.readouterr()
        return code, out, err

    return run
