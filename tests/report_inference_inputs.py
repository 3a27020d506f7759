"""What calibrate, export and evaluate_inference left for the report's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from signloom.report.inference import KINDS

GATES = ("min_similarity", "min_margin", "min_proto_similarity", "min_dtw_score")
DIGEST = "5e4052dfd105739da0c14bbd907b625e3ab2a330971a937761b0b7d487b45030"


def write_inference(folder: Path, calibrated: bool = True) -> list[str]:
    """Write every input of the section and return them as the command line names them.

    Three points of the curve, the second chosen. Without `calibrated` there was nothing to choose by.
    """
    rows = [
        (kind, rate * (1 if kind == "all" else 1.5), right, int(rate == 0.04), -1.0, 0.1, -1.0, 0.9)
        for kind in ("all", *KINDS)
        for rate, right in ((0.0, 0.5), (0.04, 0.8), (0.2, 1.0))
    ]
    columns = ["kind", "false_accept_rate", "accepted_and_right", "chosen", *GATES]
    pd.DataFrame(rows if calibrated else [], columns=columns).to_csv(folder / "curve.csv", index=False)
    reason = {} if calibrated else {"reason": "no validation clip to refuse: nothing is chosen"}
    answers = [("in_set", "ok")] * 3 + [("in_set", "ambiguous_top2"), ("unsigned", "low_motion")]
    pd.DataFrame(answers, columns=["kind", "reason"]).to_csv(folder / "inference.csv", index=False)
    documents: dict[str, Any] = {
        "thresholds.json": {
            **dict(zip(GATES, (-1.0, 0.1, -1.0, 0.9), strict=True)),
            **{"motion_floor": 0.45, "max_false_accept_rate": 0.05, **reason},
        },
        "calibration.json": {"val": figures(0.8, 0.04, 20)},
        "inference.json": {"test": {**figures(0.7, 0.0625, 30), **variants()}},
        "export_manifest.json": {
            "files": {"sign_encoder.onnx": {"sha256": DIGEST, "bytes": 2_103_663}},
            "hashes": {"parameters": DIGEST[::-1]},
            "git_commit": "892765d08460abb3a47d38c2adc7f1e679c8531e",
        },
    }
    for name, content in documents.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    files = {"curve": "curve.csv", "thresholds": "thresholds.json", "bundle": "export_manifest.json"}
    files["latency"] = "latency.json"
    times = {"p50_ms": 3.2, "p95_ms": 12.75, "p99_ms": None}
    latency = {
        "clip": {"n": 20, "frames": 81.5, "answer": times},
        "stream": {"videos": 2, "final_ms_p50": 40.0},
    }
    (folder / "latency.json").write_text(json.dumps(latency), "utf-8")
    given = [f"{name}={folder}/{file}" for name, file in files.items()]
    given += [f"metrics={folder}/{name}.json" for name in ("calibration", "inference")]
    return [*given, f"predictions={folder}/inference.csv"]


def variants() -> dict[str, Any]:
    """The other entries of `inference.json`, as stage evaluate_inference makes them."""
    return {
        "fixed_thresholds": figures(0.9, 0.5, 30),
        "int8": {
            "n": 30,
            **{"top1_agreement": 0.9, "top1_agreement_low": 0.8, "top1_agreement_high": 1.0},
            **{"top5_agreement": None, "top5_agreement_reason": "no clip of a sentence that training saw"},
            "fp32": {"r_at_1": 0.75},
            "int8": {"r_at_1": 0.7},
        },
        "rerank": {"n": 30, "top1": 0.75, "top1_reranked": 0.85},
    }


def figures(right: float, false: float, n: int) -> dict[str, Any]:
    """The entries of one data set, as `signloom.evaluation.acceptance` makes them; no clip was spliced."""
    bounds = {"false_accept_rate_low": 0.0, "false_accept_rate_high": 1.0}
    kinds = {kind: {"n": 5, "false_accept_rate": false, **bounds} for kind in KINDS}
    none = {"n": 0, "false_accept_rate": None, "false_accept_rate_reason": "no clip of this kind"}
    return {
        **{"n_in": n, "n_out": 2 * n, "accepted_and_right": right, "false_accept_rate": false},
        **{"accepted_and_right_low": right - 0.1, "accepted_and_right_high": right + 0.1},
        **{"false_accept_rate_low": 0.0, "false_accept_rate_high": false + 0.1},
        **kinds,
        "spliced": none,
    }
