"""The time that a batch of a given length takes, as the latest batches with the same model took.

A batch takes a fixed time (its runs start and load models; the report is written) and a time for each second of audio.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batch_stats

DEFAULT_REAL_TIME_FACTOR = 0.05
"""Used before this installation has a measured speed: 3 minutes an hour, between large-v3 on a good and on a modest GPU."""

RUN_SECONDS = 4.0
"""Fixed time of the transcribe stage where no batches of different length tell it: the load of models; see
docs/benchmarks.md."""

BATCH_SECONDS = 20.0
"""The same for the whole batch: starts of its three runs, the load of models, the report; see docs/benchmarks.md."""

_MIN_MEASURED_SECONDS = 60.0  # of audio, before the measured speed replaces the default
_USUAL_WEIGHT = 0.05  # of the usual fixed time beside one batch: batches of different length decide


@dataclass(frozen=True, slots=True)
class LinearTime:
    """Seconds of any batch, and seconds for each second of its audio."""

    fixed: float
    factor: float

    def seconds(self, audio: float) -> float:
        """Return the seconds of a batch with this many seconds of audio."""
        return self.fixed + self.factor * audio


def fit(batches: Sequence[tuple[float, float]], usual_fixed: float) -> LinearTime:
    """Fit the line through batches by least squares of the relative errors; neither part is negative.

    Relative errors bound the influence of a batch that waited for others: its error is at most 1.

    Args:
        batches: seconds of audio and measured seconds, both above 0, of each.
        usual_fixed: the fixed seconds where batches do not tell them: there is one, or all have the same length.
    """
    from scipy.optimize import nnls

    rows = [(_USUAL_WEIGHT / usual_fixed, 0.0)]
    rows += [(1 / seconds, audio / seconds) for audio, seconds in batches]
    (fixed, factor), _ = nnls(rows, [_USUAL_WEIGHT, *(1.0 for _ in batches)])
    return LinearTime(float(fixed), float(factor))


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    """The time of the transcribe stage and of the wall clock, and in words, where they come from."""

    gpu: LinearTime
    wall: LinearTime
    basis: str

    @classmethod
    def of(cls, database: Database, model: str) -> "MeasuredSpeed":
        """Return the speed of batches with the option ``model``; empty is the default model."""
        with database.begin() as connection:
            batches = [batch for batch in batch_stats.latest(connection, model) if batch.audio_seconds > 0]
        audio = sum(batch.audio_seconds for batch in batches)
        works = [
            (batch.audio_seconds, batch.transcribe_seconds)
            for batch in batches
            if batch.transcribe_seconds > 0
        ]
        walls = [(batch.audio_seconds, batch.wall_seconds) for batch in batches if batch.wall_seconds]
        if audio < _MIN_MEASURED_SECONDS or not works:
            gpu = LinearTime(RUN_SECONDS, DEFAULT_REAL_TIME_FACTOR)
            source = "a usual speed of a GPU, because no speed is measured here yet"
            walls = []
        else:
            gpu = fit(works, RUN_SECONDS)
            source = f"measured here on {audio / 3600:,.1f} hours of audio"
        work = (
            f"{gpu.factor:.4f} seconds of work a second of audio and {gpu.fixed:.0f} seconds a batch, {source}; "
            "the wall clock "
        )
        if not walls:
            return cls(gpu, LinearTime(BATCH_SECONDS, gpu.factor), f"{work}for one run at a time")
        return cls(gpu, fit(walls, BATCH_SECONDS), f"{work}as the last {len(walls)} batches took")
