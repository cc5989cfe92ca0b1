"""A running task of the decoder: read its frames. Bytes that come from there are checked, never trusted.

A child that crashes, hangs or takes too much ends with an error of its recording; other recordings are not concerned.
"""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sandbox import messages
from stt_pipeline.audio.sandbox.messages import Request
from stt_pipeline.errors import DecoderLostError, FileError, NoAudioError, UnreadableError

ANSWER_SECONDS = 30.0
"""The most that the fork server takes for an answer; a fork takes 2 ms."""

_SHOWN = 1_000  # characters of a message of the child
_ADVICE = "Check that it plays, and export it again."


class DecoderTask:
    """A running task: read its frames within the context, whose end ends the child."""

    def __init__(self, request: Request, output: socket.socket, status: socket.socket) -> None:
        """Take the sockets of the child's frames and of its exit status."""
        self._request = request
        self._output = output
        self._status = status
        self._waited = 0.0
        self._result: dict[str, Any] = {}
        self._channels = 0

    def __enter__(self) -> "DecoderTask":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sockets: the fork server kills the child if it still runs."""
        self._output.close()
        self._status.close()

    @property
    def facts(self) -> dict[str, Any]:
        """The result of a task with samples, after the last of them. Check each value."""
        return self._result

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the samples, float32 ``(samples, channels)``; no block is empty.

        Raises:
            FileError: the task failed.
        """
        while (frame := self._frame()) is not None:
            samples = np.frombuffer(frame, np.float32)
            if samples.size == 0 or not self._channels or samples.size % self._channels:
                raise self._broken()
            yield samples.reshape(-1, self._channels)

    def result(self) -> dict[str, Any]:
        """Return the result of a task without samples.

        Raises:
            FileError: the task failed.
        """
        if self._frame() is not None:
            raise self._broken()
        return self._result

    def _frame(self) -> bytearray | None:
        """Return the next samples, or None when the result has come."""
        while True:
            kind, length = messages.HEADER.unpack(self._receive(messages.HEADER.size))
            if length > messages.LIMITS.get(kind, -1):
                raise self._broken()
            content = self._receive(length)
            if kind == messages.CHANNELS:
                if self._channels or not content:
                    raise self._broken()
                self._channels = content[0]
            if kind == messages.SAMPLES:
                return content
            if kind == messages.RESULT:
                self._result = self._parsed(content)
                return None
            if kind == messages.ERROR:
                raise self._error(self._parsed(content))

    def _receive(self, length: int) -> bytearray:
        content = bytearray(length)
        rest = memoryview(content)
        while rest:
            received = self._receive_into(rest)
            rest = rest[received:]
        return content

    def _receive_into(self, buffer: memoryview) -> int:
        limits = self._request.limits
        began = time.monotonic()
        self._output.settimeout(limits.stall_seconds)
        try:
            received = self._output.recv_into(buffer)
        except TimeoutError:
            raise UnreadableError(
                f"{self._request.name} was given up: its decoder found nothing for {limits.stall_seconds:.0f} s. {_ADVICE}"
            ) from None
        except OSError:
            received = 0
        self._waited += time.monotonic() - began
        if self._waited > limits.cpu_seconds + limits.stall_seconds:  # it sends signs of life only
            raise self._too_slow()
        if not received:
            raise self._death()
        return received

    def _death(self) -> FileError:
        """Return the error of a child that ended before its task."""
        name = self._request.name
        self._status.settimeout(ANSWER_SECONDS)
        content = b""
        with suppress(OSError):
            content = self._status.recv(messages.EXIT.size)
        if len(content) < messages.EXIT.size:
            return DecoderLostError(
                f"{name} was not decoded: the decoder process was stopped. It is tried again."
            )
        (code,) = messages.EXIT.unpack(content)
        if code == -signal.SIGXCPU:
            return self._too_slow()
        if code == -signal.SIGKILL:
            return DecoderLostError(
                f"{name} was not decoded: its decoder was killed, perhaps because the machine has no memory left. "
                "It is tried again."
            )
        if code == messages.NO_RIGHTS_GIVEN_UP:
            return DecoderLostError(
                f"{name} was not decoded: its decoder could not give up its rights, so it read nothing. Run `stt doctor`."
            )
        names = {int(one): f", {one.name}" for one in signal.Signals}
        how = f"signal {-code}{names.get(-code, '')}" if code < 0 else f"exit status {code}"
        return UnreadableError(f"{name} cannot be decoded: the decoder crashed on it ({how}). {_ADVICE}")

    def _too_slow(self) -> UnreadableError:
        seconds = self._request.limits.cpu_seconds
        return UnreadableError(
            f"{self._request.name} takes more than {seconds:,} s to decode, as no recording does. {_ADVICE}"
        )

    def _broken(self) -> UnreadableError:
        return UnreadableError(
            f"{self._request.name} cannot be decoded: the decoder answered something invalid. {_ADVICE}"
        )

    def _parsed(self, content: bytearray) -> dict[str, Any]:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise self._broken() from None
        if not isinstance(value, dict):
            raise self._broken()
        return value

    def _error(self, error: dict[str, Any]) -> Exception:
        text = str(error.get("message", ""))
        if error.get("kind") == "internal":
            return RuntimeError(f"The decoder failed on {self._request.name}: {text[-messages.MAX_TEXT :]}")
        shown = "".join(char if char.isprintable() else "\ufffd" for char in text[:_SHOWN])
        return NoAudioError(shown) if error.get("kind") == "no_audio" else UnreadableError(shown)
