"""`stt batch progress`: prints the progress of a batch, once or as a live bar."""

from dataclasses import asdict
from typing import Annotated

import typer

from stt_pipeline.audio.address import display_path
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.cli.batch.arguments import AsJson, BatchId
from stt_pipeline.cli.batch.failures import error_without_name
from stt_pipeline.cli.batch.formatting import local_time, percent, rate, until
from stt_pipeline.cli.batch.watch import watched
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.dispatcher import warn_if_stale
from stt_pipeline.cli.terminal import print_facts, print_json, print_status
from stt_pipeline.durations import format_rough_duration
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batches

_MAX_FAILURES = 5  # failed files that are printed


def show_progress(
    batch_id: BatchId,
    watch: Annotated[bool, typer.Option("--watch", help="Show a progress bar until the batch ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the progress of a batch, and failed files. Exit code 1 if the batch has ended and no file succeeded."""
    with connected() as database:
        figures = progress(database, batch_id)
        if not figures.is_over:
            warn_if_stale(database)
            if watch:
                figures = watched(database, batch_id)
        with database.begin() as connection:
            source = batches.get(connection, batch_id).source_path
            failures = [
                f"{display_path(file.uri, source)}: {error_without_name(file)}"
                for file in files.failed(connection, batch_id, _MAX_FAILURES)
            ]
    if as_json:
        print_json(asdict(figures))
    else:
        print_facts(_facts(figures))
        for failure in failures:
            print_status(failure, style="red")
        if figures.failed > len(failures):
            rest = figures.failed - len(failures)
            print_status(f"... and {rest:,} more: stt batch failures {batch_id}", style="red")
    if figures.status == "failed":
        raise typer.Exit(1)


def _facts(figures: Progress) -> dict[str, str]:
    is_scanned = figures.total_files is not None
    by_class = ", ".join(f"{name} {count:,}" for name, count in figures.failures_by_class.items())
    facts = {
        "batch": f"{figures.batch_id} {figures.name}",
        "status": figures.status_text,
        "files": f"{figures.total_files:,}" if is_scanned else "not scanned yet",
        "transcribed": f"{figures.transcribed:,}",
        "completed": f"{figures.completed:,}",
        "failed": f"{figures.failed:,}" + (f" ({by_class})" if by_class else ""),
        "not done" if figures.is_over else "pending": f"{figures.pending:,}",
        "done": percent(figures.progress_percentage),
        "audio done": f"{figures.audio_hours_done:,.2f} h",
    }
    if figures.undelivered:
        facts["not delivered"] = (
            f"minutes of {figures.undelivered:,} files, listed by: stt batch failures {figures.batch_id} --class email, "
            f"and sent by: stt batch retry {figures.batch_id} --class email"
        )
    if figures.transcribed_per_minute is not None:
        facts["transcribed per minute"] = f"{rate(figures.transcribed_per_minute)} recently"
    if figures.files_per_minute is not None:
        facts["files per minute"] = f"{rate(figures.files_per_minute)} recently"
    if figures.avg_processing_time is not None:
        facts["work per file"] = f"{figures.avg_processing_time:.2f} s on average"
    if figures.real_time_factor is not None:
        facts["real-time factor"] = f"{figures.real_time_factor:.3f} (seconds of work per second of audio)"
    if figures.estimated_completion is not None:
        end = figures.estimated_completion
        facts["estimated end"] = f"{local_time(end)}, in {until(end)}"
    if figures.open_until is not None and not figures.is_over:
        facts["open"] = f"accepts new files until {local_time(figures.open_until)}"
    if figures.completed_at is not None:
        length = format_rough_duration((figures.completed_at - figures.created_at).total_seconds())
        facts["ended"] = f"{local_time(figures.completed_at)}, after {length}"
    if figures.error:
        facts["note"] = figures.error
    if not figures.is_over:
        last = figures.dispatcher_last_tick
        facts["dispatcher"] = f"ticked {local_time(last, seconds=True)}" if last else "has never ticked"
    return facts
