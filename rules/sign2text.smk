rule train_sign2text:
    """Train the landmarks-to-sentence model on contrastive alignment and translation."""
    input:
        code=code_of("train_sign2text"),
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        stats=rules.stats_pose.output.stats,
        splits=rules.splits.output.splits,
        texts=rules.text.output.texts,
        embeddings=rules.text.output.embeddings,
        tokenizer=rules.text.output.tokenizer,
        glosses=rules.text.output.glosses,
        gloss_lines=rules.text.output.gloss_lines,
    output:
        best=flow.product("{fold}{run}models/sign2text/best.pth"),
        latest=flow.product("{fold}{run}models/sign2text/latest.pth"),
        history=report(
            flow.product("{fold}{run}models/sign2text/history.csv"),
            "../docs/captions/history.rst",
            category="Sentences",
        ),
        metrics=flow.product("{fold}{run}models/sign2text/metrics.jsonl"),
    log:
        flow.product("logs/{fold}{run}train_sign2text.log"),
    benchmark:
        flow.product("benchmarks/{fold}{run}train_sign2text.tsv")
    # the longest chain of jobs starts here
    priority: 1
    conda:
        "../environment.yml"
    threads: flow.params.sign2text.threads
    resources:
        mem_mb=memory(6000),
        runtime=720,
        gpu=gpus,
    params:
        code=digest_of("train_sign2text"),
        files=flow.files,
        given=given.to_run("sign2text", "augment", "text", "positions"),
    message:
        "train_sign2text: {output.best}"
    shell:
        "python -m workflow_scripts.train_sign2text {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule embed:
    """Embed every clip; keep the gallery's encoder sequences."""
    input:
        code=code_of("embed"),
        checkpoint=rules.train_sign2text.output.best,
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        stats=rules.stats_pose.output.stats,
        splits=rules.splits.output.splits,
        metadata=rules.metadata.output.parquet,
    output:
        embeddings=flow.product("{fold}{run}embeddings/embeddings.npy"),
        map=flow.product("{fold}{run}embeddings/embeddings_map.csv"),
        frames=flow.product("{fold}{run}embeddings/frames.npy"),
        frames_index=flow.product("{fold}{run}embeddings/frames_index.parquet"),
    log:
        flow.product("logs/{fold}{run}embed.log"),
    benchmark:
        flow.product("benchmarks/{fold}{run}embed.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
        gpu=gpus,
    params:
        code=digest_of("embed"),
        files=flow.files,
        given=given.to_embed,
    message:
        "embed: {output.embeddings}"
    shell:
        "python -m workflow_scripts.embed {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule prototypes:
    """Compute the mean embedding of every sentence that has enough training clips."""
    input:
        code=code_of("prototypes"),
        # of the run that is exported: nothing reads those of the others
        embeddings=flow.plain(rules.embed.output.embeddings),
        map=flow.plain(rules.embed.output.map),
    output:
        prototypes=flow.product("embeddings/prototypes.npz"),
    log:
        flow.product("logs/prototypes.log"),
    benchmark:
        flow.product("benchmarks/prototypes.tsv")
    localrule: True
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        code=digest_of("prototypes"),
        files=flow.files,
        given=given("retrieval.prototype_min_clips"),
    message:
        "prototypes: {output.prototypes}"
    shell:
        "python -m workflow_scripts.prototypes {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule evaluate_sign2text:
    """Decode every evaluated clip; score sentences and text-to-clip alignment."""
    input:
        code=code_of("evaluate_sign2text"),
        checkpoint=rules.train_sign2text.output.best,
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
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
            flow.metric("{fold}{run}sign2text.json"),
            "../docs/captions/sign2text.rst",
            category="Sentences",
        ),
        predictions=flow.product("{fold}{run}predictions/sign2text.csv"),
    log:
        flow.product("logs/{fold}{run}evaluate_sign2text.log"),
    benchmark:
        flow.product("benchmarks/{fold}{run}evaluate_sign2text.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
        gpu=gpus,
    params:
        code=digest_of("evaluate_sign2text"),
        files=flow.files,
        given=given("decoding", "evaluation"),
    message:
        "evaluate_sign2text: {output.metrics}"
    shell:
        "python -m workflow_scripts.evaluate_sign2text {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule evaluate_retrieval:
    """Score clip-to-clip retrieval against the training gallery, beside untrained rivals."""
    input:
        code=code_of("evaluate_retrieval"),
        embeddings=rules.embed.output.embeddings,
        map=rules.embed.output.map,
        splits=rules.splits.output.splits,
        metadata=rules.metadata.output.parquet,
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        stats=rules.stats_pose.output.stats,
    output:
        metrics=report(
            flow.metric("{fold}{run}retrieval.json"),
            "../docs/captions/retrieval.rst",
            category="Sentences",
        ),
        predictions=flow.product("{fold}{run}predictions/retrieval.csv"),
    log:
        flow.product("logs/{fold}{run}evaluate_retrieval.log"),
    benchmark:
        flow.product("benchmarks/{fold}{run}evaluate_retrieval.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
        gpu=gpus,
    params:
        code=digest_of("evaluate_retrieval"),
        files=flow.files,
        given=given("evaluation", "sign2text.task"),
    message:
        "evaluate_retrieval: {output.metrics}"
    shell:
        "python -m workflow_scripts.evaluate_retrieval {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
