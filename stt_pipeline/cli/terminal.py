"""Output of commands: results go to ``out`` (stdout), status messages to ``err`` (stderr).

Both print text without markup, since a recording may be named ``[draft] plan.wav``. Colours are styles.
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
    """Print ``message`` on stderr, without wrapping its lines."""
    err.print(message, style=style, soft_wrap=True)


def print_result(message: str) -> None:
    """Print ``message``, the result of a command, on stdout, without wrapping its lines."""
    out.print(message, soft_wrap=True)


def print_json(value: object) -> None:
    """Print ``value`` as one line of JSON on stdout, with times in ISO 8601."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=datetime.isoformat))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print a table of names and values on stdout."""
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # addresses have no spaces to break at
    for name, value in facts.items():
        table.add_row(name, value)
    out.print(table)
