"""Train the tokenizer, build the gloss vocabulary and embed every sentence with the frozen encoder."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import torch

from signloom.errors import SignloomError
from signloom.files import atomic, write_csv, write_json, write_parquet
from signloom.params.text import TextParams
from signloom.stage import Job, run_stage
from signloom.text.encoders import load_encoder
from signloom.text.glosses import gather_gloss_lines
from signloom.text.sentences import gather_texts, read_splits
from signloom.text.tokenizer import train_tokenizer
from signloom.text.vocabulary import build_vocabulary


def work(job: Job) -> None:
    params = job.section("text", TextParams)
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    metadata = pd.read_parquet(job.input("metadata"))
    splits = read_splits(job.input("splits"))
    training = splits[(splits["split"] == "train") & (splits["sentence_id"] >= 0)]
    texts = gather_texts(metadata)
    trained_on = texts["text"][texts["sentence_id"].isin(training["sentence_id"])]
    if trained_on.empty:
        raise SignloomError(
            f"{job.input('splits')}: the training split has no signed clip; "
            "check the splits section and build/rejects.csv"
        )
    encoder = load_encoder(params)
    if torch.cuda.is_available():
        encoder.model.to("cuda")
    own = params.tokenizer == "encoder"
    tokenizer = encoder.own_tokenizer() if own else train_tokenizer(trained_on, params.vocab_size)
    lengths = [len(ids) for ids in tokenizer.encode(trained_on.tolist(), sys.maxsize)]
    cut = sum(length > params.max_tokens for length in lengths)
    if cut:
        print(
            f"warning: {cut} of {len(lengths)} training texts are longer than text.max_tokens "
            f"{params.max_tokens} (the longest has {max(lengths)}) and are cut off; raise text.max_tokens",
            file=sys.stderr,
        )
    glosses = metadata["gloss"][metadata["clip_id"].isin(training["clip_id"])].fillna("")
    with atomic(job.output("tokenizer")) as part:
        part.write_text(tokenizer.to_json(), "utf-8")
    write_json(job.output("glosses"), build_vocabulary(glosses))
    write_csv(job.output("gloss_lines"), gather_gloss_lines(metadata))
    write_parquet(job.output("texts"), texts)
    with atomic(job.output("embeddings")) as part, part.open("wb") as file:
        np.save(file, encoder.embed(texts["text"].tolist()))


def main(argv: list[str] | None = None) -> int:
    return run_stage("text", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
