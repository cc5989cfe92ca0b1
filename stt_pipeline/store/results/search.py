"""Queries on ``stt_search``: the blocks of transcripts and minutes, and in which of them words are.

Newest first, and never more than a bounded part of the table in one call. GIN alone finds every block that has a word,
which may be most of them; walking from the newest reads every block until a word comes up, which may be never. So each
row's vector names the *section* of the table that it is in, as if that were a word: the index answers for one section,
then for wider and wider stretches of older ones, until a page is full or it took long enough. A batch is such a word, too.
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
"""A section is 16,384 rows: some milliseconds of work, even with a word that is in all of them."""

_WIDEST = 64  # sections asked at once
_CHEAP_SECONDS = 0.01  # what took less may be followed by four times as many sections
_ENOUGH_SECONDS = 0.06  # after so long, a call returns what it has
_CANDIDATES = 3_000  # blocks that have all words of a phrase, looked into for their order, in one call
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
    """A block that has all that was asked for. ``positions`` are those of the terms that were asked for."""

    id: int
    transcription_id: int
    batch_id: int
    audio_file_id: int
    audio_file_path: str
    part: Part
    start: float | None
    text: str
    line_starts: Sequence[float | None]
    speakers: Sequence[str | None]
    term_starts: Sequence[int]
    positions: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Found:
    """Blocks, newest first. Before ``before`` there may be more; None if there is none.

    It may be set where there are fewer blocks than were asked for, or none: so far was looked.
    """

    blocks: list[FoundBlock]
    before: int | None


def replace(connection: Connection, indexed: Sequence[Indexed]) -> None:
    """Store blocks in place of those that the same parts had before."""
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
    """Return ids of transcriptions that are not in the index, or whose minutes are not, the smallest first.

    Args:
        after: only larger ids.
        anew: those that are in it, too.
    """
    rows = connection.scalars(
        # lateral: a row at a time by the indexes, up to the limit, never the whole of either table
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
                AND (:anew OR transcript.found IS NULL OR (written.found AND minutes.found IS NULL))
            ORDER BY t.id LIMIT :limit
        """),
        {"after": after, "limit": limit, "anew": force},
    )
    return list(rows)


def hold(connection: Connection, transcription_id: int) -> bool:
    """Keep a transcription and its minutes from being written anew until this transaction ends.

    Returns:
        Whether there still is such a transcription, with speakers.
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
    """Return the newest blocks that answer to ``query``.

    Args:
        batch_id: only blocks of this batch.
        before: only blocks with a smaller id; from the ``Found`` before.
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
        if now - began > _ENOUGH_SECONDS:
            break
        if now - started < _CHEAP_SECONDS:
            width = min(4 * width, _WIDEST)
    return Found(_blocks(connection, query, ids), below if below > oldest else None)


def _ends(connection: Connection, batch_id: int | None) -> tuple[int, int]:
    """Return the smallest and the largest id of the table or of a batch; (1, 0) if there is none."""
    if batch_id is None:
        row = connection.execute(
            select(func.min(search.c.id), func.max(search.c.id)).where(search.c.id > 0)
        ).one()
        return (row[0], row[1]) if row[0] is not None else (1, 0)
    # pairs are compared, or the planner walks through the ids of all batches until it meets one of this
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
    """Yield the ids, newest first, of blocks that have the words, in whatever order."""
    most = left if query.has_sequences else wanted
    ids = connection.scalars(
        # the inner query is planned for itself: by the index of words, never by walking through all ids
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
    """Return the ids of blocks in which words that must follow each other do."""
    if not query.has_sequences:
        return ids
    return connection.scalars(
        # these rows alone, and by their ids: by its index of words the planner would look into all others, too
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
            SELECT s.id, s.transcription_id, s.batch_id, t.audio_file_id, t.audio_file_path, s.part, s.start, s.text,
                s.line_starts, s.speakers, s.term_starts,
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
    """Return a lexeme as tsvector and tsquery read it, whatever it holds."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
