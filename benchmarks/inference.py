"""Compare an exported bundle with plain PyTorch: time to answer one clip of features on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.inference

An encoder of the size of the `signtalk` preset (6 layers, 512 wide, 8 heads, feed-forward 2048) with seeded
random weights, 128 frames of 540 features, a gallery of 10,000 clips of 2,500 sentences. The reference is the
trained network in eager PyTorch, sentences ranked with tensor operations. All take turns, clip by clip, so
that other work on the machine slows them alike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from benchmarks import say_ratio
from signloom.export.clip_networks import EncoderNetwork, part_columns
from signloom.export.export import clip_example
from signloom.export.network_files import Port, to_int8, to_onnx
from signloom.export.package import make_manifest
from signloom.features.pose.layout import FEATURE_DIM, FEATURE_PARTS
from signloom.files import write_csv, write_json
from signloom.inference.bundle import FORMAT, MANIFEST
from signloom.inference.engine import SignEngine
from signloom.inference.networks import pad
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.params.load import load_params
from signloom.processors import usable_cores

FRAMES, SENTENCES, TEMPERATURE = 128, 2500, 0.05
Vectors = npt.NDArray[np.float32]


def make_network(seed: int) -> EncoderNetwork:
    """Return an encoder of the signtalk size with random weights and statistics."""
    torch.manual_seed(seed)
    # one decoder layer: it is not run here
    config = Sign2TextConfig(vocab_size=400, pad_id=0, bos_id=2, eos_id=3, text_dim=768, decoder_layers=1)
    return EncoderNetwork(Sign2Text(config), torch.randn(FEATURE_DIM), torch.rand(FEATURE_DIM) + 0.5).eval()


def make_bundle(folder: Path, network: EncoderNetwork, embeddings: Vectors) -> None:
    """Write a bundle with the files that answers without text need."""
    config = network.model.config
    inputs = [
        Port("sequence", ("batch", "time", FEATURE_DIM)),
        Port("mask", ("batch", "time", len(FEATURE_PARTS))),
    ]
    outputs = [
        Port("embedding", ("batch", config.embedding_dim)),
        Port("frames", ("batch", "kept", config.width)),
    ]
    encoder = to_onnx(network, clip_example(config.feature_dim), inputs, outputs)
    (folder / "sign_encoder.onnx").write_bytes(encoder)
    (folder / "sign_encoder.int8.onnx").write_bytes(to_int8(encoder))
    clips = [f"clip{number}" for number in range(len(embeddings))]
    sentence_ids = np.arange(len(embeddings)) % SENTENCES
    table = pd.DataFrame({"clip_id": clips, "video_file": clips, "sentence_id": sentence_ids})
    write_csv(folder / "embeddings_map.csv", table.assign(sentence=clips, category=""))
    np.save(folder / "embeddings.npy", embeddings)
    np.savez(folder / "prototypes.npz", sentence_ids=np.arange(SENTENCES), embeddings=embeddings[:SENTENCES])
    # a few frame sequences are shared by all clips
    states = np.random.default_rng(0).standard_normal((8 * FRAMES, config.width)).astype(np.float16)
    np.save(folder / "frames.npy", states)
    places = {"clip_id": clips, "offset": np.arange(len(clips)) % 8 * FRAMES, "length": FRAMES}
    write_csv(folder / "frames_index.csv", pd.DataFrame(places))
    gates = {"min_similarity": 0.5, "min_margin": 0.1, "min_proto_similarity": 0.5, "min_dtw_score": 0.5}
    write_json(folder / "thresholds.json", {**gates, "motion_floor": 0.4})
    params = load_params(Path("params.yaml"))
    settings = {
        "format": FORMAT,
        "features": {"dim": FEATURE_DIM, "parts": part_columns(FEATURE_DIM)},
        "pose": {"smoothing": params.pose.smoothing, "fps": params.pose.fps},
        "seq_len": config.seq_len,
        "gloss": None,
        "tokens": {"pad": 0, "start": 2, "end": 3, "longest": config.max_tokens, "vocabulary": 400},
        "sign2text": {"decoder_layers": config.decoder_layers},
        "decoding": params.decoding.model_dump(),
        "inference": {"top_k": 5, "temperature": TEMPERATURE},
        "retrieval": {"exact_limit": 100_000},
    }
    write_json(folder / "model_config.json", settings)
    files = {path.name: path for path in folder.iterdir()}
    write_json(folder / MANIFEST, make_manifest({}, files))


class Plain:
    """Gives the same answer with the trained network in eager PyTorch."""

    def __init__(self, network: EncoderNetwork, embeddings: Vectors) -> None:
        self.network, self.gallery = network, torch.from_numpy(embeddings)
        self.sentence = torch.arange(len(embeddings)) % SENTENCES

    @torch.inference_mode()
    def answer(self, features: Vectors, mask: npt.NDArray[np.int8]) -> tuple[list[int], list[float]]:
        """Return the first five sentences and their confidence."""
        inputs = pad([(features, mask)]).values()
        embedding, _ = self.network(*map(torch.from_numpy, inputs))
        similarity = embedding[0] @ self.gallery.T
        best = torch.full((SENTENCES,), -torch.inf).scatter_reduce(0, self.sentence, similarity, "amax")
        first = best.topk(5).indices
        return first.tolist(), (best / TEMPERATURE).softmax(0)[first].tolist()


def measure(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, npt.NDArray[np.float64]]:
    """Return milliseconds (rounds, 2) of wall and processor time of each way, after a warm-up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 3):
        for name, run in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            if turn >= 3:
                times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: 1000 * np.array(taken) for name, taken in times.items()}


