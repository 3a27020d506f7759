rule runs:
    """Summarise all seeds and folds of every model; from shares, draw the learning curve."""
    input:
        code=code_of("runs"),
        predictions=[
            *flow.of_grid("sign2text", flow.product("{fold}{run}predictions/sign2text.csv")),
            *flow.of_grid("gloss", flow.product("{fold}{seed}predictions/gloss/{variant}.csv")),
        ],
        retrieval=flow.of_grid("sign2text", flow.product("{fold}{run}predictions/retrieval.csv")),
        embeddings=flow.of_ensembles(flow.product("{fold}{run}embeddings/embeddings.npy")),
        map=flow.of_ensembles(flow.product("{fold}{run}embeddings/embeddings_map.csv")),
        metadata=flow.of_ensembles(rules.metadata.output.parquet)[:1],
        splits=flow.each(rules.splits.output.metrics, fold=["", *flow.folds]),
    output:
        metrics=flow.metric("runs.json"),
        table=flow.product("predictions/runs.csv"),
    log:
        flow.product("logs/runs.log"),
    benchmark:
        flow.product("benchmarks/runs.tsv")
    localrule: True
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=30,
    params:
        code=digest_of("runs"),
        files=flow.files,
        given=given("runs", "evaluation", "gloss.hypotheses"),
    message:
        "runs: {output.metrics}"
    shell:
        "python -m workflow_scripts.runs {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
