"""`stt doctor`: prints the results of the checks in ``checks.py``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from stt_pipeline.cli.checks import all_checks
from stt_pipeline.cli.terminal import out, pasteable
from stt_pipeline.settings import Settings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check this machine and its configuration. Exit code 1 if a check fails."""
    checks = list(all_checks(Settings()))
    if as_json:
        typer.echo(json.dumps({"checks": [asdict(check) for check in checks]}, ensure_ascii=False))
    else:
        table = Table("", "check", Column("found", overflow="fold"), "what to do")
        for check in checks:
            state = Text(check.state, style=_COLOURS[check.state])
            table.add_row(state, check.name, *map(pasteable, (check.found, check.advice)))
        out.print(table)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)
