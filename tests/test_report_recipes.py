"""The report's tables of recipes: means, order, and a table of something else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from signloom.errors import SignloomError
from signloom.report import recipes
from tests.report_inputs import Page, build

ROWS = {
    "recipe": ["plain", "plain", "turned", "turned", "seen once"],
    "left_out": ["a", "b", "a", "b", "a"],
    "top1": [0.5, 0.7, 0.75, 0.65, 0.1],
    "nearest_top1": [0.4, 0.6, 0.5, 0.5, 0.2],
}


def texts(table: recipes.Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_recipes_stand_with_the_best_first_and_their_means_over_scores() -> None:
    (table,) = recipes.describe({Path("metrics/recipes/x.csv"): pd.DataFrame(ROWS)})
    assert texts(table) == [
        ["turned", "2", "0.700", "0.500"],
        ["plain", "2", "0.600", "0.500"],
        ["seen once", "1", "0.100", "0.200"],
    ]
    assert table.rows[1][2].interval == "0.500 to 0.700"
    assert "metrics/recipes/x.csv" in table.caption


def test_errors_come_with_the_lowest_first_and_a_score_that_lacks_is_a_dash() -> None:
    rows = {"recipe": ["a", "b", "c"], "held_out_wer": [0.4, 0.2, None]}
    (table,) = recipes.describe({Path("x.csv"): pd.DataFrame(rows)})
    assert texts(table) == [["b", "1", "0.200"], ["a", "1", "0.400"], ["c", "1", "–"]]


@pytest.mark.parametrize("rows", [{"recipe": ["a"]}, {"top1": [0.5]}, {"recipe": [], "top1": []}])
def test_a_table_of_something_else_is_named(rows: dict[str, list[object]]) -> None:
    with pytest.raises(SignloomError, match=r"other\.csv: a table of recipes has .* report\.recipes"):
        recipes.describe({Path("other.csv"): pd.DataFrame(rows)})


def test_the_page_shows_a_table_of_recipes_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "recipes.csv"
    pd.DataFrame(ROWS).to_csv(path, index=False)
    build(tmp_path / "build", recipes=[path])
    page = Page((tmp_path / "build/report/index.html").read_text("utf-8"))
    assert (2, "Recipes") in page.headings and "turned" in page.words
