"""The transcripts that ``benchmarks.search`` searches, in the tables of the store, faster than analysing each of them.

Korean analysis of 300 million words would take five hours. A pool of distinct paragraphs goes through the product's analysis,
and Postgres composes the blocks of all transcripts from them.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, text

from benchmarks.instances import print_status
from stt_pipeline.search.blocks import transcript_blocks
from stt_pipeline.speech.transcript import Segment, Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import search as store

LINES = 5  # of a paragraph
PARAGRAPHS_PER_BLOCK = 3
TRANSCRIPTS_PER_BATCH = 1_000
_ROWS_PER_TRANSACTION = 500


def write_transcripts(
    database: Database, paragraphs: list[list[str]], *, transcripts: int, blocks: int
) -> float:
    """Write transcripts of that many blocks each, and return the seconds that the GIN index took to build.

    Args:
        database: with empty tables.
        paragraphs: of `LINES` lines, an even number; a transcript has the even or the odd ones.
        transcripts: how many.
        blocks: of each transcript.
    """
    _write_pool(database, paragraphs)
    with database.begin() as connection:
        add_transcriptions(connection, transcripts)
        connection.execute(text("DROP INDEX stt_search_tsv"))
        # faster; the rows need not survive a crash
        connection.execute(text("ALTER TABLE stt_search SET UNLOGGED"))
    print_status(f"{transcripts:,} transcriptions")
    _write_blocks(database, len(paragraphs), transcripts, blocks)
    return _build_index(database)


def add_transcriptions(connection: Connection, count: int) -> None:
    """Insert transcriptions with ids from 1 to ``count``, without text."""
    connection.execute(
        text("""
            INSERT INTO stt_transcriptions (batch_id, audio_file_id, audio_file_path, transcription_text, segments, status,
                language, language_probability, duration, model, created_at)
            SELECT 1 + (n - 1) / :each, n, format('s3://recordings/week-%s/call-%s.wav', n / :each, n), '', '[]',
                   'completed', 'ko', 1, 720, 'large-v3', '2026-01-01T00:00:00Z'
            FROM generate_series(1, CAST(:count AS int)) n ORDER BY n
        """),
        {"count": count, "each": TRANSCRIPTS_PER_BATCH},
    )


def _write_pool(database: Database, paragraphs: list[list[str]]) -> None:
    """Store the block that the product's analysis makes of each paragraph."""
    with database.begin() as connection:
        connection.execute(
            text("""
                CREATE TABLE pool (
                    number integer PRIMARY KEY, text text, terms tsvector, starts smallint[], lines integer)
            """)
        )
        connection.execute(
            text("CREATE AGGREGATE joined_vectors (tsvector) (SFUNC = tsvector_concat, STYPE = tsvector)")
        )
        connection.execute(
            text(
                "CREATE AGGREGATE joined_arrays (anycompatiblearray) (SFUNC = array_cat, STYPE = anycompatiblearray)"
            )
        )
    for first in range(0, len(paragraphs), _ROWS_PER_TRANSACTION):
        rows = []
        for number, lines in enumerate(paragraphs[first : first + _ROWS_PER_TRANSACTION], start=first):
            segments = tuple(Segment(0.0, 1.0, line) for line in lines)
            (block,) = transcript_blocks(Transcript("ko", 1.0, 1.0, "none", segments))
            vector = " ".join(
                f"'{lexeme}':{','.join(map(str, places))}" for lexeme, places in block.positions.items()
            )
            rows.append(
                {
                    "number": number,
                    "text": block.text,
                    "terms": vector,
                    "starts": list(block.term_starts),
                    "lines": LINES,
                }
            )
        with database.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO pool VALUES (:number, :text, CAST(:terms AS tsvector), CAST(:starts AS smallint[]), :lines)"
                ),
                rows,
            )
    print_status(f"{len(paragraphs):,} paragraphs analysed")


