"""docs/api.md against the API: it has every call with its role and an example."""

import re
from pathlib import Path

from fastapi import FastAPI

from stt_pipeline.api.access import ROLES

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_call_is_in_the_table_with_its_role(app: FastAPI) -> None:
    table = dict(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) [^`]+)` \| (\w+) \|$", PAGE, flags=re.M))
    assert table == {
        f"{method.upper()} {path}": ROLES.get(operation["operationId"], "none")
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }


def test_every_path_is_shown_with_curl(app: FastAPI) -> None:
    shown = re.findall(r"curl [^\n]*?(\$API[^\s\"?]*|http://[^\s\"?]*)", PAGE)
    asked = {
        re.sub(r"/\d+", "/{id}", path.replace("$API", "/api/v1/admin").replace("http://127.0.0.1:8010", ""))
        for path in shown
    }
    assert asked == {re.sub(r"\{\w+\}", "{id}", path) for path in app.openapi()["paths"]}
