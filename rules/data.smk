rule sources:
    """Convert the annotation table to one format; record a digest of every file that it names."""
    input:
        code=code_of("sources"),
        # only the table's rows count (in the digest below), not how the file is written
        table=ancient(flow.table),
    output:
        rows=flow.build("sources.parquet"),
    log:
        flow.build("logs/sources.log"),
    benchmark:
        flow.build("benchmarks/sources.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        call=flow.call("sources"),
        given=flow.given("dataset"),
        contents=flow.sources,
    message:
        "sources: reading {input.table} and the files that it names"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log} # {params.contents}"


rule manifest:
    """Check every clip of the annotation table; write manifest, rejects and shard lists."""
    input:
        code=code_of("manifest"),
        rows=rules.sources.output.rows,
        variations=flow.params.dataset.variations or [],
    output:
        manifest=flow.build("manifest.parquet"),
        rejects=flow.build("manifest_rejects.csv"),
        shards=expand(flow.build("shards/{shard}.csv"), shard=flow.shards),
        metrics=flow.metrics("manifest.json"),
    log:
        flow.build("logs/manifest.log"),
    benchmark:
        flow.build("benchmarks/manifest.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        call=flow.call("manifest"),
        given=flow.given("dataset", "manifest", "shards"),
    message:
        "manifest: checking every row"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule metadata:
    """Join the manifest with the feature index of each clip; collect all rejects."""
    input:
        code=code_of("metadata"),
        manifest=rules.manifest.output.manifest,
        rejects=rules.manifest.output.rejects,
        features=expand(flow.build("pose_features/{shard}.parquet"), shard=flow.shards),
    output:
        parquet=flow.build("processed_metadata.parquet"),
        csv=flow.build("processed_metadata.csv"),
        rejects=report(flow.build("rejects.csv"), "../docs/captions/rejects.rst", category="Corpus"),
        metrics=flow.metrics("features.json"),
    log:
        flow.build("logs/metadata.log"),
    benchmark:
        flow.build("benchmarks/metadata.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        call=flow.call("metadata"),
        given=flow.given("quality"),
    message:
        "metadata: joining the manifest with the features"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule splits:
    """Divide the clips into train, val and test; mark the sentences that also occur in training."""
    input:
        code=code_of("splits"),
        metadata=rules.metadata.output.parquet,
    output:
        splits=flow.build("{fold}splits.csv"),
        metrics=flow.metrics("{fold}splits.json"),
    log:
        flow.build("logs/{fold}splits.log"),
    benchmark:
        flow.build("benchmarks/{fold}splits.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        call=flow.call("splits"),
        given=flow.given_to_fold("splits"),
    message:
        "splits: {output.splits}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
