"""Query plans of Postgres: which statements scan a whole table, or read rows of other batches.

Records the statements that SQLAlchemy sends on any engine, and gets their plans afterwards with EXPLAIN.
"""

import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import FrameType
from typing import Any

from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import Engine

# per statement, with parameters from its first execution to its last
_EXAMPLES = 8
# from the sixth execution on, the server may use a generic plan for a prepared statement
_EXECUTIONS = 6
_HAS_A_PLAN = re.compile(r"(\s|--.*\n)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


@dataclass(frozen=True)
class Statement:
    """A statement as psycopg got it, and the functions of the store on its call stack, innermost first."""

    sql: str
    parameters: Mapping[str, Any]
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """A node of a plan that reads more of a table than necessary."""

    table: str
    how: str
    sql: str
    functions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.how} on {self.table} by {', '.join(self.functions)}: {' '.join(self.sql.split())}"


@contextmanager
def recorded() -> Iterator[list[Statement]]:
    """Yield a list that collects the statements of all threads within the block."""
    statements: list[Statement] = []

    def record(
        connection: object, cursor: object, statement: str, parameters: Any, context: object, many: bool
    ) -> None:
        values = parameters[0] if many else parameters
        statements.append(Statement(statement, values or {}, tuple(_functions_of_the_store())))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def _functions_of_the_store() -> Iterator[str]:
    frame: FrameType | None = sys._getframe(2)
    while frame:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("stt_pipeline.store."):
            yield f"{module.removeprefix('stt_pipeline.store.')}.{frame.f_code.co_name}"
        frame = frame.f_back


def wasteful_scans(
    connection: Connection, statements: Sequence[Statement], tables: Collection[str]
) -> list[Scan]:
    """Return the nodes of the statements' plans that scan one of some tables in full, or filter out other batches.

    Partitions of a table count as the table, unless they are empty.
    """
    rows = connection.execute(
        text("""
            SELECT relname, coalesce(pg_partition_root(oid), oid)::regclass::text AS root FROM pg_class
            WHERE relkind IN ('r', 'p') AND (relkind = 'p' OR pg_relation_size(oid) > 0)
        """)
    )
    parts = {row.relname: row.root for row in rows if row.root in tables}
    found: dict[Scan, None] = {}
    for statement, plan in _planned(connection, statements, tables):
        for part, how in _wasteful(plan, {}):
            if part in parts:
                found[Scan(parts[part], how, statement.sql, statement.functions)] = None
    return list(found)


def statements_by_index(
    connection: Connection, statements: Sequence[Statement], tables: Collection[str]
) -> dict[str, list[Statement]]:
    """Return the statements on some tables whose plans use each index; an index of a partition counts as its root."""
    rows = connection.execute(
        text("""
            SELECT relname, coalesce(pg_partition_root(oid), oid)::regclass::text AS root FROM pg_class
            WHERE relkind IN ('i', 'I')
        """)
    )
    roots = {row.relname: row.root for row in rows}
    found: dict[str, list[Statement]] = {}
    for statement, plan in _planned(connection, statements, tables):
        for index in {roots[name] for name in _indexes(plan)}:
            found.setdefault(index, []).append(statement)
    return found


def _indexes(node: Mapping[str, Any]) -> Iterator[str]:
    if "Index Name" in node:
        yield node["Index Name"]
    for child in node.get("Plans", ()):
        yield from _indexes(child)


def _planned(
    connection: Connection, statements: Sequence[Statement], tables: Collection[str]
) -> Iterator[tuple[Statement, Mapping[str, Any]]]:
    """Yield the plans of the statements that name one of some tables."""
    by_sql: dict[str, list[Statement]] = {}
    for statement in statements:
        if _HAS_A_PLAN.match(statement.sql) and any(table in statement.sql for table in tables):
            by_sql.setdefault(statement.sql, []).append(statement)
    for same in by_sql.values():
        for statement in same[:: ceil(len(same) / _EXAMPLES)]:
            for plan in _plans(connection, statement):
                yield statement, plan


def _plans(connection: Connection, statement: Statement) -> Iterator[dict[str, Any]]:
    """Yield the plans of the first executions of a statement that the client prepares."""
    numbers = {name: number for number, name in enumerate(statement.parameters, start=1)}
    query = re.sub(r"%\((\w+)\)s", lambda found: f"${numbers[found[1]]}", statement.sql).replace("%%", "%")
    driver: Any = connection.connection.driver_connection
    values = list(statement.parameters.values())
    transformer = Transformer(driver)
    transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
    with driver.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regtype::text FROM unnest(%s::oid[]) oid", [list(transformer.types or ())]
        )
        types = ", ".join(row[0].replace("-", "unknown") for row in cursor.fetchall())
        cursor.execute(f"PREPARE planned {f'({types})' if values else ''} AS {query}".encode())
        call = sql.SQL("planned ({})" if values else "planned").format(sql.SQL(", ").join(values))
        for _ in range(_EXECUTIONS):
            cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) EXECUTE {}").format(call), prepare=False)
            ((found,),) = cursor.fetchall()
            yield found[0]["Plan"]
        cursor.execute("DEALLOCATE planned")


def _wasteful(node: Mapping[str, Any], above: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (table, what is wrong) for the scans at and below a node; ``above`` is its parent."""
    kind = node["Node Type"]
    table = node.get("Relation Name") or above.get("Relation Name", "")
    by_index = kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
    if kind == "Seq Scan":
        yield table, kind
    # an index under a BitmapAnd may be read in full, because another index limits the rows
    elif by_index and "Index Cond" not in node and above.get("Node Type") != "BitmapAnd":
        yield table, f"{kind} of all of {node['Index Name']}"
    elif "batch_id" in node.get("Filter", ""):
        yield table, f"{kind} through other batches by {node.get('Index Name', 'a bitmap')}"
    for child in node.get("Plans", ()):
        yield from _wasteful(child, node)
