"""The quality gates of pose features: why a clip is rejected, or kept and flagged.

A clip that cannot be read is `unreadable`, which the stages landmarks and import_features find out. All other
reasons are decided here, with the limits of section `quality`. Training and bundles judge by the same limits.
"""

from typing import NamedTuple

from signloom.params.features import GateParams

# in the order in which the gates are tried
REJECT_REASONS = ("unreadable", "no_person", "low_detection", "too_few_frames", "low_motion")
# quality.keep_low only flags clips that fail one of the other gates
_ALWAYS_REJECTED = ("unreadable", "no_person")
_STILL_PART = "it moves in parts: cut it to the signing with start_s and end_s"


class Gate(NamedTuple):
    """A gate with a limit: the parameter that sets it, the diagnostic that it judges, and that in words."""

    parameter: str
    diagnostic: str
    words: str  # with {} for the value


GATES = {
    "low_detection": Gate("min_detection", "detection_ratio", "a pose or hand in {} of the frames"),
    "too_few_frames": Gate("min_seconds", "kept_seconds", "{} s kept"),
    "low_motion": Gate("motion_floor", "motion_mean", "mean motion {} shoulder widths/s"),
}


class Verdict(NamedTuple):
    """The first gate that a clip fails and the value that failed it; both are "" if it passes all gates."""

    reason: str = ""
    detail: str = ""

    def rejects(self, quality: GateParams) -> bool:
        """Return whether the clip is rejected; otherwise it is kept, and `reason` is its flag."""
        return bool(self.reason) and (self.reason in _ALWAYS_REJECTED or not quality.keep_low)


def judge_landmarks(has_pose: bool, diagnostics: dict[str, float], quality: GateParams) -> Verdict:
    """Judge a clip by the `diagnostics` of its landmarks."""
    if not has_pose:
        return Verdict("no_person", f"no pose in any of {diagnostics['total_frames']} frames")
    for reason in GATES:
        verdict = _judge(reason, diagnostics, quality)
        if verdict.reason == "low_motion" and diagnostics["motion_max"] > quality.motion_keep:
            return verdict._replace(detail=f"{verdict.detail}; {_STILL_PART}")
        if verdict.reason:
            return verdict
    return Verdict()


def judge_ready_features(kept_seconds: float, quality: GateParams) -> Verdict:
    """Judge a clip of ready-made features by its length alone: the other gates need landmarks."""
    return _judge("too_few_frames", {"kept_seconds": kept_seconds}, quality)


def _judge(reason: str, diagnostics: dict[str, float], quality: GateParams) -> Verdict:
    gate = GATES[reason]
    value, limit = diagnostics[gate.diagnostic], getattr(quality, gate.parameter)
    # an undefined value (NaN) also fails, and so does a clip of which nothing is left
    if value >= limit and not (reason == "too_few_frames" and value == 0):
        return Verdict()
    found = gate.words.format(f"{value:.3f}")
    return Verdict(reason, f"{found}, quality.{gate.parameter} is {limit:g}")
