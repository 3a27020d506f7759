rule text:
    """Tokenizer, gloss vocabulary and the frozen embeddings of every sentence."""
    input:
        code=code_of("text"),
        splits=rules.splits.output.splits,
        metadata=rules.metadata.output.parquet,
    output:
        tokenizer=flow.build("text/tokenizer.json"),
        glosses=flow.build("text/gloss_vocabulary.json"),
        texts=flow.build("text/texts.parquet"),
        embeddings=flow.build("text/text_embeddings.npy"),
    log:
        flow.build("logs/text.log"),
    benchmark:
        flow.build("benchmarks/text.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=1,
    params:
        call=flow.call("text"),
        given=flow.given("text"),
    message:
        "text: tokenizer and sentence embeddings"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule train_sign2text:
    """Train landmarks to sentence: contrastive alignment and translation."""
    input:
        code=code_of("train_sign2text"),
        features=expand(rules.pose_features.output.npy, shard=flow.shards),
        mask=expand(rules.pose_features.output.mask, shard=flow.shards),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        stats=rules.stats_pose.output.stats,
        splits=rules.splits.output.splits,
        texts=rules.text.output.texts,
        embeddings=rules.text.output.embeddings,
        tokenizer=rules.text.output.tokenizer,
    output:
        best=flow.build("models/sign2text/best.pth"),
        latest=flow.build("models/sign2text/latest.pth"),
        history=flow.build("models/sign2text/history.csv"),
        metrics=flow.build("models/sign2text/metrics.jsonl"),
    log:
        flow.build("logs/train_sign2text.log"),
    benchmark:
        flow.build("benchmarks/train_sign2text.tsv")
    conda:
        "../environment.yml"
    threads: flow.params.sign2text.threads
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=1,
    params:
        call=flow.call("train_sign2text"),
        given=flow.given("sign2text", "augment", "text"),
    message:
        "train_sign2text: {output.best}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