def parts(engine: SignEngine, clip: tuple[Vectors, npt.NDArray[np.int8]]) -> dict[str, Callable[[], Any]]:
    """Return the steps of an answer, each on its own."""
    encoded = engine._encode([clip])
    return {
        "of it encoder": lambda: engine._encode([clip]),
        "of it retrieval": lambda: engine._search(encoded.embeddings),
        "of it retrieval, gates and confidence": lambda: engine._answers(
            encoded, [1.0], np.array([FRAMES]), rerank=False
        ),
        "the same, re-ranked by time warping": lambda: engine._answers(
            encoded, [1.0], np.array([FRAMES]), rerank=True
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100, help="clips a way")
    parser.add_argument("--gallery", type=int, default=10_000, help="clips")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(args.seed)
    embeddings = rng.standard_normal((args.gallery, 256)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    network = make_network(args.seed)
    clip = rng.standard_normal((FRAMES, FEATURE_DIM)).astype(np.float32), np.ones((FRAMES, 4), np.int8)
    with tempfile.TemporaryDirectory() as folder:
        make_bundle(Path(folder), network, embeddings)
        fp32, int8 = (SignEngine.load(Path(folder), int8=small) for small in (False, True))
        plain = Plain(network, embeddings)
        ways = {
            "fp32": lambda: fp32.answer(*clip, 1.0, decode=False),
            "int8": lambda: int8.answer(*clip, 1.0, decode=False),
            "plain PyTorch": lambda: plain.answer(*clip),
        }
        whole = measure(ways, args.rounds)
        steps = measure(parts(fp32, clip), args.rounds)
    found = [match.sentence_id for match in fp32.answer(*clip, 1.0, decode=False).matches]
    cosine = float((fp32.embed([clip]) * int8.embed([clip])).sum())
    print(
        f"{usable_cores()} cores, one thread; gallery {args.gallery}; ms of wall (of processor) time a clip"
    )
    middle = {name: np.median(taken, axis=0) for name, taken in (whole | steps).items()}
    for name, taken in (whole | steps).items():
        median, late = middle[name], np.quantile(taken, 0.95, axis=0)
        print(
            f"{name}: median {median[0]:.2f} ({median[1]:.2f}), p95 {late[0]:.2f} ({late[1]:.2f}), "
            f"{median[1] / middle['fp32'][1]:.1%} of fp32's processor time"
        )
    for name in ("fp32", "int8"):
        wall, processor = middle["plain PyTorch"] / middle[name]
        print(f"ratio of plain PyTorch to {name}: {wall:.2f} ({processor:.2f})")
        say_ratio(f"{name} against eager PyTorch", wall)
    same = found == plain.answer(*clip)[0]
    print(f"same five sentences: {same}; cosine of the int8 embedding: {cosine:.5f}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
