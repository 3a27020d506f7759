"""Export networks, gallery and texts for other programs, each checked against the trained original.

Inputs: the fields of `ExportFiles`. Outputs: those of `FILES` in signloom.export.outputs, without the gloss
networks if no gloss checkpoint is given. Parameters: the fields of `ExportParams`, dataset.frame_rate. An
input that is not what its stage wrote stops the export.
"""

import torch

from signloom.export.descriptions import ExportParams
from signloom.export.export import export
from signloom.export.sources import ExportFiles
from signloom.params.dataset import DatasetParams
from signloom.products import check_unchanged
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    check_unchanged([path for paths in job.inputs.values() for path in paths], job.scratch_root)
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    outputs = {name: job.output(name) for name in job.outputs}
    rate = job.value("dataset.frame_rate", DatasetParams)
    export(job.input_files(ExportFiles), outputs, job.sections(ExportParams), rate)


main = entry_point(work)
