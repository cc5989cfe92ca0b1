"""Open an audio file with FFmpeg (PyAV) and follow its timestamps. `packets` and `samples` read files through here.

FFmpeg's errors are converted to the product's errors in this module only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, cast

from stt_pipeline.audio.sandbox.lengths import has_samples_behind, promised_seconds
from stt_pipeline.audio.sandbox.track_choice import TrackChoice, choose, has_decoder
from stt_pipeline.audio.sandbox.undecodable import undecodable_codec
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

# Bytes between two packets of a file with one track that are no damage: headers of clusters and fragments.
_MOST_BETWEEN = 2_000

# Limit for the sum of all pauses: these seconds, plus this multiple of the audio so far. Without a limit, a small file with
# broken timestamps could decode to weeks of silence.
_MAX_PAUSE_SECONDS, _MAX_PAUSE_RATIO = 3600.0, 10.0


# Some packets of random bytes decode by chance. Above this share of damaged packets a file is not audio.
_MAX_DAMAGED = 0.9


_ADVICE = "Check that it plays, and copy it again."

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
def open_audio(media: Media, audio_track: str = "auto") -> "Iterator[Track]":
    """Open an audio track, or all: ``audio_track`` is ``auto``, ``all`` or a number from 1.

    Raises:
        UnreadableError: FFmpeg cannot decode it; also raised for errors while the track is open.
        NoAudioError: a container without an audio track, or without the one that is asked for.
    """
    import av

    name = media.name
    not_audio = f"{name} cannot be decoded as audio: it is damaged, or another kind of file with this name"
    try:
        with _opened(media) as container:
            choice = choose(container, audio_track, name, media.on_packet)
            if choice.count == 1 or audio_track != "auto":
                yield _track(media, container, choice, not_audio)
                return
            number, silent = choice.number, choice.silent
        media.file.seek(0)  # levels were measured in many places, and not every container can go back
        with _opened(media) as container:
            choice = choose(container, str(number), name, media.on_packet)
            yield _track(media, container, replace(choice, silent=silent), not_audio)
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


def _opened(media: Media) -> "InputContainer":
    """Open the container. Only this open file may be read: a playlist with an audio extension must not reach others."""
    import av

    options = {"protocol_whitelist": "none"}
    if has_samples_behind(media.file, media.size):
        options["ignore_length"] = "1"
    return av.open(media.file, "r", metadata_errors="ignore", options=options)


def _track(media: Media, container: "InputContainer", choice: TrackChoice, not_audio: str) -> "Track":
    for stream in choice.streams:
        if not has_decoder(stream):
            raise UnreadableError(_without_decoder(media, stream) or f"{not_audio}. {_ADVICE}")
        check_format(media.name, stream.sample_rate, stream.channels)
    return Track(media, container, choice)


def _without_decoder(media: Media, stream: "AudioStream") -> str:
    """Return the message for a codec that FFmpeg cannot decode; empty if the file does not say which it is."""
    codec = undecodable_codec(stream, media.file)
    if not codec:
        return ""
    return (
        f"{media.name} cannot be decoded: its audio is {codec}, which FFmpeg cannot read here. Export the recording again as "
        "AAC, MP3 or FLAC, or set audio_track to another of its tracks."
    )


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


class Clock:
    """Follows the timestamps of packets or frames, in seconds. ``elapsed`` is the playing time so far;
    ``is_broken`` tells that a timestamp was not believed.

    Timestamps are compared with the playing time, so that gaps too short to count alone do when they add up.
    """

    def __init__(self, start: float | None = None, end: float | None = None) -> None:
        """Begin at the timestamp ``start``, or at the first one; up to ``end`` a step of any length is a pause."""
        self.elapsed = 0.0
        self.is_broken = False
        self.start = start
        self._zero = start  # the timestamp at which the playing time would be 0
        self._end = end
        self._paused = 0.0

    def advance(self, time: float | None, length: float) -> float:
        """Add a packet or frame of ``length`` at ``time`` (None: no timestamp); return the pause before it, or 0."""
        if length >= _BROKEN_CLOCK:  # the last packet of an Ogg file can claim a day
            length = 0.0
        pause = self._pause_before(time) if time is not None else 0.0
        self._paused += pause
        self.elapsed += pause + length
        return pause

    def _pause_before(self, time: float) -> float:
        step = time - self._zero - self.elapsed if self._zero is not None else 0.0
        is_known = self._end is not None and time <= self._end
        room = _MAX_PAUSE_SECONDS + _MAX_PAUSE_RATIO * (self.elapsed - self._paused) - self._paused
        is_broken = step < -_JITTER or (step >= _BROKEN_CLOCK and not is_known) or step > room
        self.is_broken = self.is_broken or is_broken
        if self._zero is None or is_broken:
            self._zero = time - self.elapsed
            return 0.0
        return step if step > _JITTER else 0.0


@dataclass
class Track:
    """An open audio track, or several. It counts decoded and damaged packets.

    Attributes:
        first_packet: position of the first packet, in bytes.
        is_harmed: set where a packet is damaged, or bytes of the file were skipped; the reader of frames resets it.
    """

    media: Media
    container: "InputContainer"
    choice: TrackChoice
    decoded: int = 0
    damaged: int = 0
    first_packet: int = 0
    is_harmed: bool = False
    _end: int | None = None  # position behind the last packet, in bytes
    _damaged_bytes: int = 0
    _skipped: int = 0  # the most bytes between two packets so far

    @property
    def stream(self) -> "AudioStream":
        """The track; of several, the first."""
        return self.choice.streams[0]

    def clock(self, stream: "AudioStream") -> Clock:
        """Return a clock for ``stream`` that begins where the file does: sound can begin later than the picture.

        A beginning that is not within the duration of the file is wrong, and ignored.
        """
        from av.stream import Disposition

        starts = [
            float(one.start_time * one.time_base)
            for one in (*self.container.streams.video, *self.container.streams.audio)
            if one.start_time is not None
            and one.time_base is not None
            and not (one.type == "video" and one.disposition & Disposition.attached_pic)
        ]
        if stream.start_time is None or stream.time_base is None:
            return Clock()
        start, own = min(starts), float(stream.start_time * stream.time_base)
        end = start + self.container.duration / 1e6 if self.container.duration else None
        return Clock(start if end is None or own < end else own, end)

    def packets(self) -> "Iterator[Packet[AudioStream]]":
        """Yield the packets of the track, or of all, then an empty packet for each that flushes its decoder.

        Raises:
            NoAudioError: the track has no packets.
        """
        from av.error import InvalidDataError

        found = False
        try:
            packets = self.container.demux(*self.choice.streams)
            for packet in cast("Iterator[Packet[AudioStream]]", packets):
                self.media.on_packet()
                found = found or packet.size > 0
                self._follow(packet)
                yield packet
        except InvalidDataError:
            if not found:
                raise
        if not found:
            raise NoAudioError(
                f"{self.media.name} holds no sound: its audio track is empty. Record or export it again."
            )

    def _follow(self, packet: "Packet[AudioStream]") -> None:
        """Notice skipped bytes: FFmpeg passes over what it cannot read, without an error."""
        if packet.pos is None or packet.pos < 0 or not packet.size:
            return
        if self._end is None:
            self.first_packet = packet.pos
        else:
            skipped = packet.pos - self._end
            # packets of other tracks, and of pages of Ogg, lie between these, too
            if len(self.container.streams) == 1 and skipped > _MOST_BETWEEN + 2 * self._skipped:
                self.is_harmed = True
            self._skipped = max(self._skipped, skipped)
        self._end = packet.pos + packet.size

    def promised(self, stream: "AudioStream") -> float | None:
        """Return the length of ``stream`` in its header, with the silence before it; None if it is unknown. Call it last."""
        length = promised_seconds(self.container, stream, self.media.file, self.media.size, self.first_packet)
        return length + self.late_by(stream) if length is not None else None

    def uncounted_damage(self, seconds: float) -> float:
        """Return the estimated seconds of damage that timestamps do not show, after ``seconds`` of decoded audio.

        FFmpeg counts the time of MP3 by its frames, and what lies between two frames is one packet of any size.
        """
        if "mp3" not in self.container.format.name.split(",") or not self._end:
            return 0.0
        whole = self._end - self.first_packet - self._damaged_bytes
        return seconds * self._damaged_bytes / whole if whole > 0 else 0.0

    def late_by(self, stream: "AudioStream") -> float:
        """Return the seconds of silence before ``stream``."""
        clock = self.clock(stream)
        own = float((stream.start_time or 0) * (stream.time_base or 0))
        return own - clock.start if clock.start is not None else 0.0

    def frames(self, packet: "Packet[AudioStream]") -> "list[AudioFrame]":
        """Decode ``packet``; a damaged packet gives no frames."""
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            self.damaged += 1
            self._damaged_bytes += packet.size
            self.is_harmed = True
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
