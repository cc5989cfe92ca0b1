"""Recipients as users write them."""

import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.notify.recipients import Recipient


@pytest.mark.parametrize("text", ["Kim@Example.COM", "mailto:Kim@example.com", "MAILTO:Kim@EXAMPLE.com"])
def test_an_email_address_needs_no_scheme(text: str) -> None:
    recipient = Recipient.parse(text)
    assert recipient == Recipient("mailto", "Kim@example.com")
    assert str(recipient) == "Kim@example.com"
    assert Recipient.parse(str(recipient)) == recipient


@pytest.mark.parametrize("text", ["gopher://example.com/x", "tel:+8221234567", "x-y+z.1:a"])
def test_an_unknown_scheme_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(
        InvalidRequestError,
        match=rf"no notifier has the scheme {text.partition(':')[0]}.*mailto:".replace("+", r"\+"),
    ):
        Recipient.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kim",
        "mailto:",
        "mailto:kim",
        "mailto:kim@example.com?cc=lee@example.com",
        "mailto:a@b.com\nBcc: c@d.com",
    ],
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not an email address"):
        Recipient.parse(text)
