"""All SQL on our tables is in the store: other rooms get connections and tables, and pass them on.

Tests may read by SQL. They write with the builder in ``stt_pipeline_tests.rows``.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "stt_pipeline"
PASSED_ON = {"Connection", "Table"}
OF_DAGSTER = {"defs/dagster_private.py": {"insert"}}
"""Writes rows of Dagster's own tables as Dagster does."""
TESTS = Path(__file__).parents[1]
WRITE_BY_SQL = {
    "store/large_store.py": "fills the tables with millions of rows",
    "store/test_migrations.py": "writes rows of older schemas",
}


def sqlalchemy_names(source: str) -> Iterator[str]:
    """Yield the names that a module imports from SQLAlchemy, except its exceptions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("sqlalchemy"))
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.startswith("sqlalchemy") and module != "sqlalchemy.exc":
                yield from (name.name for name in node.names)


@pytest.mark.slow
def test_other_rooms_build_no_sql() -> None:
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "store"
        and (names := set(sqlalchemy_names(path.read_text(encoding="utf-8"))) - PASSED_ON)
    }
    assert found == OF_DAGSTER


def test_tests_write_rows_with_the_builder() -> None:
    write = re.compile(
        r"\b(insert\s+into|update|delete\s+from|truncate)\s+(only\s+|table\s+)?stt_", re.IGNORECASE
    )
    writers = {
        str(path.relative_to(TESTS)) for path in TESTS.rglob("*.py") if write.search(path.read_text("utf-8"))
    }
    assert writers == WRITE_BY_SQL.keys(), "use stt_pipeline_tests.rows.Rows, or remove the entry"
