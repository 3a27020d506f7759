from engines.side_by_side import SideBySide

# Two comparison tables outside `all` and dvc.yaml: the usual rules with settings of config/side_by_side.yaml.
# Networks besides i3d need `make backbones` (videomae does not) and download their weights when first used.
side = SideBySide(origins, config.get("side_weights"))


side_windows = side.scattered("clip_features", "clip_features", "dataset.frame_rate")


use rule clip_features as side_clip_features with:
    input:
        code=code_of("clip_features"),
        shard=side_windows.shard_list,
    output:
        multiext(
            flow.product("side_by_side/{table}/{setting}/clip_features/{shard}"),
            npy=".npy",
            parquet=".parquet",
            origin=".origin",
        ),
    log:
        flow.product("logs/side_by_side/{table}/{setting}/clip_features/{shard}.log"),
    benchmark:
        flow.product("benchmarks/side_by_side/{table}/{setting}/clip_features/{shard}.tsv")
    params:
        code=digest_of("clip_features"),
        given=side_windows.given,
    message:
        "clip_features: {wildcards.table} {wildcards.setting}, shard {wildcards.shard}"


use rule stats_clip as side_stats_clip with:
    input:
        code=code_of("stats_clip"),
        splits=flow.plain(rules.splits.output.splits),
        features=side.clips(".npy"),
        index=side.clips(".parquet"),
    output:
        stats=flow.product("side_by_side/{table}/{setting}/clip_stats.npz"),
    log:
        flow.product("logs/side_by_side/{table}/{setting}/stats_clip.log"),
    benchmark:
        flow.product("benchmarks/side_by_side/{table}/{setting}/stats_clip.tsv")
    message:
        "stats_clip: {wildcards.table} {wildcards.setting}"


use rule train_gloss as side_train_gloss with:
    input:
        code=code_of("train_gloss"),
        splits=flow.plain(rules.splits.output.splits),
        glosses=flow.plain(rules.text.output.glosses),
        gloss_lines=flow.plain(rules.text.output.gloss_lines),
        clip=side.clips(".npy"),
        clip_index=side.clips(".parquet"),
        clip_stats=side.stats,
        copies=side.copies(".npy"),
        copies_index=side.copies(".parquet"),
    output:
        best=flow.product("side_by_side/{table}/{setting}/{seed}{variant}/best.pth"),
        latest=flow.product("side_by_side/{table}/{setting}/{seed}{variant}/latest.pth"),
        history=flow.product("side_by_side/{table}/{setting}/{seed}{variant}/history.csv"),
        metrics=flow.product("side_by_side/{table}/{setting}/{seed}{variant}/metrics.jsonl"),
    log:
        flow.product("logs/side_by_side/{table}/{setting}/train_gloss/{seed}{variant}.log"),
    benchmark:
        flow.product("benchmarks/side_by_side/{table}/{setting}/train_gloss/{seed}{variant}.tsv")
    params:
        code=digest_of("train_gloss"),
        given=side.given_to_training,
    message:
        "train_gloss: {output[0]}"


use rule evaluate_gloss as side_evaluate_gloss with:
    input:
        code=code_of("evaluate_gloss"),
        checkpoint=rules.side_train_gloss.output.best,
        splits=flow.plain(rules.splits.output.splits),
        glosses=flow.plain(rules.text.output.glosses),
        gloss_lines=flow.plain(rules.text.output.gloss_lines),
        metadata=rules.metadata.output.parquet,
        clip=side.clips(".npy"),
        clip_index=side.clips(".parquet"),
        clip_stats=side.stats,
    output:
        metrics=flow.product("side_by_side/{table}/{setting}/{seed}{variant}/scores.json"),
        predictions=flow.product("side_by_side/{table}/{setting}/{seed}{variant}/predictions.csv"),
    log:
        flow.product("logs/side_by_side/{table}/{setting}/evaluate_gloss/{seed}{variant}.log"),
    benchmark:
        flow.product("benchmarks/side_by_side/{table}/{setting}/evaluate_gloss/{seed}{variant}.tsv")
    params:
        code=digest_of("evaluate_gloss"),
        given=side.given_to_run("decode_gloss", "evaluation"),
    message:
        "evaluate_gloss: {output[0]}"


rule side_by_side:
    """Compare the settings of one table, each against the first."""
    input:
        code=code_of("side_by_side"),
        metrics=side.of_runs("scores.json"),
        predictions=side.of_runs("predictions.csv"),
    output:
        metrics=flow.metric("side_by_side/{table}.json"),
        table=report(
            flow.product("side_by_side/{table}.csv"),
            "../docs/captions/side_by_side.rst",
            category="Settings side by side",
        ),
    log:
        flow.product("logs/side_by_side/{table}.log"),
    benchmark:
        flow.product("benchmarks/side_by_side/{table}.tsv")
    localrule: True
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=30,
    params:
        code=digest_of("side_by_side"),
        files=flow.files,
        given=side.given_to_table("evaluation"),
    message:
        "side_by_side: {output.table}"
    shell:
        "python -m workflow_scripts.side_by_side {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule backbones:
    """Compare the networks of the registry."""
    input:
        flow.metric("side_by_side/backbones.json"),


if flow.reading("copies"):

    side_copies = side.scattered("clip_features_augmented", "clip_features", "frames", "dataset.frame_rate")

    use rule clip_features_augmented as side_clip_features_augmented with:
        input:
            code=code_of("clip_features_augmented"),
            shard=side_copies.shard_list,
            splits=flow.plain(rules.splits.output.splits),
        output:
            multiext(
                flow.product("side_by_side/{table}/{setting}/clip_features_augmented/{shard}"),
                npy=".npy",
                parquet=".parquet",
                origin=".origin",
            ),
        log:
            flow.product("logs/side_by_side/{table}/{setting}/clip_features_augmented/{shard}.log"),
        benchmark:
            flow.product("benchmarks/side_by_side/{table}/{setting}/clip_features_augmented/{shard}.tsv")
        params:
            code=digest_of("clip_features_augmented"),
            given=side_copies.given,
        message:
            "clip_features_augmented: {wildcards.table} {wildcards.setting}, shard {wildcards.shard}"

    rule augmentation:
        """Compare levels of frame augmentation."""
        input:
            flow.metric("side_by_side/augmentation.json"),
