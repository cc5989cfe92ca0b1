"""`stt batch pause|resume|retry|cancel|delete`: changes the state of an existing batch.

Each command changes rows and returns at once; the dispatcher in `stt up` does the rest.
"""

import sys
from typing import Annotated

import typer

from stt_pipeline.audio.address import display_source
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.retry import retry as retry_files
from stt_pipeline.cli.batch.arguments import BatchId, OfClass
from stt_pipeline.cli.connection import actor, connected
from stt_pipeline.cli.dispatcher import warn_if_stale
from stt_pipeline.cli.terminal import err, print_result, print_status
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, transitions
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.queue.transitions import Move

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def pause(batch_id: BatchId) -> None:
    """Pause a batch: active files are finished, and no other file is started."""
    with connected() as database:
        lifecycle.pause(database, batch_id, actor=actor("stt batch pause"))
        print_result(
            f"Batch {batch_id} is paused: active files are finished; `stt batch resume {batch_id}` continues it."
        )
        warn_if_stale(database)


def resume(batch_id: BatchId) -> None:
    """Continue a paused batch."""
    with connected() as database:
        batch = lifecycle.resume(database, batch_id, actor=actor("stt batch resume"))
        print_result(
            f"Batch {batch_id} is {batch.status} again. Follow it with: stt batch progress {batch_id} --watch"
        )
        warn_if_stale(database)


def retry(batch_id: BatchId, error_class: OfClass = None) -> None:
    """Start the failed files of a batch again, all or those of one error class; `stt batch failures` lists them."""
    with connected() as database:
        started = retry_files(
            database,
            batch_id,
            max_file_bytes=Settings().max_file_bytes,
            error_class=error_class,
            actor=actor("stt batch retry"),
        )
        what = "1 file starts" if started == 1 else f"{started:,} files start"
        with database.begin() as connection:
            is_paused = batches.get(connection, batch_id).status == "paused"
        next_step = (
            f"when `stt batch resume {batch_id}` continues the batch."
            if is_paused
            else f"again. Follow it with: stt batch progress {batch_id} --watch"
        )
        print_result(f"{what} {next_step}")
        warn_if_stale(database)


def cancel(batch_id: BatchId, yes: Yes = False) -> None:
    """Cancel a batch permanently: its runs are terminated, and finished files keep their results."""
    with connected() as database:
        if not yes:
            batch = _allowed(database, batch_id, "cancelled")
            _ask(
                f"Batch {batch_id} ({batch.name}) is {batch.status}. Its runs are terminated. Finished files keep their "
                "results; the other files cannot be continued.",
                f"Cancel batch {batch_id}?",
            )
        lifecycle.cancel(database, batch_id, actor=actor("stt batch cancel"))
        print_result(
            f"Batch {batch_id} is cancelled: its runs are being terminated, and finished files keep their results."
        )
        print_result(f"Delete it with: stt batch delete {batch_id}")
        warn_if_stale(database)


def delete(batch_id: BatchId, yes: Yes = False) -> None:
    """Delete an ended batch: rows, transcripts, minutes, Parquet files, partitions and runs. The recordings stay."""
    with connected() as database:
        if not yes:
            batch = _allowed(database, batch_id, "deleted")
            _ask(
                f"Batch {batch_id} ({batch.name}) is {batch.status}. Its rows, transcripts, minutes and Parquet files, and "
                f"its partitions and runs in Dagster are deleted permanently. The recordings in {display_source(batch.source_path)} stay.",
                f"Delete batch {batch_id}?",
            )
        lifecycle.delete(database, batch_id, actor=actor("stt batch delete"))
        print_result(
            f"Batch {batch_id} is being deleted. `stt batch list` shows it until all of it is deleted."
        )
        warn_if_stale(database)


def _allowed(database: Database, batch_id: int, move: Move) -> Batch:
    """Return the batch if ``move`` is allowed, so that the user does not confirm a change that is then rejected."""
    with database.begin() as connection:
        return transitions.check(connection, batch_id, move)


def _ask(consequences: str, question: str) -> None:
    """Continue only if the user confirms.

    Raises:
        InvalidRequestError: stdin is not a terminal.
    """
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            f"{consequences}\nThere is no terminal for the confirmation: add --yes to confirm."
        )
    err.print(consequences)
    if not typer.confirm(question, err=True):
        print_status("Nothing was changed.")
        raise typer.Exit(1)
