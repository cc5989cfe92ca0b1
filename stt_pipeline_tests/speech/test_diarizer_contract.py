"""The contract of diarization backends: every entry of `DIARIZERS` that can be loaded here runs on difficult recordings."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import SoundInMemory
from stt_pipeline.backends import DIARIZERS
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import Diarizer, SpeakerCount
from stt_pipeline_tests.speech.diarization_samples import Samples, speakers_of, two_speakers
from stt_pipeline_tests.speech.whisperx_extra import needs_whisperx


@pytest.fixture(scope="module")
def meeting() -> Samples:
    return two_speakers()


@pytest.fixture(
    params=[
        pytest.param(name, marks=needs_whisperx if backend.extra == "whisperx" else ())
        for name, backend in DIARIZERS.items()
    ]
)
def diarizer(request: pytest.FixtureRequest) -> Diarizer:
    try:
        loaded: Diarizer = DIARIZERS.create(request.param, Settings())
    except ConfigurationError as error:
        if DIARIZERS[request.param].extra:
            pytest.skip(f"diarizer {request.param!r} cannot be loaded here: {error}")
        raise
    return loaded


class TestEveryDiarizer:
    @pytest.mark.slow
    def test_it_has_a_name_and_takes_limits(self, diarizer: Diarizer, meeting: Samples) -> None:
        assert diarizer.name in DIARIZERS
        assert len(speakers_of(diarizer.diarize(SoundInMemory(meeting), SpeakerCount(max_speakers=1)))) == 1

    @pytest.mark.slow
    def test_turns_are_ordered_and_inside_the_recording(self, diarizer: Diarizer, meeting: Samples) -> None:
        turns = diarizer.diarize(SoundInMemory(meeting))
        assert turns
        assert all(0 <= turn.start < turn.end <= len(meeting) / SAMPLE_RATE + 0.01 for turn in turns)
        assert list(turns) == sorted(turns, key=lambda turn: turn.start)
        types = {type(time) for turn in turns for time in (turn.start, turn.end)}
        assert types == {float}  # not numpy's

    @pytest.mark.slow
    def test_labels_are_numbered_in_order_of_appearance(self, diarizer: Diarizer, meeting: Samples) -> None:
        labels = speakers_of(diarizer.diarize(SoundInMemory(meeting)))
        assert labels == [f"SPEAKER_{i:02d}" for i in range(len(labels))]

    @pytest.mark.slow
    def test_the_same_recording_gives_the_same_turns(self, diarizer: Diarizer, meeting: Samples) -> None:
        assert diarizer.diarize(SoundInMemory(meeting)) == diarizer.diarize(SoundInMemory(meeting.copy()))

    @pytest.mark.slow
    def test_block_boundaries_do_not_matter(self, diarizer: Diarizer, meeting: Samples) -> None:
        class UnevenBlocks(SoundInMemory):
            def blocks(self) -> Iterator[Samples]:
                cuts = [0, 1, 700, 5_000, 5_001, *range(100_000, len(meeting), 33_333), len(meeting)]
                return (meeting[first:end] for first, end in pairwise(cuts))

            def stereo_blocks(self) -> Iterator[Samples]:
                return (np.stack([block, block], axis=1) for block in self.blocks())

        assert diarizer.diarize(UnevenBlocks(meeting)) == diarizer.diarize(SoundInMemory(meeting))

    @pytest.mark.slow
    def test_several_threads_get_the_same_turns_as_one(self, diarizer: Diarizer, meeting: Samples) -> None:
        some = [SoundInMemory(meeting[first * SAMPLE_RATE :][: 15 * SAMPLE_RATE]) for first in (0, 12, 25)]
        with ThreadPoolExecutor(len(some)) as threads:
            together = list(threads.map(diarizer.diarize, some))
        assert together == [diarizer.diarize(sound) for sound in some]

    @pytest.mark.slow
    def test_the_samples_are_not_modified(self, diarizer: Diarizer, meeting: Samples) -> None:
        frozen = meeting.copy()
        frozen.setflags(write=False)
        diarizer.diarize(SoundInMemory(frozen))

    @pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.1, 3.0])
    @pytest.mark.parametrize("loudness", [0.0, 0.001, 0.5])
    def test_silence_and_noise_have_no_turns(
        self, diarizer: Diarizer, seconds: float, loudness: float
    ) -> None:
        noise = np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE)) * loudness
        assert diarizer.diarize(SoundInMemory(noise.astype(np.float32))) == ()

    @pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0])
    def test_very_short_speech_has_at_most_one_speaker(
        self, diarizer: Diarizer, meeting: Samples, seconds: float
    ) -> None:
        short = meeting[SAMPLE_RATE : SAMPLE_RATE + int(seconds * SAMPLE_RATE)]
        assert len(speakers_of(diarizer.diarize(SoundInMemory(short)))) <= 1
