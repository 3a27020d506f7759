ready = flow.scattered("import_features", "quality", "positions", folder="pose_features")


rule pose_features:
    """Import ready-made features of one shard, instead of computing landmarks and pose features."""
    input:
        code=code_of("import_features"),
        shard=ready.list,
    output:
        multiext(
            flow.build("pose_features/{shard}"),
            npy=".npy",
            mask=".mask.npy",
            parquet=".parquet",
            origin=".origin",
        ),
    log:
        flow.build("logs/pose_features/{shard}.log"),
    benchmark:
        flow.build("benchmarks/pose_features/{shard}.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        call=flow.call("import_features"),
        given=ready.given,
    message:
        "import_features: shard {wildcards.shard}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
