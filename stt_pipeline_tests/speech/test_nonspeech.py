"""Audio without speech has no text: each sound through the whole engine, and through the model without the VAD."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.decoding import ChooseLanguages, Decoded, DecodeOptions, Decoder, Row
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.hallucination import AudioEvidence, examine
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.speech.voice_activity import VoiceActivity
from stt_pipeline_tests.conftest import REAL, needs_real_speech
from stt_pipeline_tests.speech.engine.sounds import recording, results
from stt_pipeline_tests.speech.hallucination.chunks import Model
from stt_pipeline_tests.speech.nonspeech import RATE, SOUNDS
from stt_pipeline_tests.speech.sample_meetings import load_meeting


def transcribe(engine: Engine, samples: Sequence[np.ndarray], language: str = "") -> Iterator[Transcript]:
    """Yield the transcript of each recording, in order."""
    options = TranscriptionOptions(language=language)
    found = results(engine, [recording(number, one, options) for number, one in enumerate(samples)])
    yield from (found[number] for number in range(len(samples)))


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The demo model."""
    return Engine(load_model("demo", "cpu"))


@pytest.mark.slow
@pytest.mark.parametrize(("language", "gain"), [("", 1.0), ("ko", 0.1)])
def test_each_gives_an_empty_transcript_and_no_failure(language: str, gain: float, engine: Engine) -> None:
    sounds = {name: make() * np.float32(gain) for name, make in SOUNDS.items()}
    for name, transcript in zip(sounds, transcribe(engine, list(sounds.values()), language), strict=True):
        assert transcript.segments == (), name
        assert transcript.text == "", name
        assert transcript.duration == pytest.approx(len(sounds[name]) / RATE), name


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUNDS)
def test_hallucinations_about_it_are_dropped(name: str) -> None:
    """The demo model writes sentences for nearly all of them, many with a log-probability like that of real ones."""
    decoder = Decoder(load_model("demo", "cpu"))
    samples = SOUNDS[name]()[: int(decoder.max_chunk_seconds) * RATE]
    activity = VoiceActivity()
    chunk = Chunk.of(0, 0, samples, np.concatenate([activity.feed(samples), activity.flush()]))
    for language in "ko", "en":
        (decoded,) = decoder.decode(
            [decoder.row(chunk, DecodeOptions(beam_size=1), language=language)],
            lambda _, code=language: [code],  # type: ignore[misc]
        )
        model = Model()
        evidence = AudioEvidence.of(chunk.samples, chunk.probabilities)
        assert examine(decoded.segments, evidence, model, hotwords=()) == ()
        assert model.asked == []
    if name in ("white_noise", "pink_noise", "mains_hum", "music", "organ", "ring_tone"):
        assert decoded.segments, "the model wrote nothing, so this tests nothing"


@pytest.mark.slow
def test_speech_between_them_survives(engine: Engine) -> None:
    meeting = load_meeting("weekly-budget.wav")
    spoken = decode(meeting.path)
    said = [segment for segment in meeting.segments if segment.end < 9]
    speech = spoken[: round((said[-1].end + 0.2) * RATE)]
    (alone,) = transcribe(engine, [speech], "ko")
    parts = [make()[: 4 * RATE] for make in SOUNDS.values()]
    between = np.concatenate([part for sound in parts for part in (sound, speech)])
    (transcript,) = transcribe(engine, [between], "ko")
    total = ErrorRate()
    for number in range(len(parts)):
        start = number * (4 + len(speech) / RATE) + 4
        heard = " ".join(
            one.text for one in transcript.segments if start - 0.7 < one.start < start + len(speech) / RATE
        )
        errors = character_error_rate(alone.text, heard)
        total += errors
        assert errors.rate < 0.5, list(SOUNDS)[
            number
        ]  # a bar of music in the first sentence confuses the demo model
    assert total.rate < 0.1
    assert len(transcript.segments) <= len(parts) * (len(alone.segments) + 1)
    assert transcript.speech_seconds == pytest.approx(len(parts) * alone.speech_seconds, rel=0.1)


@pytest.mark.slow
def test_real_repetition_gets_reasons_and_is_never_dropped(engine: Engine) -> None:
    meeting = load_meeting("weekly-budget.wav")
    said = meeting.segments[0]
    once = decode(meeting.path)[round((said.start - 0.3) * RATE) : round((said.end + 0.3) * RATE)]
    (transcript,) = transcribe(engine, [np.tile(once, 6)], "ko")
    assert [segment.text for segment in transcript.segments] == [said.text] * 6
    assert all("repetition" in segment.hallucination_reasons for segment in transcript.segments)


@pytest.mark.slow
@needs_real_speech
def test_real_audio_does_not_fail(engine: Engine) -> None:
    """The demo model's text of it is meaningless; only the order and the end are tested."""
    names = ["jfk.flac", "multilingual.mp3", "one_second.wav", "two_speakers_phone.wav", "meetings/dev00.wav"]
    samples = [decode(REAL / name)[: 12 * RATE] for name in names]
    for name, transcript in zip(names, transcribe(engine, samples), strict=True):
        assert bool(transcript.segments) == (name != "one_second.wav"), name
        starts = [segment.start for segment in transcript.segments]
        assert starts == sorted(starts), name
        assert all(segment.end <= transcript.duration for segment in transcript.segments), name
        assert transcript.untranscribed_speech_seconds <= transcript.speech_seconds, name


@pytest.mark.slow
def test_the_samples_are_hardly_ever_decoded_again() -> None:
    """None of 75 chunks is; each attempt costs as much as the chunk."""

    class Counting(Decoder):
        """Counts the rows with a language: those of chunks whose language was detected before."""

        again = 0

        def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
            self.again += sum(bool(row.language) for row in rows)
            return super().decode(rows, choose_languages)

    loaded = load_model("demo", "cpu")
    decoder = Counting(loaded)
    meetings = [load_meeting(name) for name in ("hiring-plan.flac", "telephone-support.wav")]
    samples = [  # up to a pause
        decode(meeting.path)[: round((meeting.segments[10].end + 0.2) * RATE)] for meeting in meetings
    ]
    transcripts = list(transcribe(Engine(loaded, decoder=decoder), samples))
    assert all(len(transcript.segments) >= 5 for transcript in transcripts)
    assert not any(
        segment.hallucination_reasons for transcript in transcripts for segment in transcript.segments
    )
    assert decoder.again <= 1
