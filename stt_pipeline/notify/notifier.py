"""The interface of a notifier, the function that opens the notifiers of some recipients, and a fake for tests."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, TypeAlias

from stt_pipeline.notify.events import Event
from stt_pipeline.notify.recipients import Recipient


class Notifier(Protocol):
    """Delivers events to the recipients of one scheme.

    The factory in ``NOTIFIERS`` is the class. One instance serves all threads of a process. If it is a context manager
    too, it is entered before the first event of a run and left after the last, so that it can keep a connection.

    Attributes:
        name: shown in the metadata of the Dagster asset.
        example: an address that :meth:`normalize` accepts, for documentation and the contract test, which delivers to it
            in an empty working directory.
    """

    name: str
    example: str

    @staticmethod
    def normalize(address: str) -> str:
        """Return ``address``, which is without its scheme, in its normal form. Reads no setting and no network.

        Raises:
            InvalidRequestError: the address is invalid.
        """
        ...

    def deliver(self, event: Event, recipient: Recipient) -> str:
        """Deliver ``event`` and return a note for the delivery log, such as where it was delivered to.

        The delivery log calls it once for each event and recipient; after an error, a retry calls it again.

        Raises:
            EmailError: it was not delivered; the message says why and what to do.
        """
        ...

    def check(self) -> None:
        """Check that a delivery would be accepted at the moment, within seconds. Delivers nothing.

        Raises:
            EmailError: it would not; the message says why and what to do.
        """
        ...


NotifierFor: TypeAlias = Callable[[Recipient], Notifier]
"""Returns the notifier of a recipient's scheme. Raises ConfigurationError if its settings are wrong."""


@contextmanager
def opened(notifier_for: NotifierFor, recipients: Iterable[Recipient]) -> Iterator[None]:
    """Enter the notifiers of ``recipients`` for the block, those that are context managers.

    Raises:
        ConfigurationError: the settings of a notifier are wrong.
    """
    schemes = {recipient.scheme: recipient for recipient in recipients}
    with ExitStack() as stack:
        for recipient in schemes.values():
            notifier = notifier_for(recipient)
            if isinstance(notifier, AbstractContextManager):
                stack.enter_context(notifier)
        yield


class RecordingNotifier:
    """Keeps the deliveries in a list, for tests.

    Attributes:
        deliveries: events with their recipients, in order.
        error: raised by the next delivery instead, if set.
    """

    name = "recording"
    example = "list"

    def __init__(self) -> None:
        """Start with an empty list."""
        self.deliveries: list[tuple[Event, Recipient]] = []
        self.error: Exception | None = None

    @staticmethod
    def normalize(address: str) -> str:
        """Accept any address."""
        return address

    def deliver(self, event: Event, recipient: Recipient) -> str:
        """Append to :attr:`deliveries`, or raise :attr:`error`."""
        if self.error:
            raise self.error
        self.deliveries.append((event, recipient))
        return "recorded"

    def check(self) -> None:
        """Raise :attr:`error`, if set."""
        if self.error:
            raise self.error
