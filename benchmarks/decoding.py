"""The cost of decoding in a confined process, against the same decoder in this process, in turns.

Recordings of 5 s and of 10 min, as WAV and as Opus, are probed and decoded. Each round does both ways of each recording. CPU time
includes the fork server and its children, so its ratios are right on a busy machine, too.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from benchmarks.instances import print_status
from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sandbox.client import SHARED
from stt_pipeline.audio.sandbox.container import Media
from stt_pipeline.audio.sandbox.packets import properties
from stt_pipeline.audio.sandbox.samples import sample_blocks

_CODECS = {"wav": "pcm_s16le", "opus": "libopus"}


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", type=float, default=5.0, help="seconds of the short recordings")
    parser.add_argument("--long", type=float, default=600.0, help="seconds of the long recordings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=40, help="calls in a round, for a short recording")
    options = parser.parse_args()
    started = time.perf_counter()
    SHARED.server()
    result: dict[str, object] = {"start_ms": round(1000 * (time.perf_counter() - started), 1)}
    with tempfile.TemporaryDirectory(prefix="stt-decoding-") as folder:
        for name, seconds, calls in (("short", options.short, options.repeat), ("long", options.long, 1)):
            for extension, codec in _CODECS.items():
                path = _written(Path(folder) / f"{name}.{extension}", codec, seconds)
                result[f"{name}_{extension}"] = _compared(path, options.rounds, calls)
                print_status(f"{path.name}: {result[f'{name}_{extension}']}")
    print(json.dumps(result))


def _compared(path: Path, rounds: int, calls: int) -> dict[str, float]:
    """Return milliseconds of a call: the median of the wall time, the mean of the CPU time; and the ratios of the latter."""
    ways: dict[str, Callable[[Path], object]] = {
        "decode_here": _decode_here,
        "decode_confined": decode,
        "probe_here": _probe_here,
        "probe_confined": probe,
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, float] = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            started, cpu_before = time.perf_counter(), _cpu_seconds()
            for _ in range(calls):
                way(path)
            wall[name].append(1000 * (time.perf_counter() - started) / calls)
            cpu[name] += 1000 * (_cpu_seconds() - cpu_before) / calls / rounds
    result = {f"{name}_wall_ms": round(statistics.median(times), 2) for name, times in wall.items()}
    result |= {f"{name}_cpu_ms": round(value, 2) for name, value in cpu.items()}
    for task in ("decode", "probe"):
        here, confined = cpu[f"{task}_here"], cpu[f"{task}_confined"]
        result |= {
            f"{task}_cpu_ratio": round(confined / max(here, 0.01), 2),
            f"{task}_cpu_ms_more": round(confined - here, 2),
        }
    return result


def _cpu_seconds() -> float:
    """Return the CPU time of this process, the fork server and its ended children."""
    server = psutil.Process(SHARED.server().pid)
    while server.children():
        time.sleep(0.001)
    times = server.cpu_times()
    children = times.children_user + times.children_system
    return time.process_time() + times.user + times.system + float(children)


def _decode_here(path: Path) -> object:
    with path.open("rb") as file:
        return np.concatenate(list(sample_blocks(_media(path, file), SAMPLE_RATE, "mono")))


def _probe_here(path: Path) -> object:
    with path.open("rb") as file:
        return properties(_media(path, file))


def _media(path: Path, file: object) -> Media:
    return Media(file, path.name, path.stat().st_size, lambda: None)  # type: ignore[arg-type]


def _written(path: Path, codec: str, seconds: float) -> Path:
    """Write noise, of which a codec needs all its bits, at 48 kHz."""
    import av
    from av.audio.stream import AudioStream

    noise = np.random.default_rng(0).normal(0, 3_000, 48_000).astype(np.int16).reshape(1, -1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        for second in range(round(seconds)):
            frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 48_000 * second
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
