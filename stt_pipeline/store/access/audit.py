"""Queries on ``stt_audit_log``: who changed what, and when. Rows are written in the transaction of the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from stt_pipeline.store.tables import audit_log


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change: ``name`` as the audit log shows it, and the id of the API request, if it came by one."""

    name: str
    request_id: str | None = None


NOBODY = Actor("")
"""Where nobody says who asks."""


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
    """Write that ``actor`` did ``action`` (``batch.pause``), in the transaction that does it."""
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
    """Return what was done to a batch, the oldest first; it is known after its deletion, too."""
    rows = connection.execute(
        select(audit_log).where(audit_log.c.batch_id == batch_id).order_by(audit_log.c.id)
    )
    return [Entry(**row._mapping) for row in rows]
