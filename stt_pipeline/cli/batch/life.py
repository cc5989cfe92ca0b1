"""`stt batch pause|resume|retry|cancel|delete`: what people do with a batch that is there.

Each changes rows and returns at once; the dispatcher in `stt up` does the rest.
"""

import sys
from typing import Annotated

import typer

from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.retry import retry as retry_files
from stt_pipeline.cli.batch.arguments import BatchId, OfClass
from stt_pipeline.cli.connection import actor, connected
from stt_pipeline.cli.dispatcher import warn_if_silent
from stt_pipeline.cli.terminal import err, print_result, print_status
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, transitions
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.queue.transitions import Move

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def pause(batch_id: BatchId) -> None:
    """Let a batch rest: files in work are finished, and nothing new begins."""
    with connected() as database:
        lifecycle.pause(database, batch_id, actor=actor("stt batch pause"))
        print_result(
            f"Batch {batch_id} is paused: what has begun is finished; `stt batch resume {batch_id}` goes on."
        )
        warn_if_silent(database)


def resume(batch_id: BatchId) -> None:
    """Let a paused batch go on where it was."""
    with connected() as database:
        batch = lifecycle.resume(database, batch_id, actor=actor("stt batch resume"))
        print_result(
            f"Batch {batch_id} is {batch.status} again. Watch it with: stt batch progress {batch_id} --watch"
        )
        warn_if_silent(database)


def retry(batch_id: BatchId, error_class: OfClass = None) -> None:
    """Start the failed files of a batch again, all or those of one class; `stt batch failures` lists them."""
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
            f"when `stt batch resume {batch_id}` lets the batch go on."
            if is_paused
            else f"again. Watch it with: stt batch progress {batch_id} --watch"
        )
        print_result(f"{what} {next_step}")
        warn_if_silent(database)


def cancel(batch_id: BatchId, yes: Yes = False) -> None:
    """End a batch for good: its runs are ended, what is finished stays, and the rest is not done."""
    with connected() as database:
        if not yes:
            batch = _allowed(database, batch_id, "cancelled")
            _ask(
                f"Batch {batch_id} ({batch.name}) is {batch.status}. Its runs are ended; what is finished stays, and the "
                "rest cannot be taken up again.",
                f"Cancel batch {batch_id}?",
            )
        lifecycle.cancel(database, batch_id, actor=actor("stt batch cancel"))
        print_result(f"Batch {batch_id} is cancelled: its runs are being ended, and what is finished stays.")
        print_result(f"Remove it with: stt batch delete {batch_id}")
        warn_if_silent(database)


def delete(batch_id: BatchId, yes: Yes = False) -> None:
    """Remove a batch that is over: rows, transcripts, minutes, Parquet files, partitions and runs. The source stays."""
    with connected() as database:
        if not yes:
            batch = _allowed(database, batch_id, "deleted")
            _ask(
                f"Batch {batch_id} ({batch.name}) is {batch.status}. Its rows, transcripts, minutes and Parquet files, and "
                f"its partitions and runs in Dagster go away for good. The recordings in {batch.source_path} stay.",
                f"Delete batch {batch_id}?",
            )
        lifecycle.delete(database, batch_id, actor=actor("stt batch delete"))
        print_result(f"Batch {batch_id} is being deleted. It leaves `stt batch list` when all of it is gone.")
        warn_if_silent(database)


def _allowed(database: Database, batch_id: int, move: Move) -> Batch:
    """Return the batch if ``move`` is allowed, so that nobody is asked about what is refused afterwards."""
    with database.begin() as connection:
        return transitions.check(connection, batch_id, move)


def _ask(consequences: str, question: str) -> None:
    """Go on only if a person agrees.

    Raises:
        InvalidRequestError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            f"{consequences}\nThere is no terminal to ask on: add --yes if that is meant."
        )
    err.print(consequences)
    if not typer.confirm(question, err=True):
        print_status("Nothing was changed.")
        raise typer.Exit(1)
