"""Leases on shards and batches: which run may write results for a row, and until when.

A row is *free* (no token), *dispatched* (token, no run) or *leased* (token, run, and an expiry in the future). The
dispatcher writes the token. A run claims the row, which starts the lease, and its heartbeats extend it. A run verifies
the lease in each transaction that writes results, so a run whose lease expired writes nothing.

Lock order: batches first, then shards by id. Locks use ``key_share``, so that rows with a foreign key to the locked row
can still be inserted.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, func, select, update

from stt_pipeline.errors import LeaseLostError

_MOST_COUNTED = 100  # the counters are smallint, and a row may be dispatched for weeks
_RELEASED = {"token": None, "dispatched_at": None, "run_id": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of ``run_id`` to write results for the row ``id``, while the row has ``token``."""

    id: int
    token: str
    run_id: str


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease columns of a locked row. ``live``: the lease has not expired, by the clock of the server."""

    token: str | None
    run_id: str | None
    live: bool


def dispatch(connection: Connection, table: Table, ids: Sequence[int]) -> str:
    """Mark free rows as dispatched under one new token, and return it."""
    token = str(uuid.uuid4())
    connection.execute(
        update(table)
        .where(table.c.id.in_(ids), table.c.token.is_(None))
        .values(token=token, dispatched_at=func.now(), tries=func.least(table.c.tries + 1, _MOST_COUNTED))
    )
    return token


def dispatch_each(connection: Connection, table: Table, ids: Sequence[int]) -> None:
    """Mark free rows as dispatched, each under its own token."""
    for row_id in ids:
        dispatch(connection, table, [row_id])


def claim_conflict(state: LeaseState, *, run_id: str, token: str | None) -> str | None:
    """Return why ``run_id`` cannot claim a row, as the end of a sentence, or None if it can.

    Args:
        state: the lease columns of the row.
        run_id: the run that claims.
        token: the token of its dispatch; None for a run that a user started, which may claim free and dispatched rows.
    """
    if state.run_id == run_id:
        return None
    if state.live:
        return f"being worked by run {state.run_id}"
    if token is not None and state.token != token:
        return "dispatched to a newer run, so this run skips it"
    return None


def claim(
    connection: Connection, table: Table, row_id: int, state: LeaseState, *, run_id: str, seconds: int
) -> Lease:
    """Start or continue the lease of a locked row, after :func:`claim_conflict` returned None."""
    # the token stays the same for all steps of one run; a new run never reuses the token of a dead one
    keeps_token = state.run_id in (None, run_id)
    token = state.token if keeps_token and state.token else str(uuid.uuid4())
    connection.execute(
        update(table)
        .where(table.c.id == row_id)
        .values(token=token, run_id=run_id, lease_until=func.now() + timedelta(seconds=seconds))
    )
    return Lease(row_id, token, run_id)


def verify(connection: Connection, table: Table, lease: Lease, *columns: ColumnElement[Any]) -> Row[Any]:
    """Lock the row until the end of the transaction, check that ``lease`` still holds, and return id and ``columns``.

    Raises:
        LeaseLostError: another run has the row, or it was released.
    """
    found = connection.execute(
        select(table.c.id, *columns).where(*owned_by(table, lease)).with_for_update(key_share=True)
    ).one_or_none()
    if found is None:
        raise lease_lost(table, lease)
    return found


def owned_by(table: Table, lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which ``lease`` holds."""
    return (table.c.id == lease.id, table.c.token == lease.token, table.c.run_id == lease.run_id)


def lease_lost(table: Table, lease: Lease) -> LeaseLostError:
    """Return the error for a run that lost its lease."""
    return LeaseLostError(
        f"Run {lease.run_id} lost its lease on {table.name} {lease.id}: another run works on it now, or its batch was "
        "cancelled."
    )


def extend(connection: Connection, table: Table, leases: Sequence[Lease], seconds: int) -> None:
    """Extend leases to ``seconds`` from now; lost leases stay lost."""
    held = and_(
        table.c.id.in_([lease.id for lease in leases]),
        table.c.token.in_({lease.token for lease in leases}),
        table.c.run_id.in_({lease.run_id for lease in leases}),
    )
    connection.execute(
        update(table).where(_locked(table, held)).values(lease_until=func.now() + timedelta(seconds=seconds))
    )


def release(
    connection: Connection, table: Table, lease: Lease, *, wait_seconds: float | None = None, **values: Any
) -> None:
    """Free the row and set other columns to ``values``; does nothing if the lease was lost.

    Args:
        wait_seconds: delay before the next dispatch; None keeps ``not_before``.
    """
    if wait_seconds is not None:
        values["not_before"] = func.now() + timedelta(seconds=wait_seconds)
    connection.execute(update(table).where(*owned_by(table, lease)).values(**_RELEASED, **values))


def force_release(connection: Connection, table: Table, rows: ColumnElement[bool]) -> None:
    """Free all rows that match a condition, even those that a run has claimed."""
    held = and_(rows, table.c.token.is_not(None))
    connection.execute(update(table).where(_locked(table, held)).values(**_RELEASED))


def expired_runs(connection: Connection, table: Table) -> set[str]:
    """Return the runs that have an expired lease."""
    return set(connection.scalars(select(table.c.run_id).where(*_expired(table))))


def holders(connection: Connection, table: Table) -> set[str]:
    """Return the runs that have leases, also expired ones."""
    rows = select(table.c.run_id).where(table.c.token.is_not(None), table.c.run_id.is_not(None))
    return set(connection.scalars(rows))


def expire(connection: Connection, table: Table, run_id: str) -> None:
    """Let the leases of a run expire now."""
    held = and_(table.c.token.is_not(None), table.c.run_id == run_id)
    connection.execute(
        update(table).where(_locked(table, held)).values(lease_until=func.now() - timedelta(seconds=1))
    )


def release_expired(connection: Connection, table: Table, run_ids: Collection[str]) -> dict[str, list[int]]:
    """Free the rows of these runs with an expired lease, count a crash for each, and return their ids by run."""
    expired = (
        select(table.c.id, table.c.run_id)
        .where(*_expired(table), table.c.run_id.in_(run_ids))
        .order_by(table.c.id)
        .with_for_update(key_share=True)
        .cte("expired")
    )
    rows = connection.execute(
        update(table)
        .where(table.c.id == expired.c.id)
        .values(**_RELEASED, crashes=func.least(table.c.crashes + 1, _MOST_COUNTED))
        .returning(table.c.id, expired.c.run_id.label("dead_run"))
    )
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row.dead_run, []).append(row.id)
    return found


def _expired(table: Table) -> tuple[ColumnElement[bool], ...]:
    return (table.c.token.is_not(None), table.c.lease_until < func.now())


def _locked(table: Table, rows: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition for the same rows that locks them in order of id, so that two transactions cannot deadlock."""
    return table.c.id.in_(
        select(table.c.id).where(rows).order_by(table.c.id).with_for_update(key_share=True).scalar_subquery()
    )


def revoke_token(
    connection: Connection, table: Table, token: str, *, first_seconds: float, longest_seconds: float
) -> None:
    """Free the rows that were dispatched under ``token`` and never claimed.

    They wait ``first_seconds`` for a new dispatch, and twice as long after each try, up to ``longest_seconds``.
    """
    doublings = func.least(func.greatest(table.c.tries - 1, 0), 30)
    seconds = func.least(longest_seconds, first_seconds * func.power(2.0, doublings))
    connection.execute(
        update(table)
        .where(table.c.token == token, table.c.run_id.is_(None))
        .values(**_RELEASED, not_before=func.now() + seconds * timedelta(seconds=1))
    )
