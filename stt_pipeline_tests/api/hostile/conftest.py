"""One app and one database for all hostile requests, since they change nothing."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, make_url, text

from stt_pipeline.api import keys
from stt_pipeline.api.app import create_app
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline_tests.api.hostile.target import CANARY, Target


@pytest.fixture(scope="package")
def target(embedded_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The app with an allowed folder, and other folders beside it."""
    root = tmp_path_factory.mktemp("hostile")
    for folder in ("meetings", "meetings-old", "secret"):
        (root / folder / "2026").mkdir(parents=True)
        (root / folder / "2026" / CANARY).touch()
    (root / "meetings" / "link").symlink_to(root / "secret")
    name = f"hostile_{os.getpid()}"
    engine = create_engine(embedded_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template_stt"))
    database = Database(make_url(embedded_url).set(database=name).render_as_string(hide_password=False))
    settings = Settings(
        allowed_sources=f"{(root / 'meetings').as_uri()},s3://audio-files",
        api_rate_limit="100000/minute",
        _env_file=None,
    )  # type: ignore[call-arg]
    actor = Actor("tests")
    _, key = keys.create(database, name="admin", role="admin", actor=actor)
    ended, revoked = keys.create(database, name="gone", role="admin", actor=actor)
    keys.revoke(database, ended.id, actor=actor)
    create_batch(
        database,
        BatchRequest(source_path=str(root / "meetings"), name="existing", notify_emails=["kim@example.com"]),
    )
    created = Target(create_app(settings, database), database, root / "meetings", key, revoked)
    assert created.has_changed()
    yield created
    database.dispose()
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
