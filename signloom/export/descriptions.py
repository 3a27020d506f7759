"""The files that describe an export: configuration, manifest and model card."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
from torch import nn

from signloom.export.clip_networks import part_columns
from signloom.export.metrics import CORPUS, Tree, figures, headlines, read_metrics
from signloom.export.outputs import FILES, Outputs
from signloom.export.package import hash_of, listed, make_manifest, versions
from signloom.export.sources import ExportFiles, Gallery, GlossSource, Sign2TextSource
from signloom.files import file_sha256, write_json
from signloom.inference.bundle import FORMAT
from signloom.params.base import Section
from signloom.params.evaluation import DecodingParams, InferenceParams, RetrievalParams
from signloom.params.features import GateParams, LandmarksParams, PoseParams, PositionsParams
from signloom.params.text import TextParams
from signloom.text.vocabulary import BLANK, EOS, PAD, SOS


class ExportParams(Section):
    """The parameters that a bundle carries, because answers need them."""

    pose: PoseParams
    positions: PositionsParams
    quality: GateParams
    landmarks: LandmarksParams
    decoding: DecodingParams
    retrieval: RetrievalParams
    inference: InferenceParams
    text: TextParams


# the clips that a figure is a share of, where there are several numbers
_COUNT_OF = {"accepted_and_right": "n_in", "false_accept_rate": "n_out"}


def model_config(
    params: ExportParams,
    sign: Sign2TextSource,
    gloss: GlossSource | None,
    signer: dict[str, list[float]] | None,
    frame_rate: float | None = None,
) -> dict[str, Any]:
    """Return model_config.json: sizes, token ids, feature layout, and how features are made and decoded.

    `signer` are mean and deviation of the columns of a training signer, `frame_rate` is that of parameter
    `dataset.frame_rate`.
    """
    c = sign.model.config
    tokens = {"pad": c.pad_id, "start": c.bos_id, "end": c.eos_id, "longest": c.max_tokens}
    return {
        "format": FORMAT,
        "features": {"dim": c.feature_dim, "parts": part_columns(c.feature_dim)},
        "seq_len": c.seq_len,
        "embedding_dim": c.embedding_dim,
        "sign2text": asdict(c),
        "tokens": tokens | {"vocabulary": c.vocab_size},
        "gloss": None if gloss is None else gloss_config(gloss),
        "signer": signer,
        **params.model_dump(),
        **({} if frame_rate is None else {"dataset": {"frame_rate": frame_rate}}),
    }


def gloss_config(gloss: GlossSource) -> dict[str, Any]:
    """Return the part of model_config.json about the gloss network."""
    c = gloss.trained.model.config
    tokens = {"pad": PAD, "start": SOS, "end": EOS, "blank": BLANK, "longest": c.max_tokens}
    return {"run": gloss.trained.run, **asdict(c), "tokens": tokens | {"vocabulary": c.vocab_size}}


def write_descriptions(
    files: ExportFiles,
    outputs: Outputs,
    params: ExportParams,
    sign: Sign2TextSource,
    gloss: GlossSource | None,
    gallery: Gallery,
) -> None:
    """Write the model card and the manifest, which describe the other files."""
    metrics = read_metrics(files.metrics)
    demo = all(file.startswith("data/demo/") for file in gallery.table["video_file"])
    about = {
        "versions": versions(),
        "metrics": headlines(metrics),
        "hashes": hashes(files, params, sign),
        "git_commit": sign.origin["git_commit"],
        "licences": licences(params.text, demo),
    }
    others = outputs.listed()
    del others[FILES["card"]]
    card = write_card(
        {"files": listed(others), **about},
        {name: metrics[name] for name in CORPUS if name in metrics},
        networks=described(sign, gloss),
        sentences=gallery.table["sentence_id"].nunique(),
        unit="sentence" if sign.decodes else "sign",
        demo=demo,
        not_chosen=json.loads(files.thresholds.read_text("utf-8")).get("reason"),
    )
    outputs.write("card", card.encode())
    write_json(outputs.paths["manifest"], make_manifest(about, outputs.listed()))


def write_card(about: Tree, corpus: dict[str, Tree], **more: Any) -> str:
    """Return MODEL_CARD.md: intended use, limits and measured scores of a bundle.

    `about` are the entries of the manifest, `corpus` the metric files on the data. `more` are `networks` (a
    line each), the number of `sentences`, their `unit` (sentence or sign), whether the corpus is the `demo`,
    and why thresholds were `not_chosen`, if so.
    """
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    card = environment.from_string(Path(__file__).with_name("model_card.md.j2").read_text("utf-8"))
    return card.render(about | corpus | {"figures": list(_rows(about["metrics"]))} | more)


def _rows(metrics: dict[str, Tree]) -> Iterator[tuple[str, ...]]:
    """Yield file, data, name, value, interval and number of clips of every figure."""
    for file, tree in metrics.items():
        for where, name, near in figures(tree):
            low, high = (_number(near.get(f"{name}_{end}")) for end in ("low", "high"))
            interval = f"{low} to {high}" if low and high else ""
            yield (
                file,
                where,
                name,
                _number(near[name]),
                interval,
                str(near.get(_COUNT_OF.get(name, "n"), near.get("n", ""))),
            )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def hashes(files: ExportFiles, params: ExportParams, sign: Sign2TextSource) -> dict[str, str]:
    """Return hashes of the data, parameters and checkpoints that the bundle comes from."""
    origin = sign.origin
    found = {
        "data": origin["data_hash"],
        "parameters": hash_of({"training": origin["parameters"], "export": params.model_dump()}),
        "statistics": origin["stats_hash"],
        "vocabulary": origin["vocabulary_hash"],
        "checkpoint": file_sha256(files.checkpoint),
    }
    return found | ({"gloss_checkpoint": file_sha256(files.gloss)} if files.gloss else {})


def licences(text: TextParams, demo: bool) -> dict[str, str]:
    """Return the licence of each part, as far as it is known."""
    own = f"{text.encoder}: see its own licence"
    encoder = {"minilm": "all-MiniLM-L6-v2, Apache-2.0"}.get(text.encoder, own)
    return {
        "code (signloom)": "Apache-2.0",
        "weights, embeddings and frames": (
            "Apache-2.0: trained on the rendered demo corpus"
            if demo
            else "no more than the people in the recordings have agreed to"
        ),
        "sentence encoder that the embedding space was trained against": encoder,
        "landmarks that features are made from (MediaPipe's models)": "Apache-2.0",
    }


def described(sign: Sign2TextSource, gloss: GlossSource | None) -> list[str]:
    """Return one line per network."""
    c = sign.model.config
    decoder = f", decoder of {c.decoder_layers} layers" if sign.decodes else ""
    to_sentence = " and to a sentence" if sign.decodes else ", which finds signs by retrieval"
    lines = [
        f"- Features of a clip ({c.feature_dim} a frame, at most {c.seq_len} frames) to an embedding of "
        f"{c.embedding_dim} values{to_sentence}: encoder `{c.encoder}`{decoder}, "
        f"{count(sign.model):,} weights."
    ]
    if gloss is not None:
        run = gloss.trained.run
        lines.append(
            f"- The same features to a gloss line: `{run['variant']}`, seed {run['seed']}, "
            f"{count(gloss.trained.model):,} weights."
        )
    return lines


def count(model: nn.Module) -> int:
    """Return the number of weights of a network."""
    return sum(part.numel() for part in model.parameters())
