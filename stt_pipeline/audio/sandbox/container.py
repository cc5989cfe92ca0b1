"""Open an audio file with FFmpeg (PyAV) and follow its timestamps. `packets` and `samples` read files through here.

FFmpeg's errors are converted to the product's errors in this module only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from stt_pipeline.errors import NoAudioError, UnreadableError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# Recorders that skip silence leave gaps in the timestamps, and so do lost packets. In seconds: a shorter step than the first
# value is jitter, and a longer step than the second is a broken timestamp, not a pause.
_JITTER = 0.1
_BROKEN_CLOCK = 600.0

# Limit for the sum of all pauses: these seconds, plus this multiple of the audio so far. Without a limit, a small file with
# broken timestamps could decode to weeks of silence.
_MAX_PAUSE_SECONDS, _MAX_PAUSE_RATIO = 3600.0, 10.0


# Some packets of random bytes decode by chance. Above this share of damaged packets a file is not audio.
_MAX_DAMAGED = 0.9


MAX_CHANNELS = 64
"""Channels of a MADI line, the widest that recorders write. FFmpeg's mix would take memory for their square."""

SAMPLE_RATES = range(1_000, 1_000_001)
"""Rates in Hz that are resampled. At 1 Hz, a file of 60 kB would be a day of audio."""


@dataclass(frozen=True, slots=True)
class Media:
    """An open file with untrusted content.

    Attributes:
        file: the file, opened for reading. FFmpeg sees its attribute ``name``, and recognizes some formats by the extension.
        name: display name, for messages.
        size: bytes.
        on_packet: called for each packet that is read.
    """

    file: BinaryIO
    name: str
    size: int
    on_packet: Callable[[], None]


@contextmanager
def open_audio(media: Media) -> "Iterator[Track]":
    """Open the first audio track.

    Raises:
        UnreadableError: FFmpeg cannot decode it; also raised for errors while the track is open.
        NoAudioError: a container without an audio track.
    """
    import av

    name = media.name
    not_audio = f"{name} cannot be decoded as audio: it is damaged, or another kind of file with this name"
    try:
        # Only this open file may be read: a playlist with an audio extension must not reach other files or hosts.
        with av.open(
            media.file, "r", metadata_errors="ignore", options={"protocol_whitelist": "none"}
        ) as container:
            if not container.streams.audio:
                raise NoAudioError(f"{name} has no audio track: export the meeting again with its sound.")
            stream = container.streams.audio[0]
            # PyAV's types do not say that there is no context for a codec that FFmpeg does not know
            if not getattr(stream, "codec_context", None) or not stream.sample_rate:
                raise UnreadableError(f"{not_audio}. Check that it plays, and copy it again.")
            check_format(name, stream.sample_rate, stream.channels)
            yield Track(media, container, stream)
    except MemoryError as error:  # also FFmpeg's
        raise UnreadableError(
            f"{name} takes more memory to decode than a recording may: it is damaged. Check that it plays, and copy it again."
        ) from error
    except av.FFmpegError as error:
        raise UnreadableError(
            f"{not_audio} ({error.strerror}). Check that it plays, and copy it again."
        ) from error
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read ({error.strerror}): copy it again.") from error


def check_format(name: str, sample_rate: int, channels: int) -> None:
    """Raise an UnreadableError for a sample rate or a number of channels that no recorder has."""
    if channels > MAX_CHANNELS:
        raise UnreadableError(
            f"{name} has {channels:,} channels, and up to {MAX_CHANNELS} can be mixed: export it with fewer channels."
        )
    if sample_rate not in SAMPLE_RATES:
        raise UnreadableError(
            f"{name} has a sample rate of {sample_rate:,} Hz, which is no audio: it is damaged, or its header is wrong. "
            "Check that it plays, and export it again."
        )


@dataclass
class Track:
    """An open audio track. It counts decoded and damaged packets."""

    media: Media
    container: "InputContainer"
    stream: "AudioStream"
    decoded: int = 0
    damaged: int = 0

    def packets(self) -> "Iterator[Packet[AudioStream]]":
        """Yield the track's packets, then an empty packet that flushes the decoder.

        Raises:
            NoAudioError: the track has no packets.
        """
        from av.error import InvalidDataError

        found = False
        try:
            for packet in self.container.demux(self.stream):
                self.media.on_packet()
                found = found or packet.size > 0
                yield packet
        except InvalidDataError:
            if not found:
                raise
        if not found:
            raise NoAudioError(
                f"{self.media.name} holds no sound: its audio track is empty. Record or export it again."
            )

    def frames(self, packet: "Packet[AudioStream]") -> "list[AudioFrame]":
        """Decode ``packet``; a damaged packet gives no frames."""
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.damaged += 1
            return []
        for frame in frames:  # it can change midway
            check_format(self.media.name, frame.sample_rate, frame.layout.nb_channels)
        self.decoded += bool(frames)
        return frames

    def check(self) -> None:
        """Raise an UnreadableError if nearly all packets so far are damaged."""
        if not self.decoded or self.damaged > _MAX_DAMAGED * (self.decoded + self.damaged):
            raise UnreadableError(
                f"{self.media.name} looks like {self.container.format.name} but cannot be decoded: it is damaged, or another "
                "kind of file with this name. Check that it plays, and copy it again."
            )


class Clock:
    """Follows the timestamps of packets or frames, in seconds. ``elapsed`` is the playing time so far."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._due: float | None = None
        self._paused = 0.0

    def advance(self, time: float | None, length: float) -> float:
        """Add a packet or frame of ``length`` at ``time`` (None: no timestamp); return the pause before it, or 0."""
        if length >= _BROKEN_CLOCK:  # the last packet of an Ogg file can claim a day
            length = 0.0
        step = time - self._due if time is not None and self._due is not None else 0.0
        if not -_JITTER <= step < _BROKEN_CLOCK:
            step = 0.0
        if step > _JITTER:
            audio = self.elapsed - self._paused
            if self._paused + step > _MAX_PAUSE_SECONDS + _MAX_PAUSE_RATIO * audio:
                step = 0.0
            self._paused += step
        start = time if time is not None else self._due
        self._due = start + length if start is not None else None
        self.elapsed += step + length
        return step if step > _JITTER else 0.0
