"""API keys: ``stt_`` + 12 characters that identify the key + ``_`` + 43 secret characters.

A key has 256 random bits, so one round of SHA-256 protects it; slow hashes are for passwords, which can be guessed.
"""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.access import api_keys, audit
from stt_pipeline.store.access.api_keys import ApiKey, Role
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database

_NAME_LENGTH = 100
_LAST_USED_PRECISION = timedelta(minutes=1)  # saves a write for each request
_PREFIX_LENGTH = len("stt_") + 12
_KEY_LENGTH = _PREFIX_LENGTH + 1 + 43


def create(database: Database, *, name: str, role: Role, actor: Actor) -> tuple[ApiKey, str]:
    """Create a key; return its row and the key itself, of which only the hash is stored.

    Raises:
        InvalidRequestError: the name is empty, too long or not printable.
    """
    title = " ".join(name.split())
    if not title or len(title) > _NAME_LENGTH or not title.isprintable():
        raise InvalidRequestError(f"The key's name must be 1 to {_NAME_LENGTH} printable characters.")
    prefix = f"stt_{secrets.token_hex(6)}"
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    with database.begin() as connection:
        row = api_keys.add(connection, name=title, role=role, prefix=prefix, hash=_hash(key))
        audit.record(connection, actor, "key.create", details={"id": row.id, "name": title, "role": role})
    return row, key


def revoke(database: Database, key_id: int, *, actor: Actor) -> ApiKey:
    """Revoke a key: it is invalid from the next request on.

    Raises:
        NotFoundError: the key does not exist.
    """
    with database.begin() as connection:
        row, was_valid = api_keys.revoke(connection, key_id)
        if was_valid:
            audit.record(connection, actor, "key.revoke", details={"id": row.id, "name": row.name})
    return row


def verify(database: Database, key: str) -> ApiKey | None:
    """Return the row of a valid key, else None."""
    if len(key) != _KEY_LENGTH or not key.isascii():
        return None
    with database.begin() as connection:
        found = api_keys.find(connection, key[:_PREFIX_LENGTH])
        # also for an unknown prefix, so that the response takes the same time
        is_valid = hmac.compare_digest(found.hash if found else bytes(32), _hash(key))
        if found is None or not is_valid:
            return None
        if found.last_used_at is None or datetime.now(UTC) - found.last_used_at > _LAST_USED_PRECISION:
            api_keys.note_use(connection, found.id)
    return found


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
