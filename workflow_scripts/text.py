"""Train the tokenizer, build the gloss vocabulary and embed every sentence with the frozen encoder.

Inputs: splits, metadata, encoder (the files of its folder, if it has one).
Outputs: glosses (the vocabulary), gloss_lines, and tokenizer, texts, embeddings if sentences are trained.
Parameters: text.
"""

import sys

import pandas as pd
import torch

from signloom.files import write_csv, write_json, write_npy, write_parquet, write_text
from signloom.params.text import TextParams
from signloom.text.encoders import load_encoder, own_vectors
from signloom.text.glosses import gather_gloss_lines
from signloom.text.sentences import gather_texts, read_training_clips, warn_of_cut, warn_of_lost
from signloom.text.tokenizer import train_tokenizer
from signloom.text.vocabulary import build_vocabulary
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    metadata = pd.read_parquet(job.input("metadata"))
    training = read_training_clips(job.input("splits"))
    glosses = metadata["gloss"][metadata["clip_id"].isin(training["clip_id"])].fillna("")
    write_json(job.output("glosses"), build_vocabulary(glosses))
    write_csv(job.output("gloss_lines"), gather_gloss_lines(metadata))
    if "embeddings" in job.outputs:
        _sentences(job, metadata, training)


def _sentences(job: Job, metadata: pd.DataFrame, training: pd.DataFrame) -> None:
    """Write the sentences, their vectors, and the tokenizer of those that are trained on."""
    params = job.section("text", TextParams)
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    texts = gather_texts(metadata)
    trained_on = texts["text"][texts["sentence_id"].isin(training["sentence_id"])]
    encoder = load_encoder(params)
    if torch.cuda.is_available():
        encoder.model.to("cuda")
    own = params.tokenizer == "encoder"
    tokenizer = encoder.own_tokenizer() if own else train_tokenizer(trained_on, params.vocab_size)
    whole = tokenizer.encode(trained_on.tolist(), sys.maxsize)
    warn_of_cut([len(ids) for ids in whole], params.max_tokens)
    if own:
        warn_of_lost(tokenizer.lost(trained_on.tolist(), whole), len(whole))
    write_text(job.output("tokenizer"), tokenizer.to_json())
    write_parquet(job.output("texts"), texts)
    vectors = encoder.embed(texts["text"].tolist())
    same = encoder.indistinct(texts)
    if same.any():
        first = texts["text"][same].iloc[:2].tolist()
        print(
            f"warning: text: text.encoder {params.encoder} takes {same.sum()} of {len(texts)} texts for "
            f"those of other sentences, such as {first[0]!r} and {first[1]!r}; each gets a vector of its "
            "own, which says nothing of its meaning. Choose an encoder that knows the script",
            file=sys.stderr,
        )
        vectors[same] = own_vectors(texts["text"][same].tolist(), vectors[same])
    write_npy(job.output("embeddings"), vectors)


main = entry_point(work)
