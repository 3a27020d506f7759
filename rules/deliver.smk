REPORT_TEMPLATES = sorted(
    str(path)
    for path in Path("signloom/report/templates").glob("*")
    if path.name != "comparison.html.j2"  # the page of `signloom compare`
)


rule report:
    """Write one self-contained page: corpus, training curves, scores, examples, times and provenance."""
    input:
        code=[*code_of("report"), *REPORT_TEMPLATES],
        metrics=[
            rules.manifest.output.metrics,
            rules.metadata.output.metrics,
            flow.plain(rules.splits.output.metrics),
            *flow.if_family("sign2text", flow.metrics("sign2text.json"), flow.metrics("retrieval.json")),
            *flow.if_family("sign2text", flow.metrics("calibration.json"), flow.metrics("inference.json")),
            *flow.if_family("gloss", flow.metrics("ablation.json")),
            rules.runs.output.metrics,
        ],
        history=flow.if_family("sign2text", flow.build("models/sign2text/history.csv")),
        epochs=flow.if_family("sign2text", flow.build("models/sign2text/metrics.jsonl")),
        predictions=[
            *flow.if_family("sign2text", flow.build("predictions/sign2text.csv")),
            *flow.if_family("sign2text", flow.build("predictions/retrieval.csv")),
            *flow.if_family("sign2text", flow.build("predictions/inference.csv")),
        ],
        embeddings=flow.if_family("sign2text", flow.build("embeddings/embeddings.npy")),
        map=flow.if_family("sign2text", flow.build("embeddings/embeddings_map.csv")),
        curve=flow.if_family("sign2text", flow.build("inference/curve.csv")),
        thresholds=flow.if_family("sign2text", flow.build("inference/thresholds.json")),
        bundle=flow.if_family("sign2text", flow.build("export/export_manifest.json")),
        ablation=flow.if_family("gloss", flow.build("predictions/ablation.csv")),
        ablation_text=flow.if_family("gloss", flow.build("predictions/ablation.txt")),
        gloss_metrics=flow.of_runs(flow.metrics("{seed}gloss/{variant}.json")),
        gloss_epochs=flow.of_runs(flow.build("{seed}models/gloss/{variant}/metrics.jsonl")),
        gloss_predictions=flow.of_runs(flow.build("{seed}predictions/gloss/{variant}.csv")),
        clip_index=flow.shards_of("clip_features", ".parquet") if flow.reading("clip") else [],
        metadata=rules.metadata.output.parquet,
        rejects=rules.metadata.output.rejects,
        splits=flow.plain(rules.splits.output.splits),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        landmarks=flow.shards_of("landmarks", ".npy") if flow.videos_read else [],
        landmarks_index=flow.shards_of("landmarks", ".parquet") if flow.videos_read else [],
        shards=flow.shards_of("shards", ".csv") if flow.videos_read else [],
    output:
        html=report(flow.build("report/index.html"), "../docs/captions/report.rst", category="Report"),
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
        given=flow.given(*type(flow.params).model_fields),
    message:
        "report: {output.html}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
