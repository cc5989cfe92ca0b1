"""The work of each stage: transcribe, publish and the batch report. How files are looped over is in `execution`."""
