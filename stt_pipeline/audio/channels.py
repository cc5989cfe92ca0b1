"""From the channels of a recording, however many and however wired, to the one or two that are heard.

`decode` hands blocks of one format in here; where they come from, and when they play, is not known here.
"""

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.plane import AudioPlane

Layout = Literal["mono", "stereo"]

# Channels of one sound, one of them turned around, leave next to nothing when added up; channels that hear different
# things leave about as much as they have, equal ones twice that. The share of the channels' energy below which they are
# taken for one sound turned around: a channel half as loud as the other leaves 0.2, and is still heard.
_CANCELLED = 0.1

_STRIDE = 37  # one sample in so many tells the energy of a block, and takes next to no time


class Mixer:
    """Mixes and resamples frames of more than two channels; equal channels come out as loud as each of them.

    Channels that the file says the places of are mixed as FFmpeg mixes them (the centre counts more than what is behind,
    the subwoofer is left out); of others, such as a meeting recorder's microphones, the mean is taken.
    """

    def __init__(self, like: "AudioFrame", sample_rate: int, layout: Layout) -> None:
        """Take frames with the format of ``like``; give float32 ones, interleaved."""
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
            # "9 channels" is the name of nine channels that say nothing of their places
            self._graph = graph(means if like.layout.name == f"{channels} channels" else places)
        except av.ArgumentError:  # places that FFmpeg knows no mix of
            self._graph = graph(means)

    def resample(self, frame: "AudioFrame | None") -> "list[AudioFrame]":
        """Take a frame, or None at the end; return what comes out, as PyAV's AudioResampler does."""
        import av

        self._graph.push(frame)
        mixed = []
        try:
            while True:
                mixed.append(cast("AudioFrame", self._graph.pull()))
        except (av.BlockingIOError, av.EOFError):
            return mixed


def turn_back(frame: "AudioFrame") -> None:
    """Where the second channel of a stereo frame is the first turned around, put the louder of them into both.

    A microphone with two wires swapped records so, and mixed to mono there would be silence. All other frames stay as
    they are. Give frames of some seconds: in shorter ones the channels of any recording may be opposed for a moment.
    """
    left, right = _channels(frame)
    heard = [np.asarray(channel[::_STRIDE], np.float64) for channel in (left, right)]
    with np.errstate(all="ignore"):  # files of floating point numbers may hold any number
        energies = [channel.var() for channel in heard]
        cancelled = (heard[0] + heard[1]).var() < _CANCELLED * (energies[0] + energies[1])
    if cancelled:
        if energies[0] >= energies[1]:
            right[:] = left
        else:
            left[:] = right


def _channels(frame: "AudioFrame") -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    """Return the two channels of a frame; writing to them changes it."""
    kind = np.dtype(_KINDS[frame.format.packed.name])
    if frame.format.is_planar:
        left, right = (_samples(plane, kind)[: frame.samples] for plane in frame.planes[:2])
    else:
        both = _samples(frame.planes[0], kind)[: 2 * frame.samples]
        left, right = both[::2], both[1::2]
    return left, right


def _samples(plane: "AudioPlane", kind: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    # a buffer that may be written to, of which PyAV's stubs say nothing
    return np.frombuffer(cast("memoryview[int]", plane), kind)


_KINDS = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
"""FFmpeg's names of sample formats, and NumPy's."""
