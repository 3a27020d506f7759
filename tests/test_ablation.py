"""Stage ablation: hand-worked means, spreads and paired differences, and a text that follows from them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section

from signloom.evaluation.datasets import TOGETHER
from signloom.evaluation.gloss import Answers, score_glosses
from signloom.params.evaluation import EvaluationParams
from workflow_scripts import ablation as stage

FEW = section(EvaluationParams, bootstrap=300, seed=1)
AS_WRITTEN = 0.5001e-4  # a metric file has four decimals
SETS = ("test", "val", "test_unseen_sentences", "val_unseen_sentences")
REFERENCES = [["A", "B", "C"], ["A", "B"], ["D"], ["C", "C", "B", "A"]] * 5
Lines = list[list[str]]
HYPOTHESES = [
    {"better": "hybrid_pose", "worse": "tcn_ctc", "claim": "attention beside CTC helps"},
    {"better": "hybrid_clip", "worse": "tcn_ctc", "claim": "attention beside CTC helps"},
    {"better": "hybrid_both", "worse": "tcn_ctc", "claim": "attention beside CTC helps"},
    {"better": "hybrid_both", "worse": "hybrid_pose", "claim": "clip features beside pose features help"},
    {"better": "hybrid_clip_aug", "worse": "hybrid_clip", "claim": "augmented frames help"},
]


def wrong(first: int) -> Lines:
    """The references, the first gloss of `first` lines said otherwise."""
    return [["X", *line[1:]] if i < first else line for i, line in enumerate(REFERENCES)]


def silent(first: int) -> Lines:
    return [[] if i < first else line for i, line in enumerate(REFERENCES)]


def write_run(folder: Path, name: str, said: dict[str, Lines], blank: float = 0.8, signers: int = 1) -> None:
    """Write the files of a run whose test clips say `said`; the other data sets are empty."""
    answers, tables = {}, []
    for data in SETS:
        references = REFERENCES if data == "test" else []
        lines = {decoder: found if references else [] for decoder, found in said.items()}
        blanks = np.array([[blank * 100, 100]] * len(references)).reshape(-1, 2)
        answers[data] = Answers(references, lines, blanks)
        ids = [f"c{i:02d}" for i in range(len(references))]
        signer = [f"s{i % signers}" for i in range(len(references))]
        table = pd.DataFrame({"data": data, "clip_id": ids, "signer_id": signer})
        table["reference"] = [" ".join(line) for line in references]
        table[["blank_frames", "frames"]] = blanks.round().astype("int64")
        for decoder, found in lines.items():
            table[decoder] = [" ".join(line) for line in found]
        tables.append(table)
    name, _, seed = name.partition("-")
    folder = folder / "seeds" / seed if seed else folder
    (folder / name).mkdir(parents=True)
    for data, parts in TOGETHER.items():
        answers[data] = Answers.of([answers[part] for part in parts])
    metrics = {data: score_glosses(found, "none", FEW) for data, found in answers.items()}
    (folder / f"{name}.json").write_text(json.dumps(metrics))
    pd.concat(tables).to_csv(folder / f"{name}.csv", index=False)
    epochs = [
        {"epoch": n, "val_blank_ratio": ratio, "train_blank_ratio": 0.5}
        for n, ratio in enumerate([0.99, 0.6, blank], 1)
    ]
    (folder / name / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))


def call(folder: Path, variants: list[str], seeds: list[int]) -> tuple[int, Path, Path]:
    """Run the stage on all runs in `folder`."""
    answers = [path for path in sorted(folder.rglob("*.csv")) if path.parent.name != "out"]
    metrics, table = folder / "out" / "ablation.json", folder / "out" / "ablation.csv"
    code = stage.main(
        [
            "--input",
            *(f"metrics={path.with_suffix('.json')}" for path in answers),
            *(f"predictions={path}" for path in answers),
            *(f"epochs={path.with_suffix('') / 'metrics.jsonl'}" for path in answers),
            "--output",
            f"metrics={metrics}",
            f"table={table}",
            f"text={folder / 'out' / 'ablation.txt'}",
            "--params",
            json.dumps(
                {
                    "gloss": {"variants": variants, "hypotheses": HYPOTHESES},
                    "runs": {"seed": seeds[0], "more_seeds": seeds[1:]},
                    "evaluation": {"bootstrap": 300, "seed": 1},
                }
            ),
        ]
    )
    return code, metrics, table


def said(folder: Path) -> str:
    """Return what the stage says in words, a single line."""
    return (folder / "out" / "ablation.txt").read_text("utf-8").removesuffix("\n")


def hybrid(joint: Lines, attention: Lines | None = None) -> dict[str, Lines]:
    plain = {"ctc_greedy": silent(20), "ctc_beam": silent(18)}
    return plain | {"attention": attention or wrong(3), "joint": joint}


def tcn(beam: Lines) -> dict[str, Lines]:
    return {"ctc_greedy": silent(20), "ctc_beam": beam}


def test_means_spreads_and_differences_of_three_seeds_by_hand(tmp_path: Path) -> None:
    for seed, count in ((1, 0), (2, 2), (3, 4)):
        ending = "" if seed == 1 else f"-{seed}"
        write_run(tmp_path, f"hybrid_pose{ending}", hybrid(wrong(count)), blank=0.7 + seed / 100)
        write_run(tmp_path, f"tcn_ctc{ending}", tcn(wrong(10 + count)))
    code, metrics, table_file = call(tmp_path, ["tcn_ctc", "hybrid_pose"], [1, 2, 3])
    assert code == 0
    got = json.loads(metrics.read_text())
    pose = got["test"]["hybrid_pose"]
    words = 50
    assert pose["n"] == 20
    assert pose["seeds"] == 3
    assert pose["blank_ratio"] == pytest.approx(0.72)
    assert pose["blank_ratio_std"] == pytest.approx(0.01)
    assert pose["joint"]["wer"] == pytest.approx(2 / words)
    assert pose["joint"]["wer_std"] == pytest.approx(
        statistics.stdev([0, 2 / words, 4 / words]), abs=AS_WRITTEN
    )
    assert pose["joint"]["sub"] == pytest.approx(2 / words)
    assert pose["joint"]["sentence_acc"] == pytest.approx(18 / 20)
    # joint has no counterpart in tcn_ctc: its prefix beam stands for it, 12 errors a seed
    assert pose["joint"]["difference"] == pytest.approx((2 - 12) / words)
    # the same decoder where there is one: 18 silent clips against 12 substitutions
    silent_words = sum(map(len, REFERENCES[:18]))
    assert pose["ctc_beam"]["difference"] == pytest.approx((silent_words - 12) / words)
    assert "difference" not in got["test"]["tcn_ctc"]["ctc_beam"]
    both = got["test"]["comparisons"]["hybrid_pose - tcn_ctc"]
    assert both["decoders"] == ["joint", "ctc_beam"]
    assert both["difference_low"] < both["difference"] < both["difference_high"] < 0
    assert got["training"]["hybrid_pose"] == {
        "epochs": 3,
        "blank_ratio_of": "val",
        "blank_ratio_last": pytest.approx(0.72),
        "blank_ratio_lowest": 0.6,
    }
    table = pd.read_csv(table_file)
    assert len(table) == len([*SETS, *TOGETHER]) * (2 + 4)
    row = table[
        (table["data"] == "test") & (table["variant"] == "hybrid_pose") & (table["decoder"] == "joint")
    ]
    assert row["wer"].item() == pytest.approx(2 / words)
    assert row["difference"].item() == pytest.approx(-10 / words)


def test_means_and_spreads_are_counted_again_and_not_taken_from_rounded_figures(tmp_path: Path) -> None:
    for seed, count in ((1, 1), (2, 2), (3, 4)):
        ending = "" if seed == 1 else f"-{seed}"
        write_run(tmp_path, f"hybrid_pose{ending}", hybrid(wrong(count)), blank=0.71 + seed / 100)
        write_run(tmp_path, f"tcn_ctc{ending}", tcn(wrong(10 + count)))
    once = [path.read_bytes() for path in call(tmp_path, ["tcn_ctc", "hybrid_pose"], [1, 2, 3])[1:]]
    for scores in tmp_path.glob("*.json"):
        coarse = json.loads(scores.read_text(), parse_float=lambda digits: float(round(float(digits))))
        scores.write_text(json.dumps(coarse))
    again = [path.read_bytes() for path in call(tmp_path, ["tcn_ctc", "hybrid_pose"], [1, 2, 3])[1:]]
    assert once == again


def test_clips_are_drawn_in_pairs(tmp_path: Path) -> None:
    # the one is wrong exactly where the other is, and once more: unpaired, the interval would include 0
    write_run(tmp_path, "tcn_ctc", tcn([["X", *line] for line in wrong(20)]))
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(20)))
    _, metrics, _ = call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])
    found = json.loads(metrics.read_text())["test"]["hybrid_pose"]["joint"]
    assert found["difference"] == pytest.approx(-20 / 50)
    # by hand: the same resamples of (errors more, glosses) pairs
    generator = np.random.default_rng(1)
    rows = generator.integers(0, 20, (300, 20))
    lengths = np.array([len(line) for line in REFERENCES])
    low, high = np.percentile(-20 / lengths[rows].sum(1), (2.5, 97.5))
    assert (found["difference_low"], found["difference_high"]) == pytest.approx((low, high), abs=AS_WRITTEN)


def test_one_seed_has_no_spread_and_says_why(tmp_path: Path) -> None:
    write_run(tmp_path, "tcn_ctc", tcn(silent(20)), blank=1.0)
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(1)))
    _, metrics, table = call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])
    got = json.loads(metrics.read_text())
    joint = got["test"]["hybrid_pose"]["joint"]
    assert joint["wer_std"] is None
    assert joint["wer_std_reason"] == "one seed has no spread"
    assert got["val"]["hybrid_pose"]["joint"]["wer_reason"] == "no clip in this data set"
    assert got["val"]["hybrid_pose"]["joint"]["difference"] is None
    assert pd.read_csv(table)["wer_std"].isna().all()
    assert "There is one seed" in said(tmp_path)
    assert "±" not in said(tmp_path)


def test_the_text_says_what_helps_what_does_not_and_what_is_undecided(tmp_path: Path) -> None:
    write_run(tmp_path, "tcn_ctc", tcn(silent(20)), blank=0.99)
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(2)))
    write_run(tmp_path, "hybrid_clip", hybrid(silent(10)))
    write_run(tmp_path, "hybrid_clip_aug", hybrid([*silent(9)[:10], *wrong(11)[10:]]))
    write_run(tmp_path, "hybrid_both", hybrid(wrong(15)))
    variants = ["tcn_ctc", "hybrid_pose", "hybrid_clip", "hybrid_clip_aug", "hybrid_both"]
    code, _, _ = call(tmp_path, variants, [42])
    assert code == 0
    text = said(tmp_path)
    assert "\n" not in text
    assert "On test (20 clips, 1 seed) WER is 100.0 % for tcn_ctc, 4.0 % for hybrid_pose" in text
    assert "hybrid_pose - tcn_ctc = -96.0 [" in text
    assert "attention beside CTC helps, as expected." in text
    assert (
        "against the expectation that clip features beside pose features help, it makes more errors" in text
    )
    assert "that augmented frames help is undecided." in text
    assert "corrected by Holm for 5 on a data set" in text
    assert "Too few signers for an interval: 1, expected 5 or more." in text
    assert "tcn_ctc has collapsed, as expected: 99.0 % of the frames of test are blank" in text
    assert "test_unseen_sentences" not in text, "nothing is said of a data set without clips"


def test_p_values_are_those_of_swapped_answers_corrected_by_holm(tmp_path: Path) -> None:
    write_run(tmp_path, "tcn_ctc", tcn(wrong(8)))
    for name, count in (("hybrid_pose", 2), ("hybrid_clip", 0)):
        write_run(tmp_path, name, hybrid(wrong(count)))
    _, metrics, _ = call(tmp_path, ["tcn_ctc", "hybrid_pose", "hybrid_clip"], [42])
    found = json.loads(metrics.read_text())["test"]["comparisons"]
    # one clip of n is better or worse at random: only one-sided swaps are as extreme, 2 of 2 ** n
    for pair, differing, rows in (("hybrid_pose - tcn_ctc", 6, 1), ("hybrid_clip - tcn_ctc", 8, 2)):
        assert found[pair]["p"] == pytest.approx(rows * 2 / 2**differing, abs=0.025)
    alone, corrected = found["hybrid_clip - tcn_ctc"]["p"], found["hybrid_pose - tcn_ctc"]["p"]
    assert alone <= corrected


def test_what_one_signer_alone_shows_is_undecided(tmp_path: Path) -> None:
    # all errors are of clips 0, 5, 10 and 15, or of clips of every signer
    one = [["X"] * len(line) if i % 5 == 0 else line for i, line in enumerate(REFERENCES)]
    for folder, lines in (("one", one), ("all", wrong(20))):
        write_run(tmp_path / folder, "tcn_ctc", tcn(lines), signers=5)
        write_run(tmp_path / folder, "hybrid_pose", hybrid(REFERENCES), signers=5)
        _, metrics, _ = call(tmp_path / folder, ["tcn_ctc", "hybrid_pose"], [42])
        found = json.loads(metrics.read_text())["test"]["comparisons"]["hybrid_pose - tcn_ctc"]
        assert (found["difference_by_signer_high"] < 0) == (folder == "all")
        assert ("undecided" in said(tmp_path / folder)) == (folder == "one")
        assert "The interval over signers leaves out 0 too." in said(tmp_path / folder)


def test_a_baseline_that_is_better_and_has_not_collapsed_is_said_to_be_so(tmp_path: Path) -> None:
    write_run(tmp_path, "tcn_ctc", tcn(wrong(0)), blank=0.6)
    write_run(tmp_path, "hybrid_pose", hybrid(silent(20)))
    call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])
    text = said(tmp_path)
    assert "against the expectation that attention beside CTC helps, it makes more errors" in text
    assert "Against the expectation tcn_ctc has not collapsed: 60.0 % of the frames of test are blank" in text


def test_without_the_baseline_nothing_is_compared_with_it(tmp_path: Path) -> None:
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(2)))
    code, metrics, _ = call(tmp_path, ["hybrid_pose"], [42])
    assert code == 0
    got = json.loads(metrics.read_text())
    assert got["test"]["hybrid_pose"]["joint"]["difference_reason"] == "tcn_ctc is not among the variants"
    assert got["test"]["comparisons"] == {}
    assert "not measured" in said(tmp_path)


def test_random_weights_of_a_video_network_are_said_in_figures_and_words(tmp_path: Path) -> None:
    write_run(tmp_path, "hybrid_clip", hybrid(wrong(2)))
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(2)))
    scores = tmp_path / "hybrid_clip.json"
    parts = json.loads(scores.read_text())
    scores.write_text(json.dumps({name: part | {"clip_weights": "random"} for name, part in parts.items()}))
    _, metrics, _ = call(tmp_path, ["hybrid_pose", "hybrid_clip"], [42])
    got = json.loads(metrics.read_text())
    assert got["test"]["hybrid_clip"]["clip_weights"] == "random"
    assert "clip_weights" not in got["test"]["hybrid_pose"]
    assert "The clip features of hybrid_clip come of random weights" in said(tmp_path)


def test_the_order_of_the_files_changes_no_byte(tmp_path: Path) -> None:
    write_run(tmp_path, "tcn_ctc", tcn(wrong(9)))
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(2)))
    _, metrics, table = call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])
    once = metrics.read_bytes(), table.read_bytes()
    for name in ("tcn_ctc", "hybrid_pose"):
        answers = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False)
        answers[::-1].to_csv(tmp_path / f"{name}.csv", index=False)
    _, metrics, table = call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])
    assert (metrics.read_bytes(), table.read_bytes()) == once


def test_runs_that_are_missing_or_do_not_fit_together_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, "tcn_ctc", tcn(wrong(9)))
    write_run(tmp_path, "hybrid_pose", hybrid(wrong(2)))
    assert call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42, 43])[0] == 2
    assert "run tcn_ctc-43 lacks" in capsys.readouterr().err
    answers = pd.read_csv(tmp_path / "hybrid_pose.csv", keep_default_na=False)
    answers[1:].to_csv(tmp_path / "hybrid_pose.csv", index=False)
    assert call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])[0] == 2
    assert "different clips" in capsys.readouterr().err
    (tmp_path / "tcn_ctc" / "metrics.jsonl").write_text("")
    assert call(tmp_path, ["tcn_ctc", "hybrid_pose"], [42])[0] == 2
    assert "has no epoch" in capsys.readouterr().err
