"""The two streams that commands print to. What is a result goes to ``out``; what is said about the work, to ``err``.

Both show text as it is: a recording may be called ``[draft] plan.wav``, which is no markup. Colours are styles.
"""

import json
from collections.abc import Mapping
from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table

out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)


def print_status(message: str, *, style: str | None = None) -> None:
    """Print ``message`` on stderr, its lines as long as they are."""
    err.print(message, style=style, soft_wrap=True)


def print_result(message: str) -> None:
    """Print ``message``, what a command did, on stdout, its lines as long as they are."""
    out.print(message, soft_wrap=True)


def print_json(value: object) -> None:
    """Print ``value`` as JSON on a line of stdout, times of day as ISO 8601."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=datetime.isoformat))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print what is known of one thing on stdout, a row for each fact."""
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # addresses have no spaces to break at
    for name, value in facts.items():
        table.add_row(name, value)
    out.print(table)
