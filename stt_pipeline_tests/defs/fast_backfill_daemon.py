"""Dagster's daemon as `stt up` starts it, but with ten seconds between its looks at backfills.

Dagster's 30 seconds have no setting, and each backfill would wait for them several times.
"""

from dagster._daemon import controller
from dagster._daemon.cli import main

if __name__ == "__main__":
    assert controller.DEFAULT_DAEMON_INTERVAL_SECONDS == 30
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 10
    main()
