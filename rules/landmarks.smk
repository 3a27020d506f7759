tracked = origins.scattered(
    "landmarks", "landmarks", "dataset.frame_rate", "dataset.point_order", "dataset.picture_size"
)


rule landmarks:
    """Run MediaPipe Holistic over the clips of one shard."""
    input:
        code=code_of("landmarks"),
        shard=tracked.shard_list,
    output:
        multiext(flow.product("landmarks/{shard}"), npy=".npy", parquet=".parquet", origin=".origin"),
    log:
        flow.product("logs/landmarks/{shard}.log"),
    benchmark:
        flow.product("benchmarks/landmarks/{shard}.tsv")
    conda:
        "../environment.yml"
    # one tracker per available core; each needs 400-470 MB
    threads: 8
    resources:
        mem_mb=memory(800, 500),
        runtime=240,
    params:
        code=digest_of("landmarks"),
        files=flow.files,
        given=tracked.given,
    message:
        "landmarks: shard {wildcards.shard}"
    shell:
        "python -m workflow_scripts.landmarks {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule pose_features:
    """Turn one shard's raw landmarks into one smoothed, centred pose per frame; reject unusable clips."""
    input:
        code=code_of("pose_features"),
        npy=rules.landmarks.output.npy,
        parquet=rules.landmarks.output.parquet,
    output:
        multiext(
            flow.product("pose_features/{shard}"),
            npy=".npy",
            mask=".mask.npy",
            parquet=".parquet",
        ),
    log:
        flow.product("logs/pose_features/{shard}.log"),
    benchmark:
        flow.product("benchmarks/pose_features/{shard}.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=60,
    params:
        code=digest_of("pose_features"),
        files=flow.files,
        given=given("pose", *GATES),
    message:
        "pose_features: shard {wildcards.shard}"
    shell:
        "python -m workflow_scripts.pose_features {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
