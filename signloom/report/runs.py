"""The section of the page about seeds and folds."""

from collections.abc import Mapping
from typing import Any

from signloom.params.variants import SENTENCE_VARIANTS, VARIANTS
from signloom.report.labels import DATA, LABELS
from signloom.report.tables import DASH, Cell, Metric, Notes, Table, score_cell

_TOP1 = Metric("ret_top1", "Found first", "higher")
_MORE = Metric("difference", "Difference", "higher")
WER = Metric("wer", "Word error rate", "lower")
_DIFFERENCE = Metric("difference", "Difference", "lower")
_BY_SIGNER = Metric("difference_by_signer", "Difference", "lower")
_MORE_BY_SIGNER = Metric("difference_by_signer", "Difference", "higher")
_P = Metric("p", "p")
_ADAPTED = "adapted to each signer's clips"
_LABELS = {"sign2text": "landmarks to sentence"}
_LABELS |= {f"sign2text-{name}": label for name, (label, _) in SENTENCE_VARIANTS.items()}


def describe(runs: Mapping[str, Any], single_signs: bool = False) -> dict[str, Any] | None:
    """Return the template's values for runs.json, or None if there is only the plain run of each model.

    With `single_signs`, each clip is one sign, so that the rates are those of signs.
    """
    rate = "Sign error rate" if single_signs else "Word error rate"
    models = runs["seeds"]
    more = any(name.startswith("sign2text-") for name in models)
    many = {name: found for name, found in models.items() if more or found["seeds"] > 1}
    if not many and not runs["folds"] and not runs.get("retrieval"):
        return None
    return {
        "variants": _variants(runs["variants"], rate) if runs.get("variants") else None,
        "one_seed": all(found["seeds"] == 1 for found in models.values()),
        "seeds": _seeds(many, rate) if many else None,
        "compared": _compared(runs["folds_compared"], rate) if runs.get("folds_compared") else None,
        "folds": _folds(runs["folds"], rate) if runs["folds"] else None,
        "by_fold": _by_fold(runs["folds"], rate) if runs["folds"] else None,
        "retrieval": _retrieval(runs["retrieval"]) if runs.get("retrieval") else None,
    }


def _name(model: str) -> Cell:
    return Cell(model, _LABELS.get(model) or VARIANTS[model].label)


def _seeds(found: Mapping[str, Any], rate: str) -> Table:
    shown = [data for data in DATA if any(data in of_model for of_model in found.values())]
    rows = [
        [_name(model), of_model["seeds"], *(_spread(of_model.get(data)) for data in shown)]
        for model, of_model in found.items()
    ]
    columns = ["Model", "Seeds", *(DATA[data] for data in shown)]
    several = any(of_model["seeds"] > 1 for of_model in found.values())
    caption = rate + (", mean ± deviation over seeds" if several else " of one seed")
    return Table("seeds", caption, columns, rows)


def _spread(entry: Mapping[str, Any] | None) -> Cell:
    if not entry:
        return Cell(DASH)
    spread = "" if entry["wer_std"] is None else f" ± {entry['wer_std']:.3f}"
    return Cell(f"{entry['wer']:.3f}{spread}", f"n\u00a0=\u00a0{entry['n']}")


def _pair(models: str) -> Cell:
    return Cell(models.replace(" - ", " − "), _name(models.partition(" - ")[0]).interval)


def _variants(found: Mapping[str, Any], rate: str) -> Table:
    shown = [data for data in DATA if any(data in of_pair for of_pair in found.values())]
    rows = [
        [
            _pair(pair),
            *(score_cell(of_pair.get(data, {}), metric) for data in shown for metric in (_DIFFERENCE, _P)),
        ]
        for pair, of_pair in found.items()
    ]
    columns = ["Variant", *(column for data in shown for column in (DATA[data], "p"))]
    return Table("variants", f"{rate} of each variant, minus that of sign2text", columns, rows)


def _compared(found: Mapping[str, Any], rate: str) -> Table:
    notes = Notes()
    rows = [
        [
            _pair(pair),
            *(score_cell(of_pair["folds"], metric, notes) for metric in (_DIFFERENCE, _BY_SIGNER, _P)),
        ]
        for pair, of_pair in found.items()
    ]
    columns = ["Models", "Difference, over clips", "Over signers", "p"]
    caption = f"Differences in {rate.lower()} on all clips left out; below 0 the first is better"
    return Table("folds_compared", caption, columns, rows, notes.listed())


def _folds(found: Mapping[str, Any], rate: str) -> Table:
    notes = Notes()
    rows = [
        [
            _name(model),
            of_model["folds"],
            of_model["n"],
            score_cell(of_model, WER, notes),
            _rate(of_model["wer_std"]),
        ]
        for model, of_model in found.items()
    ]
    columns = ["Model", "Folds", "Clips left out", f"{rate}, pooled", "Deviation over folds"]
    caption = "Every clip scored by a model that did not train on its fold, with 95 % intervals over signers"
    return Table("folds", caption, columns, rows, notes.listed())


def _by_fold(found: Mapping[str, Any], rate: str) -> Table:
    folds = list(dict.fromkeys(fold for of_model in found.values() for fold in of_model["by_fold"]))
    rows = [
        [model, *(_rate(of_model["by_fold"].get(fold)) for fold in folds)]
        for model, of_model in found.items()
    ]
    return Table("by_fold", f"{rate} of each fold", ["Model", *folds], rows)


def _retrieval(found: Mapping[str, Any]) -> Table:
    notes, rows = Notes(), []
    for model, own in found.items():
        rows.append([_name(model), own["n"], score_cell(own, _TOP1, notes), DASH, DASH, DASH])
        together = own.get("ensemble", {})
        more = [(own.get("adapted"), "", _ADAPTED)]
        more += [(together, f", {together.get('seeds')} seeds together", "mean of their cosines")]
        more += [(together.get("adapted"), f", {together.get('seeds')} seeds together", _ADAPTED)]
        for its, which, how in more:
            if its:
                name = Cell(f"{model}{which}", how)
                rows.append([name, its["n"], score_cell(its, _TOP1, notes), DASH, DASH, DASH])
        for rival, its in own["rivals"].items():
            scores = (score_cell(its, metric, notes) for metric in (_TOP1, _MORE, _MORE_BY_SIGNER, _P))
            rows.append([Cell(LABELS["rivals"][rival], "not trained"), its["n"], *scores])
    columns = ["Search", "Clips", "Found first", "Model minus this, over clips", "Over signers", "p"]
    caption = (
        "Share of the clips left out whose sentence is found first, of those whose sentence is in the "
        "gallery; above 0 the model is better"
    )
    return Table("retrieval_folds", caption, columns, rows, notes.listed())


def _rate(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"
