"""All of params.yaml; the workflow engines read it before the first job, stages do not."""

from typing import Literal, Self

from pydantic import Field, model_validator

from signloom.params.base import Section
from signloom.params.clips import ClipFeaturesParams, FramesParams
from signloom.params.dataset import DatasetParams, ManifestParams, ShardsParams
from signloom.params.evaluation import (
    DecodingParams,
    EvaluationParams,
    InferenceParams,
    ReportParams,
    RetrievalParams,
)
from signloom.params.features import LandmarksParams, PoseParams, PositionsParams, QualityParams
from signloom.params.gloss import (
    DecodeGlossParams,
    GlossAugmentParams,
    GlossParams,
    GlossPositionsParams,
    GlossRecomposeParams,
    HybridParams,
    TcnParams,
    TrainGlossParams,
)
from signloom.params.runs import RunsParams
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.params.splits import SplitsParams
from signloom.params.text import TextParams
from signloom.params.variants import SENTENCE_VARIANTS, VARIANTS, WITHOUT_VIDEOS

# variants that have nothing to learn, or nothing that differs, without a sentence decoder
_OF_SENTENCES = ("no_contrastive", "no_token_dropout")


class PipelineParams(Section):
    """Section `pipeline`."""

    families: list[Literal["sign2text", "gloss"]] = Field(
        min_length=1,
        description="sign2text: from landmarks to a sentence; gloss: from features to glosses",
    )


class Params(Section):
    """params.yaml, section by section."""

    pipeline: PipelineParams
    runs: RunsParams
    dataset: DatasetParams
    manifest: ManifestParams
    shards: ShardsParams
    positions: PositionsParams
    landmarks: LandmarksParams
    pose: PoseParams
    quality: QualityParams
    clip_features: ClipFeaturesParams
    frames: FramesParams
    splits: SplitsParams
    text: TextParams
    augment: AugmentParams
    sign2text: Sign2TextParams
    decoding: DecodingParams
    retrieval: RetrievalParams
    inference: InferenceParams
    gloss: GlossParams
    hybrid: HybridParams
    tcn: TcnParams
    train_gloss: TrainGlossParams
    gloss_augment: GlossAugmentParams
    gloss_pose_augment: AugmentParams
    gloss_positions: GlossPositionsParams
    gloss_recompose: GlossRecomposeParams
    decode_gloss: DecodeGlossParams
    evaluation: EvaluationParams
    report: ReportParams

    @model_validator(mode="after")
    def _videos_for_clip_features(self) -> Self:
        reads = {name: VARIANTS[name].features(self.tcn.input) for name in self.gloss.variants}
        needy = [name for name, kinds in reads.items() if kinds != {"pose"}]
        if self.dataset.holds_features and "gloss" in self.pipeline.families and needy:
            raise ValueError(
                f"gloss.variants: {', '.join(needy)} need videos, and the clips are feature rows; "
                f"set gloss.variants to [{', '.join(WITHOUT_VIDEOS)}] and tcn.input to pose"
            )
        return self

    @model_validator(mode="after")
    def _points_of_rows(self) -> Self:
        name = "points" if self.positions.points else "others"
        if self.positions.made and not self.dataset.holds_features:
            raise ValueError(
                f"positions.{name}: only for feature rows, but the clips are videos or landmarks; "
                f"set dataset.features to true, or positions.{name} to []"
            )
        return self

    @model_validator(mode="after")
    def _variants_differ(self) -> Self:
        trained = "sign2text" in self.pipeline.families
        for name in self.runs.sign2text_variants if trained else ():
            if self.sign2text.task == "signs" and name in _OF_SENTENCES:
                raise ValueError(
                    f"runs.sign2text_variants: {name} needs a sentence decoder, and sign2text.task is signs; "
                    "leave it out"
                )
            changes = SENTENCE_VARIANTS[name][1]
            if all(getattr(self.sign2text, key) == value for key, value in changes.items()):
                raise ValueError(
                    f"runs.sign2text_variants: {name} is what section sign2text describes; leave it out"
                )
        return self