def _write_blocks(database: Database, pool_size: int, transcripts: int, blocks: int) -> None:
    """Compose every block from paragraphs of one half, and a last line with a number that three blocks share."""

    def write(first: int) -> None:
        with database.begin() as connection:
            # without the checks of foreign keys, which hold by construction
            connection.execute(text("SET LOCAL session_replication_role = 'replica'"))
            connection.execute(text("SET LOCAL synchronous_commit = 'off'"))
            connection.execute(
                text(r"""
                WITH part AS (
                    SELECT t.id AS transcription, t.created_at, t.batch_id, b AS block, i, p.*,
                           coalesce(sum(length(p.text) + 1) OVER (PARTITION BY t.id, b ORDER BY i
                               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::int AS before
                    FROM stt_transcriptions t
                    CROSS JOIN generate_series(0, :blocks - 1) b CROSS JOIN generate_series(0, :paragraphs - 1) i
                    JOIN pool p ON p.number =
                        2 * ((abs(hashint8extended(t.id * 1000 + b * 10 + i, 7)) % (:pool / 2))::int) + t.id % 2
                    WHERE t.id >= :first AND t.id < CAST(:first AS bigint) + :count
                ), block AS (
                    SELECT transcription, created_at, batch_id, block, string_agg(text, E'\n' ORDER BY i) AS text,
                           joined_vectors(terms ORDER BY i) AS terms, sum(lines)::int + 1 AS lines,
                           joined_arrays((SELECT array_agg((s + before)::smallint ORDER BY n)
                                          FROM unnest(starts) WITH ORDINALITY AS x (s, n)) ORDER BY i) AS starts,
                           ((transcription - 1) * :blocks + block + 1) AS id
                    FROM part GROUP BY transcription, created_at, batch_id, block
                )
                INSERT INTO stt_search (id, transcription_id, transcription_created_at, batch_id, part, number, start, text,
                    line_starts, speakers, term_starts, tsv)
                SELECT id, transcription, created_at, batch_id, 'transcript', block, block * 180, text || E'\n' || last_line,
                       ARRAY(SELECT block * 180 + n * 180.0 / lines FROM generate_series(0, lines - 1) n),
                       ARRAY(SELECT 'SPEAKER_0' || n % 3 FROM generate_series(0, lines - 1) n),
                       starts || ARRAY[length(text) + 1, length(text) + 4, length(text) + 7]::smallint[],
                       (terms || format('''접수''\:1 ''번호''\:2 ''%s''\:3', own)::tsvector)
                           || format('''batch\:%s'' ''section\:%s''', batch_id, id >> :bits)::tsvector
                FROM (SELECT *, 1000000 + id / 3 AS own, '접수 번호 ' || 1000000 + id / 3 AS last_line FROM block) b
                ORDER BY id
                """),
                {
                    "blocks": blocks,
                    "paragraphs": PARAGRAPHS_PER_BLOCK,
                    "pool": pool_size,
                    "first": first,
                    "count": _ROWS_PER_TRANSACTION,
                    "bits": store.SECTION_BITS,
                },
            )
        if (first - 1) % 20_000 == 0:
            print_status(f"blocks of {first - 1:,} transcripts")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(1, transcripts + 1, _ROWS_PER_TRANSACTION)))
    print_status("all blocks")


def _build_index(database: Database) -> float:
    started = time.perf_counter()
    with database.begin() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '2GB'"))
        connection.execute(
            text("CREATE INDEX stt_search_tsv ON stt_search USING gin (tsv) WITH (fastupdate = off)")
        )
    seconds = time.perf_counter() - started
    print_status("index built; VACUUM ANALYZE")
    with database.scratch() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(text("VACUUM ANALYZE stt_search"))
        autocommit.execute(text("VACUUM ANALYZE stt_transcriptions"))
        autocommit.execute(text("CHECKPOINT"))
    return round(seconds, 1)
