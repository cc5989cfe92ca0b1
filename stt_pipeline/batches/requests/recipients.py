"""Recipients of minutes and reports in a request. Their kinds are the notifiers of ``stt_pipeline.backends``."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from stt_pipeline.errors import EmailError, InvalidRequestError
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.notify.recipients import Recipient

MAX_RECIPIENTS = 50


def recipient(text: str) -> str:
    """Return one recipient in its normal form: an email address, or ``scheme:address`` of another notifier.

    Raises:
        ValueError: it is not a recipient.
    """
    try:
        return str(Recipient.parse(text))
    except InvalidRequestError as error:
        raise ValueError(str(error).rstrip(".")) from error


def _unique(recipients: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(recipients))


Recipients = Annotated[
    list[Annotated[str, Field(max_length=1_000, examples=["kim@example.com"]), AfterValidator(recipient)]],
    Field(max_length=MAX_RECIPIENTS),
    AfterValidator(_unique),
]


def delivery_warnings(recipients: Sequence[str], notifier_for: NotifierFor) -> list[str]:
    """Check the settings of the recipients' notifiers before hours of work whose results they deliver.

    Returns:
        Why the notifiers would not deliver at the moment, such as a mail server that does not answer. It may be up again when
        the first recording is done, so this is a warning.

    Raises:
        ConfigurationError: a setting is wrong, so no delivery can succeed.
    """
    by_scheme = {one.scheme: one for one in map(Recipient.parse, recipients)}
    notifiers = [notifier_for(recipient) for recipient in by_scheme.values()]
    warnings = []
    for notifier in notifiers:
        try:
            notifier.check()
        except EmailError as error:
            warnings.append(str(error))
    return warnings
