"""What every diarizer promises, and how well the embedded one does on the samples and on real speech."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import SoundFile, SoundInMemory
from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.speech.diarization import Diarizer, EmbeddedDiarizer, SingleSpeaker, load_diarizer
from stt_pipeline.speech.diarization.clustering import PART, cluster
from stt_pipeline.speech.diarization.gaussians import Gaussians
from stt_pipeline.speech.evaluation import ErrorRate, diarization_error_rate, read_rttm
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline_tests.conftest import SAMPLES, SHARED

REFERENCES = sorted((SAMPLES / "reference").glob("*.rttm"))
REAL = SHARED / "audio"

Samples = npt.NDArray[np.float32]

needs_real_speech = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real recordings at {REAL}")


def sample_of(reference: Path) -> Path:
    return next(path for path in SAMPLES.iterdir() if path.stem == reference.stem)


@pytest.fixture(scope="module")
def meeting() -> Samples:
    """The first 40 s of a sample with two speakers."""
    return decode(sample_of(SAMPLES / "reference" / "weekly-budget.rttm"))[: 40 * SAMPLE_RATE]


@pytest.fixture(params=["embedded", "none"])
def diarizer(request: pytest.FixtureRequest) -> Diarizer:
    return load_diarizer(request.param)


def speakers_of(turns: tuple[SpeakerTurn, ...]) -> list[str]:
    """Labels in order of appearance."""
    return list(dict.fromkeys(turn.speaker for turn in turns))


class TestEveryDiarizer:
    def test_turns_are_ordered_and_inside_the_recording(self, diarizer: Diarizer, meeting: Samples) -> None:
        turns = diarizer.diarize(SoundInMemory(meeting))
        assert turns
        assert all(0 <= turn.start < turn.end <= len(meeting) / SAMPLE_RATE + 0.01 for turn in turns)
        assert list(turns) == sorted(turns, key=lambda turn: turn.start)
        assert (
            {type(turn.start) for turn in turns} == {type(turn.end) for turn in turns} == {float}
        )  # not numpy's

    def test_labels_are_numbered_in_order_of_appearance(self, diarizer: Diarizer, meeting: Samples) -> None:
        labels = speakers_of(diarizer.diarize(SoundInMemory(meeting)))
        assert labels == [f"SPEAKER_{i:02d}" for i in range(len(labels))]

    def test_the_same_recording_gives_the_same_turns(self, diarizer: Diarizer, meeting: Samples) -> None:
        assert diarizer.diarize(SoundInMemory(meeting)) == diarizer.diarize(SoundInMemory(meeting.copy()))

    def test_the_samples_are_left_alone(self, diarizer: Diarizer, meeting: Samples) -> None:
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
    def test_a_scrap_of_speech_has_one_speaker_at_most(
        self, diarizer: Diarizer, meeting: Samples, seconds: float
    ) -> None:
        scrap = meeting[SAMPLE_RATE : SAMPLE_RATE + int(seconds * SAMPLE_RATE)]
        assert len(speakers_of(diarizer.diarize(SoundInMemory(scrap)))) <= 1

    @pytest.mark.parametrize("limits", [(0, None), (None, 0), (3, 2)])
    def test_impossible_limits_are_refused(
        self, diarizer: Diarizer, meeting: Samples, limits: tuple[int | None, int | None]
    ) -> None:
        with pytest.raises(InvalidRequestError, match="speakers is impossible"):
            diarizer.diarize(SoundInMemory(meeting), min_speakers=limits[0], max_speakers=limits[1])


def test_a_diarizer_is_loaded_by_its_name() -> None:
    assert isinstance(load_diarizer("embedded"), EmbeddedDiarizer)
    assert isinstance(load_diarizer("none"), SingleSpeaker)
    with pytest.raises(ConfigurationError, match="STT_DIARIZER to one of: embedded, none"):
        load_diarizer("telepathy")


def test_no_diarizer_means_one_speaker(meeting: Samples) -> None:
    assert speakers_of(SingleSpeaker().diarize(SoundInMemory(meeting))) == ["SPEAKER_00"]


@pytest.mark.parametrize(
    ("limits", "count"), [((None, None), 2), ((None, 1), 1), ((3, None), 3), ((4, 4), 4)]
)
def test_limits_on_the_number_of_speakers_are_kept(
    meeting: Samples, limits: tuple[int | None, int | None], count: int
) -> None:
    turns = EmbeddedDiarizer().diarize(SoundInMemory(meeting), min_speakers=limits[0], max_speakers=limits[1])
    assert len(speakers_of(turns)) == count


def test_the_samples_reach_their_figures() -> None:
    total, speakers_wrong = ErrorRate(), []
    for path in REFERENCES:
        reference = read_rttm(path)
        turns = EmbeddedDiarizer().diarize(SoundFile(sample_of(path)))
        rate = diarization_error_rate(reference, turns)
        assert rate.rate <= 0.20, path.stem
        total += rate
        if len(speakers_of(turns)) != len(speakers_of(reference)):
            speakers_wrong.append(path.stem)
    assert len(REFERENCES) >= 7
    assert len(speakers_wrong) <= 1, speakers_wrong
    assert total.rate <= 0.05  # measured: 0.024


@needs_real_speech
def test_a_real_telephone_call() -> None:
    reference = read_rttm(REAL / "two_speakers_phone.rttm")
    turns = EmbeddedDiarizer().diarize(SoundFile(REAL / "two_speakers_phone.wav"))
    assert len(speakers_of(turns)) == 2
    assert diarization_error_rate(reference, turns).rate <= 0.20  # measured: 0.166
    assert diarization_error_rate(reference, turns, collar=0.25).rate <= 0.06  # measured: 0.029


@needs_real_speech
def test_real_meetings_with_much_overlap() -> None:
    found, one_speaker = ErrorRate(), ErrorRate()
    for path in sorted((REAL / "meetings").glob("*.wav")):
        reference, sound = read_rttm(path.with_suffix(".rttm")), SoundFile(path)
        found += diarization_error_rate(reference, EmbeddedDiarizer().diarize(sound))
        one_speaker += diarization_error_rate(reference, SingleSpeaker().diarize(sound))
    assert (
        found.rate <= 0.50
    )  # measured: 0.491, most of it overlapping speech, which one label at a time must miss
    assert found.rate <= one_speaker.rate


def test_many_units_are_clustered_in_parts_with_the_same_result() -> None:
    """Three voices in 700 units: more than are compared at once."""
    draw = np.random.default_rng(3)
    voices = draw.normal(0, 1.5, (3, 8))
    who = draw.integers(0, 3, 700)
    vectors = np.concatenate([draw.normal(voices[voice], 1.0, (100, 8)) for voice in who])
    units = Gaussians.of(vectors, np.repeat(np.arange(700), 100))
    labels, voices = cluster(units[slice(first, first + PART)] for first in range(0, 700, PART))
    assert voices.counts.tolist() == (100 * np.bincount(labels)).tolist()
    assert labels.max() == 2
    assert all(len(set(labels[who == voice])) == 1 for voice in range(3))
