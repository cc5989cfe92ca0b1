"""The backends that are selected by name: transcribers, diarizers, summarizers, notifiers, export formats, sources.

A new backend is one new module and one entry here. Entries are plain data, and a factory is imported when it is first
used. Settings, options, `--help`, OpenAPI and the contract tests read these registries.
"""

import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stt_pipeline.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Backend:
    """One entry of a registry.

    Attributes:
        factory: a class or function, as ``"package.module:name"``. It takes ``settings`` as keyword arguments.
        help: one line for users, without a full stop.
        settings: attributes of `Settings` that the factory takes, such as ``model`` for STT_MODEL.
        extra: the extra of this package that it needs, as in ``pip install -e '.[whisperx]'``; empty for none.
        pool: the Dagster pool of its runs; empty for the pool ``cpu``. Only transcribers have one.
    """

    factory: str
    help: str
    settings: tuple[str, ...] = ()
    extra: str = ""
    pool: str = ""

    def load(self) -> Any:
        """Import and return the factory.

        Raises:
            ConfigurationError: a package is not installed.
        """
        module, _, name = self.factory.partition(":")
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            wanted = f".[{self.extra}]" if self.extra else "."
            raise ConfigurationError(
                f"{error.name} is not installed: run pip install -e '{wanted}' in the checkout."
            ) from error


class Registry(Mapping[str, Backend]):
    """The backends of one kind, by name. It keeps one instance per process for each :meth:`key`.

    Attributes:
        kind: name of the kind, for messages.
        setting: the variable, option or field that selects a backend, for messages.
    """

    def __init__(self, kind: str, setting: str, backends: Mapping[str, Backend]) -> None:
        """Register ``backends``. Imports no factory."""
        self.kind = kind
        self.setting = setting
        self._backends = dict(backends)
        self._instances: dict[Hashable, Any] = {}
        self._lock = threading.RLock()  # a factory may create another backend of its registry

    def __getitem__(self, name: str) -> Backend:
        """Return the entry of that name.

        Raises:
            ConfigurationError: the name is unknown.
        """
        try:
            return self._backends[name]
        except KeyError:
            known = ", ".join(self._backends)
            raise ConfigurationError(
                f"Unknown {self.kind} {name!r}. Set {self.setting} to one of: {known}."
            ) from None

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in the order of the entries."""
        return iter(self._backends)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._backends)

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of that name."""
        return name in self._backends

    def key(self, name: str, settings: Any) -> tuple[Hashable, ...]:
        """Return a key that is equal for equal instances: the name, and the values of the settings that the backend takes."""
        return (name, *(getattr(settings, field) for field in self[name].settings))

    def create(self, name: str, settings: Any) -> Any:
        """Return the backend of that name with these settings: the same instance for the same :meth:`key`.

        Thread-safe. One thread loads and the others wait, so that a model is loaded once per process.

        Args:
            name: an entry of the registry.
            settings: an object with the attributes in :attr:`Backend.settings`; None if there are none.

        Raises:
            ConfigurationError: the name is unknown, or the backend lacks its extra, a model or a token.
        """
        key = self.key(name, settings)
        with self._lock:
            if key not in self._instances:
                backend = self[name]
                values = {field: getattr(settings, field) for field in backend.settings}
                self._instances[key] = backend.load()(**values)
            return self._instances[key]

    def help(self) -> str:
        """Return the names with their lines of help, as one sentence without its full stop."""
        return ", ".join(f"{name} ({backend.help})" for name, backend in self._backends.items())


def choice_of(names: Iterable[str], *others: str) -> Any:
    """Return the type of a field that holds one of ``others`` or ``names``, such as those of a registry.

    It is a ``Literal``, so pydantic, OpenAPI, typer and Dagster's launchpad show the choices. A type checker cannot read it:
    assign it under ``if not TYPE_CHECKING``.
    """
    choices = (*others, *names)
    return Literal[choices]


TRANSCRIBERS = Registry(
    "transcriber",
    "STT_TRANSCRIBER",
    {
        "local": Backend(
            "stt_pipeline.speech.engine:local_transcriber",
            "Whisper on this machine, by faster-whisper",
            settings=("model", "device", "compute_type", "cpu_threads", "model_batch_size"),
            pool="gpu",
        ),
    },
)

