"""The check of the mail server when a batch or a watch is created, as callers of the API may see it."""

import logging
from collections.abc import Sequence

from stt_pipeline.batches.requests.backend_choice import notifier_for
from stt_pipeline.batches.requests.recipients import delivery_warnings
from stt_pipeline.settings import Settings

_log = logging.getLogger(__name__)


def warnings_for_callers(recipients: Sequence[str], settings: Settings) -> list[str]:
    """Return what may go wrong with deliveries, without the address and the answer of the mail server, which the log has.

    Raises:
        ConfigurationError: a setting is wrong, so no delivery can succeed.
    """
    found = delivery_warnings(recipients, notifier_for(settings))
    for warning in found:
        _log.warning("%s", warning)
    if not found:
        return []
    return [
        "The mail server does not accept mails at the moment. The batch is processed; its mails fail if the server is still down "
        "then. The log of the server has the reason."
    ]
