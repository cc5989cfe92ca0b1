"""How well a batch of the samples went: text, speakers and action items against their references."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stt_pipeline.audio.uris import display_name
from stt_pipeline.batches.queries.progress import Progress
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.minutes.matching import matched_action_items
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate, diarization_error_rate, read_rttm
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.results import summaries, transcriptions


@dataclass(frozen=True, slots=True)
class FileScore:
    """One recording against its reference. ``telephone`` ones are shown apart: the demo model is not made for them."""

    name: str
    status: str
    error: str
    telephone: bool
    seconds: float
    language: str
    speakers_found: int
    speakers_expected: int
    characters: ErrorRate
    turns: ErrorRate
    action_items_found: int
    action_items_expected: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures of `stt demo --json`; rates are fractions, over all recordings but the telephone ones."""

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
        """Return the figures, with the audio seconds done in a second of wall time as ``rtfx``."""
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
            stem = name.rpartition(".")[0]
            reference, expected = _reference(references, stem)
            stored = transcriptions.of_file(connection, file)
            summary = summaries.of_file(connection, file) if stored else None
            text = " ".join(segment["text"] for segment in reference["segments"])
            items = summary.minutes.action_items if summary else ()
            scores.append(
                FileScore(
                    name=name,
                    status=file.status,
                    error=file.error or "",
                    telephone=reference["telephone"],
                    seconds=file.duration or 0.0,
                    language=stored.transcript.language if stored else "",
                    speakers_found=len({turn.speaker for turn in stored.turns}) if stored else 0,
                    speakers_expected=reference["speakers"],
                    characters=character_error_rate(text, stored.transcript.text if stored else ""),
                    turns=diarization_error_rate(expected, stored.turns if stored else ()),
                    action_items_found=matched_action_items(reference["action_items"], items),
                    action_items_expected=len(reference["action_items"]),
                )
            )
    return scores


def totals(scores: list[FileScore], figures: Progress, emails_sent: int) -> Totals:
    """Add up the scores; ``figures`` give the batch's wall time."""
    scored = [score for score in scores if not score.telephone]
    telephone = [score.characters for score in scores if score.telephone]
    ended = figures.completed_at or figures.created_at
    return Totals(
        files=len(scores),
        succeeded=figures.completed,
        failed=figures.failed,
        scored=len(scored),
        audio_seconds=sum(score.seconds for score in scores),
        wall_seconds=(ended - figures.created_at).total_seconds(),
        cer=_sum([score.characters for score in scored]).rate,
        der=_sum([score.turns for score in scored]).rate,
        speakers_correct=sum(score.speakers_found == score.speakers_expected for score in scored),
        action_items_found=sum(score.action_items_found for score in scored),
        action_items_expected=sum(score.action_items_expected for score in scored),
        emails=emails_sent,
        telephone_cer=_sum(telephone).rate,
    )


def _reference(folder: Path, stem: str) -> tuple[dict[str, Any], tuple[SpeakerTurn, ...]]:
    try:
        known = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        return known, read_rttm(folder / f"{stem}.rttm")
    except FileNotFoundError as error:
        raise InvalidRequestError(f"{stem} cannot be scored: {error.filename} is missing.") from None


def _sum(rates: list[ErrorRate]) -> ErrorRate:
    return sum(rates, ErrorRate(0, 0))
