"""The environment and the DAGSTER_HOME with which a process belongs to this Dagster instance.

Nothing is started here.
"""

import sysconfig
from pathlib import Path
from typing import Any

import yaml

import stt_pipeline
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.store.server.url import psycopg2_url, psycopg_url

LOCATION = "stt_pipeline"  # name of the code location, the same in workspace.yaml

OVERRIDE = "dagster.override.yaml"
"""In ``STT_HOME``: changes to the shipped ``dagster.yaml``."""

# not in the shipped file: a Dagster command in a fresh clone has no such variable, and would fail.
# postgresql+psycopg2://, because psycopg 3 fails on NOTIFY
_STORAGE = """storage:
  postgres:
    postgres_url:
      env: STT_DAGSTER_POSTGRES_URL

"""


def environment(settings: Settings, database_url: str) -> dict[str, str]:
    """Return the variables that connect a process to this store and this Dagster instance.

    Args:
        settings: ``home`` may be relative; the variables are absolute.
        database_url: of the running server, with any driver.

    Raises:
        ConfigurationError: the URL is not one of Postgres.
    """
    return {
        "DAGSTER_HOME": str(settings.dagster_home),
        "STT_HOME": str(settings.home.absolute()),
        "STT_DATABASE_URL": psycopg_url(database_url),
        "STT_DAGSTER_POSTGRES_URL": psycopg2_url(database_url),
    }


def prepare_dagster_home(settings: Settings) -> None:
    """Make DAGSTER_HOME with the project's ``dagster.yaml``, the storage in Postgres, and ``STT_HOME/dagster.override.yaml`` merged into it.

    A key of the override replaces the same key of the file; mappings are merged key by key. So an operator changes the
    run launcher, say, without a copy of the whole file.

    Raises:
        ConfigurationError: the folder cannot be written, the override is not a YAML mapping, or the package was
            installed without its data files.
    """
    source = _shipped("dagster.yaml")
    override = settings.home.absolute() / OVERRIDE
    target = settings.dagster_home / "dagster.yaml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if override.exists():
            text = _merged_file(source, override)
            target.touch()
            target.chmod(override.stat().st_mode & 0o777 | 0o600)  # the override can contain secrets
        else:
            text = _copy(source)
        target.write_text(text)
    except OSError as error:
        raise ConfigurationError(
            f"DAGSTER_HOME {target.parent} cannot be written: {error.strerror}. Set STT_HOME to a folder of yours."
        ) from None


def _copy(source: Path) -> str:
    return f"# A copy, made at each start. Edit {source}.\n\n{_STORAGE}{source.read_text()}"


def _merged_file(source: Path, override: Path) -> str:
    try:
        values = yaml.safe_load(override.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"{override} cannot be read: {error.strerror}. Give this user read permission."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{override} is not valid YAML: {error}") from None
    if values is None:  # an empty file
        values = {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{override} must be a mapping, in the form of {source}.")
    merged = _merged(yaml.safe_load(_STORAGE + source.read_text()), values)
    head = f"# Made at each start from {source} and {override}. Edit these.\n\n"
    return f"{head}{yaml.safe_dump(merged, sort_keys=False)}"


def _merged(values: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    merged = {**values, **override}
    for key in values.keys() & override.keys():
        old, new = values[key], override[key]
        # another class has another configuration, so it replaces the whole mapping
        if isinstance(old, dict) and isinstance(new, dict) and new.get("class") in (None, old.get("class")):
            merged[key] = _merged(old, new)
    return merged


def _shipped(name: str) -> Path:
    """Return a file of the repository's top level: beside the package in a checkout, else from the wheel's data."""
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
        f"{name} is missing: looked for {', '.join(map(str, candidates))}. Install the package again."
    )
