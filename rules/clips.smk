windows = flow.scattered("clip_features", "clip_features")
copies = flow.scattered("clip_features_augmented", "clip_features", "frames")


rule clip_features:
    """Run a video network over frame windows of one shard's clips."""
    input:
        code=code_of("clip_features"),
        shard=windows.list,
    output:
        multiext(flow.build("clip_features/{shard}"), npy=".npy", parquet=".parquet", origin=".origin"),
    log:
        flow.build("logs/clip_features/{shard}.log"),
    benchmark:
        flow.build("benchmarks/clip_features/{shard}.tsv")
    conda:
        "../environment.yml"
    # one thread, because sums depend on the number of threads; shards run in parallel instead
    threads: 1
    resources:
        mem_mb=3000,
        runtime=480,
        gpu=flow.gpu,
    params:
        call=flow.call("clip_features"),
        given=windows.given,
    message:
        "clip_features: shard {wildcards.shard}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


if flow.reading("copies"):

    rule clip_features_augmented:
        """Run the video network over augmented copies of one shard's training clips."""
        input:
            code=code_of("clip_features_augmented"),
            shard=copies.list,
            splits=rules.splits.output.splits,
        output:
            multiext(
                flow.build("{fold}clip_features_augmented/{shard}"),
                npy=".npy",
                parquet=".parquet",
                origin=".origin",
            ),
        log:
            flow.build("logs/{fold}clip_features_augmented/{shard}.log"),
        benchmark:
            flow.build("benchmarks/{fold}clip_features_augmented/{shard}.tsv")
        # another long chain
        priority: 1
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=3000,
            runtime=480,
            gpu=flow.gpu,
        params:
            call=flow.call("clip_features_augmented"),
            given=copies.given,
        message:
            "clip_features_augmented: shard {wildcards.shard}"
        shell:
            "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule stats_clip:
    """Compute mean and standard deviation of every clip feature over the training clips."""
    input:
        code=code_of("stats_clip"),
        splits=rules.splits.output.splits,
        features=expand(rules.clip_features.output.npy, shard=flow.shards),
        index=expand(rules.clip_features.output.parquet, shard=flow.shards),
    output:
        stats=flow.build("{fold}clip_stats.npz"),
    log:
        flow.build("logs/{fold}stats_clip.log"),
    benchmark:
        flow.build("benchmarks/{fold}stats_clip.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        call=flow.call("stats_clip"),
        given=flow.given(),
    message:
        "stats_clip: statistics of the training clips' features"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
