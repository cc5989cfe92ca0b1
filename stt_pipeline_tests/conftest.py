"""Shared fixtures: real Postgres servers for the whole session, and an empty migrated database for each test."""

import itertools
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Inspector, NullPool, create_engine, inspect, make_url, text

from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.server.embedded import EmbeddedPostgres
from stt_pipeline_tests import postgres15, real_speech

REAL = Path(__file__).parents[2] / "shared" / "audio"
"""Real recordings, which are not in the repository."""

needs_real_speech = pytest.mark.skipif(
    not REAL.is_dir() and os.environ.get("CI") != "true",
    reason=f"no real recordings at {REAL}; CI must have them",
)
SAMPLES = Path(__file__).parents[1] / "samples"

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a developer's STT_* variables, home and .env out of the tests; `stt` is on the PATH."""
    for name in [name for name in os.environ if name.startswith(("STT_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STT_QUIET_PERIOD_SECONDS", "0")  # tests write whole files
    monkeypatch.setenv("STT_HOME", str(tmp_path / ".stt"))
    monkeypatch.setenv("STT_ENV_FILE", "")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)


# the tests of the store send every query; these two have the largest statements
_ALSO_ON_15 = ("test_scan", "test_lifecycle")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the store also on PostgreSQL 15, the version that production runs."""
    path = metafunc.definition.path
    is_included = path.parent.name == "store" or path.stem in _ALSO_ON_15
    if is_included and "postgres_url" in metafunc.fixturenames and postgres15.is_installed():
        metafunc.parametrize("postgres_url", ["embedded", "postgres15"], indirect=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests with the real model where it, the recordings or the cases are missing."""
    if item.get_closest_marker("real"):
        real_speech.skip_or_fail()


# these files take longest; they start first, so that no test process is idle at the end
_SLOW = (
    "test_dagster_ui",
    "test_backfill_and_bucket",
    "test_up",
    "test_query_plans",
    "test_dagster_commands",
    "test_user_runs",
    "test_jobs",
    "test_engine",
    "test_contract",
    "test_memory",
    "test_under_load",
    "test_killed_scan",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first."""
    items.sort(key=lambda item: _SLOW.index(item.path.stem) if item.path.stem in _SLOW else len(_SLOW))


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the embedded server, with a migrated template database."""
    with EmbeddedPostgres(Settings(home=tmp_path_factory.mktemp("postgres"), _env_file=None)) as server:  # type: ignore[call-arg]
        for setting in postgres15.NOT_DURABLE:
            _execute(server.url, f"ALTER SYSTEM SET {setting} = off")
        _execute(server.url, "SELECT pg_reload_conf()")
        _make_template(server.url)
        yield server.url


@pytest.fixture(scope="session")
def postgres15_url() -> Iterator[str]:
    """URL of a server of PostgreSQL 15, with a migrated template database."""
    with postgres15.running() as url:
        _make_template(url)
        yield url


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    """URL of the server that the test runs on."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'embedded')}_url")
    return url


@pytest.fixture
def template() -> str:
    """Name of the database that each test gets a copy of."""
    return "template_stt"


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """URL of an empty, migrated database that belongs to one test."""
    name = f"test_{next(_numbers)}"
    yield create_database(postgres_url, name, template)
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The store on an empty database."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def schema(postgres_url: str) -> Iterator[Inspector]:
    """The schema of a migrated database, for tests that write nothing: without a new database for each test."""
    engine = create_engine(_named(postgres_url, "template_stt"), poolclass=NullPool)
    with engine.connect() as connection:  # closed after the test: a template in use cannot be copied
        yield inspect(connection)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server on loopback that speaks S3 and SQS (moto)."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@cache
def _aws_session() -> Any:
    """One session for all tests: creating one takes 0.3 s, because it loads the descriptions of all AWS services."""
    import boto3

    return boto3.session.Session("testing", "testing", region_name="us-east-1")


def point_aws_at(server: str, patch: pytest.MonkeyPatch) -> None:
    """Set the endpoint and test credentials for all AWS clients, also in child processes."""
    variables = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        # no settings of a developer's account, and no request to 169.254.169.254
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_REGION",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
    ):
        patch.delenv(name, raising=False)
    for name, value in variables.items():
        patch.setenv(name, value)
    patch.setattr("boto3.DEFAULT_SESSION", _aws_session())


@pytest.fixture
def aws(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of the same server, which all AWS clients use."""
    point_aws_at(s3_server, monkeypatch)
    return s3_server


@pytest.fixture
def bucket(aws: str) -> str:
    """Name of a new, empty bucket on that server."""
    import boto3

    name = f"recordings-{next(_numbers)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def create_database(server_url: str, name: str, template: str) -> str:
    """Create a copy of a database, and return its URL."""
    _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    return _named(server_url, name)


def _make_template(url: str) -> None:
    _execute(url, "CREATE DATABASE template_stt")
    upgrade(_named(url, "template_stt"))


def _named(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
