"""The quality gates of pose features: why a clip is rejected, or kept and flagged.

A clip that cannot be read is `unreadable`, which the stages landmarks and import_features find out. All other
reasons are decided here, with the limits of section `quality`.
"""

from typing import NamedTuple

from signloom.params.features import QualityParams

# in the order in which the gates are tried
REJECT_REASONS = ("unreadable", "no_person", "low_detection", "too_few_frames", "low_motion")
# quality.keep_low only flags clips that fail one of the other gates
_ALWAYS_REJECTED = ("unreadable", "no_person")


class Verdict(NamedTuple):
    """The first gate that a clip fails and the value that failed it; both are "" if it passes all gates."""

    reason: str = ""
    detail: str = ""

    def rejects(self, quality: QualityParams) -> bool:
        """Return whether the clip is rejected; otherwise it is kept, and `reason` is its flag."""
        return bool(self.reason) and (self.reason in _ALWAYS_REJECTED or not quality.keep_low)


def judge_landmarks(
    has_pose: bool, diagnostics: dict[str, float], kept_frames: int, quality: QualityParams
) -> Verdict:
    """Judge a clip by the `diagnostics` of its landmarks and the number of its frames that were kept."""
    detection, motion = diagnostics["detection_ratio"], diagnostics["motion_mean"]
    if not has_pose:
        return Verdict("no_person", f"no pose in any of {diagnostics['total_frames']} frames")
    if detection < quality.min_detection:
        limit = f"quality.min_detection is {quality.min_detection:g}"
        return Verdict("low_detection", f"a pose or hand in {detection:.3f} of the frames, {limit}")
    if kept_frames < quality.min_frames:
        limit = f"quality.min_frames is {quality.min_frames}"
        return Verdict("too_few_frames", f"{kept_frames} frames kept, {limit}")
    # an undefined motion (NaN) also counts as low
    if not motion >= quality.motion_floor:
        limit = f"quality.motion_floor is {quality.motion_floor:g}"
        return Verdict("low_motion", f"mean motion {motion:.3f} shoulder widths/s, {limit}")
    return Verdict()


def judge_ready_features(frames: int, quality: QualityParams) -> Verdict:
    """Judge a clip of ready-made features by its length alone: the other gates need landmarks."""
    if frames < quality.min_frames:
        return Verdict("too_few_frames", f"{frames} frames, quality.min_frames is {quality.min_frames}")
    return Verdict()
