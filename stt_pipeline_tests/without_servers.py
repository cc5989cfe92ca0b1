"""A pytest plugin that deselects every test with a server of its own (Postgres, S3).

`.ci/run` uses it on a second Python version: ``python -m pytest -p stt_pipeline_tests.without_servers FOLDER...``.
"""

import pytest

_SERVERS = {"postgres_url", "embedded_url", "postgres15_url", "s3_server"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that use no server's fixture, directly or through others."""
    with_servers = [item for item in items if _SERVERS & set(getattr(item, "fixturenames", ()))]
    if with_servers:
        config.hook.pytest_deselected(items=with_servers)
        items[:] = [item for item in items if item not in set(with_servers)]
