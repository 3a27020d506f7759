rule report:
    """One self-contained page: corpus, curves, scores, examples, times and where it all came from."""
    input:
        code=[*code_of("report"), "signloom/report/template.html.j2"],
        metrics=[
            rules.manifest.output.metrics,
            rules.metadata.output.metrics,
            rules.splits.output.metrics,
            rules.evaluate_sign2text.output.metrics,
            rules.evaluate_retrieval.output.metrics,
        ],
        history=rules.train_sign2text.output.history,
        epochs=rules.train_sign2text.output.metrics,
        predictions=[
            rules.evaluate_sign2text.output.predictions,
            rules.evaluate_retrieval.output.predictions,
        ],
        metadata=rules.metadata.output.parquet,
        rejects=rules.metadata.output.rejects,
        splits=rules.splits.output.splits,
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
    output:
        html=report(flow.build("report/index.html"), category="Report"),
    log:
        flow.build("logs/report.log"),
    benchmark:
        flow.build("benchmarks/report.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        call=flow.call("report"),
        given=flow.given(),
    message:
        "report: {output.html}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
