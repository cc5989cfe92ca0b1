"""Mix the channels of a recording down to mono or stereo.

`samples` passes in blocks of one format. Files and timestamps are not handled here.
"""

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sandbox.messages import Layout

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.plane import AudioPlane

# Energy of the sum of two channels, as a share of the sum of their energies. It is near 0 when one channel is the inverse of
# the other, about 1 for independent channels, and 2 for equal ones. Below this limit the channels count as inverted. An
# inverted channel at half the level gives 0.2, and its mono mix is still usable.
_INVERTED_BELOW = 0.1

_STRIDE = 37  # every 37th sample is enough to estimate the energy of a block


class Mixer:
    """Mixes and resamples frames of more than two channels; the mix of equal channels keeps their level.

    Channels with known speaker positions use FFmpeg's mix (the centre has more weight than the rear channels, the subwoofer
    is dropped). Channels without positions, such as the microphones of a meeting recorder, are averaged.
    """

    def __init__(self, like: "AudioFrame", sample_rate: int, layout: Layout) -> None:
        """Accept frames with the format of ``like``; the output is interleaved float32."""
        import av
        from av.filter import Graph

        channels = like.layout.nb_channels
        mean = "+".join(f"c{channel}" for channel in range(channels))
        outputs = ("c0", "c1") if layout == "stereo" else ("c0",)
        means = (
            "pan",
            "|".join([layout, *(f"{output}<{mean}" for output in outputs)]),
        )  # "<": weights add up to 1
        places = ("aresample", "rematrix_maxval=1")
        wanted = ("aformat", f"sample_rates={sample_rate}:sample_fmts=flt:channel_layouts={layout}")

        def graph(mix: tuple[str, str]) -> Graph:
            chain = Graph()
            chain.threads = 1  # a confined process can start none
            end = chain.add_abuffer(
                sample_rate=like.sample_rate, format=like.format.name, layout=like.layout.name
            )
            for name, arguments in (mix, wanted, ("abuffersink", None)):
                following = chain.add(name, arguments)
                end.link_to(following)
                end = following
            chain.configure()
            return chain

        try:
            # "9 channels" is FFmpeg's name for nine channels without positions
            self._graph = graph(means if like.layout.name == f"{channels} channels" else places)
        except av.ArgumentError:  # FFmpeg has no mix for these positions
            self._graph = graph(means)

    def resample(self, frame: "AudioFrame | None") -> "list[AudioFrame]":
        """Push a frame, or None to flush; return the output frames, as PyAV's AudioResampler does."""
        import av

        self._graph.push(frame)
        mixed = []
        try:
            while True:
                mixed.append(cast("AudioFrame", self._graph.pull()))
        except (av.BlockingIOError, av.EOFError):
            return mixed


def repair_inverted(frame: "AudioFrame") -> None:
    """If the second channel of a stereo frame is the inverse of the first, copy the louder channel over the other.

    A microphone with swapped wires records an inverted channel, and its mono mix would be silence. Other frames stay
    unchanged. Pass frames of several seconds: for a moment, the channels of any recording can look inverted.
    """
    left, right = _channels(frame)
    sampled = [np.asarray(channel[::_STRIDE], np.float64) for channel in (left, right)]
    with np.errstate(all="ignore"):  # floating point files can hold NaN and infinity
        energies = [channel.var() for channel in sampled]
        is_inverted = (sampled[0] + sampled[1]).var() < _INVERTED_BELOW * (energies[0] + energies[1])
    if is_inverted:
        if energies[0] >= energies[1]:
            right[:] = left
        else:
            left[:] = right


def _channels(frame: "AudioFrame") -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Return writable views of the two channels of a frame."""
    kind = np.dtype(_KINDS[frame.format.packed.name])
    if frame.format.is_planar:
        left, right = (_samples(plane, kind)[: frame.samples] for plane in frame.planes[:2])
    else:
        both = _samples(frame.planes[0], kind)[: 2 * frame.samples]
        left, right = both[::2], both[1::2]
    return left, right


def _samples(plane: "AudioPlane", kind: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    # planes are writable buffers, but PyAV's stubs do not declare it
    return np.frombuffer(cast("memoryview[int]", plane), kind)


_KINDS = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
"""Sample formats: FFmpeg's name to NumPy's."""
