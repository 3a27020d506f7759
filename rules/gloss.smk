rule train_gloss:
    """Train one variant of the gloss family with one seed."""
    input:
        code=code_of("train_gloss"),
        splits=rules.splits.output.splits,
        glosses=rules.text.output.glosses,
        gloss_lines=rules.text.output.gloss_lines,
        pose=flow.if_read("pose", flow.shards_of("pose_features", ".npy")),
        pose_index=flow.if_read("pose", flow.shards_of("pose_features", ".parquet")),
        mask=flow.if_read("pose", flow.shards_of("pose_features", ".mask.npy")),
        pose_stats=flow.if_read("pose", flow.product("{fold}global_stats.npz")),
        clip=flow.if_read("clip", flow.shards_of("clip_features", ".npy")),
        clip_index=flow.if_read("clip", flow.shards_of("clip_features", ".parquet")),
        clip_stats=flow.if_read("clip", flow.product("{fold}clip_stats.npz")),
        copies=flow.if_read("copies", flow.shards_of("{fold}clip_features_augmented", ".npy")),
        copies_index=flow.if_read("copies", flow.shards_of("{fold}clip_features_augmented", ".parquet")),
    output:
        best=flow.product("{fold}{seed}models/gloss/{variant}/best.pth"),
        latest=flow.product("{fold}{seed}models/gloss/{variant}/latest.pth"),
        history=flow.product("{fold}{seed}models/gloss/{variant}/history.csv"),
        metrics=flow.product("{fold}{seed}models/gloss/{variant}/metrics.jsonl"),
    log:
        flow.product("logs/{fold}{seed}train_gloss/{variant}.log"),
    benchmark:
        flow.product("benchmarks/{fold}{seed}train_gloss/{variant}.tsv")
    # trainings take longest of what is left, and the bundle waits for one of them
    priority: 1
    conda:
        "../environment.yml"
    threads: flow.params.train_gloss.threads
    resources:
        mem_mb=memory(4000),
        runtime=720,
        gpu=gpus,
    params:
        code=digest_of("train_gloss"),
        files=flow.files,
        given=given.to_training,
    message:
        "train_gloss: {output[0]}"
    shell:
        "python -m workflow_scripts.train_gloss {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule evaluate_gloss:
    """Decode every held-out clip with every decoder; score the gloss sequences."""
    input:
        code=code_of("evaluate_gloss"),
        checkpoint=rules.train_gloss.output.best,
        splits=rules.splits.output.splits,
        glosses=rules.text.output.glosses,
        gloss_lines=rules.text.output.gloss_lines,
        metadata=rules.metadata.output.parquet,
        pose=flow.if_read("pose", flow.shards_of("pose_features", ".npy")),
        pose_index=flow.if_read("pose", flow.shards_of("pose_features", ".parquet")),
        mask=flow.if_read("pose", flow.shards_of("pose_features", ".mask.npy")),
        pose_stats=flow.if_read("pose", flow.product("{fold}global_stats.npz")),
        clip=flow.if_read("clip", flow.shards_of("clip_features", ".npy")),
        clip_index=flow.if_read("clip", flow.shards_of("clip_features", ".parquet")),
        clip_stats=flow.if_read("clip", flow.product("{fold}clip_stats.npz")),
    output:
        metrics=flow.metric("{fold}{seed}gloss/{variant}.json"),
        predictions=flow.product("{fold}{seed}predictions/gloss/{variant}.csv"),
    log:
        flow.product("logs/{fold}{seed}evaluate_gloss/{variant}.log"),
    benchmark:
        flow.product("benchmarks/{fold}{seed}evaluate_gloss/{variant}.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
        gpu=gpus,
    params:
        code=digest_of("evaluate_gloss"),
        files=flow.files,
        given=given.to_run("decode_gloss", "evaluation"),
    message:
        "evaluate_gloss: {output[0]}"
    shell:
        "python -m workflow_scripts.evaluate_gloss {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule align:
    """Find the times of every gloss; score them where the true ones are known."""
    input:
        **flow.rows_of(flow.aligned_variant),
        code=code_of("align"),
        checkpoint=flow.plain(rules.train_gloss.output.best).replace("{variant}", flow.aligned_variant),
        splits=flow.plain(rules.splits.output.splits),
        glosses=flow.plain(rules.text.output.glosses),
        gloss_lines=flow.plain(rules.text.output.gloss_lines),
    output:
        times=flow.product("predictions/alignment.parquet"),
        metrics=report(flow.metric("alignment.json"), "../docs/captions/alignment.rst", category="Glosses"),
    log:
        flow.product("logs/align.log"),
    benchmark:
        flow.product("benchmarks/align.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        code=digest_of("align"),
        files=flow.files,
        given=given.to_run(
            *("decode_gloss.batch_size", "evaluation"),
            # the rows of landmarks alone are smoothed, which makes them late
            *(("pose.smoothing", "pose.fps") if flow.smoothed(flow.aligned_variant) else ()),
            variant=flow.aligned_variant,
        ),
    message:
        "align: {output.times}"
    shell:
        "python -m workflow_scripts.align {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule spot:
    """Find each gloss by one training example in held-out clips; score which are found, and where."""
    input:
        **flow.rows_of(flow.aligned_variant),
        code=code_of("spot"),
        checkpoint=flow.plain(rules.train_gloss.output.best).replace("{variant}", flow.aligned_variant),
        splits=flow.plain(rules.splits.output.splits),
        glosses=flow.plain(rules.text.output.glosses),
        gloss_lines=flow.plain(rules.text.output.gloss_lines),
    output:
        places=flow.product("predictions/spotting.parquet"),
        metrics=report(flow.metric("spotting.json"), "../docs/captions/spotting.rst", category="Glosses"),
    log:
        flow.product("logs/spot.log"),
    benchmark:
        flow.product("benchmarks/spot.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        code=digest_of("spot"),
        files=flow.files,
        given=given.to_run(
            *("decode_gloss.batch_size", "evaluation"),
            # the rows of landmarks alone are smoothed, which makes them late
            *(("pose.smoothing", "pose.fps") if flow.smoothed(flow.aligned_variant) else ()),
            variant=flow.aligned_variant,
        ),
    message:
        "spot: {output.places}"
    shell:
        "python -m workflow_scripts.spot {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule ablation:
    """Compare the gloss variants over all seeds."""
    input:
        code=code_of("ablation"),
        metrics=flow.of_runs(flow.metric("{seed}gloss/{variant}.json")),
        predictions=flow.of_runs(flow.product("{seed}predictions/gloss/{variant}.csv")),
        epochs=flow.of_runs(flow.product("{seed}models/gloss/{variant}/metrics.jsonl")),
    output:
        metrics=flow.metric("ablation.json"),
        table=report(
            flow.product("predictions/ablation.csv"), "../docs/captions/ablation.rst", category="Glosses"
        ),
        text=flow.product("predictions/ablation.txt"),
    log:
        flow.product("logs/ablation.log"),
    benchmark:
        flow.product("benchmarks/ablation.tsv")
    localrule: True
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=30,
    params:
        code=digest_of("ablation"),
        files=flow.files,
        given=given("gloss", "evaluation", "runs.seed", "runs.more_seeds"),
    message:
        "ablation: {output.table}"
    shell:
        "python -m workflow_scripts.ablation {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
