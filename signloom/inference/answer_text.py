"""Print an answer in words."""

from signloom.inference.answer import Answer, Company, Match
from signloom.letters import columns as width_of

REASONS = {
    "no_person": "nobody is in the picture",
    "low_detection": "too few frames show a person",
    "too_few_frames": "too short",
    "low_motion": "the person hardly moves",
    "low_similarity": "no known sentence is similar enough",
    "ambiguous_top2": "two sentences are about equally similar",
    "prototype_disagreement": "one clip of the sentence is similar, the others are not",
}
MIRRORED = (
    "its mirror image would be accepted: the camera may mirror, as selfie cameras do, or the signer is "
    "left-handed"
)
STILL = (
    "stillness before and after signing counts too: cut the clip to the signing, or answer it with "
    "signloom predict --stream"
)
# what each threshold bounds, in the words of the table
MEASURED = {
    "motion_floor": "motion",
    "min_similarity": "cosine",
    "min_dtw_score": "warping",
    "min_margin": "margin to the next",
    "min_proto_similarity": "prototype",
}
NONE = "-"


def decision(answer: Answer) -> str:
    """Return in words whether the clip was accepted, with the reason if it was refused."""
    if answer.accepted:
        return "accepted"
    reason = f"refused: {REASONS[answer.reason].replace('sentence', answer.unit)} ({answer.reason})"
    if (gate := answer.refusal) is None:
        return reason
    measured = _number(gate.measured)
    return f"{reason}: {MEASURED[gate.threshold]} {measured} is below {gate.threshold} {gate.minimum:.3f}"


def clip_table(name: str, answer: Answer) -> str:
    """Return the answer to clip `name` as a few aligned lines."""
    motion = "unknown" if answer.motion_mean is None else f"{answer.motion_mean:.2f} shoulder widths/s"
    lines = [name, f"  {decision(answer)}", f"  {answer.frames} frames, motion {motion}"]
    if answer.sign is not None:
        lines.insert(1, f"  sign: {answer.sign} (similarity {answer.matches[0].similarity:.3f})")
    for label, text in (("decoded", answer.text), ("glosses", answer.glosses)):
        if text is not None:
            lines.append(f"  {label}: {text or NONE}")
    if answer.reason == "low_motion":
        lines.append(f"  {STILL}")
    if answer.mirrored:
        lines.append(f"  {MIRRORED}")
    if answer.company:
        lines.append(f"  {company_text(answer.company)}")
    return "\n".join([*lines, *_match_lines(answer.matches, answer.unit)])


def company_text(company: Company) -> str:
    """Return in words that several people are in the picture, and who of them was read."""
    places = {"left": "the person on the left", "middle": "the person in the middle"}
    who = "nobody" if company.read is None else places.get(company.read, "the person on the right")
    return f"{company.faces} faces in the picture at {company.time_s:.1f} s; {who} was read"


def _match_lines(matches: tuple[Match, ...], unit: str) -> list[str]:
    """Return the table of `matches`; columns without values are left out, and the texts come last."""
    columns = {
        "rank": [str(match.rank) for match in matches],
        "confidence": [f"{match.confidence:.2f}" for match in matches],
        "similarity": [f"{match.similarity:.3f}" for match in matches],
        "cosine": [_number(match.raw_similarity) for match in matches],
        "warping": [_number(match.dtw_score) for match in matches],
        "prototype": [_number(match.proto_similarity) for match in matches],
    }
    if all(match.similarity == match.raw_similarity for match in matches):
        del columns["cosine"]
    columns = {name: cells for name, cells in columns.items() if set(cells) - {NONE}}
    numbers = [[f"{cell:>{len(name)}}" for cell in (name, *cells)] for name, cells in columns.items()]
    clips = ["most similar clip", *(match.clip_id for match in matches)]
    width = max(map(width_of, clips))
    texts = [
        [clip + " " * (width - width_of(clip)) for clip in clips],
        [unit, *(match.sentence for match in matches)],
    ]
    return ["  " + "  ".join(line) for line in zip(*numbers, *texts, strict=True)] if matches else []


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"
