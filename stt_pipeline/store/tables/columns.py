"""The metadata of all tables, and columns that several tables have."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    Identity,
    Integer,
    MetaData,
    SmallInteger,
    Text,
    Uuid,
    func,
)

metadata = MetaData()

LARGEST_ID = (1 << 63) - 1
"""Of a bigint: Postgres refuses to compare a bigint with a larger number."""


def id_column() -> "Column[int]":
    """Return the primary key: a bigint that Postgres generates."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def time_column(name: str, *, now: bool = False) -> "Column[object]":
    """Return a nullable timestamp, or with ``now`` one that defaults to the time of the insert."""
    return Column(name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None)


def count_column(name: str) -> "Column[int]":
    """Return a counter that starts at 0."""
    return Column(name, Integer, nullable=False, server_default="0")


def seconds_column(name: str) -> "Column[float]":
    """Return a length of time in seconds that starts at 0."""
    return Column(name, Double, nullable=False, server_default="0")


def lease_columns() -> "list[Column[object]]":
    """Return the columns of a lease: which run may work on the row, see ``store.queue.leases``."""
    return [
        Column("stage", Text, nullable=False),
        Column("token", Uuid(as_uuid=False)),
        time_column("dispatched_at"),
        Column("run_id", Text),
        time_column("lease_until"),
        Column("tries", SmallInteger, nullable=False, server_default="0"),
        Column("crashes", SmallInteger, nullable=False, server_default="0"),
        time_column("not_before"),
    ]
