"""Opening a sound file with FFmpeg (PyAV), and what its clock says. `probe` and `decode` read through here.

All of FFmpeg's errors become the product's own in this one place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stt_pipeline.audio.uris import display_name
from stt_pipeline.errors import NoAudioError, UnreadableError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# A recorder that writes nothing while nobody talks leaves a pause in its clock, and so do lost packets. Jitter is
# shorter than the first figure (seconds); a jump longer than the second is a broken clock, not a pause.
_JITTER = 0.1
_BROKEN_CLOCK = 600.0

# Pauses may add up to so many seconds, and so many times what sounds; more is a broken clock too. A small file could
# play for weeks otherwise.
_PAUSES_ALWAYS, _PAUSES_FOR_SOUND = 3600.0, 10.0


# Random bytes hold a packet now and then that decodes by luck: above this share of damaged ones a file is not audio.
_DAMAGED_AT_MOST = 0.9


@contextmanager
def open_audio(path: Path) -> "Iterator[Track]":
    """Open the first audio track of ``path``.

    Raises:
        UnreadableError: not a file, empty, or not something FFmpeg can decode; also for what fails while it is open.
        NoAudioError: a container without an audio track.
    """
    import av

    name = display_name(path)
    not_audio = f"{name} cannot be decoded as audio: it is damaged, or another kind of file with this name"
    try:
        if path.stat().st_size == 0:
            raise UnreadableError(f"{name} is empty (0 bytes): copy or upload it again from the recorder.")
        # Opened here, and every other protocol forbidden: a playlist in disguise must not read other files or hosts.
        with (
            path.open("rb") as file,
            av.open(file, "r", metadata_errors="ignore", options={"protocol_whitelist": "none"}) as container,
        ):
            if not container.streams.audio:
                raise NoAudioError(f"{name} has no audio track: export the meeting again with its sound.")
            stream = container.streams.audio[0]
            if not stream.sample_rate:
                raise UnreadableError(f"{not_audio}. Check that it plays, and copy it again.")
            yield Track(name, container, stream)
    except av.FFmpegError as error:
        raise UnreadableError(
            f"{not_audio} ({error.strerror}). Check that it plays, and copy it again."
        ) from error
    except OSError as error:
        raise UnreadableError(
            f"{name} cannot be read ({error.strerror}): check the path and its permissions."
        ) from error


@dataclass
class Track:
    """An open audio track; it counts how many of its packets could be decoded."""

    name: str
    container: "InputContainer"
    stream: "AudioStream"
    decoded: int = 0
    damaged: int = 0

    def packets(self) -> "Iterator[Packet[AudioStream]]":
        """Yield the track's packets, and an empty one at the end that flushes the decoder.

        Raises:
            NoAudioError: there are none.
        """
        from av.error import InvalidDataError

        found = False
        try:
            for packet in self.container.demux(self.stream):
                found = found or packet.size > 0
                yield packet
        except InvalidDataError:
            if not found:
                raise
        if not found:
            raise NoAudioError(
                f"{self.name} holds no sound: its audio track is empty. Record or export it again."
            )

    def frames(self, packet: "Packet[AudioStream]") -> "list[AudioFrame]":
        """Return the frames that come out after ``packet``; a damaged packet has none."""
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            self.damaged += 1
            return []
        self.decoded += bool(frames)
        return frames

    def check(self) -> None:
        """Raise an UnreadableError if next to nothing of the packets seen so far could be decoded."""
        if not self.decoded or self.damaged > _DAMAGED_AT_MOST * (self.decoded + self.damaged):
            raise UnreadableError(
                f"{self.name} looks like {self.container.format.name} but cannot be decoded: it is damaged, or another "
                "kind of file with this name. Check that it plays, and copy it again."
            )


class Clock:
    """Follows the times written in a file from piece to piece (packets or frames), in seconds.

    ``elapsed`` is how long everything so far plays.
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._due: float | None = None
        self._paused = 0.0

    def advance(self, time: float | None, length: float) -> float:
        """Take the next piece, which starts at ``time`` if the file says so; return the pause before it, or 0."""
        step = time - self._due if time is not None and self._due is not None else 0.0
        if not -_JITTER <= step < _BROKEN_CLOCK:
            step = 0.0
        if step > _JITTER:
            sounding = self.elapsed - self._paused
            if self._paused + step > _PAUSES_ALWAYS + _PAUSES_FOR_SOUND * sounding:
                step = 0.0
            self._paused += step
        start = time if time is not None else self._due
        self._due = start + length if start is not None else None
        self.elapsed += step + length
        return step if step > _JITTER else 0.0
