"""The captions of Snakemake's own report: each can be read, and each is named by a rule."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from docutils.core import publish_parts
from snakemake.io import get_flag_value, is_flagged

from engines.workflow import workflow

CAPTIONS = sorted((Path(__file__).parents[1] / "docs/captions").glob("*.rst"))


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_a_caption_is_sound_and_needs_nothing_of_the_run(path: Path) -> None:
    text = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(path.read_text("utf-8")).render()
    # as Snakemake renders it; a warning is an error here
    html = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert "<p>" in html
    assert "problematic" not in html


def test_rules_name_every_caption_and_no_other(root: Path) -> None:
    with workflow(root) as flow:
        outputs = [output for rule in flow.rules for output in rule.output if is_flagged(output, "report")]
        named = {Path(str(get_flag_value(output, "report").caption)).resolve() for output in outputs}
        named.add(Path(flow.report_text).resolve())
    assert named == set(CAPTIONS)
