"""An answer in words: tables for people, lines for a stream."""

from __future__ import annotations

from signloom.inference.answer import Answer, Match
from signloom.inference.stream import StreamEvent

REASONS = {
    "no_person": "nobody is in the picture",
    "low_motion": "the person hardly moves",
    "low_similarity": "no sentence that it knows is similar enough",
    "ambiguous_top2": "two sentences are about equally similar",
    "prototype_disagreement": "one clip of the sentence is similar, the others are not",
}
_NONE = "-"


def decision(answer: Answer) -> str:
    """Return whether the clip was accepted, and why not."""
    return "accepted" if answer.accepted else f"refused: {REASONS[answer.reason]} ({answer.reason})"


def clip_table(name: str, answer: Answer) -> str:
    """Return the answer to clip `name` as a few aligned lines."""
    motion = "unknown" if answer.motion_mean is None else f"{answer.motion_mean:.2f} shoulder widths/s"
    lines = [name, f"  {decision(answer)}", f"  {answer.frames} frames, motion {motion}"]
    for label, text in (("decoded", answer.text), ("glosses", answer.glosses)):
        if text is not None:
            lines.append(f"  {label}: {text or _NONE}")
    return "\n".join([*lines, *_match_lines(answer.matches)])


def stream_line(event: StreamEvent) -> str:
    """Return one event of a stream: when, how sure, what; and how long the answer took."""
    answer = event.answer
    begun_s, ended_s = event.span_s
    kind = "partial" if event.kind == "partial" else "final"
    sentence = answer.matches[0].sentence if answer.matches else _NONE
    share = f"{answer.matches[0].confidence:.2f}" if answer.matches else _NONE
    head = f"{begun_s:7.2f}-{ended_s:<6.2f} s  {kind:<7}  {1000 * event.latency_s:4.0f} ms"
    line = f"{head}  {share:>4}  {sentence}"
    if kind == "partial":
        return line
    decoded = "" if answer.text is None else f"; decoded: {answer.text or _NONE}"
    return f"{line}  [{decision(answer)}{decoded}]"


def _match_lines(matches: tuple[Match, ...]) -> list[str]:
    """Return the table of `matches`; numbers that say nothing are left out, free text comes last."""
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
    columns = {name: cells for name, cells in columns.items() if set(cells) - {_NONE}}
    numbers = [[f"{cell:>{len(name)}}" for cell in (name, *cells)] for name, cells in columns.items()]
    clips = ["most similar clip", *(match.clip_id for match in matches)]
    width = max(map(len, clips))
    texts = [[f"{clip:<{width}}" for clip in clips], ["sentence", *(match.sentence for match in matches)]]
    return ["  " + "  ".join(line) for line in zip(*numbers, *texts, strict=True)] if matches else []


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
