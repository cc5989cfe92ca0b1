"""`stt key`: API keys of the admin API. A key is shown once, when it is created; later only its prefix."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stt_pipeline.api import keys
from stt_pipeline.cli.batch.arguments import AsJson, AsJsonLines, valid_id
from stt_pipeline.cli.batch.formatting import table_time, zone
from stt_pipeline.cli.connection import actor, connected
from stt_pipeline.cli.terminal import out, print_json, print_result, print_status
from stt_pipeline.store.access import api_keys
from stt_pipeline.store.access.api_keys import ApiKey, Role

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys for the admin API.")


@app.command()
def create(
    role: Annotated[
        Role,
        typer.Option(
            help="viewer: read and export. operator: also create, change, retry and cancel batches. admin: also delete."
        ),
    ],
    name: Annotated[str, typer.Option(help="User or purpose of the key. Default: the role.")] = "",
    as_json: AsJson = False,
) -> None:
    """Create a key and print it, alone on stdout. Only its hash is stored, so it cannot be shown again."""
    with connected() as database:
        row, key = keys.create(database, name=name or role, role=role, actor=actor("stt key create"))
    if as_json:
        print_json({**_facts(row), "key": key})
        return
    typer.echo(key)
    print_status(f"Key {row.id} ({row.name}) has the role {role}.")
    print_status(
        f"Save it now, it is not shown again. Send it as `Authorization: Bearer ...`; revoke it with: stt key revoke {row.id}"
    )


@app.command("list")
def list_keys(as_json: AsJsonLines = False) -> None:
    """List the keys, including revoked ones."""
    with connected() as database, database.begin() as connection:
        found = api_keys.listed(connection)
    if as_json:
        for key in found:
            print_json(_facts(key))
    elif found:
        out.print(_table(found))
    else:
        print_status("No key exists yet. Create one with: stt key create --role operator")


@app.command()
def revoke(
    key_id: Annotated[
        int,
        typer.Argument(metavar="ID", callback=valid_id, help="Number of the key, as in `stt key list`."),
    ],
    as_json: AsJson = False,
) -> None:
    """Revoke a key: it is rejected from the next request on."""
    with connected() as database:
        key = keys.revoke(database, key_id, actor=actor("stt key revoke"))
    if as_json:
        print_json(_facts(key))
    else:
        print_result(f"Key {key.id} ({key.name}) is revoked.")


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "prefix": key.prefix,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def _table(found: Sequence[ApiKey]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("role", no_wrap=True)
    table.add_column("key", no_wrap=True)
    for column in (f"created ({zone()})", "last used", "revoked"):
        table.add_column(column, no_wrap=True)
    table.add_column("name", overflow="fold")
    for key in found:
        times = [table_time(at) for at in (key.created_at, key.last_used_at, key.revoked_at)]
        table.add_row(str(key.id), key.role, f"{key.prefix}_…", *times, key.name)
    return table
