rule stats_pose:
    """Compute mean and standard deviation of every pose feature over the training clips."""
    input:
        code=code_of("stats_pose"),
        splits=rules.splits.output.splits,
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
    output:
        stats=flow.product("{fold}global_stats.npz"),
    log:
        flow.product("logs/{fold}stats_pose.log"),
    benchmark:
        flow.product("benchmarks/{fold}stats_pose.tsv")
    # the longest chain of jobs starts here
    priority: 1
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        code=digest_of("stats_pose"),
        files=flow.files,
        given=given(),
    message:
        "stats_pose: statistics of the training clips' features"
    shell:
        "python -m workflow_scripts.stats_pose {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule text:
    """Build the tokenizer and the gloss vocabulary; embed every sentence with the frozen encoder."""
    input:
        code=code_of("text"),
        splits=rules.splits.output.splits,
        metadata=rules.metadata.output.parquet,
        encoder=local(flow.encoder),
    output:
        # networks of glosses read no sentences
        tokenizer=flow.if_family("sign2text", flow.product("{fold}text/tokenizer.json")),
        glosses=flow.product("{fold}text/gloss_vocabulary.json"),
        gloss_lines=flow.product("{fold}text/gloss_lines.csv"),
        texts=flow.if_family("sign2text", flow.product("{fold}text/texts.parquet")),
        embeddings=flow.if_family("sign2text", flow.product("{fold}text/text_embeddings.npy")),
    log:
        flow.product("logs/{fold}text.log"),
    benchmark:
        flow.product("benchmarks/{fold}text.tsv")
    # the longest chain of jobs starts here
    priority: 1
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=60,
        gpu=gpus,
    params:
        code=digest_of("text"),
        files=flow.files,
        given=given("text"),
    message:
        "text: tokenizer and sentence embeddings"
    shell:
        "python -m workflow_scripts.text {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
