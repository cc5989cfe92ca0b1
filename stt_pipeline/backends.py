"""Every backend that can be chosen by name: transcribers, diarizers, summarizers, notifiers, export formats, sources.

A new backend is one new file and one entry here. Entries are plain data, so this module imports no backend: a factory is
imported when it is first used. Settings, options, `--help`, the docs' tables and the contract tests read these registries.
"""

import threading
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from stt_pipeline.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Backend:
    """One entry of a registry.

    Attributes:
        factory: where its factory is, as ``"package.module:name"``. It takes the ``settings`` by name.
        help: one line for users.
        settings: attributes of `Settings` that the factory takes as keyword arguments, without the prefix ``STT_``.
        extra: the extra of this package that it needs, as in ``pip install 'stt_pipeline[whisperx]'``; empty for none.
        pool: the Dagster pool of its runs; empty where it does not matter.
    """

    factory: str
    help: str
    settings: tuple[str, ...] = ()
    extra: str = ""
    pool: str = ""

    def load(self) -> Any:
        """Import and return the factory.

        Raises:
            ConfigurationError: a package is missing, most likely that of the extra.
        """
        module, _, name = self.factory.partition(":")
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            wanted = f"stt_pipeline[{self.extra}]" if self.extra else "stt_pipeline"
            raise ConfigurationError(f"{error.name} is not installed: run pip install '{wanted}'.") from error


class Registry(Mapping[str, Backend]):
    """Backends of one kind by name. It keeps one instance a process for each set of settings.

    Attributes:
        kind: what users call one of them, for messages.
        setting: the variable that chooses one, for messages.
    """

    def __init__(self, kind: str, setting: str, backends: Mapping[str, Backend]) -> None:
        """Nothing is imported here."""
        self.kind = kind
        self.setting = setting
        self._backends = dict(backends)
        self._instances: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Backend:
        """Return the entry of that name.

        Raises:
            ConfigurationError: there is none.
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
        """Return what tells instances apart: the name and the values of the settings that the backend takes."""
        return (name, *(getattr(settings, field) for field in self[name].settings))

    def create(self, name: str, settings: Any) -> Any:
        """Return the backend of that name with these settings; the same instance for the same :meth:`key`.

        Any thread may call it. One thread loads, the others wait, so that a model is loaded once a process.

        Raises:
            ConfigurationError: there is none of that name, or it lacks its extra, a model or a token.
        """
        key = self.key(name, settings)
        with self._lock:
            if key not in self._instances:
                backend = self[name]
                values = {field: getattr(settings, field) for field in backend.settings}
                self._instances[key] = backend.load()(**values)
            return self._instances[key]

    def help(self) -> str:
        """Return the names, each with its line of help, as one paragraph."""
        return "; ".join(f"{name}: {backend.help}" for name, backend in self._backends.items())


def choice_of(registry: Registry) -> Any:
    """Return the pydantic type of a field that holds the name of a backend."""

    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(f"unknown {registry.kind} {name!r}; choose one of {', '.join(registry)}")
        return name

    return Annotated[str, AfterValidator(check), Field(json_schema_extra={"enum": list(registry)})]


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
            "stt_pipeline.speech.diarization.loading:default_diarizer",
            "segmentation where the whisperx extra is installed, else embedded",
        ),
        "pyannote": Backend(
            "stt_pipeline.speech.diarization.pyannote:PyannoteDiarizer",
            "the most accurate, fast on a GPU only; needs HF_TOKEN or a local folder in STT_PYANNOTE_PIPELINE",
            settings=("pyannote_pipeline", "device"),
            extra="whisperx",
        ),
        "segmentation": Backend(
            "stt_pipeline.speech.diarization.segmentation:SegmentationDiarizer",
            "reports overlapping speakers; no download",
            extra="whisperx",
        ),
        "embedded": Backend(
            "stt_pipeline.speech.diarization.embedded:EmbeddedDiarizer",
            "one speaker at a time; no extra, no download",
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

SUMMARIZERS = Registry("summarizer", "STT_SUMMARIZER", {})

NOTIFIERS = Registry("kind of recipient", "notify_emails", {})
"""By the scheme of a recipient's address."""

FORMATS = Registry("export format", "format", {})

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
