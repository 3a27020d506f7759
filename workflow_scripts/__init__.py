"""One entry point a stage: `python -m workflow_scripts.<stage> --input ... --output ...`."""

import os

# NumPy's products depend on the number of OpenBLAS threads, which is that of the cores; the bytes must not.
# It is read when NumPy is imported, so it stands before every stage.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
