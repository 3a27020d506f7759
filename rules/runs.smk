rule runs:
    """Summarise all seeds and folds of every model."""
    input:
        code=code_of("runs"),
        predictions=[
            *flow.of_grid("sign2text", flow.build("{fold}{seed}predictions/sign2text.csv")),
            *flow.of_grid("gloss", flow.build("{fold}{seed}predictions/gloss/{variant}.csv")),
        ],
    output:
        metrics=flow.metrics("runs.json"),
        table=flow.build("predictions/runs.csv"),
    log:
        flow.build("logs/runs.log"),
    benchmark:
        flow.build("benchmarks/runs.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        call=flow.call("runs"),
        given=flow.given("runs", "evaluation"),
    message:
        "runs: {output.metrics}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
