rule calibrate:
    """Choose the acceptance thresholds from validation clips and from clips that should be refused."""
    input:
        code=code_of("calibrate"),
        checkpoint=flow.plain(rules.train_sign2text.output.best),
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        stats=flow.plain(rules.stats_pose.output.stats),
        splits=flow.plain(rules.splits.output.splits),
        embeddings=flow.plain(rules.embed.output.embeddings),
        map=flow.plain(rules.embed.output.map),
        frames=flow.plain(rules.embed.output.frames),
        frames_index=flow.plain(rules.embed.output.frames_index),
        prototypes=rules.prototypes.output.prototypes,
    output:
        thresholds=flow.product("inference/thresholds.json"),
        curve=report(flow.product("inference/curve.csv"), "../docs/captions/curve.rst", category="Inference"),
        predictions=flow.product("predictions/calibration.csv"),
        metrics=flow.metric("calibration.json"),
    log:
        flow.product("logs/calibrate.log"),
    benchmark:
        flow.product("benchmarks/calibrate.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
        gpu=gpus,
    params:
        code=digest_of("calibrate"),
        files=flow.files,
        given=given(
            "inference.max_false_accept_rate",
            "inference.seed",
            *GATES,
            "pose",
            "evaluation",
        ),
    message:
        "calibrate: {output.thresholds}"
    shell:
        "python -m workflow_scripts.calibrate {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule export:
    """Write the bundle: ONNX networks, checked against PyTorch, and everything else that answers need."""
    input:
        code=[*code_of("export"), local(str(in_workflow(Path("signloom/export/model_card.md.j2"))))],
        checkpoint=flow.plain(rules.train_sign2text.output.best),
        gloss=flow.of_exported_run(flow.product("models/gloss/{variant}/best.pth")),
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        stats=flow.plain(rules.stats_pose.output.stats),
        splits=flow.plain(rules.splits.output.splits),
        tokenizer=flow.plain(rules.text.output.tokenizer),
        glosses=flow.plain(rules.text.output.glosses),
        embeddings=flow.plain(rules.embed.output.embeddings),
        map=flow.plain(rules.embed.output.map),
        frames=flow.plain(rules.embed.output.frames),
        frames_index=flow.plain(rules.embed.output.frames_index),
        prototypes=rules.prototypes.output.prototypes,
        thresholds=rules.calibrate.output.thresholds,
        signer_stats=flow.if_by_signer(flow.product("signer_stats.npz")),
        metrics=[
            rules.metadata.output.metrics,
            flow.plain(rules.splits.output.metrics),
            flow.plain(rules.evaluate_sign2text.output.metrics),
            flow.plain(rules.evaluate_retrieval.output.metrics),
            rules.calibrate.output.metrics,
            *flow.of_exported_run(flow.metric("gloss/{variant}.json")),
        ],
    output:
        encoder=flow.product("export/sign_encoder.onnx"),
        encoder_int8=flow.product("export/sign_encoder.int8.onnx"),
        decoder=flow.if_decoded(flow.product("export/sign_decoder.onnx")),
        gloss_model=flow.of_exported_run(flow.product("export/gloss_model.onnx")),
        gloss_decoder=flow.of_exported_run(flow.product("export/gloss_decoder.onnx"), decoder=True),
        torchscript=flow.product("export/sign_encoder.ts"),
        safetensors=flow.product("export/model.safetensors"),
        config=flow.product("export/model_config.json"),
        stats=flow.product("export/global_stats.npz"),
        tokenizer=flow.if_decoded(flow.product("export/tokenizer.json")),
        glosses=flow.product("export/gloss_vocabulary.json"),
        prototypes=flow.product("export/prototypes.npz"),
        thresholds=flow.product("export/thresholds.json"),
        embeddings=flow.product("export/embeddings.npy"),
        map=flow.product("export/embeddings_map.csv"),
        frames=flow.product("export/frames.npy"),
        frames_index=flow.product("export/frames_index.csv"),
        card=flow.product("export/MODEL_CARD.md"),
        manifest=flow.product("export/export_manifest.json"),
        bundle=flow.product("export/sign_encoder_bundle.zip"),
        digest=flow.product("export/sign_encoder_bundle.zip.sha256"),
    log:
        flow.product("logs/export.log"),
    benchmark:
        flow.product("benchmarks/export.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(6000),
        runtime=60,
    params:
        code=digest_of("export"),
        files=flow.files,
        given=given(
            *("pose", "positions", *GATES, "landmarks", "decoding", "retrieval", "inference", "text"),
            "dataset.frame_rate",
        ),
    message:
        "export: {output.bundle}"
    shell:
        "python -m workflow_scripts.export {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"


rule evaluate_inference:
    """Score the exported bundle on clips to answer and on clips to refuse."""
    input:
        code=code_of("evaluate_inference"),
        bundle=rules.export.output.bundle,
        features=flow.each(rules.pose_features.output.npy, shard=flow.shards),
        mask=flow.each(rules.pose_features.output.mask, shard=flow.shards),
        index=flow.each(rules.pose_features.output.parquet, shard=flow.shards),
        splits=flow.plain(rules.splits.output.splits),
        shards=flow.shards_of("shards", ".csv") if flow.videos_read else [],
    output:
        metrics=report(flow.metric("inference.json"), "../docs/captions/inference.rst", category="Inference"),
        predictions=flow.product("predictions/inference.csv"),
        latency=flow.product("benchmarks/latency.json"),
    log:
        flow.product("logs/evaluate_inference.log"),
    benchmark:
        flow.product("benchmarks/evaluate_inference.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=60,
    params:
        code=digest_of("evaluate_inference"),
        files=flow.files,
        given=given("inference.seed", "pose", "evaluation"),
    message:
        "evaluate_inference: {output.metrics}"
    shell:
        "python -m workflow_scripts.evaluate_inference {params.files} --params {params.given:q}"
        " --threads {threads} 2>&1 | tee {log:q}"
