"""The embedding map: the two directions that show most, and the sentences that lie apart."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.report.sentences import embedding_map
from tests.report_inputs import Page, build


def clouds(sentences: int, each: int, dim: int = 8) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(sentences)
    rows = np.repeat(rng.normal(size=(sentences, dim)), each, axis=0) + 0.1 * rng.normal(
        size=(sentences * each, dim)
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = np.repeat(np.arange(sentences), each)
    splits = np.resize(["train", "val", "test"], len(rows))
    clips = pd.DataFrame({"sentence_id": ids, "sentence": [f"words <{n}>" for n in ids], "split": splits})
    return rows.astype(np.float32), clips


@given(st.integers(3, 30), st.integers(2, 12), st.integers(0, 99))
def test_the_axes_are_those_of_a_singular_value_decomposition(clips: int, dim: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(clips, dim)).astype(np.float32)
    points, shares = embedding_map.project(rows)
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-6)
    np.testing.assert_allclose(shares, values[:2] ** 2 / (values**2).sum(), atol=1e-9)
    np.testing.assert_allclose(points.var(0).sum() / centred.var(0).sum(), shares.sum(), atol=1e-9)


def test_clips_of_one_place_have_no_variance_to_show() -> None:
    points, shares = embedding_map.project(np.ones((4, 3), np.float32))
    assert not points.any()
    assert shares.tolist() == [0, 0]


def test_lettered_sentences_lie_far_from_each_other() -> None:
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 0.5], [-8.0, 1.0], [0.0, 7.0]])
    assert embedding_map.spread_out(centres, 3) == [2, 3, 4]
    assert sorted(embedding_map.spread_out(centres, 99)) == [0, 1, 2, 3, 4]
    assert embedding_map.spread_out(centres[:0], 3) == []


def test_every_clip_is_a_mark_of_its_split_and_unsigned_ones_are_hollow() -> None:
    rows, clips = clouds(4, 3)
    clips.loc[9:, "sentence_id"] = -1
    found = embedding_map.describe(rows, clips)
    assert found
    svg = found["picture"].svg
    marks = re.findall(r"<g clip-path[^>]*>\s*((?:<use [^>]*/>\s*)+)</g>", svg)
    assert sum(group.count("<use") for group in marks) == len(clips)
    assert sum(group.count("fill: var(--page)") for group in marks) == 3
    assert [name for name, *_ in found["named"]] == ["A", "B", "C"]
    assert {clips for *_, clips in found["named"]} == {3}
    assert f"{found['share']:.0%}" == f"{embedding_map.project(rows)[1].sum():.0%}"
    assert "12 clips, 4 train, 4 val, 4 test; 3 of them without signing" in svg


def test_a_large_map_is_thinned_but_keeps_the_lettered_sentences() -> None:
    rows, clips = clouds(1200, 2)
    found = embedding_map.describe(rows, clips)
    assert found
    assert found["clips"] == 2400
    assert 1500 <= found["drawn"] <= 1512
    assert len(found["named"]) == 6


@pytest.mark.parametrize("sentences", [5, 7])
def test_a_large_map_of_few_sentences_is_thinned_too(sentences: int) -> None:
    rows, clips = clouds(sentences, 400)
    found = embedding_map.describe(rows, clips)
    assert found and found["drawn"] == 1500 and found["clips"] == sentences * 400
    assert len(found["named"]) == min(sentences, 6)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_clips_make_no_map(count: int) -> None:
    rows, clips = clouds(1, 3)
    assert embedding_map.describe(rows[:count], clips.head(count)) is None


def test_sentences_of_one_clip_each_have_no_letters() -> None:
    found = embedding_map.describe(*clouds(5, 1))
    assert found
    assert found["named"] == []


def test_the_page_says_how_much_of_the_variance_the_map_shows(tmp_path: Path) -> None:
    html = build(tmp_path / "build")
    text = Page(html).text
    shares = embedding_map.project(np.load(tmp_path / "build/embeddings.npy"))[1]
    assert f"which explain {100 * shares.sum():.0f} % of the variance" in text
    assert "the other 14 dimensions" in text
    assert re.search(r"<dt>A</dt><dd><bdi>[^<]*</bdi> \(\d+ clips\)</dd>", html)
