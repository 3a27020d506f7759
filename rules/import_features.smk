ready = origins.scattered(
    "import_features", *GATES, "positions", "dataset.frame_rate", "pose.fps", folder="pose_features"
)


if flow.params.positions.normalise_by == "signer":

    rule signer_stats:
        """Compute mean and deviation of every signer's columns."""
        input:
            code=code_of("signer_stats"),
            manifest=rules.manifest.output.manifest,
        output:
            stats=flow.product("signer_stats.npz"),
        log:
            flow.product("logs/signer_stats.log"),
        benchmark:
            flow.product("benchmarks/signer_stats.tsv")
        conda:
            "../environment.yml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=60,
        params:
            code=digest_of("signer_stats"),
            files=flow.files,
            given=given("positions", "dataset.frame_rate", "pose.fps"),
        message:
            "signer_stats: statistics of every signer's clips"
        shell:
            "python -m workflow_scripts.signer_stats {params.files} --params {params.given:q}"
            " --threads {threads} 2>&1 | tee {log:q}"


rule pose_features:
    """Import ready-made features of one shard, instead of computing landmarks and pose features."""
    input:
        code=code_of("import_features"),
        shard=ready.shard_list,
        signers=flow.if_by_signer(flow.product("signer_stats.npz")),
    output:
        multiext(
            flow.product("pose_features/{shard}"),
            npy=".npy",
            mask=".mask.npy",
            parquet=".parquet",
            origin=".origin",
        ),
    log:
        flow.product("logs/pose_features/{shard}.log"),
    benchmark:
        flow.product("benchmarks/pose_features/{shard}.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        code=digest_of("import_features"),
        files=flow.files,
        given=ready.given,
    message:
        "import_features: shard {wildcards.shard}"
    shell:
        "python -m workflow_scripts.import_features {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
