"""The recordings of `samples/` with what is said in them, for tests of the speech path."""

import json
from dataclasses import dataclass
from pathlib import Path

from stt_pipeline.speech.transcript import Segment
from stt_pipeline_tests.conftest import SAMPLES


@dataclass(frozen=True)
class Meeting:
    """A recording and its reference."""

    path: Path
    language: str
    telephone: bool
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


def load_meeting(name: str) -> Meeting:
    """Read the reference of the sample ``name``."""
    path = SAMPLES / name
    reference = json.loads((SAMPLES / "reference" / f"{path.stem}.json").read_text(encoding="utf-8"))
    segments = tuple(
        Segment(start=row["start"], end=row["end"], text=row["text"], speaker=row["speaker"])
        for row in reference["segments"]
    )
    return Meeting(path, reference["language"], reference["telephone"], segments)


def all_meetings() -> list[Meeting]:
    """Read every sample."""
    return [
        load_meeting(path.name)
        for path in sorted(SAMPLES.iterdir())
        if path.is_file() and path.suffix != ".md"
    ]
