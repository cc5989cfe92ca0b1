"""Queries on ``stt_audit_log``: who changed what, and when. Each row is written in the transaction of its change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from stt_pipeline.store.tables import audit_log


@dataclass(frozen=True, slots=True)
class Actor:
    """The user behind a change: ``name`` as in the audit log, and the id of the API request, if there was one."""

    name: str
    request_id: str | None = None


NOBODY = Actor("")
"""An unknown user, where the caller gives none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of ``stt_audit_log``."""

    id: int
    at: datetime
    who: str
    action: str
    batch_id: int | None
    request_id: str | None
    details: Mapping[str, Any]


def record(
    connection: Connection,
    actor: Actor,
    action: str,
    *,
    batch_id: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record that ``actor`` did ``action`` (such as ``batch.pause``), in the transaction of the action."""
    connection.execute(
        insert(audit_log).values(
            who=actor.name,
            action=action,
            batch_id=batch_id,
            request_id=actor.request_id,
            details=dict(details or {}),
        )
    )


def of_batch(connection: Connection, batch_id: int) -> list[Entry]:
    """Return the entries of a batch, oldest first; they stay after the deletion of the batch."""
    rows = connection.execute(
        select(audit_log).where(audit_log.c.batch_id == batch_id).order_by(audit_log.c.id)
    )
    return [Entry(**row._mapping) for row in rows]
