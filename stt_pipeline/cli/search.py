"""`stt search`: finds words in transcripts and minutes."""

import html
import re
import shlex
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from stt_pipeline.batches.queries import search as searching
from stt_pipeline.batches.queries.search import Match
from stt_pipeline.cli.batch.arguments import AsJsonLines
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.files import InBatch
from stt_pipeline.cli.terminal import out, print_json, print_status
from stt_pipeline.durations import clock
from stt_pipeline.minutes.speaker_names import speaker_name
from stt_pipeline.search.snippets import Hit
from stt_pipeline.store.tables import LARGEST_ID

_MARKED = re.compile("<mark>(.*?)</mark>")


def search(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORD...",
            help="Words that all occur within about three minutes, in any inflected form. Words in one argument in double "
            "quotes must follow each other: '\"예산안 확정\"'.",
        ),
    ],
    batch_id: InBatch = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Maximum number of passages.")] = 20,
    before: Annotated[
        int | None,
        typer.Option(
            min=1, max=LARGEST_ID, help="Continue with older passages, from the number of the previous page."
        ),
    ] = None,
    as_json: AsJsonLines = False,
) -> None:
    """Search transcripts and minutes, the newest first, with the time and speaker of each line.

    Exit code 1 if nothing is found.
    """
    query = " ".join(words)
    with connected() as database:
        matches, cursor = list[Match](), before
        while True:  # a page may be short or empty although there are older matches
            page = searching.search(
                database, query, limit=limit - len(matches), batch_id=batch_id, before=cursor
            )
            matches += page.items
            cursor = page.before
            if cursor is None or len(matches) >= limit:
                break
    for match in matches:
        print_json(asdict(match)) if as_json else _print(match)
    if not matches:
        print_status(f"Nothing {'older ' if before else ''}has these words.")
        raise typer.Exit(1)
    if cursor is not None and not as_json:
        place = f" --batch {batch_id}" if batch_id is not None else ""
        print_status(f"More: stt search {shlex.quote(query)}{place} --limit {limit} --before {cursor}")


def _print(match: Match) -> None:
    part = " (minutes)" if match.part == "minutes" else ""
    out.print(
        Text(f"{match.file_name}{part} - stt show {match.transcription_id}", style="bold"), soft_wrap=True
    )
    for hit in match.hits:
        out.print(_line(hit, match.language), soft_wrap=True)


def _line(hit: Hit, language: str) -> Text:
    time = f"[{clock(hit.start)}] " if hit.start is not None else ""
    speaker = f"{speaker_name(hit.speaker, language)}: " if hit.speaker else ""
    line = Text(f"  {time}{speaker}")
    for number, piece in enumerate(_MARKED.split(hit.snippet)):
        line.append(html.unescape(piece), style="bold yellow" if number % 2 else "")
    return line
