"""Makes the files of ``samples/`` from the entries of the catalogue."""

from pathlib import Path
from random import Random

import numpy as np

from tools.samples.catalogue import Sample
from tools.samples.meeting import write_meeting
from tools.samples.recording import Recording, encode, record
from tools.samples.reference import write_reference


def make_sample(sample: Sample, folder: Path) -> Recording:
    """Write a sample's audio file and its references to ``folder``; equal seeds give equal audio."""
    recording = perform(sample)
    references = folder / "reference"
    references.mkdir(parents=True, exist_ok=True)
    encode(recording, folder / sample.file_name, rate=sample.rate, channels=sample.channels)
    write_reference(sample, recording, references)
    return recording


def perform(sample: Sample) -> Recording:
    """Return the recording of a sample's meeting."""
    lines = write_meeting(sample.agenda, Random(sample.seed))
    return record(lines, sample.voices, np.random.default_rng(sample.seed), telephone=sample.telephone)
