"""Recipients of minutes and reports in a request. Their kinds are the notifiers of ``stt_pipeline.backends``."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from stt_pipeline.errors import InvalidRequestError
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
