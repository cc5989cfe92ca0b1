"""Meeting audio to speaker-attributed transcripts and minutes, at the size of millions of files, with Dagster.

The rooms and the direction of imports are described in docs/architecture.md.
"""

import os

# Products of matrices are small here. A second thread of BLAS makes them no faster, waits busily for the next one, and so
# takes a core from the speech model or another process. It is read when numpy is loaded; who sets it is asked first.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
