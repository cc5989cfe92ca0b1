"""The work of each stage: transcribe, publish and the batch report. The loops over files are in ``execution``."""
