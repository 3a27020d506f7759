"""params.yaml: every key is known, typed and there; a wrong one is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from engines import params_schema
from engines.command_line import from_text
from signloom.errors import SignloomError
from signloom.params.base import Section
from signloom.params.load import check_params, load_params, overlay, read_yaml
from signloom.params.schema import Params
from signloom.video.windows import window_count
from workflow_scripts.job import parse


def changed(root: Path, folder: Path, old: str, new: str) -> Path:
    text = (root / "params.yaml").read_text("utf-8")
    assert old in text
    path = folder / "params.yaml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def preset(root: Path, name: str) -> Params:
    return load_params(root / "params.yaml", root / f"config/presets/{name}.yaml")


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if text in line)


def test_the_committed_parameters_are_valid(root: Path) -> None:
    assert load_params(root / "params.yaml").shards.count >= 1


@pytest.mark.parametrize(
    "preset", sorted(p.stem for p in Path(__file__).parent.parent.glob("config/presets/*.yaml"))
)
def test_every_preset_is_valid_over_the_committed_parameters(root: Path, preset: str) -> None:
    assert load_params(root / "params.yaml", root / f"config/presets/{preset}.yaml")


def test_overlays_are_laid_over_the_full_preset_one_after_another(root: Path) -> None:
    names = ["signtalk", "gpu_4gb", "gru"]
    files = [root / "params.yaml", *(root / f"config/presets/{name}.yaml" for name in names)]
    tree: dict = {}
    for file in files:
        tree = overlay(tree, read_yaml(file))
    params = check_params(tree, files)
    full = load_params(files[0], files[1])
    p = params.sign2text
    assert (p.batch_size, p.accumulation, p.precision, params.decoding.batch_size) == (8, 8, "fp16", 8)
    assert p.batch_size * p.accumulation == full.sign2text.batch_size * full.sign2text.accumulation
    assert (p.encoder, p.decoder_layers) == ("gru_attention", 2)
    own = {"batch_size", "accumulation", "precision", "workers", "encoder", "decoder_layers"}
    assert p.model_dump(exclude=own) == full.sign2text.model_dump(exclude=own)
    assert params.model_dump(exclude={"sign2text", "decoding"}) == full.model_dump(
        exclude={"sign2text", "decoding"}
    )


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


def test_a_preset_builds_the_families_that_its_tables_have_texts_for(root: Path) -> None:
    # SignTalk's workbook has no glosses: the gloss family would fail, after hours of clip features
    assert preset(root, "signtalk").pipeline.families == ["sign2text"]
    for name in ("phoenix2014", "boston104"):
        assert preset(root, name).pipeline.families == ["gloss"]


def test_the_full_gloss_preset_has_the_numbers_of_the_design(root: Path) -> None:
    full = preset(root, "phoenix2014")
    assert full.hybrid.model_dump() == {
        **{"layers": 6, "heads": 8, "feedforward": 2048, "decoder_layers": 3, "ctc_weight": 0.3},
        **{"label_smoothing": 0.0, "token_dropout": 0.0, "lr": 1e-4},
    }
    assert full.tcn.model_dump(exclude={"input"}) == {"layers": 5, "kernel": 3, "lr": 1e-4}
    expected = {
        **{"width": 512, "dropout": 0.1, "max_frames": 150, "batch_size": 8, "epochs": 100},
        **{"warmup_epochs": 5, "max_infeasible": 0.05},
    }
    assert full.train_gloss.model_dump(include=set(expected)) == expected
    assert full.gloss_augment.model_dump() == {
        **{"feature_dropout": 0.1, "feature_dropout_p": 0.5, "noise": 0.05, "noise_p": 0.3},
        **{"time_mask": 3, "time_mask_p": 0.3},
        **{"mix_alpha": 0.2, "mixup_p": 0.3, "cutmix_p": 0.3},
    }
    assert full.gloss_pose_augment == preset(root, "signtalk").augment
    assert (full.dataset.importer, full.decode_gloss.normalisation) == ("phoenix2014", "phoenix")


def test_the_windows_of_the_design_documents_are_too_few_for_a_short_clip(root: Path) -> None:
    demo = load_params(root / "params.yaml")
    for params, rows in (
        (demo, 22),
        (preset(root, "phoenix2014"), 22),
        (preset(root, "windows_64_32"), 3),
    ):
        clips = params.clip_features
        assert window_count(4 * 25, clips.stack_size, clips.step_size) == rows


def test_the_schema_for_editors_is_what_the_typed_parameters_say(root: Path) -> None:
    assert (root / params_schema.TARGET).read_text("utf-8") == params_schema.render(), "run `make schema`"
    schema = json.loads(params_schema.render())
    assert set(schema["properties"]) == set(Params.model_fields)
    assert schema["$defs"]["QualityParams"]["properties"]["min_frames"]["minimum"] == 1
    assert '"required"' not in params_schema.render(), "a preset holds only what differs"


def test_an_unknown_key_is_named_with_line_and_nearest_key(root: Path, tmp_path: Path) -> None:
    path = changed(root, tmp_path, "  decode_every:", "  decode_evry:")
    with pytest.raises(SignloomError) as error:
        load_params(path)
    line = line_of(path, "decode_evry")
    expected = f"{path}:{line}: unknown key sign2text.decode_evry; did you mean sign2text.decode_every (int)?"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "mode: predefined",
            "mode: sideways",
            "Input should be 'predefined', 'sentence', 'signer' or 'clip'",
        ),
        ("  count: 4", "  count: eight", "valid integer"),
        ("  count: 4", "  count: 0", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_says_what_was_expected_and_found(
    root: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = changed(root, tmp_path, old, new)
    with pytest.raises(SignloomError, match=message) as error:
        load_params(path)
    assert str(error.value).startswith(f"{path}:{line_of(path, new.strip())}: ")
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named(root: Path, tmp_path: Path) -> None:
    path = changed(root, tmp_path, "  max_gap: 3\n", "")
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


def test_a_number_with_an_exponent_and_no_dot_is_a_number(root: Path, tmp_path: Path) -> None:
    # YAML 1.1 reads 3e-4 as a string
    preset = tmp_path / "mine.yaml"
    preset.write_text("sign2text:\n  lr: 3e-4\n")
    assert load_params(root / "params.yaml", preset).sign2text.lr == 3e-4


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


def test_a_variant_of_sign2text_that_changes_nothing_is_refused(root: Path, tmp_path: Path) -> None:
    path = changed(root, tmp_path, "sign2text_variants: []", "sign2text_variants: [supcon, transformer]")
    with pytest.raises(SignloomError, match="transformer is what section sign2text describes; leave it out"):
        load_params(path)


def test_folds_may_be_numbers_in_yaml(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    found = []
    for folds in ("[0, 1]", '["0", "1"]'):
        path.write_text(f"runs:\n  fold_by: clip\n  folds: {folds}\n")
        found.append(load_params(root / "params.yaml", path).runs)
    assert found[0] == found[1] and found[0].folds == ["0", "1"]
    for folds, said in (
        ("[true, false]", "found True"),
        ("[Jörg, b, c]", "match pattern"),
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
        with pytest.raises(SignloomError, match=rf"^--config: pose\.fps: .*{said}.*, found"):
            from_text({"pose": {"fps": value}})


def test_a_stage_takes_parameters_as_a_file_or_as_json(root: Path, tmp_path: Path) -> None:
    argv = ["--output", f"x={tmp_path}/x", "--params"]
    from_file = parse("splits", [*argv, str(root / "params.yaml")], None)
    text = json.dumps(yaml.safe_load((root / "params.yaml").read_text("utf-8")))
    assert parse("splits", [*argv, text], None).params == from_file.params
