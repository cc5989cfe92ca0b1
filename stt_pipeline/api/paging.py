"""Pages: keyset cursors and limits, the same for every list."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.tables import LARGEST_ID


def digits(value: object) -> object:
    """Refuse what pydantic would take for a number, too: line breaks around it, signs, 1.0 and 1_000."""
    if isinstance(value, str) and not (value.isascii() and value.isdecimal()):
        raise ValueError("write it in digits")
    return value


Id = Annotated[
    int, BeforeValidator(digits), Path(ge=1, le=LARGEST_ID, description="Its number.", examples=[12])
]
Limit = Annotated[int, BeforeValidator(digits), Query(ge=1, le=200, description="At most so many.")]

TEXT = r"^[^\x00]*$"  # what Postgres can hold
Cursor = Annotated[
    str | None,
    Query(
        min_length=1, max_length=200, description="`next_cursor` of the page before; none for the first page."
    ),
]


def id_of(cursor: str | None) -> int | None:
    """Return the id that a cursor is, in lists that go on behind one; None for the first page.

    Raises:
        InvalidRequestError: no list gave this cursor.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and 0 < int(cursor) <= LARGEST_ID):
        raise InvalidRequestError(
            "The cursor is not one that this list gave: leave it out for the first page."
        )
    return int(cursor)


class Page(BaseModel):
    """What every list has beside its items."""

    next_cursor: str | None
    """Goes into ``cursor`` for the next page; null on the last one."""
