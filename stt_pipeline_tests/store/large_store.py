"""Fills a store with large batches by SQL; the benchmark of scale uses it, too.

It has rows in every state that a query selects: shards done, to publish, leased, dispatched and expired, failures of some
classes, transcripts in three partitions, minutes, mails of each status, throughput.
"""

from sqlalchemy import Connection, text

from stt_pipeline.store.queue import shards
from stt_pipeline.store.results import transcriptions

LARGE_TABLES = ("stt_audio_files", "stt_transcriptions", "stt_summaries", "stt_email_logs", "stt_search")
FAILURES = ("download", "model", "unreadable", "internal")  # one file in a hundred
_IN_HAND = 10  # maximum number of shards of a batch in each state between done and not started


def _skip_checks(connection: Connection) -> None:
    """Turn off foreign keys until the end of the transaction, if this user is a superuser: it halves the time."""
    connection.execute(
        text("""
            SELECT set_config('session_replication_role', 'replica', true)
            FROM pg_user WHERE usename = current_user AND usesuper
        """)
    )


def add_batches(
    connection: Connection, count: int, *, files: int, files_per_shard: int, watch_id: int | None = None
) -> list[int]:
    """Insert scanned batches of ``files`` pending files each, and return their ids."""
    _skip_checks(connection)
    transcriptions.ensure_months(connection)
    ids = list(
        connection.scalars(
            text("""
                INSERT INTO stt_batches (name, source_path, status, stage, total_files, files_per_shard, scanned_at, watch_id)
                SELECT 'calls of week ' || n, 's3://recordings/week-' || n || '/', 'processing', 'shards', :files, :each, now(),
                       CAST(:watch AS bigint)
                FROM generate_series(1, :count) n RETURNING id
            """),
            {"count": count, "files": files, "each": files_per_shard, "watch": watch_id},
        )
    )
    connection.execute(
        text("""
            INSERT INTO stt_shards (batch_id, number, key, registered, total, bytes, stage)
            SELECT batch, number, lpad(batch::text, 6, '0') || '-' || lpad(number::text, 6, '0'), true,
                   least(:each, :files - number * :each), :each * 500000, 'transcribe'
            FROM unnest(CAST(:batches AS bigint[])) batch, generate_series(0, (:files - 1) / :each) number
            ORDER BY batch, number
        """),
        {"batches": ids, "files": files, "each": files_per_shard},
    )
    connection.execute(
        text("""
            INSERT INTO stt_audio_files (batch_id, watch_id, shard_id, uri, size, etag, created_at)
            SELECT batch_id, CAST(:watch AS bigint), id, format('s3://recordings/week-%s/%s/%s.wav', batch_id, number, i), 500000,
                   md5(format('%s %s', id, i)),
                   -- this month, the next month, and a month without a partition
                   now() + (ARRAY[interval '0', interval '1 month', interval '-1 year'])[1 + id % 3]
            FROM stt_shards, generate_series(1, total) i WHERE batch_id = ANY(:batches) ORDER BY id, i
        """),
        {"batches": ids, "watch": watch_id},
    )
    return ids


