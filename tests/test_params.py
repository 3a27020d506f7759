"""params.yaml: every key is known, typed and there; a wrong one is named with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from engines import params_schema
from engines.pipeline import from_text
from signloom.errors import SignloomError
from signloom.params.base import Section
from signloom.params.load import check_params, load_params, overlay, read_yaml
from signloom.params.schema import Params
from signloom.video.windows import window_count
from workflow_scripts.job import parse

PRESETS = sorted(path.stem for path in Path(__file__).parent.parent.glob("config/presets/*.yaml"))


def changed(root: Path, folder: Path, section: str, key: str, line: str) -> Path:
    """Copy params.yaml into `folder` with `line` in place of that of `section.key`."""
    text = (root / "params.yaml").read_text("utf-8")
    found = re.search(rf"^{section}:.*\n(?:  .*\n)*?  ({key}: .*)", text, re.MULTILINE)
    assert found
    path = folder / "params.yaml"
    path.write_text(text[: found.start(1)] + line + text[found.end(1) :], "utf-8")
    return path


def preset(root: Path, name: str) -> Params:
    return load_params(root / "params.yaml", root / f"config/presets/{name}.yaml")


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if text in line)


def test_the_committed_parameters_are_valid(root: Path) -> None:
    assert load_params(root / "params.yaml").shards.count >= 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_over_the_committed_parameters(root: Path, name: str) -> None:
    assert preset(root, name)


def test_overlays_are_laid_over_the_full_preset_one_after_another(root: Path) -> None:
    names = ["signtalk", "gpu_4gb", "gru"]
    files = [root / "params.yaml", *(root / f"config/presets/{name}.yaml" for name in names)]
    tree: dict = {}
    for file in files:
        tree = overlay(tree, read_yaml(file))
    params = check_params(tree, files)
    full = load_params(files[0], files[1])
    over = [read_yaml(file)["sign2text"] for file in files[2:]]
    own = {key: value for keys in over for key, value in keys.items()}
    assert params.sign2text.model_dump(include=set(own)) == own
    assert params.sign2text.model_dump(exclude=set(own)) == full.sign2text.model_dump(exclude=set(own))
    others = {"sign2text", "decoding"}
    assert params.model_dump(exclude=others) == full.model_dump(exclude=others)
    # a smaller card takes more batches to a step, and no other step
    small, large = params.sign2text, full.sign2text
    assert small.batch_size < large.batch_size
    assert small.batch_size * small.accumulation == large.batch_size * large.accumulation


def test_a_value_stands_once(root: Path) -> None:
    demo = read_yaml(root / "params.yaml")
    for section, field in Params.model_fields.items():
        kind = field.annotation
        assert isinstance(kind, type) and issubclass(kind, Section)
        assert all(key.is_required() for key in kind.model_fields.values()), section
    for path in root.glob("config/presets/*.yaml"):
        own = read_yaml(path)
        # a preset without a table is laid over another one, whose values it changes
        repeated = [
            f"{path}: {section}.{key}"
            for section, values in own.items()
            for key in values
            if values[key] == demo[section][key] and "dataset" in own
        ]
        assert not repeated


def test_no_preset_builds_gloss_models_of_signtalk_whose_workbook_has_no_glosses(root: Path) -> None:
    # the gloss family would fail, after hours of clip features
    found = [params for name in PRESETS if (params := preset(root, name)).dataset.importer == "signtalk"]
    assert found and all("gloss" not in params.pipeline.families for params in found)


def test_the_windows_of_the_design_documents_are_too_few_for_a_short_clip(root: Path) -> None:
    def rows(params: Params) -> int:
        """Of a clip of four seconds."""
        return window_count(4 * 25, params.clip_features.stack_size, params.clip_features.step_size)

    # the longest lines of the demo have five glosses, and CTC needs a row for each
    assert rows(preset(root, "windows_64_32")) < 5
    demo, phoenix = load_params(root / "params.yaml"), preset(root, "phoenix2014")
    assert min(rows(demo), rows(phoenix)) >= 5


def test_the_schema_for_editors_is_what_the_typed_parameters_say(root: Path) -> None:
    assert (root / params_schema.TARGET).read_text("utf-8") == params_schema.render(), "run `make schema`"
    schema = json.loads(params_schema.render())
    assert set(schema["properties"]) == set(Params.model_fields)
    assert schema["$defs"]["QualityParams"]["properties"]["min_seconds"]["minimum"] == 0
    assert '"required"' not in params_schema.render(), "a preset holds only what differs"


def test_a_preset_that_counts_frames_is_told_to_give_seconds(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("shards:\n  count: 2\nquality:\n  min_frames: 48\n")
    with pytest.raises(SignloomError) as caught:
        load_params(root / "params.yaml", tmp_path / "mine.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/mine.yaml:4: unknown key quality.min_frames; now quality.min_seconds")


def test_an_unknown_key_is_named_with_line_and_nearest_key(root: Path, tmp_path: Path) -> None:
    path = changed(root, tmp_path, "sign2text", "decode_every", "decode_evry: 1")
    with pytest.raises(SignloomError) as error:
        load_params(path)
    line = line_of(path, "decode_evry")
    expected = f"{path}:{line}: unknown key sign2text.decode_evry; did you mean sign2text.decode_every (int)?"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("splits.mode", "sideways", "Input should be 'predefined', 'sentence', 'signer' or 'clip'"),
        ("shards.count", "eight", "valid integer"),
        ("shards.count", "0", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_says_what_was_expected_and_found(
    root: Path, tmp_path: Path, key: str, value: str, message: str
) -> None:
    section, _, name = key.partition(".")
    path = changed(root, tmp_path, section, name, f"{name}: {value} # here")
    with pytest.raises(SignloomError, match=message) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}:{line_of(path, '# here')}: ")
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named(root: Path, tmp_path: Path) -> None:
    path = changed(root, tmp_path, "pose", "max_gap", "# nothing")
    with pytest.raises(SignloomError, match=r"missing key pose\.max_gap; expected int"):
        load_params(path)


def test_an_error_in_a_preset_points_into_the_preset(root: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("sign2text:\n  widht: 64\n")
    with pytest.raises(
        SignloomError, match=rf"{preset}:2: unknown key sign2text\.widht; did you mean sign2text\.width"
    ):
        load_params(root / "params.yaml", preset)


def test_broken_yaml_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: 1\nb: [1\n")
    with pytest.raises(SignloomError, match=r"params\.yaml:\d: not valid YAML"):
        load_params(path)


def test_a_key_that_stands_twice_is_an_error_and_not_the_last_value(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("sign2text:\n  lr: 0.001\n  epochs: 3\n  lr: 0.1\n")
    with pytest.raises(SignloomError, match=r"mine\.yaml:4: lr stands here a second time"):
        read_yaml(file)
    file.write_text("gloss:\n  epochs: 1\nhybrid:\n  epochs: 1\n")
    assert read_yaml(file)["hybrid"] == {"epochs": 1}


def test_a_number_with_an_exponent_and_no_dot_is_a_number(root: Path, tmp_path: Path) -> None:
    # YAML 1.1 reads 3e-4 as a string
    preset = tmp_path / "mine.yaml"
    preset.write_text("sign2text:\n  lr: 3e-4\nlandmarks:\n  max_fps: 1e1\n")
    params = load_params(root / "params.yaml", preset)
    assert (params.sign2text.lr, params.landmarks.max_fps) == (3e-4, 10.0)


@pytest.mark.parametrize(
    ("line", "found"),
    [("layers: true", "True"), ('epochs: "50"', "'50'"), ("dual_view: 1", "1"), ('lr: "fast"', "'fast'")],
)
def test_a_value_of_another_type_is_named_and_not_guessed_at(
    root: Path, tmp_path: Path, line: str, found: str
) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(f"sign2text:\n  {line}\n")
    key = f"sign2text.{line.partition(':')[0]}"
    with pytest.raises(SignloomError, match=rf"mine\.yaml:2: {key}: .*, found {found}$"):
        load_params(root / "params.yaml", preset)


def test_a_variant_that_trains_on_copies_needs_some(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SignloomError, match=r"frames\.copies: hybrid_clip_aug of gloss\.variants trains on copies"
    ):
        load_params(changed(root, tmp_path, "frames", "copies", "copies: 0"))


def test_a_variant_of_sign2text_that_changes_nothing_is_refused(root: Path, tmp_path: Path) -> None:
    path = changed(root, tmp_path, "runs", "sign2text_variants", "sign2text_variants: [supcon, transformer]")
    with pytest.raises(SignloomError, match="transformer is what section sign2text describes; leave it out"):
        load_params(path)


def test_signs_are_trained_on_a_contrastive_loss_and_have_no_variants_of_a_decoder(
    root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    for lines, said in (
        (
            "runs:\n  sign2text_variants: [no_token_dropout]\nsign2text:\n  task: signs\n",
            "needs a sentence decoder",
        ),
        (
            "sign2text:\n  task: signs\n  lambda_clip: 0.0\n",
            "lambda_clip, lambda_class, lambda_supcon: one must be above 0 with task signs",
        ),
    ):
        path.write_text(lines)
        with pytest.raises(SignloomError, match=said):
            load_params(root / "params.yaml", path)
    path.write_text("sign2text:\n  task: signs\n  lambda_clip: 0.0\n  lambda_supcon: 1.0\n")
    assert load_params(root / "params.yaml", path).sign2text.task == "signs"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("sign2text: {batch_size: 2, instances_per_class: 2}", "batch_size: 2 clips, with 2 of a sentence"),
        (
            "sign2text: {task: signs, lambda_clip: 1.0, encoder: tcn, width: 100, heads: 8}\n"
            "runs: {sign2text_variants: [transformer]}",
            "8 heads cannot share sign2text.width 100",
        ),
        ("runs: {seed: 20260101123000123456}", "runs.seed"),
        ("sign2text: {epochs: 010}", "mine.yaml:1: 010: YAML programs read this as different numbers"),
        ("sign2text:\n  lr: 1:30", "mine.yaml:2: 1:30: YAML programs read"),
    ],
)
def test_values_that_would_train_nothing_or_mean_two_things_are_refused(
    lines: str, said: str, root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(lines)
    with pytest.raises(SignloomError, match=said):
        load_params(root / "params.yaml", path)
    path.write_text("runs: {folds: ['010', s1, s2], fold_by: signer}")
    assert load_params(root / "params.yaml", path).runs.folds[0] == "010"


def test_points_are_refused_for_clips_that_are_no_feature_rows(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    points = (
        "positions:\n  points:\n    - {name: head, columns: [0, 1]}\n    - {name: hand, columns: [2, 3]}\n"
    )
    path.write_text(points)
    with pytest.raises(SignloomError, match=r"positions\.points: .*set dataset.features to true"):
        load_params(root / "params.yaml", path)
    path.write_text(f"pipeline:\n  families: [sign2text]\ndataset:\n  features: true\n{points}")
    assert len(load_params(root / "params.yaml", path).positions.points) == 2


def test_folds_may_be_numbers_in_yaml(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    found = []
    for folds in ("[0, 1]", '["0", "1"]'):
        path.write_text(f"runs:\n  fold_by: clip\n  folds: {folds}\n")
        found.append(load_params(root / "params.yaml", path).runs)
    assert found[0] == found[1] and found[0].folds == ["0", "1"]
    for folds, said in (
        ("[true, false]", "found True"),
        ("[Jörg, b, c]", "found 'Jörg'"),
        ("[0.5, 1]", "0.5"),
    ):
        path.write_text(f"runs:\n  folds: {folds}\n")
        with pytest.raises(SignloomError, match=rf"mine\.yaml:2: runs\.folds: .*{said}"):
            load_params(root / "params.yaml", path)


def test_texts_get_the_types_of_their_parameters() -> None:
    runs = {"more_seeds": ["43", "44"], "folds": ["0", "1"], "fold_by": "clip", "seeds_of_folds": "true"}
    same = {
        "text": {"encoder": "2024", "pooling": "cls"},
        "gloss": {"hypotheses": [{"better": "hybrid_both", "worse": "tcn_ctc", "claim": "12"}]},
        # for check_params to refuse
        "pose": {"fsp": "3"},
        "strange": "1",
    }
    typed = from_text(same | {"runs": runs, "sign2text": {"lr": "1e-3"}, "dataset": {"variations": "null"}})
    assert typed.pop("runs") == runs | {"more_seeds": [43, 44], "seeds_of_folds": True}
    assert typed.pop("sign2text") == {"lr": 1e-3} and typed.pop("dataset") == {"variations": None}
    assert typed == same
    for value, said in (("fast", "valid number"), ("-1", "greater than 0"), ("null", "valid number")):
        with pytest.raises(SignloomError, match=rf"^--config or --configfile: pose\.fps: .*{said}.*, found"):
            from_text({"pose": {"fps": value}})


def test_a_stage_takes_parameters_as_a_file_or_as_json(root: Path, tmp_path: Path) -> None:
    argv = ["--output", f"x={tmp_path}/x", "--params"]
    from_file = parse("splits", [*argv, str(root / "params.yaml")], None)
    text = json.dumps(yaml.safe_load((root / "params.yaml").read_text("utf-8")))
    assert parse("splits", [*argv, text], None).params == from_file.params


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("sign2text:\n  heads: 7", r"mine\.yaml:2: sign2text\.heads: 7 heads cannot share sign2text\.width"),
        ("hybrid:\n  heads: 7", r"mine\.yaml:2: hybrid\.heads: 7 heads cannot share train_gloss\.width"),
        (
            "splits:\n  mode: signer\n  val_share: 0.7\n  test_share: 0.7",
            r"mine\.yaml:3: splits\.val_share: 0\.7 and splits\.test_share 0\.7 leave nothing for training",
        ),
        (
            "splits:\n  mode: signer\nruns:\n  fold_by: clip\n  folds: [0, 1]",
            r"mine\.yaml:4: runs\.fold_by: clip .* needs splits\.mode predefined, found signer",
        ),
        ("runs:\n  fold_by: part\n  folds: [0, 1]", r"mine\.yaml:3: runs\.folds: two parts leave nothing"),
        ("clip_features:\n  crop: 300", r"mine\.yaml:2: clip_features\.crop: 300 pixels do not fit"),
        ("gloss:\n  variants: [tcn_ctc, tcn_ctc]", r"mine\.yaml:2: gloss\.variants: tcn_ctc stands"),
        ("pipeline:\n  families: [gloss, gloss]", r"mine\.yaml:2: pipeline\.families: gloss stands"),
        ("pose:\n  fps: 25000.0", r"mine\.yaml:2: pose\.fps: expected at most 1000 frames a second"),
        ("pose:\n  fps: .inf", r"mine\.yaml:2: pose\.fps: expected a finite number, found inf"),
        ("sign2text:\n  lr: .nan", r"mine\.yaml:2: sign2text\.lr: .*, found nan"),
        ("augment:\n  noise: .inf", r"mine\.yaml:2: augment\.noise: expected a finite number, found inf"),
        ("dataset:\n  table: data/{x}/t.csv", r"mine\.yaml:2: dataset\.table: data/\{x\}/t\.csv has a brace"),
        ("dataset:\n  videos: data/{x}", r"mine\.yaml:2: dataset\.videos: data/\{x\} has a brace"),
        ("gloss_positions:\n  shift: 0.1", r"mine\.yaml:2: gloss_positions\.shift: only for feature rows"),
        ("hybrid:\n  ctc_weight: 1.0", r"mine\.yaml:2: hybrid\.ctc_weight: .* less than 1"),
        ("hybrid:\n  ctc_weight: 0", r"mine\.yaml:2: hybrid\.ctc_weight: .* greater than 0"),
        ("sign2text:\n  batch_size: 100000000000", r"mine\.yaml:2: sign2text\.batch_size: .* 10,000,000"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_together_are_refused_with_their_line(
    root: Path, tmp_path: Path, lines: str, said: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(lines + "\n")
    with pytest.raises(SignloomError, match=said) as error:
        load_params(root / "params.yaml", path)
    assert len(str(error.value)) < 400


def test_heads_may_be_any_number_where_nothing_attends(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("pipeline:\n  families: [sign2text]\nhybrid:\n  heads: 7\n")
    assert load_params(root / "params.yaml", path).hybrid.heads == 7
    path.write_text("sign2text:\n  task: signs\n  encoder: tcn\n  heads: 7\n")
    assert load_params(root / "params.yaml", path).sign2text.heads == 7


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"pose: &p\n  fps: 25.0\nhybrid: *p\n", r"mine\.yaml:1: p is an anchor or its repetition"),
        ("pose:\n  fps: 25.0 # für\n".encode("latin-1"), r"mine\.yaml:2: not UTF-8"),
        ("pose:\n  fps: 25.0\n".encode("utf-16"), r"mine\.yaml:1: not UTF-8"),
        (b"pose:\n  fps: 2020-13-45\n", r"mine\.yaml: not valid YAML: month must be in 1\.\.12"),
        (b"pose:\n  fps: \x07\n", r"mine\.yaml: not valid YAML: "),
        (b"pose: " + b"[" * 100_000, r"mine\.yaml:1: lists or sections more than 20 deep"),
        (b"- pose\n", r"mine\.yaml:1: expected sections of parameters, found list"),
        (b"# pose:\n", r"mine\.yaml: it has no parameters; write one, or delete the file"),
    ],
)
def test_yaml_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(SignloomError, match=said) as error:
        read_yaml(path)
    assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbfpose:\n  fps: 25.0\n")
    assert read_yaml(path) == {"pose": {"fps": 25.0}}


def test_a_folder_is_no_parameter_file(tmp_path: Path) -> None:
    with pytest.raises(SignloomError, match="is not a file"):
        read_yaml(tmp_path)


def test_a_key_as_dvc_takes_it_is_told_how_to_stand_in_a_preset(root: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("sign2text.lr: 0.0005\n")
    with pytest.raises(SignloomError, match=r"mine\.yaml:1: write sign2text\.lr as a section: sign2text: "):
        load_params(root / "params.yaml", preset)


def test_an_expectation_is_about_two_variants(root: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("gloss:\n  hypotheses: [{better: tcn_ctc, worse: tcn_ctc, claim: x}]\n")
    with pytest.raises(SignloomError, match="better and worse are both tcn_ctc; name two variants"):
        load_params(root / "params.yaml", preset)


def test_variants_of_a_family_that_is_not_trained_may_be_anything(root: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("pipeline: {families: [gloss]}\nruns: {sign2text_variants: [transformer]}\n")
    assert load_params(root / "params.yaml", preset).runs.sign2text_variants == ["transformer"]
