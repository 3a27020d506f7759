"""Load a trained gloss network with the settings and stats of its training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from signloom.errors import SignloomError
from signloom.features.stats import Stats
from signloom.models import checkpoints
from signloom.models.gloss import Hybrid, TcnCtc, build
from signloom.params.variants import Kind


@dataclass(frozen=True)
class TrainedGloss:
    """A trained network in evaluation mode, with the settings and stats of its training."""

    model: Hybrid | TcnCtc
    kind: Kind  # the features that it reads
    vocabulary: list[str]
    stats: dict[str, Stats]
    signers: dict[str, Stats] | None  # stats of each training signer, if features are standardised by signer
    stack: int  # consecutive rows joined into one
    every: int  # only every n-th row is read
    backbone: dict[str, str]  # the network that made the clip features; empty if none are read
    run: dict[str, Any]  # variant and seed
    device: torch.device

    def glosses(self, ids: Sequence[int]) -> str:
        """Return the gloss line for `ids`."""
        return " ".join(self.vocabulary[i] for i in ids)


def load_gloss(path: Path) -> TrainedGloss:
    """Load a gloss checkpoint, onto the GPU if there is one; raises SignloomError for any other file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    content = checkpoints.load(path, device)
    if content.get("family") != "gloss":
        raise SignloomError(
            f"{path}: a checkpoint of family {content.get('family')!r}, expected 'gloss'; train it again"
        )
    try:
        model = build(content["model_config"])
        model.load_state_dict(content["model"])
        stats = {
            family: Stats(content[f"{family}_mean"].cpu().numpy(), content[f"{family}_std"].cpu().numpy())
            for family in ("pose", "clip")
            if f"{family}_mean" in content
        }
        return TrainedGloss(
            model.to(device).eval(),
            content["input"],
            content["vocabulary"],
            stats,
            _signers(content),
            content["stack"],
            content["every"],
            {name: content[name] for name in ("backbone", "weights", "weights_sha256") if name in content},
            content["run"],
            device,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(f"{path}: not a gloss checkpoint ({reason}); train it again") from error


def _signers(content: dict[str, Any]) -> dict[str, Stats] | None:
    if content["signers"] is None:
        return None
    means, stds = (content[f"signer_{name}"].cpu().numpy() for name in ("mean", "std"))
    return {name: Stats(*own) for name, *own in zip(content["signers"], means, stds, strict=True)}
