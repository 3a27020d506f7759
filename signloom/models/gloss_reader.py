"""What a sentence decoder reads if it may know nothing of a clip but its glosses."""

from typing import Any

from torch import Tensor, nn

from signloom.models.convolutions import FrameInput, TemporalConvolutions
from signloom.models.gloss import CtcHead
from signloom.models.layers import SinusoidalPositions

# six frames to each side: half a second at 12.5 frames a second, which shows a sign and not its sentence
_LAYERS, _KERNEL = 2, 5


class GlossReader(nn.Module):
    """Convolutions over a few frames, a CTC head, and a vector for each gloss.

    The decoder learns of a clip only how likely each gloss is in each frame. This is translation through
    glosses (Camgoz et al. 2020, Sign Language Transformers), with probabilities for a line.
    """

    def __init__(self, input_dim: int, c: Any) -> None:
        """Take the sizes from `c`, the network's configuration."""
        super().__init__()
        self.input = FrameInput(input_dim, c.width, c.dropout)
        self.convolutions = TemporalConvolutions(c.width, _LAYERS, _KERNEL, c.dropout)
        self.ctc = CtcHead(c.width, c.glosses)
        self.vectors = nn.Embedding(c.glosses, c.width)
        self.positions = SinusoidalPositions(c.seq_len, c.width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return log-probabilities of CTC (B, T, glosses) for `x` (B, T, input_dim).

        `valid` (B, T) is True at the first frames of each clip.
        """
        return self.ctc(self.convolutions(self.input(x, valid), valid))  # type: ignore[no-any-return]

    def read(self, shares: Tensor) -> Tensor:
        """Return vectors (B, T, width) for the shares (B, T, glosses) of the glosses in each frame."""
        return self.positions(shares @ self.vectors.weight)  # type: ignore[no-any-return]
