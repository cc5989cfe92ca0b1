"""Meeting audio to speaker-attributed transcripts and minutes, at the size of millions of files, with Dagster.

The rooms and the direction of imports are described in docs/architecture.md.
"""

import os
import sys

# Matrices are small here. A second BLAS thread does not make their products faster, and its busy wait takes a core from
# the speech model or another process. A value that the user has set is kept.
if "OPENBLAS_NUM_THREADS" not in os.environ:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read by libraries when they are loaded
    if "numpy" in sys.modules:  # it does not read the variable again
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
