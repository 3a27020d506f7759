"""The whole of params.yaml: read by the engines before the first job, never by a stage."""

from __future__ import annotations

from signloom.params.base import Section
from signloom.params.dataset import DatasetParams, ManifestParams, ShardsParams
from signloom.params.evaluation import DecodingParams, EvaluationParams, RetrievalParams
from signloom.params.features import LandmarksParams, PoseParams, QualityParams
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.params.splits import SplitsParams
from signloom.params.text import TextParams


class Params(Section):
    """params.yaml, section by section."""

    dataset: DatasetParams
    manifest: ManifestParams
    shards: ShardsParams
    landmarks: LandmarksParams
    pose: PoseParams
    quality: QualityParams
    splits: SplitsParams
    text: TextParams
    augment: AugmentParams
    sign2text: Sign2TextParams
    decoding: DecodingParams
    retrieval: RetrievalParams
    evaluation: EvaluationParams
