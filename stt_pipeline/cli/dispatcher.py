"""The warning that commands print when the dispatcher does not run. It starts nothing."""

from datetime import UTC, datetime

from stt_pipeline.batches.execution.dispatch import HEARTBEAT, STALE_AFTER
from stt_pipeline.cli.terminal import print_status
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import heartbeats


def stale_warning(last_tick: datetime | None) -> str | None:
    """Return a warning if the last tick is too old, so that a stopped daemon does not look like a slow batch."""
    if last_tick is not None and datetime.now(UTC) - last_tick < STALE_AFTER:
        return None
    since = f"since {last_tick.astimezone():%Y-%m-%d %H:%M:%S %Z}" if last_tick else "yet"
    return f"The dispatcher has not ticked {since}: batches do not progress until `stt up` runs."


def warn_if_stale(database: Database) -> None:
    """Print a warning on stderr if the dispatcher does not run."""
    with database.begin() as connection:
        warning = stale_warning(heartbeats.last_beat(connection, HEARTBEAT))
    if warning:
        print_status(warning, style="yellow")
