"""Makes the samples: the whole way from a catalogue entry to the files of ``samples/``."""

from pathlib import Path
from random import Random

import numpy as np

from tools.samples.catalogue import Sample
from tools.samples.meeting import write_meeting
from tools.samples.recording import Recording, encode, record
from tools.samples.reference import write_reference


def make_sample(sample: Sample, folder: Path) -> Recording:
    """Write a sample's audio file and its references below ``folder``; equal seeds give equal sound."""
    recording = perform(sample)
    references = folder / "reference"
    references.mkdir(parents=True, exist_ok=True)
    encode(recording, folder / sample.file_name, rate=sample.rate, channels=sample.channels)
    write_reference(sample, recording, references)
    return recording


def perform(sample: Sample) -> Recording:
    """Write a sample's meeting and record it, without a file."""
    lines = write_meeting(sample.agenda, Random(sample.seed))
    return record(lines, sample.voices, np.random.default_rng(sample.seed), telephone=sample.telephone)
