"""Search over very many Korean transcripts: how fast the function that the API calls answers.

Analysing 300 million words would take five hours, so a pool of distinct paragraphs, in words as frequent as words are
(Zipf) and with real particles and endings, goes through the product's own analysis, and Postgres composes the blocks of
all transcripts from them. Then every kind of question is asked, in random order, of a real Postgres (embedded).
"""

import argparse
import html
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from sqlalchemy import text

from benchmarks.instances import closing_database, print_status
from benchmarks.korean_speech import Speech
from stt_pipeline.batches.queries.search import Matches, search
from stt_pipeline.search.blocks import transcript_blocks
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcript import Segment, Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.results import search as store
from stt_pipeline.store.server.embedded import with_database

PARAGRAPHS = 5_000  # in two halves: a transcript takes all of its paragraphs from one of them
LINES = 5
BLOCK_WORDS = 375  # of about three minutes
PARAGRAPHS_A_BLOCK = 3
TRANSCRIPTS_A_BATCH = 1_000
CALLS = 2_000
PAGE = 20
AT_ONCE = 500

_began = time.monotonic()
_rng = random.Random(1)


@dataclass(frozen=True)
class Question:
    """One call: what is asked, and within what."""

    kind: str
    text: str
    batch_id: int | None = None
    second_page: bool = False


def main() -> None:
    """Measure, and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--transcripts", type=int, default=200_000)
    arguments.add_argument("--words", type=int, default=1_500, help="of a transcript; whole blocks of 375")
    arguments.add_argument(
        "--keep", type=Path, help="a folder where the database stays, and is asked again next time as it is"
    )
    wishes = arguments.parse_args()
    blocks = max(1, round(wishes.words / BLOCK_WORDS))
    with (
        tempfile.TemporaryDirectory(prefix="stt-search-", ignore_cleanup_errors=True) as folder,
        with_database(Settings(home=(wishes.keep or Path(folder)) / "home", _env_file=None)) as url,  # type: ignore[call-arg]
        closing_database(url) as database,
    ):
        upgrade(url)
        print(json.dumps(_measure(database, wishes.transcripts, blocks), ensure_ascii=False))


def _measure(database: Database, transcripts: int, blocks: int) -> dict[str, object]:
    paragraphs = (speech := Speech(seed=1)).paragraphs(PARAGRAPHS, LINES)
    built: dict[str, float] = {}
    with database.begin() as connection:
        is_there = bool(connection.scalar(text("SELECT 1 FROM stt_search LIMIT 1")))
    if not is_there:
        built = _indexing_ms(database, blocks)
        _write_pool(database, paragraphs)
        _write_transcripts(database, transcripts)
        _write_blocks(database, transcripts, blocks)
        built["gin_build_seconds"] = _build_indexes(database)
    figures = _figures(database)
    _check(database, speech)
    seconds = _asked(database, _questions(speech, transcripts))
    by_kind = {kind: _p95(some) for kind, some in sorted(seconds.items())}
    every = [one for some in seconds.values() for one in some]
    return {
        "rows": transcripts,
        **figures,
        "p50_ms": _ms(statistics.median(every)),
        "p95_ms": _p95(every),
        "worst_ms": _ms(max(every)),
        "p95_ms_by_kind": by_kind,
        "calls": len(every),
        **built,
        "load": [round(load, 1) for load in os.getloadavg()],
        "cores": os.cpu_count(),
    }


def _indexing_ms(database: Database, blocks: int) -> dict[str, float]:
    """Measure what a transcript costs: its analysis, and its rows in an index that is small still."""
    speech = Speech(seed=2)
    analysis, writing = [], []
    with database.begin() as connection:
        _add_transcriptions(connection, 1, 20)
    for number in range(1, 21):
        segments = [
            Segment(10.0 * place, 10.0 * place + 9, line)
            for place, line in enumerate(
                line for _ in range(blocks * PARAGRAPHS_A_BLOCK) for line in speech.paragraph(0, LINES)
            )
        ]
        started = time.perf_counter()
        made = transcript_blocks(Transcript("ko", 1.0, 10.0 * len(segments), "none", tuple(segments)))
        analysed = time.perf_counter()
        with database.begin() as connection:
            one = store.Indexed(number, datetime(2026, 1, 1, tzinfo=timezone.utc), 1, "transcript", made)
            store.replace(connection, [one])
        writing.append(time.perf_counter() - analysed)
        analysis.append(analysed - started)
    with database.begin() as connection:
        connection.execute(text("TRUNCATE stt_search RESTART IDENTITY"))
        connection.execute(text("DELETE FROM stt_transcriptions"))
        connection.execute(text("ALTER TABLE stt_transcriptions ALTER id RESTART"))
    return {
        "analysis_ms_a_transcript": _ms(statistics.median(analysis)),
        "writing_ms_a_transcript": _ms(statistics.median(writing)),
    }


def _write_pool(database: Database, paragraphs: list[list[str]]) -> None:
    """Analyse the paragraphs with the product's code, a block each, and store what it makes of them."""
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
    for first in range(0, PARAGRAPHS, AT_ONCE):
        rows = []
        for number in range(first, first + AT_ONCE):
            segments = tuple(Segment(0.0, 1.0, line) for line in paragraphs[number])
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
    print_status(f"{PARAGRAPHS:,} paragraphs analysed")


