"""The lock that lets one stack run on a database."""

import os

import pytest
from sqlalchemy import make_url

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.store.server.database_lock import DatabaseLock


def test_a_second_stack_is_refused_and_learns_who_has_the_lock(database_url: str) -> None:
    with DatabaseLock(database_url):
        with pytest.raises(ConfigurationError, match="Another stack runs on this database") as refused:
            DatabaseLock(database_url).__enter__()
        assert f"stt up, process {os.getpid()} on " in str(refused.value)
        assert make_url(database_url).database in str(refused.value)
    with DatabaseLock(database_url):
        pass


def test_another_database_of_the_server_is_free(database_url: str) -> None:
    other = make_url(database_url).set(database="postgres").render_as_string(hide_password=False)
    with DatabaseLock(database_url), DatabaseLock(other):
        pass
