"""The staging table of one scan: the listed objects of a source, before they are inserted into the manifest.

It is a temporary table of one connection, so a crashed scan leaves no rows. Postgres compares millions of objects with
the manifest and assigns them to shards, without sending them to this process again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from stt_pipeline.audio.sources import SourceObject


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a listing that becomes one shard: the objects at the places ``first`` to ``last``, both included."""

    first: int
    last: int
    files: int


def begin(connection: Connection) -> None:
    """Create the empty staging table on ``connection``; the caller closes the connection after the scan."""
    connection.execute(
        text("CREATE TEMP TABLE listing (place bigint PRIMARY KEY, uri text, size bigint, etag text)")
    )


def add(connection: Connection, first: int, objects: Iterable[SourceObject]) -> None:
    """Append objects; the first one gets the place ``first``."""
    cursor = connection.connection.cursor()
    with cursor.copy("COPY listing (place, uri, size, etag) FROM STDIN") as copy:
        for place, found in enumerate(objects, start=first):
            copy.write_row((place, found.uri, found.size, found.etag))


def drop_known(connection: Connection, batch_id: int | None, watch_id: int | None) -> None:
    """Delete the objects that the manifest has already, with the same uri and etag.

    The manifest is that of all batches of the watch, or without a watch, that of the batch.
    """
    connection.execute(text("ANALYZE listing"))
    if watch_id is None:
        connection.execute(
            text("""
                DELETE FROM listing l USING stt_audio_files f
                WHERE f.batch_id = :batch AND f.uri = l.uri AND f.etag = l.etag
            """),
            {"batch": batch_id},
        )
    else:
        connection.execute(
            # a poll lists thousands of objects, the manifest has millions: OFFSET 0 forces an index lookup per object
            text("""
                DELETE FROM listing l WHERE EXISTS (
                    SELECT FROM stt_audio_files f
                    WHERE f.watch_id = :watch AND f.uri = l.uri AND f.etag = l.etag OFFSET 0
                )
            """),
            {"watch": watch_id},
        )


def count(connection: Connection) -> tuple[int, int]:
    """Return the number of objects and their total size in bytes."""
    files, total = connection.execute(text("SELECT count(*), coalesce(sum(size), 0) FROM listing")).one()
    return files, int(total)


def page(connection: Connection, after: int, limit: int) -> list[tuple[int, int]]:
    """Return (place, bytes) of the next objects after the place ``after``, in order."""
    rows = connection.execute(
        text("SELECT place, size FROM listing WHERE place > :after ORDER BY place LIMIT :limit"),
        {"after": after, "limit": limit},
    )
    return [(row.place, row.size) for row in rows]


def uris(connection: Connection, places: Sequence[int]) -> dict[int, str]:
    """Return the uri of the object at each of some places."""
    rows = connection.execute(
        text("SELECT place, uri FROM listing WHERE place = ANY(:places)"), {"places": list(places)}
    )
    return {row.place: row.uri for row in rows}


def put_into_manifest(
    connection: Connection,
    batch_id: int,
    watch_id: int | None,
    slices: Sequence[tuple[int, Slice]],
    *,
    max_file_bytes: int,
) -> None:
    """Insert slices, given in order with the ids of their shards, into the manifest.

    Shards count the inserted rows: an object that is listed twice is inserted once. Files of more than
    ``max_file_bytes`` are inserted as failed with ``too_large``, so they are never read.
    """
    connection.execute(
        text("""
            -- materialized: a cached plan would convert the arrays for every row
            WITH cut AS MATERIALIZED (SELECT CAST(:shards AS bigint[]) AS shards, CAST(:firsts AS bigint[]) AS firsts),
            written AS (
                INSERT INTO stt_audio_files (batch_id, watch_id, shard_id, uri, size, etag, status, error_class, error)
                SELECT :batch, CAST(:watch AS bigint), cut.shards[width_bucket(place, cut.firsts)], uri, size, etag,
                       CASE WHEN size > :limit THEN 'failed' ELSE 'pending' END,
                       CASE WHEN size > :limit THEN 'too_large' END,
                       CASE WHEN size > :limit THEN
                           format('The file has %s bytes, more than the limit of %s. Raise STT_MAX_FILE_BYTES and '
                                  'retry it, or split the file.', size, CAST(:limit AS bigint)) END
                FROM cut, listing WHERE place BETWEEN :first AND :last ORDER BY place
                ON CONFLICT DO NOTHING
                RETURNING shard_id, size, status
            )
            UPDATE stt_shards s
            SET total = w.total, bytes = w.bytes, failed = w.failed,
                failures = CASE WHEN w.failed > 0 THEN jsonb_build_object('too_large', w.failed) ELSE '{}' END
            FROM (SELECT shard_id, count(*) AS total, sum(size) AS bytes,
                         count(*) FILTER (WHERE status = 'failed') AS failed
                  FROM written GROUP BY shard_id) w
            WHERE s.id = w.shard_id
        """),
        {
            "batch": batch_id,
            "watch": watch_id,
            "shards": [shard_id for shard_id, _ in slices],
            "firsts": [part.first for _, part in slices],
            "first": slices[0][1].first,
            "last": slices[-1][1].last,
            "limit": max_file_bytes,
        },
    )
