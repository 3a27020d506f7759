rule calibrate:
    """Choose the acceptance thresholds from validation clips and from clips that should be refused."""
    input:
        code=code_of("calibrate"),
        checkpoint=flow.plain(rules.train_sign2text.output.best),
        features=expand(rules.pose_features.output.npy, shard=flow.shards),
        mask=expand(rules.pose_features.output.mask, shard=flow.shards),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        stats=flow.plain(rules.stats_pose.output.stats),
        splits=flow.plain(rules.splits.output.splits),
        embeddings=flow.plain(rules.embed.output.embeddings),
        map=flow.plain(rules.embed.output.map),
        frames=flow.plain(rules.embed.output.frames),
        frames_index=flow.plain(rules.embed.output.frames_index),
        prototypes=flow.plain(rules.prototypes.output.prototypes),
    output:
        thresholds=flow.build("inference/thresholds.json"),
        curve=report(flow.build("inference/curve.csv"), "../docs/captions/curve.rst", category="Inference"),
        predictions=flow.build("predictions/calibration.csv"),
        metrics=flow.metrics("calibration.json"),
    log:
        flow.build("logs/calibrate.log"),
    benchmark:
        flow.build("benchmarks/calibrate.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=flow.gpu,
    params:
        call=flow.call("calibrate"),
        given=flow.given(
            "inference.max_false_accept_rate",
            "inference.seed",
            "quality",
            "pose",
            "evaluation",
        ),
    message:
        "calibrate: {output.thresholds}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule export:
    """Write the bundle: ONNX networks, checked against PyTorch, and everything else that answers need."""
    input:
        code=code_of("export"),
        checkpoint=flow.plain(rules.train_sign2text.output.best),
        gloss=flow.of_exported_run(flow.build("models/gloss/{variant}/best.pth")),
        features=expand(rules.pose_features.output.npy, shard=flow.shards),
        mask=expand(rules.pose_features.output.mask, shard=flow.shards),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        stats=flow.plain(rules.stats_pose.output.stats),
        splits=flow.plain(rules.splits.output.splits),
        tokenizer=flow.plain(rules.text.output.tokenizer),
        glosses=flow.plain(rules.text.output.glosses),
        embeddings=flow.plain(rules.embed.output.embeddings),
        map=flow.plain(rules.embed.output.map),
        frames=flow.plain(rules.embed.output.frames),
        frames_index=flow.plain(rules.embed.output.frames_index),
        prototypes=flow.plain(rules.prototypes.output.prototypes),
        thresholds=rules.calibrate.output.thresholds,
        metrics=[
            rules.metadata.output.metrics,
            flow.plain(rules.splits.output.metrics),
            flow.plain(rules.evaluate_sign2text.output.metrics),
            flow.plain(rules.evaluate_retrieval.output.metrics),
            rules.calibrate.output.metrics,
            *flow.of_exported_run(flow.metrics("gloss/{variant}.json")),
        ],
    output:
        encoder=flow.build("export/sign_encoder.onnx"),
        encoder_int8=flow.build("export/sign_encoder.int8.onnx"),
        decoder=flow.build("export/sign_decoder.onnx"),
        gloss_model=flow.of_exported_run(flow.build("export/gloss_model.onnx")),
        gloss_decoder=flow.of_exported_run(flow.build("export/gloss_decoder.onnx"), decoder=True),
        torchscript=flow.build("export/sign_encoder.ts"),
        safetensors=flow.build("export/model.safetensors"),
        config=flow.build("export/model_config.json"),
        stats=flow.build("export/global_stats.npz"),
        tokenizer=flow.build("export/tokenizer.json"),
        glosses=flow.build("export/gloss_vocabulary.json"),
        prototypes=flow.build("export/prototypes.npz"),
        thresholds=flow.build("export/thresholds.json"),
        embeddings=flow.build("export/embeddings.npy"),
        map=flow.build("export/embeddings_map.csv"),
        frames=flow.build("export/frames.npy"),
        frames_index=flow.build("export/frames_index.csv"),
        card=flow.build("export/MODEL_CARD.md"),
        manifest=flow.build("export/export_manifest.json"),
        bundle=flow.build("export/sign_encoder_bundle.zip"),
        digest=flow.build("export/sign_encoder_bundle.zip.sha256"),
    log:
        flow.build("logs/export.log"),
    benchmark:
        flow.build("benchmarks/export.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        call=flow.call("export"),
        given=flow.given("pose", "quality", "landmarks", "decoding", "retrieval", "inference", "text"),
    message:
        "export: {output.bundle}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"


rule evaluate_inference:
    """Score the exported bundle on clips to answer and on clips to refuse."""
    input:
        code=code_of("evaluate_inference"),
        bundle=rules.export.output.bundle,
        features=expand(rules.pose_features.output.npy, shard=flow.shards),
        mask=expand(rules.pose_features.output.mask, shard=flow.shards),
        index=expand(rules.pose_features.output.parquet, shard=flow.shards),
        splits=flow.plain(rules.splits.output.splits),
        shards=flow.shards_of("shards", ".csv") if flow.videos_read else [],
    output:
        metrics=report(flow.metrics("inference.json"), "../docs/captions/inference.rst", category="Inference"),
        predictions=flow.build("predictions/inference.csv"),
    log:
        flow.build("logs/evaluate_inference.log"),
    benchmark:
        flow.build("benchmarks/evaluate_inference.tsv")
    conda:
        "../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        call=flow.call("evaluate_inference"),
        given=flow.given("inference.seed", "pose", "evaluation"),
    message:
        "evaluate_inference: {output.metrics}"
    shell:
        "{params.call} --params {params.given:q} --threads {threads} 2>&1 | tee {log}"
