"""Print the answers of a stream, one per line."""

from __future__ import annotations

from signloom.inference.answer_text import NONE, decision
from signloom.inference.stream import StreamEvent


def stream_line(event: StreamEvent) -> str:
    """Return one event of a stream as a line: times, kind, latency, confidence and sentence."""
    answer = event.answer
    begun_s, ended_s = event.span_s
    kind = "partial" if event.kind == "partial" else "final"
    sentence = answer.matches[0].sentence if answer.matches else NONE
    share = f"{answer.matches[0].confidence:.2f}" if answer.matches else NONE
    head = f"{begun_s:7.2f}-{ended_s:<6.2f} s  {kind:<7}  {1000 * event.latency_s:4.0f} ms"
    line = f"{head}  {share:>4}  {sentence}"
    if kind == "partial":
        return line
    decoded = "" if answer.text is None else f"; decoded: {answer.text or NONE}"
    return f"{line}  [{decision(answer)}{decoded}]"
