"""Queries on ``stt_search``: full-text search over blocks of transcripts and minutes, newest first.

One call reads a bounded part of the table. GIN alone returns every block with a term, which may be most of the table. A
scan from the newest block reads every block until the term occurs, which may be never. So the tsvector of each row also
contains its *section*, a range of ids, as a term. A search queries the index for the newest section, then for larger
and larger groups of older sections, until the page is full or its time is used. The batch is also a term.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, text

from stt_pipeline.search.blocks import Block
from stt_pipeline.search.query import Query
from stt_pipeline.store.tables import LARGEST_ID, search

Part = Literal["transcript", "minutes"]

SECTION_BITS = 14
"""A section is 16,384 rows: a search of one takes some milliseconds, even for a term that is in every row."""

_WIDEST = 64  # sections in one query
_CHEAP_SECONDS = 0.01  # after a faster query, the next one has four times as many sections
ENOUGH_SECONDS = 0.06  # after this time, a call returns the blocks that it has
_CANDIDATES = 3_000  # blocks with all terms of a phrase whose order is checked in one call
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Indexed:
    """The blocks of one part of a transcription."""

    transcription_id: int
    created_at: datetime
    batch_id: int
    part: Part
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """A block that matches the query. ``positions`` are those of the terms of the query."""

    id: int
    transcription_id: int
    batch_id: int
    audio_file_id: int
    audio_file_path: str
    language: str
    part: Part
    start: float | None
    text: str
    line_starts: Sequence[float | None]
    speakers: Sequence[str | None]
    term_starts: Sequence[int]
    positions: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Found:
    """Blocks, newest first. ``before`` is the position of the next page; None if the search is complete.

    ``before`` can be set with fewer blocks than requested, or none: the call ended because its time was used.
    """

    blocks: list[FoundBlock]
    before: int | None


def replace(connection: Connection, indexed: Sequence[Indexed]) -> None:
    """Replace the blocks of some parts of transcriptions."""
    if not indexed:
        return
    connection.execute(
        delete(search).where(
            search.c.transcription_id == bindparam("its_id"),
            search.c.transcription_created_at == bindparam("its_date"),
            search.c.part == bindparam("its_part"),
        ),
        [
            {"its_id": one.transcription_id, "its_date": one.created_at, "its_part": one.part}
            for one in indexed
        ],
    )
    blocks = [(one, block) for one in indexed for block in one.blocks]
    if not blocks:
        return
    ids = connection.scalars(
        select(func.nextval(func.pg_get_serial_sequence(search.name, "id"))).select_from(
            func.generate_series(1, len(blocks))
        )
    )
    connection.execute(
        insert(search), [_row(row_id, one, block) for row_id, (one, block) in zip(ids, blocks, strict=True)]
    )


def to_index(connection: Connection, *, after: int, limit: int, force: bool = False) -> list[int]:
    """Return ids of transcriptions that are not indexed, or whose minutes are not, in order of id.

    Args:
        after: only larger ids.
        force: also indexed transcriptions.
    """
    rows = connection.scalars(
        # lateral: index lookups row by row up to the limit, never a scan of a whole table
        text("""
            SELECT t.id FROM stt_transcriptions t
            LEFT JOIN LATERAL (
                SELECT true AS found FROM stt_search s WHERE s.transcription_id = t.id
                    AND s.transcription_created_at = t.created_at AND s.part = 'transcript' LIMIT 1
            ) transcript ON true
            LEFT JOIN LATERAL (
                SELECT true AS found FROM stt_search s WHERE s.transcription_id = t.id
                    AND s.transcription_created_at = t.created_at AND s.part = 'minutes' LIMIT 1
            ) minutes ON true
            LEFT JOIN LATERAL (
                SELECT true AS found FROM stt_summaries m WHERE m.transcription_id = t.id
                    AND m.transcription_created_at = t.created_at LIMIT 1
            ) written ON true
            WHERE t.id > :after AND t.status = 'completed'
                AND (:force OR transcript.found IS NULL OR (written.found AND minutes.found IS NULL))
            ORDER BY t.id LIMIT :limit
        """),
        {"after": after, "limit": limit, "force": force},
    )
    return list(rows)


def lock_transcription(connection: Connection, transcription_id: int) -> bool:
    """Lock a transcription and its minutes against updates until the end of the transaction.

    Returns:
        Whether the transcription exists and is ``completed``.
    """
    ids = {"id": transcription_id}
    held = connection.execute(
        text("SELECT 1 FROM stt_transcriptions WHERE id = :id AND status = 'completed' FOR SHARE"), ids
    ).one_or_none()
    connection.execute(text("SELECT 1 FROM stt_summaries WHERE transcription_id = :id FOR SHARE"), ids)
    return held is not None


def find(
    connection: Connection,
    query: Query,
    *,
    limit: int,
    batch_id: int | None = None,
    before: int | None = None,
) -> Found:
    """Return the newest blocks that match ``query``.

    Args:
        batch_id: only blocks of this batch.
        before: only blocks with a smaller id; ``Found.before`` of the previous page.
    """
    oldest, newest = _ends(connection, batch_id)
    below = newest + 1 if before is None else min(before, newest + 1)
    ids: list[int] = []
    left = _CANDIDATES
    began = time.monotonic()
    width, end = 1, ((below - 1) >> SECTION_BITS) + 1
    while below > oldest:
        started = time.monotonic()
        sections = range(max(end - width, oldest >> SECTION_BITS), end)
        words = _words(query, batch_id, sections)
        for some in _candidates(connection, query, words, below, wanted=limit + 1 - len(ids), left=left):
            ids += _exact(connection, query, some)
            left -= len(some)
            if len(ids) > limit:
                return Found(_blocks(connection, query, ids[:limit]), ids[limit - 1])
            if left <= 0:
                return Found(_blocks(connection, query, ids), some[-1])
        end = sections.start
        below = min(below, end << SECTION_BITS)
        now = time.monotonic()
        if now - began > ENOUGH_SECONDS:
            break
        if now - started < _CHEAP_SECONDS:
            width = min(4 * width, _WIDEST)
    return Found(_blocks(connection, query, ids), below if below > oldest else None)


def _ends(connection: Connection, batch_id: int | None) -> tuple[int, int]:
    """Return the smallest and the largest id of the table or of a batch; (1, 0) if it has no rows."""
    if batch_id is None:
        row = connection.execute(
            select(func.min(search.c.id), func.max(search.c.id)).where(search.c.id > 0)
        ).one()
        return (row[0], row[1]) if row[0] is not None else (1, 0)
    # row comparison: with batch_id = alone, the planner scans ids of all batches until it finds one of this batch
    rows = connection.execute(
        text("""
            SELECT batch_id, id FROM (
                (SELECT batch_id, id FROM stt_search WHERE (batch_id, id) > (:batch, 0) ORDER BY batch_id, id LIMIT 1)
                UNION ALL
                (SELECT batch_id, id FROM stt_search WHERE (batch_id, id) < (CAST(:batch AS bigint) + 1, 0)
                 ORDER BY batch_id DESC, id DESC LIMIT 1)
            ) ends
        """),
        {"batch": min(batch_id, LARGEST_ID - 1)},
    )
    ids = [row.id for row in rows if row.batch_id == batch_id]
    return (min(ids), max(ids)) if ids else (1, 0)


def _candidates(
    connection: Connection, query: Query, words: str, below: int, *, wanted: int, left: int
) -> Iterator[list[int]]:
    """Yield the ids, newest first, of blocks that have all terms, in any order."""
    most = left if query.has_sequences else wanted
    ids = connection.scalars(
        # OFFSET 0: the inner query is planned separately, with the GIN index, never with a scan of ids
        text("""
            SELECT id FROM (
                SELECT id FROM stt_search WHERE tsv @@ CAST(:words AS tsquery) AND id + 0 < :below OFFSET 0
            ) found ORDER BY id DESC LIMIT :most
        """),
        {"words": words, "below": below, "most": most},
    ).all()
    for place in range(0, len(ids), _AT_ONCE):
        yield list(ids[place : place + _AT_ONCE])


def _exact(connection: Connection, query: Query, ids: Sequence[int]) -> Sequence[int]:
    """Return the ids of blocks in which the terms of each sequence follow each other."""
    if not query.has_sequences:
        return ids
    return connection.scalars(
        # OFFSET 0: read only these rows by id; with the GIN index, the planner would read all matching rows
        text("""
            SELECT id FROM (SELECT id, tsv FROM stt_search WHERE id = ANY(:ids) OFFSET 0) chosen
            WHERE tsv @@ CAST(:sequences AS tsquery) ORDER BY id DESC
        """),
        {"ids": list(ids), "sequences": _tsquery(query, " <-> ")},
    ).all()


def _blocks(connection: Connection, query: Query, ids: Sequence[int]) -> list[FoundBlock]:
    if not ids:
        return []
    rows = connection.execute(
        text("""
            SELECT s.id, s.transcription_id, s.batch_id, t.audio_file_id, t.audio_file_path, t.language, s.part, s.start,
                s.text, s.line_starts, s.speakers, s.term_starts,
                (SELECT jsonb_object_agg(lexeme, positions) FROM unnest(s.tsv) WHERE lexeme = ANY(:lexemes)) AS positions
            FROM stt_search s
            JOIN stt_transcriptions t ON t.id = s.transcription_id AND t.created_at = s.transcription_created_at
            WHERE s.id = ANY(:ids) ORDER BY s.id DESC
        """),
        {"ids": list(ids), "lexemes": list(query.lexemes)},
    )
    return [_found(row) for row in rows]


def _found(row: Row[Any]) -> FoundBlock:
    return FoundBlock(**row._mapping)


def _row(row_id: int, one: Indexed, block: Block) -> dict[str, Any]:
    words = [f"{_quoted(lexeme)}:{','.join(map(str, places))}" for lexeme, places in block.positions.items()]
    words += [_quoted(_batch(one.batch_id)), _quoted(_section(row_id >> SECTION_BITS))]
    return {
        "id": row_id,
        "transcription_id": one.transcription_id,
        "transcription_created_at": one.created_at,
        "batch_id": one.batch_id,
        "part": one.part,
        "number": block.number,
        "start": block.start,
        "text": block.text,
        "line_starts": list(block.line_starts),
        "speakers": list(block.speakers),
        "term_starts": list(block.term_starts),
        "tsv": " ".join(words),
    }


def _words(query: Query, batch_id: int | None, sections: range) -> str:
    parts = [_tsquery(query, " & "), "|".join(_quoted(_section(section)) for section in sections)]
    if batch_id is not None:
        parts.append(_quoted(_batch(batch_id)))
    return " & ".join(f"({part})" for part in parts)


def _tsquery(query: Query, joint: str) -> str:
    return " & ".join(
        f"({' | '.join(f'({joint.join(map(_quoted, form))})' for form in one.forms)})" for one in query.wanted
    )


def _batch(batch_id: int) -> str:
    # no term has a colon
    return f"batch:{batch_id}"


def _section(number: int) -> str:
    return f"section:{number}"


def _quoted(lexeme: str) -> str:
    """Return a lexeme quoted for tsvector and tsquery."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
