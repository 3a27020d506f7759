"""Export everything that answers need, down to one zip file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save as safetensors
from torch import Tensor, nn

from signloom.errors import SignloomError
from signloom.export import checks
from signloom.export.clip_networks import DecoderNetwork, EncoderNetwork, for_onnx
from signloom.export.descriptions import ExportParams, model_config, write_descriptions
from signloom.export.network_files import Port, to_int8, to_onnx, to_torchscript
from signloom.export.outputs import FILES, Outputs
from signloom.export.package import write_bundle
from signloom.export.sources import (
    ExportFiles,
    Gallery,
    GlossSource,
    RealClips,
    Sign2TextSource,
    open_gloss,
    open_sign2text,
)
from signloom.features.pose.layout import FEATURE_PARTS
from signloom.features.signer_stats import SignerStats
from signloom.files import write_csv, write_json, write_npy
from signloom.inference.bundle import ZIP
from signloom.inference.engine import SignEngine
from signloom.inference.gates import Thresholds
from signloom.inference.networks import Clip, pad
from signloom.models.gloss import Hybrid

_SAME = 0.999  # lowest cosine of a clip's new embedding to the gallery's; devices round differently
_TRIED = 3  # how many clips of the gallery are embedded again


def export(
    files: ExportFiles, paths: Mapping[str, Path], params: ExportParams, frame_rate: float | None = None
) -> None:
    """Write every output; `paths` are theirs by the names of FILES, `frame_rate` is `dataset.frame_rate`.

    Raises SignloomError if inputs do not belong together or an exported network disagrees with its original.
    """
    check_thresholds(files.thresholds)
    sign, gloss = open_sign2text(files, params.landmarks.engine), open_gloss(files)
    outputs = Outputs(paths, sign, gloss)
    gallery, clips = Gallery.open(files), RealClips(files)
    check_gallery(sign, gallery, clips)
    write_sign2text(outputs, sign, clips)
    if gloss is not None:
        write_gloss(outputs, gloss, clips)
    outputs.write("safetensors", safetensors(weights(sign, gloss)))
    write_gallery(outputs, gallery, files.frames)
    tokenizer = ("tokenizer",) if sign.decodes else ()
    for name in ("stats", *tokenizer, "glosses", "prototypes", "thresholds"):
        outputs.copy(name, getattr(files, name))
    typical = _typical_signer(files, gallery)
    write_json(paths["config"], model_config(params, sign, gloss, typical, frame_rate))
    write_descriptions(files, outputs, params, sign, gloss, gallery)
    outputs.remove_older(files.tokenizer)  # a folder with other files is no bundle
    bundle = paths["bundle"]
    digest = write_bundle(bundle, outputs.listed(), paths["manifest"])
    outputs.write("digest", f"{digest}  {ZIP}\n".encode())
    # check that the finished file opens and answers, text included
    SignEngine.load(bundle).answer(*clips.read(gallery.table["clip_id"].iloc[0]))
    print(f"{bundle}: sha256 {digest}", flush=True)


def _typical_signer(files: ExportFiles, gallery: Gallery) -> dict[str, list[float]] | None:
    """Return `mean` and `std` of a training signer's columns, None if nothing is standardised by signer."""
    if files.signer_stats is None:
        return None
    mean, std = SignerStats.read(files.signer_stats).typical(gallery.table["clip_id"])
    return {"mean": mean.tolist(), "std": std.tolist()}


def write_sign2text(outputs: Outputs, sign: Sign2TextSource, clips: RealClips) -> None:
    """Write the encoder, its int8 and TorchScript variants and any decoder, each checked on real clips."""
    config, network = sign.model.config, sign.encoder
    width = sign.model.frame_dim
    batches = clips.batches(config.seq_len)
    made = [Port("embedding", ("batch", config.embedding_dim)), Port("frames", ("batch", "kept", width))]
    example = clip_example(config.feature_dim)
    encoder = to_onnx(for_onnx(network), example, clip_ports(config.feature_dim), made)
    put(outputs, "encoder", encoder, checks.check_clips, network, batches)
    int8 = to_int8(encoder)
    put(outputs, "encoder_int8", int8, checks.check_int8, encoder, batches)
    script = to_torchscript(network, example)
    put(outputs, "torchscript", script, checks.check_torchscript, network, batches)
    if sign.decodes:
        write_decoder(outputs, "decoder", DecoderNetwork(sign.model).eval(), width, network, clips)


