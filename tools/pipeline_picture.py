"""Draw docs/images/pipeline.svg: every stage, and arrows from a stage to the stages that need it.

python -m tools.pipeline_picture
"""

import sys
from pathlib import Path

from signloom.params.load import read_yaml
from tools.stage_pages import ELSEWHERE, ROOT, Stage, read_stages, rendered

TARGET = Path("docs/images/pipeline.svg")
BOXES = read_yaml(ROOT / "tools/pipeline_places.yaml")
PLACES, ENDS = BOXES["stages"], BOXES["ends"]
END_ARROWS = [("videos and table", "sources"), ("export", "bundle")]
ACROSS, DOWN, WIDTH, HEIGHT, MARGIN = 126, 60, 116, 36, 10


def arrows(stages: list[Stage]) -> list[tuple[str, str]]:
    """Return the pairs (earlier, later) of dependent stages, without those that a longer path implies."""
    after = {
        one.name: {other.name for other in stages if other.read & one.written and other is not one}
        for one in stages
    }

    def reached(name: str) -> set[str]:
        return after[name].union(*(reached(other) for other in after[name]))

    return [
        (one, other)
        for one in after
        for other in sorted(after[one])
        if not any(other in reached(between) for between in after[one])
    ]


def render(stages: list[Stage]) -> str:
    """Return the picture as SVG."""
    # importing features is an alternative to tracking landmarks and is not drawn
    shown = [stage for stage in stages if stage.name not in ELSEWHERE]
    middles = {name: _middle(*place) for name, place in (PLACES | ENDS).items()}
    return rendered(
        "pipeline.svg.j2",
        width=WIDTH,
        height=HEIGHT,
        margin=MARGIN,
        right=max(x for x, _ in middles.values()) + WIDTH / 2,
        bottom=max(y for _, y in middles.values()) + HEIGHT / 2,
        arrows=[(middles[one], middles[other]) for one, other in [*END_ARROWS, *arrows(shown)]],
        boxes=[(_lines(stage.name), "stage", middles[stage.name]) for stage in shown]
        + [([name], "end", middles[name]) for name in ENDS],
    )


def _middle(column: float, row: float) -> tuple[float, float]:
    return MARGIN + WIDTH / 2 + column * ACROSS, MARGIN + HEIGHT / 2 + row * DOWN


def _lines(name: str) -> list[str]:
    # the longest name needs two lines
    return ["clip_features_", "augmented"] if name == "clip_features_augmented" else [name]


def main() -> int:
    (ROOT / TARGET).write_text(render(read_stages(ROOT)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
