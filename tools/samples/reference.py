"""Writes the reference of a sample: a JSON file with text, times and action items, and an RTTM file."""

import json
from collections.abc import Sequence
from pathlib import Path

from tools.samples.catalogue import Sample
from tools.samples.recording import Recording, SpokenLine

_TIME_DIGITS = 3  # milliseconds


def write_reference(sample: Sample, recording: Recording, folder: Path) -> None:
    """Write ``<stem>.json`` and ``<stem>.rttm`` to ``folder``."""
    stem = Path(sample.file_name).stem
    labels = _labels_by_appearance(recording.lines)
    items = [line.action_item for line in recording.lines if line.action_item]
    reference = {
        "language": "ko",
        "telephone": sample.telephone,
        "speakers": len(labels),
        "duration": round(recording.duration, _TIME_DIGITS),
        "segments": [
            {
                "start": round(line.start, _TIME_DIGITS),
                "end": round(line.end, _TIME_DIGITS),
                "speaker": labels[line.speaker],
                "text": line.text,
            }
            for line in recording.lines
        ],
        "action_items": [{"owner": item.owner, "task": item.task, "due": item.due} for item in items],
    }
    text = json.dumps(reference, ensure_ascii=False, indent=1)
    (folder / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{stem}.rttm").write_text(rttm(stem, recording.lines, labels), encoding="utf-8")


def rttm(name: str, lines: Sequence[SpokenLine], labels: dict[int, str]) -> str:
    """Return the NIST RTTM rows of a recording; spaces in its name become underscores, because spaces separate the fields of RTTM."""
    row = "SPEAKER {} 1 {:.3f} {:.3f} <NA> <NA> {} <NA> <NA>\n"
    name = name.replace(" ", "_")
    return "".join(
        row.format(name, line.start, line.end - line.start, labels[line.speaker]) for line in lines
    )


def _labels_by_appearance(lines: Sequence[SpokenLine]) -> dict[int, str]:
    order = dict.fromkeys(line.speaker for line in lines)
    return {speaker: f"SPEAKER_{index:02d}" for index, speaker in enumerate(order)}
