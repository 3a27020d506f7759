"""The data sets that are scored separately, and the embeddings that metrics are computed from."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.dataset.consent import allows
from signloom.errors import SignloomError
from signloom.files import read_csv

NAMES = {
    "test": ("test", 1),
    "val": ("val", 1),
    "test_unseen_sentences": ("test", 0),
    "val_unseen_sentences": ("val", 0),
}
# data sets of the gloss family that join others, because an official test split is scored as a whole
TOGETHER = {"test_all_sentences": ("test", "test_unseen_sentences")}


def data_sets(splits: pd.DataFrame) -> dict[str, list[str]]:
    """Return the sorted clips of each data set: test and val, each with seen and unseen sentences.

    Seen sentences also occur in training. Unsigned clips are in no data set.
    """
    signed = splits[splits["sentence_id"] >= 0]
    return {
        name: sorted(signed["clip_id"][(signed["split"] == split) & (signed["seen"] == seen)])
        for name, (split, seen) in NAMES.items()
    }


def add_signers(answers: pd.DataFrame, metadata: Path) -> None:
    """Insert `signer_id` of the processed metadata as the third column of `answers`."""
    answers.insert(2, "signer_id", answers["clip_id"].map(signers_of(metadata)).to_numpy())


def signers_of(metadata: Path) -> dict[str, str]:
    """Return the signer of every clip in the processed metadata, "" where none is named."""
    clips = pd.read_parquet(metadata, columns=["clip_id", "signer_id"])
    return dict(zip(clips["clip_id"], clips["signer_id"].fillna("").astype(str), strict=True))


_TEXTS = ("clip_id", "video_file", "feature_path", "sentence", "category", "consent", "split")


def in_gallery(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which clips of an embedding map can be answers: signed training clips that may be shared.

    A gallery is handed on with the bundle, so a clip whose features may not be shared is in none.
    """
    consents = table["consent"] if "consent" in table else [""] * len(table)  # as in an earlier build
    shared = [allows(consent, "features") for consent in consents]
    signed = (table["split"] == "train") & (table["sentence_id"] >= 0)
    both: npt.NDArray[np.bool_] = np.logical_and(signed.to_numpy(), shared)
    return both


class EmbeddedClips:
    """embeddings.npy and embeddings_map.csv: `table` has one row per clip, `vectors` (N, E) its unit rows."""

    def __init__(self, embeddings: Path, table: Path) -> None:
        """Read both; raises SignloomError if their numbers of rows differ."""
        self.vectors: npt.NDArray[np.float32] = np.load(embeddings, allow_pickle=False)
        # texts such as "NA" stay text
        texts = dict.fromkeys(_TEXTS, str)
        self.table: pd.DataFrame = read_csv(table, dtype=texts, keep_default_na=False)
        if len(self.vectors) != len(self.table):
            raise SignloomError(
                f"{embeddings} has {len(self.vectors)} rows, {table} {len(self.table)}; run stage embed again"
            )
        self._row = {clip_id: row for row, clip_id in enumerate(self.table["clip_id"])}

    def gallery(self) -> npt.NDArray[np.intp]:
        """Return the rows that `in_gallery` names, sorted by clip."""
        rows = np.flatnonzero(in_gallery(self.table))
        return rows[np.argsort(self.table["clip_id"].to_numpy(dtype=object)[rows], kind="stable")]

    def rows(self, clip_ids: list[str]) -> npt.NDArray[np.intp]:
        """Return the rows of `clip_ids`; raises SignloomError if one has no embedding."""
        lost = [clip_id for clip_id in clip_ids if clip_id not in self._row]
        if lost:
            raise SignloomError(
                f"{len(lost)} clips have no embedding (first: {lost[0]}); run stage embed again"
            )
        return np.array([self._row[clip_id] for clip_id in clip_ids], dtype=np.intp)
