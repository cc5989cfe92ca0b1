"""`stt batch review`: lists the files of a batch that a user should review first."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.batches.queries import review as reviews
from stt_pipeline.batches.queries.review import ToReview
from stt_pipeline.cli.batch.arguments import AsJsonLines, BatchId
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import out, print_json, print_status


def review(
    batch_id: BatchId,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of files.")] = 20,
    as_json: AsJsonLines = False,
) -> None:
    """List the transcripts to review first, the lowest quality first.

    The quality is 0 to 1: the model's confidence in its words. Suspected hallucinations and untranscribed speech count
    as 0.
    """
    with connected() as database:
        found = reviews.review(database, batch_id, limit)
    if as_json:
        for one in found:
            print_json(_described(one))
    elif found:
        out.print(_table(found))
    else:
        print_status(f"Batch {batch_id} has no transcript with speech yet.")


def _table(found: Sequence[ToReview]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("quality", justify="right", no_wrap=True)
    table.add_column("transcript", justify="right", no_wrap=True)
    table.add_column("file", overflow="fold", ratio=2)
    table.add_column("quality notes", overflow="fold", ratio=3)
    for one in found:
        figures = one.transcript.figures
        table.add_row(
            f"{figures.quality:.2f}",
            str(one.transcript.transcription_id),
            one.path,
            ", ".join(figures.quality_notes) or "none",
        )
    return table


def _described(one: ToReview) -> dict[str, object]:
    found = one.transcript
    return {
        "transcription_id": found.transcription_id,
        "path": one.path,
        "uri": found.uri,
        "duration": found.duration,
        **asdict(found.figures),
        "quality_notes": found.figures.quality_notes,
    }
