"""Half precision: native or emulated, and the line before the first job where it is emulated."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from engines.machine import emulation_warnings
from signloom import precision
from signloom.params.load import load_params, overlay, read_yaml
from signloom.params.schema import Params
from tests.checkouts import change_params, link_code
from tests.videos import write_video

# hides AVX-512, AMX and bf16 instructions from PyTorch: what is left emulates half precision
OLD_PROCESSOR = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the settings are for x86-64")


def with_precisions(root: Path, **values: str) -> Params:
    tree = read_yaml(root / "params.yaml")
    return Params.model_validate(overlay(tree, {name: {"precision": v} for name, v in values.items()}))


@pytest.mark.parametrize("half", ["bf16", "fp16"])
@pytest.mark.parametrize("work", ["convolution", "product"])
def test_a_format_many_times_slower_than_fp32_is_a_line_that_names_the_key_the_factor_and_the_fix(
    half: str, work: precision.Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "slowdown", lambda *_: 21.4)
    line = precision.emulation_warning("clip_features.precision", half, work)
    assert line is not None and "\n" not in line
    for part in (
        "clip_features.precision",
        half,
        "about 21 times slower",
        "set clip_features.precision to fp32",
    ):
        assert part in line
    monkeypatch.setattr(precision, "slowdown", lambda *_: 1.9)
    assert precision.emulation_warning("clip_features.precision", half, work) is None


def test_a_gpu_is_asked_whether_it_emulates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    line = precision.emulation_warning("sign2text.precision", "bf16", "product")
    assert line is not None and "this GPU emulates bf16" in line
    assert precision.emulation_warning("sign2text.precision", "fp16", "product") is None


def test_fp32_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "slowdown", lambda *_: pytest.fail("measured"))
    assert precision.emulation_warning("clip_features.precision", "fp32", "convolution") is None


def test_only_rules_that_run_are_warned_about(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "emulation_warning", lambda key, value, work: f"{key} {value} {work}")
    params = with_precisions(root, clip_features="bf16", train_gloss="fp16")
    clips, gloss = "clip_features.precision bf16 convolution", "train_gloss.precision fp16 product"
    assert emulation_warnings(params, ["manifest", "train_sign2text"]) == []
    assert emulation_warnings(params, ["clip_features", "clip_features_augmented"]) == [clips]
    assert emulation_warnings(params, ["side_clip_features", "train_gloss"]) == [clips, gloss]


def test_no_stage_of_the_demo_is_warned_about_where_half_precision_is_emulated(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "slowdown", lambda *_: 21.4)
    stages = ["clip_features", "clip_features_augmented", "train_sign2text", "train_gloss"]
    assert emulation_warnings(load_params(root / "params.yaml"), stages) == []
    half = with_precisions(root, **dict.fromkeys(("clip_features", "sign2text", "train_gloss"), "bf16"))
    assert len(emulation_warnings(half, stages)) == 3


@on_x86
def test_a_processor_without_half_precision_is_found_to_emulate_it(root: Path) -> None:
    script = (
        "from signloom.precision import emulation_warning\n"
        "print(emulation_warning('a.b', 'bf16', 'convolution'))\n"
        "print(emulation_warning('a.b', 'fp16', 'product'))\n"
    )
    environment = os.environ | OLD_PROCESSOR | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", script]
    lines = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "emulates bf16" in lines[0] and "emulates fp16" in lines[1]


@on_x86
def test_emulated_precision_is_said_before_the_first_job_and_the_build_goes_on(
    root: Path, tmp_path: Path
) -> None:
    link_code(root, tmp_path)
    (tmp_path / "data").mkdir()
    for seed, name in enumerate(("a.mp4", "b.mp4")):
        write_video(tmp_path / "data" / name, 17, seed, 25)
    table = pd.DataFrame({"video": ["a.mp4", "b.mp4"], "sentence": ["a b", "c d"]})
    table.to_csv(tmp_path / "data/clips.csv", index=False)
    changes = {
        "splits": {"mode": "clip", "val_share": 0.0, "test_share": 0.0},
        "dataset": {"table": "data/clips.csv", "videos": "data", "variations": None},
        "shards": {"count": 1},
        "clip_features": {"weights": "random", "resize": 32, "crop": 32, "batch_size": 1},
    }
    change_params(tmp_path, changes)
    change_params(tmp_path, {"clip_features": {"precision": "bf16", "mode": "windowed"}})
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "build/clip_features/00.npy"]
    environment = os.environ | OLD_PROCESSOR | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = done.stderr.split("Job ", 1)
    assert before.count("warning: clip_features.precision bf16: this processor emulates bf16") == 1
    assert (tmp_path / "build/clip_features/00.npy").exists() and "manifest" in after
