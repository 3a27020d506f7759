ready = origins.scattered(
    "import_features", *GATES, "positions", "dataset.frame_rate", "pose.fps", folder="pose_features"
)


rule pose_features:
    """Import ready-made features of one shard, instead of computing landmarks and pose features."""
    input:
        code=code_of("import_features"),
        shard=ready.shard_list,
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
        mem_mb=1000,
        runtime=60,
    params:
        files=flow.files,
        given=ready.given,
    message:
        "import_features: shard {wildcards.shard}"
    shell:
        "python -m workflow_scripts.import_features {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log}"
