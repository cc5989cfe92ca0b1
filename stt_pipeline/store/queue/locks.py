"""Advisory locks: one scan at a time inserts partitions, and one dispatcher at a time dispatches."""

from sqlalchemy import Connection, func, select

_DISPATCH_LOCK = 0x5354_5404  # "STT", 4
_PARTITION_LOCK = 0x5354_5402  # "STT", 2


def lock_partitions(connection: Connection) -> None:
    """Wait for the lock under which one scan inserts partitions, and hold it until ``connection`` is closed.

    A range of dynamic partitions follows the order of insertion, so two batches must not insert at the same time.
    """
    connection.execute(select(func.pg_advisory_lock(_PARTITION_LOCK)))


def lock_dispatch(connection: Connection) -> None:
    """Lock dispatching until the end of the transaction: one dispatcher at a time counts shards and dispatches more."""
    connection.execute(select(func.pg_advisory_xact_lock(_DISPATCH_LOCK)))
