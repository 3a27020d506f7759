"""Draw docs/images/pipeline.svg: every stage, and arrows from a stage to the stages that need it.

python -m tools.pipeline_picture
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.stage_pages import ROOT, Stage, read_stages

TARGET = Path("docs/images/pipeline.svg")
# column and row of every box
PLACES: dict[str, tuple[float, float]] = {
    "sources": (1.5, 1),
    "manifest": (1.5, 2),
    "landmarks": (1, 3),
    "clip_features": (3, 3),
    "pose_features": (1, 4),
    "metadata": (1, 5),
    "splits": (1, 6),
    "stats_pose": (0, 7),
    "text": (1, 7),
    "clip_features_augmented": (2, 7),
    "stats_clip": (3, 7),
    "train_sign2text": (1, 8),
    "train_gloss": (2.5, 8),
    "embed": (1, 9),
    "prototypes": (0, 10),
    "evaluate_sign2text": (1, 10),
    "evaluate_retrieval": (2, 10),
    "evaluate_gloss": (3, 10),
    "calibrate": (0, 11),
    "export": (1.5, 12),
    "ablation": (3, 12),
    "evaluate_inference": (1.5, 13),
    "runs": (4, 12),
    "report": (2.25, 14),
}
ENDS: dict[str, tuple[float, float]] = {"videos and table": (1.5, 0), "bundle": (0, 13)}
END_ARROWS = [("videos and table", "sources"), ("export", "bundle")]
ACROSS, DOWN, WIDTH, HEIGHT, MARGIN = 126, 60, 116, 36, 10
STYLE = (
    "text{font:11.5px system-ui,sans-serif;fill:#1b1b1b;text-anchor:middle}"
    "rect{fill:#eef2fb;stroke:#3f51b5}.end{fill:#fff3d6;stroke:#8a5a00}"
    "path{fill:none;stroke:#5b6270;stroke-width:1.3}polygon{fill:#5b6270}"
)


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
    shown = [stage for stage in stages if stage.name != "import_features"]
    places = PLACES | ENDS
    columns, rows = (max(place[axis] for place in places.values()) for axis in (0, 1))
    width, height = columns * ACROSS + WIDTH + 2 * MARGIN, rows * DOWN + HEIGHT + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="The stages of the pipeline and what each needs">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width:g}" height="{height:g}" style="fill:#fff;stroke:none"/>',
        *(_arrow(places[one], places[other]) for one, other in [*END_ARROWS, *arrows(shown)]),
        *(_box(stage.name, PLACES[stage.name], "") for stage in shown),
        *(_box(name, place, "end") for name, place in ENDS.items()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _middle(place: tuple[float, float]) -> tuple[float, float]:
    return MARGIN + WIDTH / 2 + place[0] * ACROSS, MARGIN + HEIGHT / 2 + place[1] * DOWN


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, top), (to_x, bottom) = _middle(start), _middle(end)
    y, to_y = top + HEIGHT / 2, bottom - HEIGHT / 2
    half = (y + to_y) / 2
    curve = f'<path d="M{x:g} {y:g}C{x:g} {half:g} {to_x:g} {half:g} {to_x:g} {to_y - 5:g}"/>'
    head = f"{to_x - 4:g},{to_y - 7:g} {to_x + 4:g},{to_y - 7:g} {to_x:g},{to_y:g}"
    return f'{curve}<polygon points="{head}"/>'


def _box(name: str, place: tuple[float, float], kind: str) -> str:
    x, y = _middle(place)
    # the longest name needs two lines
    parts = ["clip_features_", "augmented"] if name == "clip_features_augmented" else [name]
    first = y + 4 - 7 * (len(parts) - 1)
    texts = "".join(
        f'<text x="{x:g}" y="{first + 14 * line:g}">{part}</text>' for line, part in enumerate(parts)
    )
    shape = f'x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<rect {shape} rx="{18 if kind else 4}" class="{kind or "stage"}"/>{texts}'


def main() -> int:
    (ROOT / TARGET).write_text(render(read_stages(ROOT)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
