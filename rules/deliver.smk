rule report:
    """One self-contained page: corpus, curves, scores, examples, times and where it all came from."""
    input:
        code=[*code_of("report"), "signloom/report/template.html.j2"],
        metrics=[
            rules.manifest.output.metrics,
            rules.metadata.output.metrics,
            rules.splits.output.metrics,
            *flow.if_family("sign2text", flow.metrics("sign2text.json"), flow.metrics("retrieval.json")),
            *flow.if_family("gloss", flow.metrics("ablation.json")),
        ],
        history=flow.if_family("sign2text", flow.build("models/sign2text/history.csv")),
        epochs=flow.if_family("sign2text", flow.build("models/sign2text/metrics.jsonl")),
        predictions=[
            *flow.if_family("sign2text", flow.build("predictions/sign2text.csv")),
            *flow.if_family("sign2text", flow.build("predictions/retrieval.csv")),
        ],
        ablation=flow.if_family("gloss", flow.build("predictions/ablation.csv")),
        gloss_metrics=flow.of_runs(flow.metrics("gloss/{run}.json")),
        gloss_epochs=flow.of_runs(flow.build("models/gloss/{run}/metrics.jsonl")),
        gloss_predictions=flow.of_runs(flow.build("predictions/gloss/{run}.csv")),
        clip_index=flow.shards_of("clip_features", ".parquet") if flow.reading("clip") else [],
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
