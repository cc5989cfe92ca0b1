"""Who may work on a shard or a batch, and until when.

A row is *free* (no token), *dispatched* (a token, no run yet) or *leased* (token, run and an end in the future).
A dispatch writes the token; the lease starts when a run claims it and lives on heartbeats; whoever writes a result
proves the token first, so a run that was given up for dead and wakes up late writes nothing.

Who locks rows of both kinds locks the batch first, then shards in order of id; and never a row's key (``key_share``), which
rows that refer to it look at.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, select, update

from stt_pipeline.errors import LeaseLostError

_MOST_COUNTED = 100  # what is tried for weeks must not overflow a counter
_RELEASED = {"token": None, "dispatched_at": None, "run_id": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of ``run_id`` to write results for the row ``id``, as long as the row still has ``token``."""

    id: int
    token: str
    run_id: str


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease columns of a row, as read under a lock; ``live`` compares with the server's clock."""

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
    """Mark free rows as dispatched, each under a token of its own."""
    for row_id in ids:
        dispatch(connection, table, [row_id])


def refusal(state: LeaseState, *, run_id: str, token: str | None) -> str | None:
    """Say why ``run_id`` may not claim a row, or None where it may.

    Args:
        state: the row's lease columns.
        run_id: the run that asks.
        token: what its dispatch wrote; None for a run that a person started, which may take over what is free or
            only dispatched.
    """
    if state.run_id == run_id:
        return None
    if state.live:
        return f"being worked by run {state.run_id}"
    if token is not None and state.token != token:
        return "dispatched anew, so this older run leaves it alone"
    return None


def claim(
    connection: Connection, table: Table, row_id: int, state: LeaseState, *, run_id: str, seconds: int
) -> Lease:
    """Start (or go on with) the lease of a row that is locked and not refused."""
    # a token stays what it is for its own dispatch and through the steps of one run; a dead run's is never taken over
    keeps_token = state.run_id in (None, run_id)
    token = state.token if keeps_token and state.token else str(uuid.uuid4())
    connection.execute(
        update(table)
        .where(table.c.id == row_id)
        .values(token=token, run_id=run_id, lease_until=func.now() + timedelta(seconds=seconds))
    )
    return Lease(row_id, token, run_id)


def verify(connection: Connection, table: Table, lease: Lease) -> None:
    """Lock the row until the end of the transaction and make sure that it still belongs to ``lease``.

    Raises:
        LeaseLostError: another run has it now.
    """
    found = connection.execute(
        select(table.c.id).where(*owned_by(table, lease)).with_for_update(key_share=True)
    ).one_or_none()
    if found is None:
        raise lease_lost(table, lease)


def owned_by(table: Table, lease: Lease) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a row still belongs to ``lease``."""
    return (table.c.id == lease.id, table.c.token == lease.token, table.c.run_id == lease.run_id)


def lease_lost(table: Table, lease: Lease) -> LeaseLostError:
    """Return the error of a run whose lease is gone."""
    return LeaseLostError(
        f"Run {lease.run_id} lost its lease on {table.name} {lease.id}: another run works on it now, or its batch was "
        "cancelled."
    )


def extend(connection: Connection, table: Table, leases: Sequence[Lease], seconds: int) -> None:
    """Keep leases alive for ``seconds`` from now; those that were lost stay lost."""
    held = and_(
        table.c.id.in_([lease.id for lease in leases]),
        table.c.token.in_({lease.token for lease in leases}),
        table.c.run_id.in_({lease.run_id for lease in leases}),
    )
    connection.execute(
        update(table).where(_locked(table, held)).values(lease_until=func.now() + timedelta(seconds=seconds))
    )


def release(connection: Connection, table: Table, lease: Lease, **values: Any) -> None:
    """Give the row back, free, with other columns set to ``values``; nothing happens if the lease was lost."""
    connection.execute(update(table).where(*owned_by(table, lease)).values(**_RELEASED, **values))


def force_release(connection: Connection, table: Table, rows: ColumnElement[bool]) -> None:
    """Free the rows that fulfil a condition, whoever has them."""
    held = and_(rows, table.c.token.is_not(None))
    connection.execute(update(table).where(_locked(table, held)).values(**_RELEASED))


def retire_expired(connection: Connection, table: Table) -> dict[str, list[int]]:
    """Free the rows whose run gave no sign of life until its lease ran out, count the death, and return their ids by run."""
    expired = (
        select(table.c.id, table.c.run_id)
        .where(table.c.token.is_not(None), table.c.lease_until < func.now())
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


def _locked(table: Table, rows: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition of the same rows, which are locked in order of id: two that lock many do not wait for each other."""
    return table.c.id.in_(
        select(table.c.id).where(rows).order_by(table.c.id).with_for_update(key_share=True).scalar_subquery()
    )


def retire_token(connection: Connection, table: Table, token: str, *, wait_seconds: float) -> None:
    """Free what was dispatched under ``token`` and never claimed, because its run has ended; to be tried later."""
    connection.execute(
        update(table)
        .where(table.c.token == token, table.c.run_id.is_(None))
        .values(**_RELEASED, not_before=func.now() + timedelta(seconds=wait_seconds))
    )
