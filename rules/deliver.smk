REPORT_TEMPLATES = sorted(
    str(path)
    for path in in_workflow(Path("signloom/report/templates")).glob("*")
    if path.name != "comparison.html.j2"  # the page of `signloom compare`
)


rule report:
    """Write one self-contained page: corpus, training curves, scores, examples, times and provenance."""
    input:
        code=[*code_of("report"), *local(REPORT_TEMPLATES)],
        metrics=[
            rules.manifest.output.metrics,
            rules.metadata.output.metrics,
            flow.plain(rules.splits.output.metrics),
            *flow.if_family("sign2text", flow.metric("sign2text.json"), flow.metric("retrieval.json")),
            *flow.if_family("sign2text", flow.metric("calibration.json"), flow.metric("inference.json")),
            *flow.if_family("gloss", flow.metric("ablation.json"), flow.metric("alignment.json")),
            *flow.if_family("gloss", flow.metric("spotting.json")),
            rules.runs.output.metrics,
        ],
        history=flow.if_family("sign2text", flow.product("models/sign2text/history.csv")),
        epochs=flow.if_family("sign2text", flow.product("models/sign2text/metrics.jsonl")),
        predictions=[
            *flow.if_family("sign2text", flow.product("predictions/sign2text.csv")),
            *flow.if_family("sign2text", flow.product("predictions/retrieval.csv")),
            *flow.if_family("sign2text", flow.product("predictions/inference.csv")),
        ],
        embeddings=flow.if_family("sign2text", flow.product("embeddings/embeddings.npy")),
        map=flow.if_family("sign2text", flow.product("embeddings/embeddings_map.csv")),
        curve=flow.if_family("sign2text", flow.product("inference/curve.csv")),
        thresholds=flow.if_family("sign2text", flow.product("inference/thresholds.json")),
        bundle=flow.if_family("sign2text", flow.product("export/export_manifest.json")),
        latency=flow.if_family("sign2text", flow.product("benchmarks/latency.json")),
        ablation=flow.if_family("gloss", flow.product("predictions/ablation.csv")),
        alignment=flow.if_family("gloss", flow.product("predictions/alignment.parquet")),
        spotting=flow.if_family("gloss", flow.product("predictions/spotting.parquet")),
        recipes=local(flow.params.report.recipes),
        ablation_text=flow.if_family("gloss", flow.product("predictions/ablation.txt")),
        gloss_metrics=flow.of_runs(flow.metric("{seed}gloss/{variant}.json")),
        gloss_epochs=flow.of_runs(flow.product("{seed}models/gloss/{variant}/metrics.jsonl")),
        gloss_predictions=flow.of_runs(flow.product("{seed}predictions/gloss/{variant}.csv")),
        clip_index=flow.shards_of("clip_features", ".parquet") if flow.reading("clip") else [],
        metadata=rules.metadata.output.parquet,
        rejects=rules.metadata.output.rejects,
        splits=flow.plain(rules.splits.output.splits),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        manifest=rules.manifest.output.manifest if flow.videos_read else [],
        landmarks=flow.shards_of("landmarks", ".npy") if flow.videos_read else [],
        landmarks_index=flow.shards_of("landmarks", ".parquet") if flow.videos_read else [],
        shards=flow.shards_of("shards", ".csv") if flow.videos_read else [],
    output:
        html=report(flow.product("report/index.html"), "../docs/captions/report.rst", category="Report"),
    log:
        flow.product("logs/report.log"),
    benchmark:
        flow.product("benchmarks/report.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        code=digest_of("report"),
        files=flow.files,
        # the stages whose times it shows; those of tables side by side are defined later
        given=given(*type(flow.params).model_fields, stages=stages_of(workflow.rules)),
    message:
        "report: {output.html}"
    shell:
        "python -m workflow_scripts.report {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
