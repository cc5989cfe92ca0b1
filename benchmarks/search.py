"""Search in 200,000 Korean transcripts: the latency of the function that the API calls.

The words of the transcripts have realistic frequencies (Zipf), particles and endings (``search_corpus``). Queries of every
kind are sent in random order to a real Postgres (embedded).
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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from benchmarks.instances import closing_database, print_status
from benchmarks.korean_speech import Speech
from benchmarks.search_corpus import (
    LINES,
    PARAGRAPHS_PER_BLOCK,
    TRANSCRIPTS_PER_BATCH,
    add_transcriptions,
    write_transcripts,
)
from stt_pipeline.batches.queries.search import Matches, search
from stt_pipeline.search.blocks import transcript_blocks
from stt_pipeline.settings import Settings
from stt_pipeline.speech.transcript import Segment, Transcript
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.results import search as store
from stt_pipeline.store.server.embedded import with_database

BLOCK_WORDS = 375  # of about three minutes
PAGE = 20

_rng = random.Random(1)


@dataclass(frozen=True)
class Query:
    """One call of the search."""

    kind: str
    text: str
    batch_id: int | None = None
    second_page: bool = False


def main() -> None:
    """Measure, and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--transcripts", type=int, default=200_000)
    arguments.add_argument("--words", type=int, default=1_500, help="of a transcript; whole blocks of 375")
    arguments.add_argument("--paragraphs", type=int, default=5_000, help="distinct ones; an even number")
    arguments.add_argument("--calls", type=int, default=2_000, help="at least 200")
    arguments.add_argument(
        "--keep", type=Path, help="a folder for the database, which the next run uses again"
    )
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="stt-search-", ignore_cleanup_errors=True) as folder,
        with_database(Settings(home=(options.keep or Path(folder)) / "home", _env_file=None)) as url,
        closing_database(url) as database,
    ):
        upgrade(url)
        print(json.dumps(_measure(database, options), ensure_ascii=False))


def _measure(database: Database, options: argparse.Namespace) -> dict[str, object]:
    blocks = max(1, round(options.words / BLOCK_WORDS))
    paragraphs = (speech := Speech(seed=1)).paragraphs(options.paragraphs, LINES)
    built: dict[str, float] = {}
    with database.begin() as connection:
        is_filled = bool(connection.scalar(text("SELECT 1 FROM stt_search LIMIT 1")))
    if not is_filled:
        built = _indexing_ms(database, blocks)
        built["gin_build_seconds"] = write_transcripts(
            database, paragraphs, transcripts=options.transcripts, blocks=blocks
        )
    figures = _figures(database)
    _check(database, speech)
    seconds = _timed(database, _queries(speech, options.transcripts, options.calls))
    by_kind = {kind: _p95(some) for kind, some in sorted(seconds.items())}
    every = [one for some in seconds.values() for one in some]
    return {
        "rows": options.transcripts,
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
    """Measure the analysis of a transcript, and the insert of its rows while the index is small."""
    speech = Speech(seed=2)
    analysis, writing = [], []
    with database.begin() as connection:
        add_transcriptions(connection, 20)
    for number in range(1, 21):
        segments = [
            Segment(10.0 * place, 10.0 * place + 9, line)
            for place, line in enumerate(
                line for _ in range(blocks * PARAGRAPHS_PER_BLOCK) for line in speech.paragraph(0, LINES)
            )
        ]
        started = time.perf_counter()
        made = transcript_blocks(Transcript("ko", 1.0, 10.0 * len(segments), "none", tuple(segments)))
        analysed = time.perf_counter()
        with database.begin() as connection:
            one = store.Indexed(number, datetime(2026, 1, 1, tzinfo=UTC), 1, "transcript", made)
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
    """Check that all forms of a word have the same matches, and that the snippets mark the words of the query."""
    for word in ("회의", speech.nouns[0][30], speech.nouns[1][100]):
        found = [
            [match.id for match in search(database, form, limit=50).items]
            for form in (word, f"{word}를", f"{word}에서")
        ]
        if not found[0] or found[0] != found[1] or found[0] != found[2]:
            raise SystemExit(f"The forms of {word} have different matches: {found}")
    number = search(database, "1000007", limit=10)
    if len(number.items) != 3:
        raise SystemExit(f"A number that is in 3 blocks has {len(number.items)} matches.")
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
                raise SystemExit(f"Block {match.id} has wrong marks: {match.hits}")


def _queries(speech: Speech, transcripts: int, calls: int) -> list[Query]:
    def noun(first: int, last: int, half: int = 0) -> str:
        return _rng.choice(speech.nouns[half][first:last])

    def form(word: str) -> str:
        return speech.inflected(word)

    batches = max(1, transcripts // TRANSCRIPTS_PER_BATCH)
    # percent of all queries: an estimate
    makers: dict[str, tuple[int, Callable[[], Query]]] = {
        "common": (12, lambda: Query("common", noun(0, 60))),
        "medium": (18, lambda: Query("medium", noun(100, 1_000))),
        "uncommon": (12, lambda: Query("uncommon", noun(1_500, 5_000))),
        "rare": (8, lambda: Query("rare", f"접수 번호 {1_000_000 + _rng.randrange(transcripts)}")),
        "inflected": (14, lambda: Query("inflected", form(noun(0, 1_000)))),
        "two words": (12, lambda: Query("two words", f"{form(noun(0, 60))} {form(noun(60, 1_000))}")),
        "three words": (4, lambda: Query("three words", " ".join(form(noun(0, 300)) for _ in range(3)))),
        "common words in no common block": (
            2,
            lambda: Query("common words in no common block", f"{noun(0, 60)} {noun(0, 60, 1)}"),
        ),
        "phrase": (5, lambda: Query("phrase", f'"{speech.phrase(_rng)}"')),
        "phrase without a match": (
            1,
            lambda: Query("phrase without a match", f'"{noun(100, 300)} {noun(100, 300)}"'),
        ),
        "in a batch": (
            5,
            lambda: Query("in a batch", form(noun(0, 1_000)), batch_id=_rng.randint(1, batches)),
        ),
        "second page": (5, lambda: Query("second page", form(noun(0, 1_000)), second_page=True)),
        "no such word": (2, lambda: Query("no such word", f"{noun(0, 60)} 크로노그래프")),
    }
    queries = [make() for share, make in makers.values() for _ in range(calls * share // 100)]
    _rng.shuffle(queries)
    return queries


def _timed(database: Database, queries: list[Query]) -> dict[str, list[float]]:
    """Return the seconds of each call, by kind."""
    seconds: dict[str, list[float]] = {}
    slowest: dict[str, tuple[float, str, int]] = {}
    for query in queries:
        before = None
        if query.second_page:
            before = search(database, query.text, limit=PAGE).before
        started = time.perf_counter()
        found: Matches = search(database, query.text, limit=PAGE, batch_id=query.batch_id, before=before)
        took = time.perf_counter() - started
        seconds.setdefault(query.kind, []).append(took)
        slowest[query.kind] = max(slowest.get(query.kind, (0.0, "", 0)), (took, query.text, len(found.items)))
    for kind, (took, asked, items) in slowest.items():
        print_status(
            f"{kind}: median {_ms(statistics.median(seconds[kind]))}, p95 {_p95(seconds[kind])}, "
            f"worst {_ms(took)} ms for {asked}, {items} matches"
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
