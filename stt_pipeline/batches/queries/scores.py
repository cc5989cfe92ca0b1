"""Scores of a batch against reference files: text, speakers and action items. `stt demo` shows them.

The error rates are those of `speech.evaluation`; here they are joined with the rows of the database.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.queries.progress import Progress
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.matching import matched_action_items
from stt_pipeline.speech.evaluation.references import Annotation, read_annotation
from stt_pipeline.speech.evaluation.scores import Score, rates_of, speakers_of, total_rate
from stt_pipeline.speech.evaluation.scores import totals as speech_totals
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.results import summaries, transcriptions


@dataclass(frozen=True, slots=True)
class FileScore:
    """One file of a batch against its reference.

    Attributes:
        speech: scores of the text and the speakers.
        status: of the file.
        telephone: an 8 kHz recording; these are shown apart, since the demo model is not trained for them.
        action_items: number found and number expected.
    """

    speech: Score
    status: str
    telephone: bool
    action_items: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures of `stt demo --json`; rates are fractions, over all recordings except the telephone ones."""

    files: int
    succeeded: int
    failed: int
    scored: int
    audio_seconds: float
    wall_seconds: float
    cer: float
    der: float
    speakers_correct: int
    action_items_found: int
    action_items_expected: int
    emails: int
    telephone_cer: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures, with ``rtfx``: seconds of audio per second of wall time."""
        return {
            "files": self.files,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "audio_seconds": round(self.audio_seconds, 1),
            "wall_seconds": round(self.wall_seconds, 1),
            "rtfx": round(self.audio_seconds / self.wall_seconds, 2) if self.wall_seconds else 0.0,
            "cer": round(self.cer, 4),
            "der": round(self.der, 4),
            "speakers_correct": self.speakers_correct,
            "speakers_scored": self.scored,
            "action_items_found": self.action_items_found,
            "action_items_expected": self.action_items_expected,
            "emails": self.emails,
            "telephone_cer": round(self.telephone_cer, 4),
        }


def score_batch(database: Database, batch_id: int, references: Path) -> list[FileScore]:
    """Compare each file of a batch with ``references``/NAME.json and NAME.rttm.

    Raises:
        InvalidRequestError: a file has no reference.
    """
    scores = []
    with database.begin() as connection:
        for file in files.of_batch(connection, batch_id):
            name = display_name(file.uri)
            reference, page = _reference(references, name.rpartition(".")[0])
            stored = transcriptions.of_file(connection, file)
            summary = summaries.of_file(connection, file) if stored else None
            result = Annotation()
            if stored:
                result = Annotation(stored.transcript.text, stored.turns, stored.transcript.language)
            items = summary.minutes.action_items if summary else ()
            scores.append(
                FileScore(
                    Score(
                        name,
                        rates_of(reference, result),
                        speakers_of(reference, result),
                        audio_seconds=file.duration or 0.0,
                        language=result.language,
                        error=file.error or "",
                    ),
                    file.status,
                    page["telephone"],
                    (matched_action_items(page["action_items"], items), len(page["action_items"])),
                )
            )
    return scores


def totals(scores: list[FileScore], figures: Progress, emails_sent: int) -> Totals:
    """Add up the scores; ``figures`` have the wall time of the batch."""
    scored = [score for score in scores if not score.telephone]
    speech = [score.speech for score in scored]
    ended = figures.completed_at or figures.created_at
    return Totals(
        files=len(scores),
        succeeded=figures.completed,
        failed=figures.failed,
        scored=len(scored),
        audio_seconds=sum(score.speech.audio_seconds for score in scores),
        wall_seconds=(ended - figures.created_at).total_seconds(),
        cer=total_rate(speech, "cer").rate,
        der=total_rate(speech, "der").rate,
        speakers_correct=speech_totals(speech)["speakers_correct"],
        action_items_found=sum(score.action_items[0] for score in scored),
        action_items_expected=sum(score.action_items[1] for score in scored),
        emails=emails_sent,
        telephone_cer=total_rate([score.speech for score in scores if score.telephone], "cer").rate,
    )


def _reference(folder: Path, stem: str) -> tuple[Annotation, dict[str, Any]]:
    """Return the annotation of a recording, and its JSON page, which has the action items too."""
    for path in (folder / f"{stem}.json", folder / f"{stem}.rttm"):
        if not path.is_file():
            raise InvalidRequestError(f"{stem} cannot be scored: {path} is missing.")
    page: dict[str, Any] = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    return read_annotation((folder,), stem) or Annotation(), page
