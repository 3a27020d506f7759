rule review:
    """List clips with doubtful labels or tracking, with reasons and pictures, as a table to fill in."""
    input:
        code=[
            *code_of("review"),
            *local(
                [
                    str(in_workflow(Path("signloom/report/templates", name)))
                    for name in ("base.html.j2", "review.html.j2", "style.css")
                ]
            ),
        ],
        manifest=rules.manifest.output.manifest,
        rejects=rules.manifest.output.rejects,
        rows=rules.sources.output.rows,
        metadata=rules.metadata.output.parquet,
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        stats=flow.plain(rules.stats_pose.output.stats),
        embeddings=flow.of_grid("sign2text", flow.product("{fold}{run}embeddings/embeddings.npy")),
        map=flow.of_grid("sign2text", flow.product("{fold}{run}embeddings/embeddings_map.csv")),
        reviewed=local(flow.params.dataset.review or []),
        landmarks=flow.shards_of("landmarks", ".npy") if flow.videos_read else [],
        landmarks_index=flow.shards_of("landmarks", ".parquet") if flow.videos_read else [],
        shards=flow.shards_of("shards", ".csv") if flow.videos_read else [],
    output:
        table=report(flow.product("review/review.csv"), "../docs/captions/review.rst", category="Corpus"),
        page=flow.product("review/index.html"),
        metrics=flow.metric("review.json"),
    log:
        flow.product("logs/review.log"),
    benchmark:
        flow.product("benchmarks/review.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        code=digest_of("review"),
        files=flow.files,
        given=given("runs", "positions"),
    message:
        "review: {output.page}"
    shell:
        "python -m workflow_scripts.review {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
