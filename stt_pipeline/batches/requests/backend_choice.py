"""The backends of a batch: named in its options, else in the settings. Dagster and the command line use these functions.

The backends themselves are in the registries of `stt_pipeline.backends`.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stt_pipeline.backends import DIARIZERS, NOTIFIERS, SUMMARIZERS, TRANSCRIBERS, Registry
from stt_pipeline.batches.requests.options import BatchOptions, effective_settings
from stt_pipeline.minutes.summarizer import Summarizer
from stt_pipeline.notify.notifier import Notifier, NotifierFor
from stt_pipeline.notify.recipients import Recipient
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.transcriber import Transcriber

_Backend = TypeVar("_Backend")
_Backend_co = TypeVar("_Backend_co", covariant=True)


class BackendFor(Protocol[_Backend_co]):
    """Gives the backend for the options of a batch."""

    def key(self, options: BatchOptions) -> Hashable:
        """Return a key that is equal for options with the same backend. Loads nothing."""
        ...

    def __call__(self, options: BatchOptions) -> _Backend_co:
        """Return the backend, and load it if it is not loaded yet.

        Raises:
            ConfigurationError: the backend cannot be loaded.
        """
        ...


@dataclass(frozen=True, slots=True)
class BackendChoice(Generic[_Backend]):
    """Implements :class:`BackendFor` with a registry.

    Attributes:
        registry: the backends.
        setting: the attribute of `Settings` with the name of the backend.
        settings: overridden by the options.
    """

    registry: Registry
    setting: str
    settings: Settings

    def key(self, options: BatchOptions) -> Hashable:
        """See :meth:`BackendFor.key`."""
        settings = effective_settings(self.settings, options)
        return self.registry.key(getattr(settings, self.setting), settings)

    def __call__(self, options: BatchOptions) -> _Backend:
        """See :meth:`BackendFor.__call__`."""
        settings = effective_settings(self.settings, options)
        backend: _Backend = self.registry.create(getattr(settings, self.setting), settings)
        return backend


@dataclass(frozen=True, slots=True)
class FixedBackend(Generic[_Backend]):
    """Implements :class:`BackendFor` with one backend for all options, for tests."""

    backend: _Backend

    def key(self, options: BatchOptions) -> Hashable:
        """Return the same key for all options."""
        return None

    def __call__(self, options: BatchOptions) -> _Backend:
        """Return the backend."""
        return self.backend


def transcriber_for(settings: Settings) -> BackendFor[Transcriber]:
    """Return the choice of a transcriber: STT_TRANSCRIBER, or the option ``transcriber``."""
    return BackendChoice(TRANSCRIBERS, "transcriber", settings)


def diarizer_for(settings: Settings) -> BackendFor[Diarizer]:
    """Return the choice of a diarizer: STT_DIARIZER, or the option ``diarizer``."""
    return BackendChoice(DIARIZERS, "diarizer", settings)


def summarizer_for(settings: Settings) -> BackendFor[Summarizer]:
    """Return the choice of a summarizer: STT_SUMMARIZER, or the option ``summarizer``."""
    return BackendChoice(SUMMARIZERS, "summarizer", settings)


def notifier_for(settings: Settings) -> NotifierFor:
    """Return the choice of a notifier: by the scheme of the recipient."""

    def chosen(recipient: Recipient) -> Notifier:
        notifier: Notifier = NOTIFIERS.create(recipient.scheme, settings)
        return notifier

    return chosen
