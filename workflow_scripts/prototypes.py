"""Average the embeddings of each sentence's clips in the gallery.

Inputs: embeddings, map. Outputs: prototypes (.npz). Parameters: retrieval.prototype_min_clips.
"""

from signloom.evaluation.datasets import EmbeddedClips, in_gallery
from signloom.files import write_npz
from signloom.inference.prototypes import make_prototypes
from signloom.params.evaluation import RetrievalParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    clips = EmbeddedClips(job.input("embeddings"), job.input("map"))
    fewest = job.value("retrieval.prototype_min_clips", RetrievalParams)
    arrays = make_prototypes(clips.vectors, clips.table[in_gallery(clips.table)], fewest)
    write_npz(job.output("prototypes"), **arrays)


main = entry_point(work)
