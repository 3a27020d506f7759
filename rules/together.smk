# Only Snakemake builds these; DVC would have to decode a single seed twice.


rule gloss_together:
    """Decode every held-out clip with all seeds of a variant together; score the gloss sequences."""
    input:
        code=code_of("gloss_together"),
        checkpoint=flow.each(rules.train_gloss.output.best, fold="", seed=flow.seeds),
        splits=flow.plain(rules.splits.output.splits),
        glosses=flow.plain(rules.text.output.glosses),
        gloss_lines=flow.plain(rules.text.output.gloss_lines),
        metadata=rules.metadata.output.parquet,
        pose=flow.if_read("pose", flow.shards_of("pose_features", ".npy")),
        pose_index=flow.if_read("pose", flow.shards_of("pose_features", ".parquet")),
        mask=flow.if_read("pose", flow.shards_of("pose_features", ".mask.npy")),
        pose_stats=flow.if_read("pose", flow.product("global_stats.npz")),
        clip=flow.if_read("clip", flow.shards_of("clip_features", ".npy")),
        clip_index=flow.if_read("clip", flow.shards_of("clip_features", ".parquet")),
        clip_stats=flow.if_read("clip", flow.product("clip_stats.npz")),
    output:
        metrics=flow.metric("together/gloss/{variant}.json"),
        predictions=flow.product("together/predictions/gloss/{variant}.csv"),
    log:
        flow.product("logs/gloss_together/{variant}.log"),
    benchmark:
        flow.product("benchmarks/gloss_together/{variant}.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
        gpu=gpus,
    params:
        code=digest_of("gloss_together"),
        files=flow.files,
        given=given.to_run("decode_gloss", "evaluation", "runs.more_seeds"),
    message:
        "gloss_together: {output[0]}"
    shell:
        "python -m workflow_scripts.gloss_together {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
