"""The picture of speaker turns: size, bytes, colours, and recordings without speech."""

import struct

import pytest

from stt_pipeline.speech.timeline import speaker_timeline_png
from stt_pipeline.speech.transcript import SpeakerTurn


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def pixels(png: bytes):  # float[height, width, rgba]
    from io import BytesIO

    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(BytesIO(png)).convert("RGBA"))


def turns(speakers: int, duration: float) -> list[SpeakerTurn]:
    step = duration / 60
    return [SpeakerTurn(i * step, (i + 0.8) * step, f"SPEAKER_{i % speakers:02d}") for i in range(60)]


@pytest.mark.parametrize(("speakers", "duration"), [(1, 11.0), (3, 178.2), (5, 3600.0), (10, 36_000.0)])
def test_a_row_for_each_speaker(speakers: int, duration: float) -> None:
    png = speaker_timeline_png(turns(speakers, duration), duration)
    width, height = size(png)
    assert width == 700
    assert height == 40 + 25 * speakers
    assert len(png) < 15_000


@pytest.mark.parametrize("duration", [0.0, 0.1, 30.0])
def test_no_speech(duration: float) -> None:
    png = speaker_timeline_png((), duration)
    assert size(png) == (700, 65)
    assert png != speaker_timeline_png([SpeakerTurn(0.0, duration, "SPEAKER_00")], duration)


def test_speakers_have_their_own_colours_on_a_transparent_background() -> None:
    picture = pixels(
        speaker_timeline_png([SpeakerTurn(0, 5, "SPEAKER_00"), SpeakerTurn(5, 10, "SPEAKER_01")], 10)
    )
    left, right = 100, 680  # where the axis begins and ends
    quarter, three_quarters = (3 * left + right) // 4, (left + 3 * right) // 4
    upper, lower = 10 + 12, 10 + 25 + 12
    assert tuple(picture[upper, quarter]) == (0x00, 0x72, 0xB2, 255)
    assert tuple(picture[lower, three_quarters]) == (0xE6, 0x9F, 0x00, 255)
    assert picture[upper, three_quarters, 3] == picture[lower, quarter, 3] == 0


def test_equal_input_gives_equal_bytes() -> None:
    assert speaker_timeline_png(turns(2, 60.0), 60.0) == speaker_timeline_png(turns(2, 60.0), 60.0)
