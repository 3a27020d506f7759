"""The report: the results of one build on one page that opens from disk."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from signloom.cells import shown_lines
from signloom.report import contact_sheet, inference, learning_curve, plots, provenance, recipes, runs, tables
from signloom.report.glosses import section as gloss_section
from signloom.report.labels import DATA, TEMPLATES
from signloom.report.sentences import section as sentence_section
from signloom.report.sources import Sources
from signloom.report.times import stage_times

ROOT = Path(__file__).resolve().parents[2]
# videos of the committed demo corpus, whose scores need a warning
_DEMO_VIDEOS = "data/demo/videos/"


def motion_groups(clips: pd.DataFrame, index: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the mean motion of clips by group: kept signed or unsigned, rejected still or otherwise."""
    signed = clips["sentence_id"] >= 0
    rejected = index[index["status"] == "rejected"]
    still = rejected["reason"] == "low_motion"
    return {
        "signed, kept": clips["motion_mean"][signed],
        "not signing, kept": clips["motion_mean"][~signed],
        "rejected as low_motion": rejected["motion_mean"][still],
        "rejected for another reason": rejected["motion_mean"][~still],
    }


def template(name: str) -> jinja2.Template:
    """Return a template of a page; texts that are put into it are escaped, control characters too."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.globals["DATA"] = DATA
    return environment.get_template(name)


def _visible(value: Any) -> Any:
    """Return what a page shows of a value: pages keep line feeds, and nothing else that steers a reader."""
    # the type stays, because it says which texts are markup
    return type(value)(shown_lines(value)) if isinstance(value, str) else value


def render(sources: Sources) -> str:
    """Return the page."""
    videos, single_signs = sources.videos, bool(sources.sentences and sources.sentences.signs)
    return template("page.html.j2").render(
        demo=sources.clips["video_file"].astype(str).str.startswith(_DEMO_VIDEOS).any(),
        people=shows_people(sources.clips["video_file"]),
        **_corpus(sources),
        sheet=videos and contact_sheet.describe(videos, sources.clips, sources.rejects),
        sentences=sources.sentences and sentence_section.describe(sources.sentences, sources.clips),
        inference=sources.inference and inference.describe(sources.inference),
        glosses=sources.glosses and gloss_section.describe(sources.glosses),
        runs=runs.describe(sources.metrics["runs"], single_signs) if "runs" in sources.metrics else None,
        recipes=recipes.describe(sources.recipes),
        learning_curve=learning_curve.describe(sources.metrics.get("runs", {})),
        times=stage_times(sources.benchmarks, sources.built),
        parameters=provenance.parameters(sources.params),
        commit=provenance.commit_of(ROOT),
        versions=provenance.package_versions(),
        checksums=provenance.checksums(sources.files, sources.page.parent),
        build=shlex.quote(sources.page.parent.parent.as_posix()),
    )


def shows_people(videos: Iterable[str]) -> bool:
    """Return whether some of the paths `videos` are not those of the demo, whose people are drawn."""
    return not all(str(video).startswith(_DEMO_VIDEOS) for video in videos)


def _corpus(sources: Sources) -> dict[str, Any]:
    manifest, features = sources.metrics["manifest"].get("all", {}), sources.metrics["features"]["all"]
    clips = sources.clips
    counted, single = tables.reject_tables(sources.rejects)
    return {
        "corpus": tables.corpus_table(clips),
        "rejects": counted,
        "rejected": single,
        "manifest": manifest,
        "features": features,
        "lengths": plots.lengths(clips) if len(clips) else None,
        "motion": plots.motion(motion_groups(clips, sources.index), float(features["motion_floor"])),
    }
