"""Load a trained sign2text network with the stats of the features that it was trained on."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from signloom.errors import SignloomError
from signloom.features.stats import Stats
from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text


@dataclass(frozen=True)
class TrainedEncoder:
    """A trained network in evaluation mode, with the feature stats that it was trained with."""

    model: Sign2Text
    mean: Tensor  # (540,)
    std: Tensor  # (540,)
    device: torch.device


def load_trained(checkpoint: Path, stats: Path) -> TrainedEncoder:
    """Load a sign2text checkpoint onto the GPU if there is one.

    Raises SignloomError if the checkpoint was trained with other `stats` (global_stats.npz).
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    content = checkpoints.load(checkpoint, device)
    try:
        model = Sign2Text(content["model_config"])
        model.load_state_dict(content["model"])
        mean, std = content["feature_mean"], content["feature_std"]
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(f"{checkpoint}: not a sign2text checkpoint ({reason}); train it again") from error
    if not Stats(mean.cpu().numpy(), std.cpu().numpy()).same(Stats.read(stats)):
        raise SignloomError(f"{checkpoint}: trained with other statistics than {stats}; train it again")
    return TrainedEncoder(model.to(device).eval(), mean.to(device), std.to(device), device)