def do_half(connection: Connection, batch_ids: list[int], *, transcripts: int) -> None:
    """Set half of the shards of each batch to done, and some to each state between done and not started.

    Args:
        transcripts: maximum number of files that get a transcript, minutes and a mail.
    """
    given = {"batches": batch_ids, "most": transcripts, "in_hand": _IN_HAND, "classes": list(FAILURES)}

    def run(statement: str) -> None:
        connection.execute(text(statement), given)

    _skip_checks(connection)
    run("""
        CREATE TEMP TABLE half ON COMMIT DROP AS
        SELECT id, number - count(*) OVER its / 2 AS place, count(*) OVER its AS shards,
               CASE WHEN number < count(*) OVER its / 2 THEN 'done'
                    WHEN number < count(*) OVER its / 2 + least(:in_hand, count(*) OVER its / 10) THEN 'publish'
                    ELSE 'transcribe' END AS stage
        FROM stt_shards WHERE batch_id = ANY(:batches) WINDOW its AS (PARTITION BY batch_id)
    """)
    run("ANALYZE half")
    run("""
        UPDATE stt_audio_files f
        SET content_sha256 = sha256((f.id / 3)::text::bytea), -- each three times
            duration = 20 + f.id % 600, sample_rate = 16000, channels = 1, codec = 'pcm_s16le', container = 'wav',
            status = CASE WHEN f.id % 100 = 0 THEN 'failed' WHEN h.stage = 'done' THEN 'success' ELSE 'transcribed' END,
            attempts = CASE WHEN f.id % 100 = 0 THEN 3 ELSE 0 END,
            error_class = CASE WHEN f.id % 100 = 0 THEN (CAST(:classes AS text[]))[1 + f.id / 100 % 4] END,
            error = CASE WHEN f.id % 100 = 0 THEN 'It could not be read. Look at the file and retry it.' END
        FROM half h WHERE h.id = f.shard_id AND h.stage <> 'transcribe'
    """)
    shards.count_files(
        connection, list(connection.scalars(text("SELECT id FROM half WHERE stage <> 'transcribe'")))
    )
    run("""
        UPDATE stt_shards s SET stage = h.stage, busy_seconds = (s.completed + s.failed) * 2.5,
            token = CASE WHEN leased OR dispatched THEN md5(batch_id || '-' || leased)::uuid END,
            dispatched_at = CASE WHEN leased OR dispatched THEN now() END,
            run_id = CASE WHEN leased THEN 'run on ' || batch_id END,
            -- some runs have crashed, every second one with an active file
            lease_until = CASE WHEN leased THEN now() + CASE WHEN place % 5 = 0 THEN -1 ELSE 1 END * interval '1 hour' END,
            crashes = CASE WHEN leased AND place % 5 = 0 THEN 2 ELSE 0 END,
            active_file_id = CASE WHEN leased AND place % 10 = 0 AND batch_id % 2 = 0 THEN (SELECT min(id + 0) FROM stt_audio_files WHERE shard_id = s.id) END
        FROM (SELECT *, stage = 'transcribe' AND place < least(2 * :in_hand, shards / 5) AS leased,
                     stage = 'transcribe' AND place BETWEEN least(2 * :in_hand, shards / 5)
                                                        AND least(3 * :in_hand, shards / 4) AS dispatched FROM half) h
        WHERE h.id = s.id
    """)
    run("""
        INSERT INTO stt_transcriptions (
            batch_id, audio_file_id, created_at, audio_file_path, transcription_text, segments, speaker_labels, status,
            language, language_probability, duration, model, processing_started_at, processing_completed_at,
            processing_duration, quality, speech_seconds)
        SELECT batch_id, id, created_at, uri, repeat('다음 주 금요일까지 보고서 초안을 보내겠습니다. ', 6),
               (SELECT jsonb_agg(jsonb_build_object('start', 4.0 * n, 'end', 4.0 * n + 4, 'speaker', 'SPEAKER_00',
                                                    'text', '다음 주 금요일까지 보고서 초안을 보내겠습니다.', 'words', '[]'::jsonb))
                FROM generate_series(1, 6) n),
               '[{"start": 0.0, "end": 24.0, "speaker": "SPEAKER_00"}]', 'completed', 'ko', 0.98, duration, 'large-v3',
               now(), now(), 2.5, (id % 97) / 97.0, 20
        FROM stt_audio_files WHERE batch_id = ANY(:batches) AND status IN ('success', 'transcribed')
        -- first the files that wait for their minutes
        ORDER BY status DESC, id LIMIT :most
    """)
    run(r"""
        INSERT INTO stt_search (transcription_id, transcription_created_at, batch_id, part, number, start, text, line_starts,
                                speakers, term_starts, tsv)
        SELECT id, created_at, batch_id, 'transcript', 0, 4, '다음 주 금요일까지 보고서 초안을 보내겠습니다.', '{4}',
               '{SPEAKER_00}', '{0,3,5,11,15,19}',
               format('다음\:1 주\:2 금요일\:3 보고서\:4 초안\:5 보내다\:6 ''batch\:%s'' ''section\:%s''', batch_id,
                      row_number() OVER (ORDER BY id) >> 14)::tsvector
        FROM stt_transcriptions WHERE batch_id = ANY(:batches)
    """)
    run("""
        INSERT INTO stt_summaries (transcription_id, transcription_created_at, title, summary_text, topics, decisions,
                                   keywords, action_items, llm_model)
        SELECT t.id, t.created_at, '주간 회의', '보고서 초안을 보내기로 했다.', '{}', '{}', '{보고서}', '[]', 'extractive'
        FROM stt_transcriptions t JOIN stt_audio_files f ON f.id = t.audio_file_id AND f.created_at = t.created_at
        WHERE t.batch_id = ANY(:batches) AND f.status = 'success'
    """)
    run("""
        INSERT INTO stt_email_logs (batch_id, summary_id, recipient_email, status, delivery_status, sent_at, kind,
                                    content_sha256, again)
        SELECT t.batch_id, s.id, CASE copy WHEN 1 THEN 'team@example.com' ELSE 'team' || copy || '@example.com' END,
               CASE s.id % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'unconfirmed' ELSE 'sent' END, '250 OK',
               now() - s.id % 100 * interval '1 hour', 'minutes', sha256((t.audio_file_id / 3)::text::bytea), true
        FROM generate_series(1, 8) copy, stt_summaries s
        JOIN stt_transcriptions t ON t.id = s.transcription_id AND t.created_at = s.transcription_created_at
        JOIN stt_batches b ON b.id = t.batch_id
        -- larger batches mail no minutes
        WHERE t.batch_id = ANY(:batches) AND b.total_files <= 1000
    """)
    run("""
        INSERT INTO stt_throughput (batch_id, minute, files, audio_seconds)
        SELECT batch, date_trunc('minute', now()) - minute * interval '1 minute', 300, 90000
        FROM unnest(CAST(:batches AS bigint[])) batch, generate_series(0, 120) minute
    """)


def end(connection: Connection, batch_ids: list[int], *, days_ago: int) -> None:
    """Close batches in their current state, with an end ``days_ago`` days ago."""
    connection.execute(
        text(
            "UPDATE stt_shards SET stage = 'done', token = NULL, run_id = NULL WHERE batch_id = ANY(:batches)"
        ),
        {"batches": batch_ids},
    )
    connection.execute(
        text("""
            UPDATE stt_batches SET status = 'completed', stage = 'done', completed_at = now() - :days * interval '1 day'
            WHERE id = ANY(:batches)
        """),
        {"batches": batch_ids, "days": days_ago},
    )
