"""What `dvc plots` draws: templates that exist and are filled, and a page that needs no network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer

from engines import plots_page


def test_every_plot_names_a_template_of_ours_and_one_table_or_more(root: Path) -> None:
    plots = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["plots"]
    found = {name: plot for one in plots for name, plot in one.items()}
    assert {"sign2text losses", "calibration", "gloss val_wer", "gloss ablation"} <= set(found)
    for plot in found.values():
        assert (root / f".dvc/plots/{plot['template']}.json").is_file()
        assert plot["x"]
        assert set(plot["x"]) == set(plot["y"])


ROWS = [{"x": "1", "y": "", "rev": "workspace"}, {"x": "2", "y": "0.5", "rev": "HEAD"}]


def filled(root: Path, name: str) -> str:
    """Return the template `name` as DVC fills it with ROWS."""
    given = {"x": "x", "y": "y", "title": "<name>", "revs_with_datapoints": ["workspace", "HEAD"]}
    renderer = VegaRenderer(ROWS, name, template=name, template_dir=root / ".dvc/plots", **given)
    return json.dumps(renderer.get_filled_template())


@pytest.mark.parametrize("name", ["curves", "ablation", "calibration"])
def test_a_template_takes_the_rows_and_columns_that_it_is_given(root: Path, name: str) -> None:
    spec = filled(root, name)
    assert json.loads(spec)["data"]["values"] == ROWS
    assert '"field": "x"' in spec
    assert '"field": "y"' in spec
    assert "DVC_METRIC" not in spec


def test_curves_leave_empty_cells_out(root: Path) -> None:
    (transform,) = json.loads(filled(root, "curves"))["transform"]
    left_out = transform["filter"]["not"]
    assert [row for row in ROWS if row[left_out["field"]] == left_out["equal"]] == ROWS[:1]


def test_the_page_around_the_plots_loads_nothing(tmp_path: Path) -> None:
    assert plots_page.main([str(tmp_path / "new/plots.html")]) == 0
    page = (tmp_path / "new/plots.html").read_text("utf-8")
    filled = (
        HTML(page)
        .with_scripts("<script src='https://example.org/x.js'></script>")
        .with_element("<i>a plot</i>")
    )
    html = filled.embed()
    assert "<body>\n<i>a plot</i>\n</body>" in html
    assert "example.org" not in html
    assert html.count("<script>") == 3
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "script" not in outside
    assert "//" not in outside


def test_without_a_path_the_page_says_how_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert plots_page.main([]) == 2
    assert "--html-template" in capsys.readouterr().err
