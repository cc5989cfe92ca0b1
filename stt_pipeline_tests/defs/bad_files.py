"""A folder with every kind of bad file that users upload by mistake."""

from pathlib import Path

import av
import numpy as np

from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.conftest import SAMPLES

RATE = 16_000

# what each file ends as: None for success, else the error class and words that its message must have
EXPECTED: dict[str, tuple[str, str] | None] = {
    "empty.wav": ("unreadable", "0 bytes"),
    "text.mp3": ("unreadable", "text.mp3"),
    "video without sound.mp4": ("no_audio", "no audio track"),
    "truncated.mp3": None,
    "tenth of a second.wav": None,
    "silence.wav": None,
    "white noise.wav": None,
    "주간 회의 (사본).m4a": None,
    'it\'s "quoted" 100% #1.wav': None,
    "🎤 launch.mp3": None,
    "copy/launch.mp3": None,
}


def write_bad_files(folder: Path) -> None:
    """Fill ``folder`` with the files of :data:`EXPECTED`."""
    (folder / "copy").mkdir(parents=True)
    sample = (SAMPLES / "product-launch.mp3").read_bytes()
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("These are the minutes, not the recording.\n" * 50)
    write_silent_video(folder / "video without sound.mp4")
    (folder / "truncated.mp3").write_bytes(sample[: len(sample) // 3])
    write_tone(folder / "tenth of a second.wav", 0.1)
    _write_wav(folder / "silence.wav", np.zeros(RATE * 5))
    _write_wav(folder / "white noise.wav", np.random.default_rng(0).normal(0, 0.1, RATE * 5))
    (folder / "주간 회의 (사본).m4a").write_bytes((SAMPLES / "주간 회의.m4a").read_bytes())
    write_tone(folder / 'it\'s "quoted" 100% #1.wav', 0.5)
    (folder / "🎤 launch.mp3").write_bytes(sample)
    (folder / "copy" / "launch.mp3").write_bytes(sample)


def _write_wav(path: Path, samples: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def write_silent_video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