def write_gloss(outputs: Outputs, gloss: GlossSource, clips: RealClips) -> None:
    """Write the gloss network, and its decoder if it has one."""
    config, network = gloss.trained.model.config, gloss.network
    made = [
        Port("frames", ("batch", "kept", config.width)),
        Port("log_probs", ("batch", "kept", config.vocab_size)),
        Port("greedy", ("batch", "kept")),
    ]
    dim = len(network.prepare.mean)
    model = to_onnx(network, clip_example(dim), clip_ports(dim), made)
    batches = clips.batches(config.max_frames)
    put(outputs, "gloss_model", model, checks.check_clips, network, batches)
    if isinstance(gloss.trained.model, Hybrid):
        decoder = DecoderNetwork(gloss.trained.model).eval()
        write_decoder(outputs, "gloss_decoder", decoder, config.width, network, clips)


def write_decoder(
    outputs: Outputs, name: str, decoder: DecoderNetwork, width: int, encoder: nn.Module, clips: RealClips
) -> None:
    """Write a decoder over frames of `width` values, checked on frames that `encoder` makes of real clips."""
    config = decoder.model.config
    inputs = [Port("tokens", ("rows", "length")), Port("frames", (1, "time", width))]
    example = torch.zeros(2, 3, dtype=torch.long), torch.zeros(1, 5, width)
    model = to_onnx(decoder, example, inputs, [Port("log_probs", ("rows", config.vocab_size))])
    frames = [states_of(encoder, batch[0]) for batch in clips.batches(1) if len(batch) == 1]
    put(outputs, name, model, checks.check_decoder, decoder, frames, config.max_tokens)


def clip_ports(dim: int) -> list[Port]:
    """Return the inputs of an encoder of `dim` features a row."""
    mask = Port("mask", ("batch", "time", len(FEATURE_PARTS)))
    return [Port("sequence", ("batch", "time", dim)), mask]


def clip_example(dim: int) -> tuple[Tensor, Tensor]:
    """Return inputs for tracing an encoder: two clips, because with one the batch size would become fixed."""
    return torch.zeros(2, 5, dim), torch.ones(2, 5, len(FEATURE_PARTS), dtype=torch.int8)


def states_of(encoder: nn.Module, clip: Clip) -> npt.NDArray[np.float32]:
    """Return the frame vectors (T', width) of one clip from the PyTorch original of an exported encoder."""
    with torch.inference_mode():
        made = encoder(*map(torch.from_numpy, pad([clip]).values()))
    frames = made[1] if isinstance(encoder, EncoderNetwork) else made[0]
    return np.asarray(frames[0].numpy())


def weights(sign: Sign2TextSource, gloss: GlossSource | None) -> dict[str, Tensor]:
    """Return all weights by their checkpoint names, prefixed with `sign2text.` or `gloss.`."""
    models: dict[str, nn.Module] = {"sign2text": sign.model}
    if gloss is not None:
        models["gloss"] = gloss.trained.model
    return {
        f"{family}.{name}": tensor.contiguous()
        for family, model in models.items()
        for name, tensor in model.state_dict().items()
    }


def write_gallery(outputs: Outputs, gallery: Gallery, frames: Path) -> None:
    """Write embeddings, map, frames and frame index of the gallery; stage embed wrote `frames`."""
    write_npy(outputs.paths["embeddings"], gallery.embeddings)
    write_csv(outputs.paths["map"], gallery.table)
    outputs.copy("frames", frames)  # stage embed keeps only those of the gallery
    write_csv(outputs.paths["frames_index"], gallery.frames)


def check_thresholds(path: Path) -> None:
    """Raise SignloomError if thresholds.json lacks a threshold that the gates need."""
    given = json.loads(path.read_text("utf-8"))
    missing = [name for name in Thresholds.__annotations__ if not isinstance(given.get(name), int | float)]
    if missing:
        raise SignloomError(f"{path}: {missing[0]} is missing or not a number; run stage calibrate again")


def check_gallery(sign: Sign2TextSource, gallery: Gallery, clips: RealClips) -> None:
    """Embed a few clips of the gallery; raises SignloomError if they differ from the gallery's embeddings."""
    rows = np.unique(np.linspace(0, len(gallery.table) - 1, _TRIED).astype(int))
    asked = pad([clips.read(gallery.table["clip_id"].iloc[row]) for row in rows])
    with torch.inference_mode():
        embedding, _ = sign.encoder(*map(torch.from_numpy, asked.values()))
    cosines = (embedding.numpy() * gallery.embeddings[rows]).sum(1)
    if not (cosines >= _SAME).all():
        raise SignloomError(
            f"a gallery clip has cosine {cosines.min():.3f} to its own embedding: the embeddings come from "
            "another checkpoint or other features; run stage embed again"
        )


def put(outputs: Outputs, name: str, content: bytes, check: Callable[..., str], *against: Any) -> None:
    """Write an output if its check against the original passes, and print the result of the check."""
    print(check(FILES[name], content, *against), flush=True)
    outputs.write(name, content)
