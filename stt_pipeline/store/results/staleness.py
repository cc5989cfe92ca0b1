"""Queries on stale results: those that were made with other options than a batch has now.

A result without a fingerprint is older than the column; its options are not known, and it is not stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from stt_pipeline.store.tables import audio_files, summaries, transcriptions


@dataclass(frozen=True, slots=True)
class StoredOptions:
    """The fingerprints of the results of some files of a shard; None for a result that is missing, or unknown."""

    transcript: str | None
    speakers: str | None
    minutes: str | None
    files: int


def reopen_transcripts(connection: Connection, shard_id: int, transcript: str, speakers: str) -> int:
    """Reset the files of a shard whose transcript or speakers are stale to ``pending``, and return their number.

    With a stale transcript the file is transcribed again; with stale speakers only, the transcript is kept.

    Args:
        transcript: fingerprint of the options of transcription.
        speakers: fingerprint of the options of diarization.
    """
    stale = connection.scalars(
        text("""
            UPDATE stt_transcriptions t
            SET status = CASE WHEN t.fingerprint <> :transcript THEN 'outdated' ELSE 'transcribed' END
            FROM stt_audio_files f
            WHERE f.shard_id = :shard AND t.audio_file_id = f.id AND t.created_at = f.created_at
                AND f.status <> 'failed' AND t.status <> 'outdated'
                AND (t.fingerprint <> :transcript OR t.speakers_fingerprint <> :speakers)
            RETURNING f.id
        """),
        {"shard": shard_id, "transcript": transcript, "speakers": speakers},
    ).all()
    if stale:
        connection.execute(
            text("""
                UPDATE stt_audio_files SET status = 'pending', attempts = 0, error_class = NULL, error = NULL
                WHERE id = ANY(:files)
            """),
            {"files": list(stale)},
        )
    return len(stale)


def reopen_minutes(connection: Connection, shard_id: int, minutes: str) -> int:
    """Reset the files of a shard whose minutes are stale from ``success`` to ``transcribed``, and return their number.

    Args:
        minutes: fingerprint of the options of the minutes.
    """
    # a subquery for each transcript, because the planner may join by reading all minutes
    return connection.execute(
        text("""
            UPDATE stt_audio_files f SET status = 'transcribed'
            FROM stt_transcriptions t
            WHERE f.shard_id = :shard AND t.audio_file_id = f.id AND t.created_at = f.created_at
                AND f.status = 'success' AND :minutes <> (
                    SELECT m.fingerprint FROM stt_summaries m
                    WHERE m.transcription_id = t.id AND m.transcription_created_at = t.created_at
                )
        """),
        {"shard": shard_id, "minutes": minutes},
    ).rowcount


def options_of_shards(connection: Connection, shard_ids: Sequence[int]) -> dict[int, list[StoredOptions]]:
    """Return the options that the results of some shards were made with, by shard id; outdated results do not count."""
    its_transcript = (audio_files.c.id == transcriptions.c.audio_file_id) & (
        audio_files.c.created_at == transcriptions.c.created_at
    )
    # a subquery for each transcript, as in reopen_minutes
    minutes = select(summaries.c.fingerprint).where(
        summaries.c.transcription_id == transcriptions.c.id,
        summaries.c.transcription_created_at == transcriptions.c.created_at,
    )
    columns = (
        audio_files.c.shard_id,
        transcriptions.c.fingerprint.label("transcript"),
        transcriptions.c.speakers_fingerprint.label("speakers"),
        minutes.scalar_subquery().label("minutes"),
    )
    rows = connection.execute(
        select(*columns, func.count().label("files"))
        .join_from(audio_files, transcriptions, its_transcript)
        .where(audio_files.c.shard_id.in_(shard_ids), transcriptions.c.status != "outdated")
        .group_by("shard_id", "transcript", "speakers", "minutes")
    )
    found: dict[int, list[StoredOptions]] = {}
    for row in rows:
        found.setdefault(row.shard_id, []).append(
            StoredOptions(row.transcript, row.speakers, row.minutes, row.files)
        )
    return found
