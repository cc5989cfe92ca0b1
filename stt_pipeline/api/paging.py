"""Keyset paging: the cursor, the limit and the page that all lists share."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.tables import LARGEST_ID


def digits(value: object) -> object:
    """Reject other texts that pydantic accepts as a number: with line breaks or signs, 1.0 and 1_000."""
    if isinstance(value, str) and not (value.isascii() and value.isdecimal()):
        raise ValueError("use only digits")
    return value


Id = Annotated[
    int,
    BeforeValidator(digits),
    Path(ge=1, le=LARGEST_ID, description="Number of the resource.", examples=[12]),
]
Limit = Annotated[int, BeforeValidator(digits), Query(ge=1, le=200, description="Maximum number of items.")]

TEXT = r"^[^\x00]*$"  # Postgres stores no NUL characters
Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        description="`next_cursor` of the previous page; omit it for the first page.",
    ),
]


def id_of(cursor: str | None) -> int | None:
    """Return the id in a cursor; None for the first page.

    Raises:
        InvalidRequestError: the cursor is not from a list.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and 0 < int(cursor) <= LARGEST_ID):
        raise InvalidRequestError("The cursor is not a next_cursor of this list: omit it for the first page.")
    return int(cursor)


class Page(BaseModel):
    """Base of all pages."""

    next_cursor: str | None
    """``cursor`` of the next page; null on the last page."""
