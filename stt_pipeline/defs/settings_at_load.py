"""The settings as they are when Dagster loads the definitions: for descriptions, owners, pools and the schedule.

Runs and sensors read the settings again, through the resource ``settings``.
"""

from pydantic import ValidationError

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings


def settings_at_load() -> Settings | None:
    """Return the settings; None if they are invalid.

    Invalid settings fail the run that reads them, with their message, and not the load of the definitions: a code
    location that does not load shows nothing in the Dagster UI.
    """
    try:
        return Settings()
    except (ValidationError, ConfigurationError):
        return None
