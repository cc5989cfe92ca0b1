"""Output of commands: results go to ``out`` (stdout), status messages to ``err`` (stderr).

Both print text without markup, since a recording may be named ``[draft] plan.wav``. Colours are styles. Commands in
messages are printed as this shell can run them.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)

_COMMAND: Final = re.compile(r"(?<=`)stt (?=[a-z])|(?<=: )stt (?=[a-z])")


@cache
def program() -> str:
    """Return how the shell calls `stt`: by its name if that is this installation, else by its path."""
    script = Path(sys.executable).with_name("stt")
    found = shutil.which("stt")
    if not script.exists() or (found and Path(found).resolve() == script.resolve()):
        return "stt"
    folder = Path.cwd()
    # not resolved: .venv may be a link
    path = script.relative_to(folder) if script.is_relative_to(folder) else script
    return shlex.quote(str(path))


def pasteable(message: str) -> str:
    """Return ``message`` with the path of this installation's `stt` in its commands, where the name alone does not work."""
    return _COMMAND.sub(lambda found: f"{program()} ", message)


def print_status(message: str, *, style: str | None = None) -> None:
    """Print ``message`` on stderr, without wrapping its lines."""
    err.print(pasteable(message), style=style, soft_wrap=True)


def print_result(message: str) -> None:
    """Print ``message``, the result of a command, on stdout, without wrapping its lines."""
    out.print(pasteable(message), soft_wrap=True)


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
