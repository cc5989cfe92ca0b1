"""Names that look like settings, but are none: typing errors in the environment and in the ``.env`` files."""

import os
from collections.abc import Iterator
from typing import Final

from dotenv import dotenv_values
from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

from stt_pipeline.home import ENV_FILE_VARIABLE, env_files
from stt_pipeline.settings import Settings

_PREFIX: Final = "STT_"
OTHER_NAMES: Final = frozenset({ENV_FILE_VARIABLE, "STT_DAGSTER_POSTGRES_URL", "STT_SUPERVISED_BY"})
"""Variables that are no settings: the place of ``.env``, and what `stt up` and `stt env` set for other processes."""
_ALIKE: Final = (
    0.85  # JaroWinkler of the name without its prefix, from 0 to 1; STT_SMTP and STT_SMTP_URL have 0.9
)


def setting_names() -> list[str]:
    """Return the name of every setting, as in ``.env.example``."""
    return [f"{_PREFIX}{field.upper()}" for field in Settings.model_fields]


def unknown_names() -> Iterator[str]:
    """Yield a warning for each unknown ``STT_*`` name, with the nearest setting where one is alike."""
    known = {*setting_names(), *OTHER_NAMES}
    places = [("the environment", list(os.environ))]
    places += [(str(path), list(dotenv_values(path, interpolate=False))) for path in env_files()]
    for place, names in places:
        for name in names:
            if name.upper().startswith(_PREFIX) and name.upper() not in known:
                yield f"{name} in {place} is not a setting, so it has no effect.{_hint(name)}"


def _hint(name: str) -> str:
    nearest = process.extractOne(
        name.upper().removeprefix(_PREFIX),
        [known.removeprefix(_PREFIX) for known in setting_names()],
        scorer=JaroWinkler.similarity,
        score_cutoff=_ALIKE,
    )
    return f" Did you mean {_PREFIX}{nearest[0]}?" if nearest else " .env.example lists the settings."
