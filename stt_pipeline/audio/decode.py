"""Decode any audio or video file to the samples that speech models take. Nothing is cached here.

The work is done in a confined process (`sandbox`), so a broken or hostile file costs only itself.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.findings import Findings
from stt_pipeline.audio.open_file import check_length, start_task
from stt_pipeline.audio.sandbox.messages import Layout
from stt_pipeline.settings import MAX_AUDIO_HOURS

SAMPLE_RATE = 16_000
"""Sample rate of Whisper and Silero VAD, in Hz."""


def decode(path: Path, sample_rate: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    """Return all of :func:`decode_blocks` in one array, float32 ``(samples,)``; an hour is 230 MB."""
    samples = bytearray()  # grows in place, and becomes the array without a copy
    for block in decode_blocks(path, sample_rate):
        samples += block.data.cast("B")
    return np.frombuffer(samples, dtype=np.float32)


def decode_blocks(
    path: Path,
    sample_rate: int = SAMPLE_RATE,
    layout: Layout = "mono",
    *,
    max_hours: float = MAX_AUDIO_HOURS,
    audio_track: str = "auto",
    on_end: Callable[[Findings], None] = lambda findings: None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield an audio track of ``path`` in blocks of several seconds; no block is empty.

    With ``audio_track`` "auto" it is the track that is flagged as default (else the first), or the loudest one if that is
    silent; with "all" the sum of all tracks; else the track with that number, from 1. ``on_end`` is called with what was
    found about the file, after the last block.

    Mono blocks are float32 ``(samples,)`` with all channels mixed; stereo blocks are ``(samples, 2)``, where a mono track
    fills both channels; blocks with channels apart are ``(samples, channels)``. A track whose number of channels changes
    has that of its start: later channels that do not fit are mixed. Full scale is 1. The mono mix of loud stereo can
    reach 1.42; the stereo form of a mono track is lower by the same factor. A mix of more than two equal channels keeps
    their level. If the second stereo channel is the inverse of the first, the mono mix is the louder channel. NaN becomes
    silence, and values are clipped to ±8.

    Sample ``n`` plays at ``n / sample_rate`` seconds of the file: a track that begins later than the picture begins with
    silence. Damaged packets are skipped. Gaps in the file's timestamps (lost packets, or a recorder that skips silence)
    become silence, those of up to 0.1 s when they add up to more. A truncated file gives its remaining audio. One resampler
    runs over the whole file, so there are no artifacts between blocks.

    Raises:
        UnreadableError: the file is empty or cannot be decoded as audio; discard the blocks so far.
        NoAudioError: no audio track, or an empty track, or none with this number.
        TooLongError: more than ``max_hours`` of audio; discard the blocks so far.
        DecoderLostError: the decoder process was killed; another attempt may succeed.
    """
    count = 0
    arguments = {"sample_rate": sample_rate, "layout": layout, "audio_track": audio_track}
    with start_task("decode", path, arguments) as task:
        for block in task.blocks():
            count += len(block)
            check_length(path, count / sample_rate, max_hours)
            yield block[:, 0] if layout == "mono" else block
        on_end(Findings.of(task.facts, display_name(path)))
