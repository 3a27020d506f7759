"""One entry point per stage: `python -m workflow_scripts.<stage> --input ... --output ...`."""

import os

# NumPy's matrix products depend on the number of OpenBLAS threads, by default one per core; outputs must not.
# NumPy reads the variable at import, so it is set before every stage.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
