"""Whether somebody works: what commands say when the dispatcher is silent. Starts nothing."""

from datetime import datetime, timezone

from stt_pipeline.batches.execution.dispatch import HEARTBEAT, STALE_AFTER
from stt_pipeline.cli.terminal import print_status
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import heartbeats


def silence(last_tick: datetime | None) -> str | None:
    """Say that nobody works, so that a stopped daemon does not look like a slow batch; None where somebody does."""
    if last_tick is not None and datetime.now(timezone.utc) - last_tick < STALE_AFTER:
        return None
    since = f"since {last_tick.astimezone():%Y-%m-%d %H:%M:%S}" if last_tick else "yet"
    return f"The dispatcher has not ticked {since}: nothing moves until `stt up` runs."


def warn_if_silent(database: Database) -> None:
    """Print on stderr that nobody works, where that is so."""
    with database.begin() as connection:
        warning = silence(heartbeats.last_beat(connection, HEARTBEAT))
    if warning:
        print_status(warning, style="yellow")
