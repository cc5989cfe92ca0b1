"""What a Dagster process needs in its environment and in DAGSTER_HOME to be one of this instance.

Pure preparation: nothing is started here.
"""

import sysconfig
from pathlib import Path

import stt_pipeline
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.server.url import psycopg2_url, psycopg_url

LOCATION = "stt_pipeline"  # name of the code location, the same in workspace.yaml


def environment(settings: Settings, database_url: str) -> dict[str, str]:
    """Return the variables with which any process meets the same store and the same Dagster instance.

    Args:
        settings: whose ``home`` may be relative; the variables are absolute.
        database_url: of the server that runs, in any form.

    Raises:
        ConfigurationError: the URL is not one of Postgres.
    """
    return {
        "DAGSTER_HOME": str(settings.dagster_home),
        # materializations of many partitions are written together
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "STT_HOME": str(settings.home.absolute()),
        "STT_DATABASE_URL": psycopg_url(database_url),
        "STT_DAGSTER_POSTGRES_URL": psycopg2_url(database_url),
    }


def prepare_dagster_home(settings: Settings) -> None:
    """Make DAGSTER_HOME with a fresh copy of the project's ``dagster.yaml``.

    Raises:
        ConfigurationError: the folder cannot be written, or the package was installed without its data files.
    """
    source = _shipped("dagster.yaml")
    copy = settings.dagster_home / "dagster.yaml"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(f"# A copy, made at each start. Edit {source}.\n\n{source.read_text()}")
    except OSError as error:
        raise ConfigurationError(
            f"DAGSTER_HOME {copy.parent} cannot be written: {error.strerror}. Set STT_HOME to a folder of yours."
        ) from None


def _shipped(name: str) -> Path:
    """Return a file of the repository's top level: beside the package in a checkout, else where the wheel put it."""
    candidates = [
        Path(stt_pipeline.__file__).parents[1] / name,
        Path(sysconfig.get_path("data"), "share", "stt_pipeline", name),
        Path(
            sysconfig.get_path("data", sysconfig.get_preferred_scheme("user")), "share", "stt_pipeline", name
        ),
    ]
    for path in candidates:
        if path.exists():
            return path
    raise ConfigurationError(
        f"{name} is missing; it should be one of {', '.join(map(str, candidates))}. Install the package again."
    )
