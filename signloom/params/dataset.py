"""The location of the clips and the format of their table."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from signloom.params.base import Section

# a test compares these with the importers and forms that there are
IMPORTERS = (
    *("csv", "signtalk", "signtalk_sampled", "processed", "phoenix2014", "phoenix2014t", "boston104"),
    *("wlasl", "msasl", "elan", "subtitles", "bobsl", "folders", "fairseq"),
)
# the importers whose tables name feature rows and never videos
FEATURE_IMPORTERS = ("processed", "boston104", "fairseq")
FORMS = (
    *("asl_citizen", "autsl", "csl_daily", "gsl", "gsl_isolated", "how2sign", "how2sign_clips", "include"),
    *("multimodalhugs", "phoenix2014_si5", "phoenix2014t_videos"),
)

# the order of the parts in a row of 1662 numbers: pose, hands, face, or pose, face, hands
PointOrder = Literal["signloom", "mp_data"]


def _known(name: str) -> str:
    if name in (*IMPORTERS, *FORMS) or name.endswith(".yaml"):
        return name
    raise ValueError(f"expected one of {', '.join((*IMPORTERS, *FORMS))}, or the path of a form (.yaml)")


class ElanTiers(Section):
    """One person in view of ELAN files: the tiers of this person, and the video that shows it."""

    sentence: str = Field(min_length=1, description="tier of sentences; each of its annotations is a clip")
    gloss: list[str] = Field([], description="tiers of glosses, such as one for each hand")
    signer: str = Field("", description="signer_id; empty: the participant that the tier of sentences names")
    media: str = Field("", description="end of the linked video's name, such as _1a1.mp4; empty: the first")


class DatasetParams(Section):
    """Section `dataset`."""

    importer: Annotated[str, AfterValidator(_known)] = Field(
        description="form of the annotations: an importer, a form of Signloom's, or your own .yaml",
        examples=[*IMPORTERS, *FORMS],
    )
    table: str = Field(
        min_length=1,
        description="annotation table: .csv, .tsv or .xlsx, or the file or folder that the importer reads",
    )
    elan: list[ElanTiers] = Field(description="for importer elan: one entry for each person in view")
    videos: str = Field(min_length=1, description="folder to which the video paths of the table are relative")
    frame_rate: float | None = Field(
        gt=0,
        description="frames or rows a second of clips that do not say it; null: 25 for folders of frames, "
        "pose.fps for feature rows, an error for landmarks",
    )
    point_order: PointOrder | None = Field(
        description="order of the parts in rows of landmarks: signloom (face last) or mp_data (hands last)"
    )
    picture_size: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)] | None = (
        Field(
            description="width and height in pixels of the pictures that landmarks without a size came from"
        )
    )
    variations: str | None = Field(
        min_length=1, description="JSON file that maps sentence_id to a list of sentences"
    )
    review: str | None = Field(
        min_length=1,
        description="review.csv of stage review, filled in: labels put right, clips set aside; or null",
    )
    features: bool = Field(
        description="whether clips are feature rows instead of videos; always so with the importers "
        + ", ".join(FEATURE_IMPORTERS)
    )

    @property
    def holds_features(self) -> bool:
        """Whether clips are feature rows, so that nothing is made from videos."""
        return self.features or self.importer in FEATURE_IMPORTERS


class ManifestParams(Section):
    """Section `manifest`."""

    max_reject_ratio: float = Field(ge=0, le=1, description="stop above this share of rejected rows")


class ShardsParams(Section):
    """Section `shards`."""

    count: int = Field(
        ge=1, le=9999, description="number of shards; a stable hash of its id assigns each clip to one"
    )
