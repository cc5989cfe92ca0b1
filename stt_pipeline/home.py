"""Where an installation keeps its data and its settings: the default of ``STT_HOME``, and the ``.env`` files.

The working directory decides neither, so `stt` finds the same Postgres from every folder.
"""

import os
from pathlib import Path
from typing import Any, Final

from platformdirs import user_config_path, user_data_path
from pydantic_settings import BaseSettings, DotEnvSettingsSource

from stt_pipeline.errors import ConfigurationError

_APPLICATION: Final = "stt_pipeline"
ENV_FILE: Final = ".env"
ENV_FILE_VARIABLE: Final = "STT_ENV_FILE"
"""Names the one file to read instead of :func:`env_files`' usual places; empty for none."""
_PATHS: Final = ("home", "data_uri")
"""Settings that are relative to the folder of their ``.env`` file."""


def checkout() -> Path | None:
    """Return the checkout that this package runs from; None if it is installed without one."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None


def default_home() -> Path:
    """Return ``STT_HOME`` where it is not set: ``.stt`` in the checkout, else the user's data folder."""
    folder = checkout()
    return folder / ".stt" if folder else user_data_path(_APPLICATION, appauthor=False)


def env_files() -> tuple[Path, ...]:
    """Return the places of ``.env``, whether it exists or not; a name in an earlier file wins.

    ``STT_ENV_FILE`` if it is set. Else the working directory, then the checkout, or the user's configuration folder if
    there is no checkout.

    Raises:
        ConfigurationError: ``STT_ENV_FILE`` is not a file.
    """
    chosen = os.environ.get(ENV_FILE_VARIABLE)
    if chosen == "":
        return ()
    if chosen:
        path = Path(chosen).expanduser().absolute()
        if not path.is_file():
            raise ConfigurationError(
                f"{ENV_FILE_VARIABLE} is {chosen}, which is not a file. Correct or unset it."
            )
        return (path,)
    folder = checkout() or user_config_path(_APPLICATION, appauthor=False)
    return tuple(dict.fromkeys((Path.cwd() / ENV_FILE, folder / ENV_FILE)))


class EnvFile(DotEnvSettingsSource):
    """The settings in one ``.env`` file. Relative paths start at its folder, and not at the working directory."""

    def __init__(self, settings: type[BaseSettings], path: Path) -> None:
        """Read ``path``, which may be missing."""
        self._folder = path.parent
        super().__init__(settings, env_file=path, env_file_encoding="utf-8")

    def __call__(self) -> dict[str, Any]:
        """Return the values by name of the field."""
        values = super().__call__()
        for name in _PATHS:
            value = values.get(name)
            if value and "://" not in value and not value.startswith("~"):
                values[name] = str(self._folder / value)
        return values