DIARIZERS = Registry(
    "diarizer",
    "STT_DIARIZER",
    {
        "auto": Backend(
            "stt_pipeline.speech.diarization.embedded:EmbeddedDiarizer",
            "embedded",
        ),
        "pyannote": Backend(
            "stt_pipeline.speech.diarization.pyannote:PyannoteDiarizer",
            "the most accurate, fast on a GPU only; needs HF_TOKEN or a local folder in STT_PYANNOTE_PIPELINE",
            settings=("pyannote_pipeline", "device"),
            extra="whisperx",
        ),
        "segmentation": Backend(  # a backend of its own before, and in the options of stored batches
            "stt_pipeline.speech.diarization.embedded:EmbeddedDiarizer",
            "embedded",
        ),
        "embedded": Backend(
            "stt_pipeline.speech.diarization.embedded:EmbeddedDiarizer",
            "reports overlapping speakers; no extra, no download",
        ),
        "channel": Backend(
            "stt_pipeline.speech.diarization.channel:ChannelDiarizer",
            "one speaker per channel of stereo recordings; embedded for all others",
        ),
        "none": Backend(
            "stt_pipeline.speech.diarization.diarizer:SingleSpeaker",
            "one speaker for all speech",
        ),
    },
)

SUMMARIZERS = Registry(
    "summarizer",
    "STT_SUMMARIZER",
    {
        "extractive": Backend(
            "stt_pipeline.minutes.extractive.summarizer:ExtractiveSummarizer",
            "sentences and phrases of the transcript, by rules; no language model",
        ),
    },
)

NOTIFIERS = Registry(
    "notifier",
    "notify_emails",
    {
        "mailto": Backend(
            "stt_pipeline.mail.notifier:MailNotifier",
            "an email address, with or without mailto:",
            settings=("smtp_url", "outbox", "mail_from"),
        ),
    },
)
"""By the scheme of a recipient."""

FORMATS = Registry(
    "export format",
    "format",
    {
        "txt": Backend("stt_pipeline.minutes.formats.txt:Txt", "transcript, one line a segment"),
        "srt": Backend("stt_pipeline.minutes.formats.srt:Srt", "transcript as SubRip subtitles"),
        "vtt": Backend("stt_pipeline.minutes.formats.vtt:Vtt", "transcript as WebVTT subtitles"),
        "json": Backend("stt_pipeline.minutes.formats.json:Json", "transcript and minutes, for programs"),
        "md": Backend("stt_pipeline.minutes.formats.md:Md", "minutes and transcript as Markdown"),
        "docx": Backend(
            "stt_pipeline.minutes.formats.docx:Docx", "minutes and transcript as a Word document"
        ),
        "html": Backend(
            "stt_pipeline.minutes.formats.html:Html",
            "minutes and transcript as a page for a browser; `stt transcribe` adds a player",
        ),
        "rttm": Backend("stt_pipeline.minutes.formats.rttm:Rttm", "speaker turns as RTTM"),
    },
)

SOURCES = Registry(
    "kind of source",
    "source_path",
    {
        "file": Backend(
            "stt_pipeline.audio.folder:open_folder",
            "a local folder, as in /data/meetings or file:///data/meetings",
        ),
        "s3": Backend(
            "stt_pipeline.audio.s3:open_prefix", "a prefix of a bucket, as in s3://recordings/2026"
        ),
    },
)
"""By the scheme of a source's address. A factory takes (`Address`, `FilePattern`, `SourceAccess`) and returns a `Source`."""

if TYPE_CHECKING:
    TranscriberName: TypeAlias = str
    DiarizerName: TypeAlias = str
    SummarizerName: TypeAlias = str
    FormatName: TypeAlias = str
    MailFormat: TypeAlias = str
else:
    TranscriberName = choice_of(TRANSCRIBERS)
    DiarizerName = choice_of(DIARIZERS)
    SummarizerName = choice_of(SUMMARIZERS)
    FormatName = choice_of(FORMATS)
    MailFormat = choice_of(FORMATS, "none")
