windows = origins.scattered("clip_features", "clip_features", "dataset.frame_rate")
copies = origins.scattered("clip_features_augmented", "clip_features", "frames", "dataset.frame_rate")


rule clip_features:
    """Run a video network over frame windows of one shard's clips."""
    input:
        code=code_of("clip_features"),
        shard=windows.shard_list,
    output:
        multiext(flow.product("clip_features/{shard}"), npy=".npy", parquet=".parquet", origin=".origin"),
    log:
        flow.product("logs/clip_features/{shard}.log"),
    benchmark:
        flow.product("benchmarks/clip_features/{shard}.tsv")
    conda:
        "../environment.yml"
    # one thread, because sums depend on the number of threads; shards run in parallel instead
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=480,
        gpu=gpus,
    params:
        code=digest_of("clip_features"),
        files=flow.files,
        given=windows.given,
    message:
        "clip_features: shard {wildcards.shard}"
    shell:
        "python -m workflow_scripts.clip_features {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


if flow.reading("copies"):

    rule clip_features_augmented:
        """Run the video network over augmented copies of one shard's training clips."""
        input:
            code=code_of("clip_features_augmented"),
            shard=copies.shard_list,
            splits=rules.splits.output.splits,
        output:
            multiext(
                flow.product("{fold}clip_features_augmented/{shard}"),
                npy=".npy",
                parquet=".parquet",
                origin=".origin",
            ),
        log:
            flow.product("logs/{fold}clip_features_augmented/{shard}.log"),
        benchmark:
            flow.product("benchmarks/{fold}clip_features_augmented/{shard}.tsv")
        # another long chain
        priority: 1
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=480,
            gpu=gpus,
        params:
            code=digest_of("clip_features_augmented"),
            files=flow.files,
            given=copies.given,
        message:
            "clip_features_augmented: shard {wildcards.shard}"
        shell:
            "python -m workflow_scripts.clip_features_augmented {params.files} --params {params.given:q}"
            " --threads {threads} 2>&1 | tee {log:q}"


rule stats_clip:
    """Compute mean and standard deviation of every clip feature over the training clips."""
    input:
        code=code_of("stats_clip"),
        splits=rules.splits.output.splits,
        features=flow.each(rules.clip_features.output.npy, shard=flow.shards),
        index=flow.each(rules.clip_features.output.parquet, shard=flow.shards),
    output:
        stats=flow.product("{fold}clip_stats.npz"),
    log:
        flow.product("logs/{fold}stats_clip.log"),
    benchmark:
        flow.product("benchmarks/{fold}stats_clip.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        code=digest_of("stats_clip"),
        files=flow.files,
        given=given(),
    message:
        "stats_clip: statistics of the training clips' features"
    shell:
        "python -m workflow_scripts.stats_clip {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
