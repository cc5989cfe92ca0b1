"""Queries on ``stt_api_keys``: the keys of the admin API. Only the hash of a key is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, func, insert, select, update

from stt_pipeline.errors import NotFoundError
from stt_pipeline.store.tables import api_keys

Role = Literal["viewer", "operator", "admin"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A row of ``stt_api_keys``. ``prefix`` is the public part of the key; ``hash`` is the hash of the whole key."""

    id: int
    name: str
    role: Role
    prefix: str
    hash: bytes
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def add(connection: Connection, *, name: str, role: Role, prefix: str, hash: bytes) -> ApiKey:
    """Insert a key."""
    row = connection.execute(
        insert(api_keys).values(name=name, role=role, prefix=prefix, hash=hash).returning(api_keys)
    ).one()
    return ApiKey(**row._mapping)


def find(connection: Connection, prefix: str) -> ApiKey | None:
    """Return the key with this prefix, or None if there is none or it is revoked."""
    row = connection.execute(
        select(api_keys).where(api_keys.c.prefix == prefix, api_keys.c.revoked_at.is_(None))
    ).one_or_none()
    return ApiKey(**row._mapping) if row else None


def listed(connection: Connection) -> Sequence[ApiKey]:
    """Return all keys, revoked ones included, in order of id."""
    return [ApiKey(**row._mapping) for row in connection.execute(select(api_keys).order_by(api_keys.c.id))]


def has_any(connection: Connection) -> bool:
    """Return whether there is a key that is not revoked."""
    return bool(
        connection.scalar(select(select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).exists()))
    )


def revoke(connection: Connection, key_id: int) -> tuple[ApiKey, bool]:
    """Revoke a key. A revoked key stays revoked.

    Returns:
        The key, and whether this call revoked it.

    Raises:
        NotFoundError: the key does not exist.
    """
    changed = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    ).rowcount
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"API key {key_id} does not exist. `stt key list` shows the keys.")
    return ApiKey(**row._mapping), bool(changed)


def note_use(connection: Connection, key_id: int) -> None:
    """Record that the key was used now."""
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=func.now()))


def is_valid(connection: Connection, key_id: int) -> bool:
    """Return whether the key exists and is not revoked."""
    return bool(
        connection.scalar(
            select(
                select(api_keys.c.id).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).exists()
            )
        )
    )
