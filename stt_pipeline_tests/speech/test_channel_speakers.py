"""Speakers of recordings whose channels were transcribed apart."""

import numpy as np
import pytest

from stt_pipeline.audio.sound import Sound, SoundInMemory, all_samples
from stt_pipeline.speech.channel_speakers import find_turns
from stt_pipeline.speech.diarization import ANY_NUMBER, SingleSpeaker, SpeakerCount
from stt_pipeline.speech.evaluation import diarization_error_rate, read_rttm
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript
from stt_pipeline_tests.speech.diarization_samples import TWO_SPEAKERS, speakers_of, two_channels

A, B = "SPEAKER_00", "SPEAKER_01"


class Halves:
    """Takes the first half of a recording for one speaker and the second for another; notes what it was given."""

    name = "halves"

    def __init__(self) -> None:
        self.given: list[tuple[np.ndarray, SpeakerCount]] = []

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        samples = all_samples(sound)
        self.given.append((samples, speaker_count))
        seconds = len(samples) / 16_000
        return SpeakerTurn(0.0, seconds / 2, A), SpeakerTurn(seconds / 2, seconds, B)


def transcript(*segments: Segment) -> Transcript:
    return Transcript("ko", 1.0, 60.0, "demo", segments)


def text(start: float, end: float, channel: int | None) -> Segment:
    return Segment(start, end, f"{channel}", channel=channel)


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    return two_channels(-20, 1.0)


BOTH = transcript(text(0, 4, 0), text(2, 6, 1), text(8, 9, 1))


def test_each_channel_is_a_speaker(call: np.ndarray) -> None:
    diarizer = Halves()
    turns = find_turns(BOTH, SoundInMemory(call), diarizer)
    assert diarizer.given == []
    assert speakers_of(turns) == [A, B]
    assert {(turn.speaker, turn.channel) for turn in turns} in ({(A, 0), (B, 1)}, {(A, 1), (B, 0)})
    assert diarization_error_rate(read_rttm(TWO_SPEAKERS), turns).rate <= 0.08
    assert [turn.start for turn in turns] == sorted(turn.start for turn in turns)


def test_words_of_both_keep_their_speaker_where_they_overlap() -> None:
    turns = (SpeakerTurn(0.0, 6.0, A, 0), SpeakerTurn(2.0, 5.0, B, 1))
    result = assign_speakers(transcript(text(0, 6, 0), text(3, 4, 1)), turns)
    assert [(segment.speaker, segment.channel) for segment in result.segments] == [(A, 0), (B, 1)]


def test_more_speakers_than_channels_are_found_in_each(call: np.ndarray) -> None:
    diarizer = Halves()
    turns = find_turns(BOTH, SoundInMemory(call), diarizer, SpeakerCount(3, 4))
    assert [limits for _, limits in diarizer.given] == [SpeakerCount(1, 3), SpeakerCount(1, 2)]
    assert len({(turn.speaker, turn.channel) for turn in turns}) == len(speakers_of(turns)) == 4
    first, second = (samples for samples, _ in diarizer.given)
    assert np.abs(first * second).max() < 1e-4, "each without the other's bleed"


def test_limits_hold_for_all_channels_together(call: np.ndarray) -> None:
    class AsManyAsAllowed(Halves):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            two = super().diarize(sound, speaker_count)
            return two if speaker_count.max_speakers != 1 else two[:1]

    class AsFewAsAllowed(Halves):
        def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
            two = super().diarize(sound, speaker_count)
            return two if speaker_count.min_speakers > 1 else two[:1]

    for diarizer in (AsManyAsAllowed(), AsFewAsAllowed()):
        turns = find_turns(BOTH, SoundInMemory(call), diarizer, SpeakerCount(3, 3))
        assert len(speakers_of(turns)) == 3


def test_one_channel_with_text_may_have_many_speakers(call: np.ndarray) -> None:
    diarizer = Halves()
    turns = find_turns(transcript(text(0, 4, 1)), SoundInMemory(call), diarizer, SpeakerCount(2, 5))
    assert [limits for _, limits in diarizer.given] == [SpeakerCount(2, 5)]
    assert [(turn.speaker, turn.channel) for turn in turns] == [(A, 1), (B, 1)]


@pytest.mark.parametrize(
    ("given", "limits"),
    [(transcript(text(0, 4, None)), ANY_NUMBER), (BOTH, SpeakerCount(1, 1))],
    ids=["mixed channels", "fewer speakers than channels"],
)
def test_the_diarizer_gets_the_mix(given: Transcript, limits: SpeakerCount, call: np.ndarray) -> None:
    diarizer = Halves()
    turns = find_turns(given, SoundInMemory(call), diarizer, limits)
    assert [(turn.speaker, turn.channel) for turn in turns] == [(A, None), (B, None)]
    assert np.array_equal(diarizer.given[0][0], all_samples(SoundInMemory(call)))


def test_none_is_one_speaker(call: np.ndarray) -> None:
    assert speakers_of(find_turns(BOTH, SoundInMemory(call), SingleSpeaker())) == [A]


def test_a_channel_with_text_has_a_speaker_even_where_no_voice_is_found(call: np.ndarray) -> None:
    silent = np.concatenate([call, np.zeros((len(call), 1), np.float32)], axis=1)
    given = transcript(text(0, 4, 0), text(2, 6, 1), text(8, 9, 2))
    turns = find_turns(given, SoundInMemory(silent), Halves())
    assert [(turn.start, turn.end) for turn in turns if turn.channel == 2] == [(8, 9)]
    assert len(assign_speakers(given, turns).speakers) == 3
