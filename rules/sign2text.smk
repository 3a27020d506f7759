rule train_sign2text:
    """Train the landmarks-to-sentence model on contrastive alignment and translation."""
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
        best=flow.build("{fold}{seed}models/sign2text/best.pth"),
        latest=flow.build("{fold}{seed}models/sign2text/latest.pth"),
        history=report(
            flow.build("{fold}{seed}models/sign2text/history.csv"),
            "../docs/captions/history.rst",
            category="Sentences",
        ),
        metrics=flow.build("{fold}{seed}models/sign2text/metrics.jsonl"),
    log:
        flow.build("logs/{fold}{seed}train_sign2text.log"),
    benchmark:
        flow.build("benchmarks/{fold}{seed}train_sign2text.tsv")
    # the longest chain of jobs starts here
    priority: 1
    conda:
        "../environment.yml"
    threads: flow.params.sign2text.threads
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=flow.gpu,
    params:
        call=flow.call("train_sign2text"),
        given=flow.given_to_run("sign2text", "augment", "text"),
    message:
        "train_sign2text: {output.best}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule embed:
    """Embed every clip; keep the gallery's encoder sequences."""
    input:
        code=code_of("embed"),
        checkpoint=rules.train_sign2text.output.best,
        features=expand(rules.pose_features.output.npy, shard=flow.shards),
        mask=expand(rules.pose_features.output.mask, shard=flow.shards),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        stats=rules.stats_pose.output.stats,
        splits=rules.splits.output.splits,
        metadata=rules.metadata.output.parquet,
    output:
        embeddings=flow.build("{fold}{seed}embeddings/embeddings.npy"),
        map=flow.build("{fold}{seed}embeddings/embeddings_map.csv"),
        frames=flow.build("{fold}{seed}embeddings/frames.npy"),
        frames_index=flow.build("{fold}{seed}embeddings/frames_index.parquet"),
    log:
        flow.build("logs/{fold}{seed}embed.log"),
    benchmark:
        flow.build("benchmarks/{fold}{seed}embed.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=flow.gpu,
    params:
        call=flow.call("embed"),
        given=flow.given(),
    message:
        "embed: {output.embeddings}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule prototypes:
    """Compute the mean embedding of every sentence that has enough training clips."""
    input:
        code=code_of("prototypes"),
        embeddings=rules.embed.output.embeddings,
        map=rules.embed.output.map,
    output:
        prototypes=flow.build("{fold}{seed}embeddings/prototypes.npz"),
    log:
        flow.build("logs/{fold}{seed}prototypes.log"),
    benchmark:
        flow.build("benchmarks/{fold}{seed}prototypes.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        call=flow.call("prototypes"),
        given=flow.given("retrieval.prototype_min_clips"),
    message:
        "prototypes: {output.prototypes}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule evaluate_sign2text:
    """Decode every evaluated clip; score sentences and text-to-clip alignment."""
    input:
        code=code_of("evaluate_sign2text"),
        checkpoint=rules.train_sign2text.output.best,
        features=expand(rules.pose_features.output.npy, shard=flow.shards),
        mask=expand(rules.pose_features.output.mask, shard=flow.shards),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        stats=rules.stats_pose.output.stats,
        splits=rules.splits.output.splits,
        metadata=rules.metadata.output.parquet,
        tokenizer=rules.text.output.tokenizer,
        texts=rules.text.output.texts,
        text_embeddings=rules.text.output.embeddings,
        embeddings=rules.embed.output.embeddings,
        map=rules.embed.output.map,
    output:
        metrics=report(
            flow.metrics("{fold}{seed}sign2text.json"),
            "../docs/captions/sign2text.rst",
            category="Sentences",
        ),
        predictions=flow.build("{fold}{seed}predictions/sign2text.csv"),
    log:
        flow.build("logs/{fold}{seed}evaluate_sign2text.log"),
    benchmark:
        flow.build("benchmarks/{fold}{seed}evaluate_sign2text.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=flow.gpu,
    params:
        call=flow.call("evaluate_sign2text"),
        given=flow.given("decoding", "evaluation"),
    message:
        "evaluate_sign2text: {output.metrics}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule evaluate_retrieval:
    """Score clip-to-clip retrieval against the training gallery."""
    input:
        code=code_of("evaluate_retrieval"),
        embeddings=rules.embed.output.embeddings,
        map=rules.embed.output.map,
        splits=rules.splits.output.splits,
    output:
        metrics=report(
            flow.metrics("{fold}{seed}retrieval.json"),
            "../docs/captions/retrieval.rst",
            category="Sentences",
        ),
        predictions=flow.build("{fold}{seed}predictions/retrieval.csv"),
    log:
        flow.build("logs/{fold}{seed}evaluate_retrieval.log"),
    benchmark:
        flow.build("benchmarks/{fold}{seed}evaluate_retrieval.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=flow.gpu,
    params:
        call=flow.call("evaluate_retrieval"),
        given=flow.given("evaluation"),
    message:
        "evaluate_retrieval: {output.metrics}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
