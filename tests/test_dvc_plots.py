"""What `dvc plots` draws: templates that exist and are filled, and a page that needs no network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer

from engines import dvc_yaml, plots_page
from engines.pipeline import Pipeline
from signloom.params.load import load_params


def plots(root: Path) -> dict[str, dict[str, object]]:
    found = dvc_yaml._plots(Pipeline(load_params(root / "params.yaml"), []))
    return {name: plot for one in found for name, plot in one.items()}


def test_every_plot_names_a_template_of_ours_and_one_table_or_more(root: Path) -> None:
    found = plots(root)
    assert {"sign2text losses", "calibration", "gloss val_wer", "gloss ablation"} <= set(found)
    for plot in found.values():
        assert (root / f".dvc/plots/{plot['template']}.json").is_file()
        assert plot["x"]
        assert set(plot["x"]) == set(plot["y"])  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["curves", "ablation", "calibration"])
def test_a_template_takes_the_rows_and_columns_that_it_is_given(root: Path, name: str) -> None:
    rows = [{"x": "1", "y": "", "rev": "workspace"}, {"x": "2", "y": "0.5", "rev": "HEAD"}]
    given = {"x": "x", "y": "y", "title": "<name>", "revs_with_datapoints": ["workspace", "HEAD"]}
    renderer = VegaRenderer(rows, name, template=name, template_dir=root / ".dvc/plots", **given)
    spec = json.dumps(renderer.get_filled_template())
    assert json.loads(spec)["data"]["values"] == rows
    assert '"field": "x"' in spec
    assert '"field": "y"' in spec
    assert "DVC_METRIC" not in spec


def test_curves_leave_empty_cells_out(root: Path) -> None:
    spec = json.loads((root / ".dvc/plots/curves.json").read_text("utf-8"))
    assert spec["transform"] == [{"filter": {"not": {"field": "<DVC_METRIC_Y>", "equal": ""}}}]


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
