"""The model card: intended use, limits and measured scores of a bundle."""

from __future__ import annotations

from signloom.export.metrics import Tree, figures

DEMO = """The corpus is Signloom's demo: videos rendered from an **invented lexicon** that is **no sign
language**. Nothing measured on it says anything about any sign language, or about people who sign."""
OTHER = """Before you pass the bundle on, name here the sign language, who signed, with what consent, and who
keeps the recordings. Signloom does not know."""
CARD = """# Model card

{what}

## Data

{data}

{corpus}

## Intended use

- Looking up which sentence **of its gallery** a short clip of one signer resembles most, and refusing to
  answer otherwise.
- Research and teaching on recognition and retrieval, together with the people whose language it is.

## Not for this

- It is **no interpreter** and does not replace one. Do not use it where health, law, safety, schooling or a
  person's rights are at stake.
- It knows {sentences} sentences and nothing else. It does not understand a sign language: of signing outside
  its gallery it can at best say that it does not know it.
- Do not use it to watch people, to tell who somebody is, or to judge how somebody signs. Landmarks, features
  and embeddings can still tell who signed: treat them as you treat the videos.

## Limits

- Signers, clothes, cameras and ways of signing that the corpus lacks are answered worse, and by how much was
  not measured. Scores come from few signers.
- Sentences count as right by their wording. Much of what signing says (space, gaze, face, classifiers) is not
  in the sentences and gloss lines that it was trained on.
- The thresholds hold for clips like those that they were chosen on; calibrate again for your camera.
- This page lists what scores can show. Ask Deaf people who sign to look for the other faults, and pay them.

## Metrics

Rates are fractions; intervals are 95 % bootstrap intervals over clips; n is the number of clips.

{metrics}

## Files

{files}

## Origin

| | |
|---|---|
{origin}

## Licences

{licences}
"""


def write_card(
    manifest: Tree, corpus: dict[str, Tree], networks: list[str], sentences: int, demo: bool
) -> str:
    """Return MODEL_CARD.md for the bundle of `manifest`; `corpus` holds the metric files on the data."""
    hashes = manifest["hashes"] | {"git commit of the training": manifest["git_commit"]}
    return CARD.format(
        what="\n".join(networks),
        data=_data(corpus),
        corpus=DEMO if demo else OTHER,
        sentences=sentences,
        metrics=_metrics(manifest["metrics"]),
        files="\n".join(
            f"- `{name}`, {entry['bytes']:,} bytes" for name, entry in sorted(manifest["files"].items())
        ),
        origin="\n".join(f"| {name} | `{value}` |" for name, value in hashes.items()),
        licences="\n".join(f"- {name}: {licence}" for name, licence in manifest["licences"].items()),
    )


def _data(corpus: dict[str, Tree]) -> str:
    """Return a table of the splits, after a line on how many clips passed the quality gates."""
    lines = []
    if "features" in corpus:
        all_clips = corpus["features"]["all"]
        lines += [f"{all_clips['kept']} of {all_clips['clips']} clips passed the quality gates.", ""]
    if "splits" in corpus:
        lines += ["| split | clips | sentences | signers |", "|---|---|---|---|"]
        for split, counts in sorted(corpus["splits"].items()):
            cells = (counts.get(name, "unknown") for name in ("clips", "sentences", "signers"))
            lines.append(f"| {split} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) or "No figures on the corpus were given."


def _metrics(metrics: dict[str, Tree]) -> str:
    lines = ["| of | on | figure | value | interval | n |", "|---|---|---|---|---|---|"]
    for file, tree in metrics.items():
        for where, name, near in figures(tree):
            low, high = (_number(near.get(f"{name}_{end}")) for end in ("low", "high"))
            interval = f"{low} to {high}" if low and high else ""
            cells = (file, where, name, _number(near[name]), interval, str(near.get("n", "")))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else "No metrics were given."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
