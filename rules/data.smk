rule sources:
    """Convert the annotation table to one format; record a digest of every file that it names."""
    input:
        code=code_of("sources"),
        # only the table's rows count (in the digest below), not how the file is written
        table=ancient(local(flow.table)),
    output:
        rows=flow.product("sources.parquet"),
    log:
        flow.product("logs/sources.log"),
    benchmark:
        flow.product("benchmarks/sources.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        code=digest_of("sources"),
        files=flow.files,
        given=given("dataset"),
        contents=origins.sources,
    message:
        "sources: reading {input.table} and the files that it names"
    shell:
        "python -m workflow_scripts.sources {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q} # {params.contents}"


rule manifest:
    """Check every clip of the annotation table; write manifest, rejects and shard lists."""
    input:
        code=code_of("manifest"),
        rows=rules.sources.output.rows,
        variations=local(flow.params.dataset.variations or []),
        review=local(flow.params.dataset.review or []),
    output:
        manifest=flow.product("manifest.parquet"),
        rejects=flow.product("manifest_rejects.csv"),
        shards=expand(flow.product("shards/{shard}.csv"), shard=flow.shards),
        metrics=flow.metric("manifest.json"),
    log:
        flow.product("logs/manifest.log"),
    benchmark:
        flow.product("benchmarks/manifest.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        code=digest_of("manifest"),
        files=flow.files,
        given=given("dataset", "manifest", "shards", "splits", *flow.if_family("sign2text", "sign2text.task")),
    message:
        "manifest: checking every row"
    shell:
        "python -m workflow_scripts.manifest {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule metadata:
    """Join the manifest with the feature index of each clip; collect all rejects."""
    input:
        code=code_of("metadata"),
        manifest=rules.manifest.output.manifest,
        rejects=rules.manifest.output.rejects,
        features=flow.shards_of("pose_features", ".parquet"),
    output:
        parquet=flow.product("processed_metadata.parquet"),
        csv=flow.product("processed_metadata.csv"),
        rejects=report(flow.product("rejects.csv"), "../docs/captions/rejects.rst", category="Corpus"),
        metrics=flow.metric("features.json"),
    log:
        flow.product("logs/metadata.log"),
    benchmark:
        flow.product("benchmarks/metadata.tsv")
    localrule: True
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        code=digest_of("metadata"),
        files=flow.files,
        given=given("quality"),
    message:
        "metadata: joining the manifest with the features"
    shell:
        "python -m workflow_scripts.metadata {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule splits:
    """Divide the clips into train, val and test; mark the sentences that also occur in training."""
    input:
        code=code_of("splits"),
        metadata=rules.metadata.output.parquet,
    output:
        splits=flow.product("{fold}splits.csv"),
        metrics=flow.metric("{fold}splits.json"),
    log:
        flow.product("logs/{fold}splits.log"),
    benchmark:
        flow.product("benchmarks/{fold}splits.tsv")
    localrule: True
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        code=digest_of("splits"),
        files=flow.files,
        given=given.to_fold("splits"),
    message:
        "splits: {output.splits}"
    shell:
        "python -m workflow_scripts.splits {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
