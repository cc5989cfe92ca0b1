"""The live progress bar of a batch. It polls the database every half second, and changes nothing."""

import time
from collections.abc import Iterable

from rich.console import RenderableType
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from stt_pipeline.batches.execution.dispatch import STALE_AFTER
from stt_pipeline.batches.queries.progress import Progress, progress
from stt_pipeline.cli.batch.formatting import local_time, percent, rate, until
from stt_pipeline.cli.dispatcher import stale_warning
from stt_pipeline.cli.terminal import err, print_status
from stt_pipeline.store.database import Database

_POLL_SECONDS = 0.5


class _Bar(ProgressBar):
    """A bar as wide as the terminal, and a line of figures below it."""

    def __init__(self) -> None:
        columns = (
            # shows activity while the count stands still: the first files of a run may take long
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[percentage_done]}"),
        )
        self._figures = ""
        super().__init__(*columns, console=err, expand=True, disable=not err.is_terminal)
        self._task = self.add_task("", total=None, percentage_done="")

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar and the line below it."""
        yield self.make_tasks_table(self.tasks)
        yield Text(self._figures)

    def show(self, figures: Progress) -> None:
        """Show these figures."""
        self._figures = _line(figures)
        is_scanned = figures.total_files is not None
        # a transcript is half of a file's way; the other half are speakers, minutes and mails
        ended = figures.completed + figures.failed
        halves = ended + figures.transcribed + figures.failed
        total = 2 * (figures.total_files or 0)
        self.update(
            self._task,
            description=figures.status,
            total=total if is_scanned else None,
            completed=halves,
            percentage_done=percent(100 * halves / total if total else 100.0) if is_scanned else "",
        )


def watched(database: Database, batch_id: int, *, stop_on_error: bool = False) -> Progress:
    """Draw a live progress bar on stderr until the batch ends, and return its last figures.

    Args:
        stop_on_error: return as soon as the batch has an error, instead of waiting until a user solves it.
    """
    began = time.monotonic()
    printed = set[str]()
    with _Bar() as bar:
        while True:
            figures = progress(database, batch_id)
            bar.show(figures)
            if figures.is_over or (figures.error and stop_on_error):
                return figures
            # a dispatcher that was just started needs time for its first tick
            is_starting = time.monotonic() - began < STALE_AFTER.total_seconds()
            for note in (figures.error, None if is_starting else stale_warning(figures.dispatcher_last_tick)):
                if note and note not in printed:
                    print_status(note, style="yellow")
                    printed.add(note)
            time.sleep(_POLL_SECONDS)


def _line(figures: Progress) -> str:
    if figures.total_files is None:
        return ""
    parts = [f"{figures.completed + figures.failed:,} of {figures.total_files:,} files"]
    if figures.transcribed > figures.completed:
        parts.append(f"{figures.transcribed:,} transcribed")
    if figures.failed:
        parts.append(f"{figures.failed:,} failed")
    if figures.files_per_minute:
        parts.append(f"{rate(figures.files_per_minute)} files/min")
    if figures.estimated_completion:
        parts.append(f"{until(figures.estimated_completion)} left")
    if figures.waits_for_more and figures.open_until:
        parts.append(f"waits for new files until {local_time(figures.open_until)}")
    if figures.status == "paused":
        parts.append(f"`stt batch resume {figures.batch_id}` continues it")
    return " · ".join(parts)
