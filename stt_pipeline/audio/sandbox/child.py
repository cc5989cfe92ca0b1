"""A task on one recording, in a process of its own: confine it, read the media, send frames."""

import socket
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sandbox import messages, packets, samples
from stt_pipeline.audio.sandbox.confinement import confine
from stt_pipeline.audio.sandbox.container import Media
from stt_pipeline.audio.sandbox.messages import ErrorKind, Request
from stt_pipeline.errors import NoAudioError, UnreadableError

_PROGRESS_SECONDS = 1.0


def run_task(request: Request, file: BinaryIO, output: socket.socket, *, confined: bool = False) -> None:
    """Do a task and send its frames; the last one is its result or its error.

    Args:
        request: the task.
        file: untrusted media.
        output: a blocking socket.
        confined: confine this process first permanently.

    Raises:
        OSError: the process could not be confined; nothing was read.
    """
    measures = confine(request.limits) if confined else {}
    out = _Output(output)
    media = Media(file, request.name, request.size, out.show_progress)
    try:
        result = (
            measures if request.task == "confinement" else _TASKS[request.task](media, out, request.arguments)
        )
        out.send(messages.RESULT, result)
    except BrokenPipeError:
        return  # the reader has enough
    except UnreadableError as error:
        out.fail("unreadable", str(error))
    except NoAudioError as error:
        out.fail("no_audio", str(error))
    except Exception:
        out.fail("internal", traceback.format_exc())


class _Output:
    """Sends frames, and knows when the last one was sent."""

    def __init__(self, to: socket.socket) -> None:
        self._to = to
        self._sent_at = time.monotonic()
        self._channels = 0

    def show_progress(self) -> None:
        """Send a sign of life if there was no frame for a second: a track may begin at the end of a large video."""
        if time.monotonic() > self._sent_at + _PROGRESS_SECONDS:
            self.send_bytes(messages.PROGRESS, memoryview(b""))

    def send_samples(self, block: npt.NDArray[np.float32]) -> None:
        if not self._channels:
            self._channels = block.shape[1]
            self.send_bytes(messages.CHANNELS, memoryview(bytes([self._channels])))
        self.send_bytes(messages.SAMPLES, block.data.cast("B"))

    def send_bytes(self, kind: bytes, content: memoryview) -> None:
        messages.send(self._to, kind, content)
        self._sent_at = time.monotonic()

    def send(self, kind: bytes, value: dict[str, Any]) -> None:
        messages.send_json(self._to, kind, value)

    def fail(self, kind: ErrorKind, text: str) -> None:
        self.send(messages.ERROR, {"kind": kind, "message": text[-messages.MAX_TEXT :]})


def _decode(media: Media, out: _Output, arguments: dict[str, Any]) -> dict[str, Any]:
    blocks = samples.sample_blocks(media, **arguments)
    while True:
        try:
            block = next(blocks)
        except StopIteration as end:
            facts: dict[str, Any] = end.value
            return facts
        out.send_samples(block)


def _probe(media: Media, out: _Output, arguments: dict[str, Any]) -> dict[str, Any]:
    return packets.properties(media, **arguments)


def _rough_duration(media: Media, out: _Output, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"duration": packets.rough_duration(media, **arguments)}


_TASKS: dict[str, Callable[[Media, _Output, dict[str, Any]], dict[str, Any]]] = {
    "decode": _decode,
    "probe": _probe,
    "rough_duration": _rough_duration,
}