def _write_transcripts(database: Database, transcripts: int) -> None:
    with database.begin() as connection:
        _add_transcriptions(connection, 1, transcripts)
        connection.execute(text("DROP INDEX stt_search_tsv"))
        # the benchmark is about searching: what is written here need not survive a crash
        connection.execute(text("ALTER TABLE stt_search SET UNLOGGED"))
    print_status(f"{transcripts:,} transcriptions")


def _add_transcriptions(connection: object, first: int, last: int) -> None:
    connection.execute(  # type: ignore[attr-defined]
        text("""
            INSERT INTO stt_transcriptions (batch_id, audio_file_id, audio_file_path, transcription_text, segments, status,
                language, language_probability, duration, model, created_at)
            SELECT 1 + (n - 1) / :each, n, format('s3://recordings/week-%s/call-%s.wav', n / :each, n), '', '[]',
                   'completed', 'ko', 1, 720, 'large-v3', '2026-01-01T00:00:00Z'
            FROM generate_series(CAST(:first AS int), :last) n ORDER BY n
        """),
        {"first": first, "last": last, "each": TRANSCRIPTS_A_BATCH},
    )


def _write_blocks(database: Database, transcripts: int, blocks: int) -> None:
    """Compose every block from paragraphs of one half, and a last line with a number of its own."""

    def write(first: int) -> None:
        with database.begin() as connection:
            # foreign keys hold by construction
            connection.execute(text("SET LOCAL session_replication_role = 'replica'"))
            connection.execute(
                text("SET LOCAL synchronous_commit = 'off'"),
            )
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
                    "paragraphs": PARAGRAPHS_A_BLOCK,
                    "pool": PARAGRAPHS,
                    "first": first,
                    "count": AT_ONCE,
                    "bits": store.SECTION_BITS,
                },
            )
        if (first - 1) % 20_000 == 0:
            print_status(f"blocks of {first - 1:,} transcripts")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(1, transcripts + 1, AT_ONCE)))
    print_status("all blocks")


def _build_indexes(database: Database) -> float:
    started = time.perf_counter()
    with database.begin() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '2GB'"))
        connection.execute(
            text("CREATE INDEX stt_search_tsv ON stt_search USING gin (tsv) WITH (fastupdate = off)")
        )
    seconds = time.perf_counter() - started
    print_status("index built; VACUUM ANALYZE")
    with database.scratch() as connection:
        settling = connection.execution_options(isolation_level="AUTOCOMMIT")
        settling.execute(text("VACUUM ANALYZE stt_search"))
        settling.execute(text("VACUUM ANALYZE stt_transcriptions"))
        settling.execute(text("CHECKPOINT"))
    return round(seconds, 1)


def _figures(database: Database) -> dict[str, object]:
    with database.begin() as connection:
        row = connection.execute(
            text("""
                SELECT (SELECT count(*) FROM stt_search) AS blocks,
                       (SELECT avg(words) FROM (
                           SELECT sum(array_length(regexp_split_to_array(text, '\\s+'), 1)) AS words FROM stt_search
                           WHERE transcription_id <= 200 GROUP BY transcription_id) counted) AS words_per_row,
                       pg_relation_size('stt_search_tsv') AS index_bytes,
                       pg_total_relation_size('stt_search') AS total_bytes,
                       pg_relation_size('stt_search') AS heap_bytes
            """)
        ).one()
    figures = {name: round(value) for name, value in row._mapping.items()}
    print_status(str(figures))
    return figures


