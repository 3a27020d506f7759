"""Print the headline metrics and the path of the report."""

import json
import sys
from pathlib import Path
from typing import Any

from signloom.params.load import load_params

ROWS = [
    ("sign2text", ["wer", "bleu4", "chrf", "exact", "inst_top1", "pos_sim", "neg_sim", "nearest_wer"]),
    ("retrieval", ["ret_top1", "ret_mrr", "r_at_5"]),
]
DATA = ["test", "test_unseen_sentences", "val"]


def main() -> int:
    params = load_params(Path("params.yaml"))
    print(f"{'':28}" + "".join(f"{name:>27}" for name in DATA))
    for file, metrics in ROWS if "sign2text" in params.pipeline.families else []:
        scores = json.loads(Path(f"metrics/{file}.json").read_text("utf-8"))
        for metric in metrics:
            cells = "".join(f"{_cell(scores.get(name, {}), metric):>27}" for name in DATA)
            print(f"{file + ' ' + metric:28}{cells}")
    # metric files of variants that are no longer trained may lie beside
    for variant in sorted(params.gloss.variants) if "gloss" in params.pipeline.families else []:
        scores = json.loads(Path(f"metrics/gloss/{variant}.json").read_text("utf-8"))
        for decoder in ("ctc_beam", "joint"):
            if decoder in scores["test"]:
                cells = "".join(f"{_cell(scores[name][decoder], 'wer'):>27}" for name in DATA)
                print(f"{variant + ' ' + decoder + ' wer':28}{cells}")
    if "sign2text" in params.pipeline.families:
        inference = json.loads(Path("metrics/inference.json").read_text("utf-8"))["test"]
        for metric in ("accepted_and_right", "false_accept_rate"):
            print(f"{'inference ' + metric:28}{_cell(inference, metric):>27}")
    print(f"\nbundle: {Path('build/export/sign_encoder_bundle.zip').resolve()}")
    print(f"report: {Path('build/report/index.html').resolve().as_uri()}")
    return 0


def _cell(scores: dict[str, Any], metric: str) -> str:
    value, low, high = (scores.get(metric + end) for end in ("", "_low", "_high"))
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
