"""The accepted forms of a Postgres URL."""

import re

import pytest
from sqlalchemy import make_url

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.store.server.url import (
    may_come_back,
    place_of,
    psycopg2_url,
    psycopg_url,
    require_reachable,
)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_form_becomes_both_drivers(scheme: str) -> None:
    given = f"{scheme}://ann:p%40ss%2Fword%25@db.example:6432/minutes?sslmode=require"
    for convert, driver in ((psycopg_url, "psycopg"), (psycopg2_url, "psycopg2")):
        made = make_url(convert(given))
        assert made.drivername == f"postgresql+{driver}"
        assert (made.username, made.password, made.host, made.port) == (
            "ann",
            "p@ss/word%",
            "db.example",
            6432,
        )
        assert (made.database, made.query) == ("minutes", {"sslmode": "require"})


@pytest.mark.parametrize(
    "given", ["mysql://a:pw@h/d", "not a url", "postgresql://a:pw@h:port/d", "", "sqlite://"]
)
def test_other_urls_are_refused_and_not_shown(given: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of a Postgres database") as caught:
        psycopg_url(given)
    assert "pw" not in str(caught.value).replace("password", "")


def test_place_has_no_user_and_no_password() -> None:
    assert place_of("postgresql://ann:pw@h/d") == "h, port 5432, database d"
    assert (
        place_of("postgresql+psycopg://postgres@/postgres?host=/x&port=5432")
        == "/x, port 5432, database postgres"
    )


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://ann:s3cret@t0p@db/minutes",
        "postgresql://ann:t0p@s3cret?@db/minutes",
        "postgresql://ann:s3cret@t0p/x@db/minutes",
        "postgres://team/ann:s3cret@t0p",
        "postgresql://ann:@s3cret@t0p",
    ],
)
def test_a_password_with_special_characters_is_refused_and_no_piece_is_shown(given: str) -> None:
    for use in (psycopg_url, psycopg2_url, place_of, require_reachable):
        with pytest.raises(ConfigurationError, match="percent-encoded") as caught:
            use(given)
        assert not {"s3cret", "t0p"} & set(re.findall(r"\w+", str(caught.value)))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('connection to server on socket "/x" failed: Connection refused', True),
        ("connection failed: FATAL:  the database system is starting up", True),
        ("connection failed: FATAL:  the database system is not yet accepting connections", True),
        ("connection failed: FATAL:  the database system is in recovery mode", True),
        ('connection failed: FATAL:  password authentication failed for user "ann"', False),
        ('connection failed: FATAL:  database "minutes" does not exist', False),
    ],
)
def test_only_a_server_that_restarts_is_waited_for(message: str, expected: bool) -> None:
    assert may_come_back(OSError(message)) is expected