def _check(database: Database, speech: Speech) -> None:
    """Make sure that a word is found in every form, and that what is found shows it."""
    for word in ("회의", speech.nouns[0][30], speech.nouns[1][400]):
        found = [
            [match.id for match in search(database, form, limit=50).items]
            for form in (word, f"{word}를", f"{word}에서")
        ]
        if not found[0] or found[0] != found[1] or found[0] != found[2]:
            raise SystemExit(f"{word} is not found alike in all forms: {found}")
    number = search(database, "1000007", limit=10)
    if len(number.items) != 3:
        raise SystemExit(f"A number of three blocks was found in {len(number.items)}.")
    for matches in (
        search(database, "회의에서", limit=50),
        number,
        search(database, '"접수 번호"', limit=50),
    ):
        for match in matches.items:
            marked = [word for hit in match.hits for word in re.findall("<mark>(.*?)</mark>", hit.snippet)]
            if not marked or not any(
                html.unescape(word).startswith(("회의", "정기", "1000007", "접수", "번호")) or "회의" in word
                for word in marked
            ):
                raise SystemExit(f"Block {match.id} is marked wrongly: {match.hits}")


def _questions(speech: Speech, transcripts: int) -> Iterator[Question]:
    def noun(first: int, last: int, half: int = 0) -> str:
        return _rng.choice(speech.nouns[half][first:last])

    def form(word: str) -> str:
        return speech.inflected(word)

    batches = max(1, transcripts // TRANSCRIPTS_A_BATCH)
    # how often people ask so, in percent: an estimate
    makers: dict[str, tuple[int, Callable[[], Question]]] = {
        "common": (12, lambda: Question("common", noun(0, 60))),
        "medium": (18, lambda: Question("medium", noun(100, 1_000))),
        "uncommon": (12, lambda: Question("uncommon", noun(1_500, 5_000))),
        "rare": (8, lambda: Question("rare", f"접수 번호 {1_000_000 + _rng.randrange(transcripts)}")),
        "inflected": (14, lambda: Question("inflected", form(noun(0, 1_000)))),
        "two words": (12, lambda: Question("two words", f"{form(noun(0, 60))} {form(noun(60, 1_000))}")),
        "three words": (4, lambda: Question("three words", " ".join(form(noun(0, 300)) for _ in range(3)))),
        "common words that never meet": (
            2,
            lambda: Question("common words that never meet", f"{noun(0, 60)} {noun(0, 60, 1)}"),
        ),
        "phrase": (5, lambda: Question("phrase", f'"{speech.phrase(_rng)}"')),
        "phrase nobody says": (
            1,
            lambda: Question("phrase nobody says", f'"{noun(100, 300)} {noun(100, 300)}"'),
        ),
        "in a batch": (
            5,
            lambda: Question("in a batch", form(noun(0, 1_000)), batch_id=_rng.randint(1, batches)),
        ),
        "second page": (5, lambda: Question("second page", form(noun(0, 1_000)), second_page=True)),
        "no such word": (2, lambda: Question("no such word", f"{noun(0, 60)} 크로노그래프")),
    }
    questions = [make() for share, make in makers.values() for _ in range(CALLS * share // 100)]
    _rng.shuffle(questions)
    yield from questions


def _asked(database: Database, questions: Iterator[Question]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {}
    slowest: dict[str, tuple[float, str, int]] = {}
    for question in questions:
        before = None
        if question.second_page:
            before = search(database, question.text, limit=PAGE).before
        started = time.perf_counter()
        found: Matches = search(
            database, question.text, limit=PAGE, batch_id=question.batch_id, before=before
        )
        took = time.perf_counter() - started
        seconds.setdefault(question.kind, []).append(took)
        slowest[question.kind] = max(
            slowest.get(question.kind, (0.0, "", 0)), (took, question.text, len(found.items))
        )
    for kind, (took, asked, items) in slowest.items():
        print_status(
            f"{kind}: median {_ms(statistics.median(seconds[kind]))}, p95 {_p95(seconds[kind])}, "
            f"worst {_ms(took)} ms for {asked}, {items} found"
        )
    return seconds


def _p95(seconds: list[float]) -> float:
    return _ms(statistics.quantiles(seconds, n=20)[-1])


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
