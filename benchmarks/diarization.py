"""The error rate (DER) and the speed of each diarizer on real recordings and on the samples.

``--audio`` is the folder of the real recordings: two_speakers_phone.wav, meetings/*.wav and real/meetings/*.flac, each with an
RTTM or JSON file beside it. ``--leave-one-out`` tunes the thresholds on all meetings except one and scores that one, for each
meeting: an estimate for recordings that were not used for tuning.
"""

import argparse
import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import SoundFile, SoundInMemory, all_samples
from stt_pipeline.backends import DIARIZERS
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.evaluation import ErrorRate, diarization_error_rate
from stt_pipeline.speech.evaluation.references import SUBFOLDER, read_annotation
from stt_pipeline.speech.transcript import SpeakerTurn

_SAMPLES = Path(__file__).parents[1] / "samples"
_NAMES = ("none", "embedded")
_DIARIZATION = "stt_pipeline.speech.diarization"

# thresholds to tune, with values around those in use
_GRIDS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "embedded": {
        f"{_DIARIZATION}.speaker_tracks._COVERAGE": (0.6, 0.7, 0.8, 0.9),
        f"{_DIARIZATION}.speaker_tracks._THRESHOLD": (0.4, 0.5, 0.6),
        f"{_DIARIZATION}.clustering._SAME_SPEAKER": (0.25, 0.5, 1.0),
        f"{_DIARIZATION}.clustering._OTHER_SPEAKER": (0.5, 1.0, 2.0),
    },
}


def main() -> None:
    """Print a table, and the figures as one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--audio", type=Path, default=Path("../shared/audio"), help="folder of the real recordings, if any"
    )
    parser.add_argument(
        "--leave-one-out", action="store_true", help="tune on the other meetings; takes minutes"
    )
    parser.add_argument("--samples", type=int, default=8, help="how many of samples/")
    arguments = parser.parse_args()
    references = sorted((_SAMPLES / "reference").glob("*.rttm"))[: arguments.samples]
    sets = {
        "phone": [arguments.audio / "two_speakers_phone.wav"],
        "meetings": sorted((arguments.audio / "meetings").glob("*.wav")),
        "korean talks as meetings": sorted((arguments.audio / "real" / "meetings").glob("*.flac")),
        "samples": [_sample(path) for path in references],
    }
    result: dict[str, Any] = {}
    for name in _NAMES:
        diarizer = DIARIZERS.create(name, Settings())
        diarizer.diarize(SoundFile(sets["samples"][0]))  # loads the models
        result[name] = {
            kind: _measured(diarizer, paths) for kind, paths in sets.items() if paths and paths[0].exists()
        }
        if arguments.leave_one_out and name in _GRIDS and "meetings" in result[name]:
            result[name]["meetings_leave_one_out"] = _leave_one_out(name, sets["meetings"])
    _print(result)
    print(json.dumps(result))


def _measured(diarizer: Diarizer, paths: Sequence[Path]) -> dict[str, Any]:
    without, with_collar = ErrorRate(), ErrorRate()
    seconds = busy = 0.0
    right = 0
    for path in paths:
        sound = SoundInMemory(all_samples(SoundFile(path)))
        seconds += len(all_samples(sound)) / SAMPLE_RATE
        started = time.process_time()
        turns = diarizer.diarize(sound)
        busy += time.process_time() - started
        reference = _reference(path)
        without += diarization_error_rate(reference, turns)
        with_collar += diarization_error_rate(reference, turns, collar=0.25)
        right += len({turn.speaker for turn in turns}) == len({turn.speaker for turn in reference})
    return {
        "recordings": len(paths),
        "der": round(without.rate, 4),
        "der_collar": round(with_collar.rate, 4),
        "speakers_right": right,
        "rtf": round(busy / seconds, 4),
    }


def _leave_one_out(name: str, paths: Sequence[Path]) -> dict[str, float]:
    references = [_reference(path) for path in paths]
    sounds = [SoundInMemory(all_samples(SoundFile(path))) for path in paths]
    rates = []
    for setting in _settings(_GRIDS[name]):
        with setting:
            diarizer = DIARIZERS.create(name, Settings())
            rates.append(
                [
                    diarization_error_rate(reference, diarizer.diarize(sound))
                    for reference, sound in zip(references, sounds, strict=True)
                ]
            )
    total = ErrorRate()
    for left_out in range(len(paths)):
        tuned = min(rates, key=lambda row: _sum(row[:left_out] + row[left_out + 1 :]).rate)
        total += tuned[left_out]
    return {
        "der": round(total.rate, 4),
        "best_setting": round(min(_sum(row).rate for row in rates), 4),
        "worst_setting": round(max(_sum(row).rate for row in rates), 4),
        "settings": len(rates),
    }


def _settings(grid: Mapping[str, Sequence[float]]) -> Iterator[contextlib.ExitStack]:
    for values in itertools.product(*grid.values()):
        stack = contextlib.ExitStack()
        for target, value in zip(grid, values, strict=True):
            stack.enter_context(mock.patch(target, value))
        yield stack


def _sum(rates: Sequence[ErrorRate]) -> ErrorRate:
    return sum(rates, ErrorRate())


def _sample(reference: Path) -> Path:
    return next(path for path in _SAMPLES.iterdir() if path.stem == reference.stem)


def _reference(path: Path) -> tuple[SpeakerTurn, ...]:
    annotation = read_annotation((path.parent, path.parent / SUBFOLDER), path.stem)
    if annotation is None or annotation.turns is None:
        raise ValueError(f"{path} has no reference with speakers.")
    return annotation.turns


def _print(result: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    table = Table("diarizer", "recordings", "DER %", "with 0.25 s collar", "speakers right", "RTF (CPU)")
    for name, kinds in result.items():
        for kind, figures in kinds.items():
            cells = [f"{100 * figures['der']:.1f}"]
            if "rtf" in figures:
                right = f"{figures['speakers_right']} of {figures['recordings']}"
                cells += [f"{100 * figures['der_collar']:.1f}", right, f"{figures['rtf']:.3f}"]
            table.add_row(name, kind, *cells)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
